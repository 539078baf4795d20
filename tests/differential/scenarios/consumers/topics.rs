//! What members subscribe to: topics that they change their minds about, patterns, topics that come, grow and go; and
//! who divides them.

use protocol::messages::create_partitions::CreatePartitionsTopic;
use protocol::messages::*;

use super::{Seat, TOPIC, delete, describe};
use crate::pair::Pair;
use crate::scenarios::create;
use crate::scenarios::setup::{settle, settle_gone};
use crate::side::Side;

const OTHER: &str = "consumed.too";
const LATER: &str = "consumed.later";

pub(super) fn run(pair: &mut Pair) {
    create(pair, OTHER, 3, &[]);
    lists(pair);
    assignors(pair);
    patterns(pair);
    topics_change(pair);
}

fn seat<'a>(group: &'a str, member: &'a str) -> Seat<'a> {
    Seat { group, member, topics: &[TOPIC, OTHER, LATER] }
}

fn subscribing(beat: ConsumerGroupHeartbeatRequest, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    let names = topics.iter().map(ToString::to_string).collect();
    ConsumerGroupHeartbeatRequest { subscribed_topic_names: Some(names), ..beat }
}

fn matching(beat: ConsumerGroupHeartbeatRequest, pattern: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some(pattern.into()), ..beat }
}

fn lists(pair: &mut Pair) {
    const GROUP: &str = "consumer.lists";
    let (one, two) = (seat(GROUP, "one"), seat(GROUP, "two"));
    one.say(pair, "lists: joins", |_| subscribing(one.joining(), &[TOPIC]));
    let changes: &[(&str, &[&str])] = &[
        ("both", &[TOPIC, OTHER]),
        ("both the other way round", &[OTHER, TOPIC]),
        ("one of them twice", &[OTHER, TOPIC, OTHER]),
        ("the other", &[OTHER]),
        ("a topic that is missing", &["missing", OTHER]),
        ("an invalid name", &["a/b", OTHER]),
        ("nothing", &[]),
        ("the first again", &[TOPIC]),
    ];
    for (label, topics) in changes {
        one.say(pair, &format!("lists: {label}"), |side| subscribing(one.beating(side), topics));
        describe(pair, &format!("lists: {label}"), GROUP);
        one.confirm(pair, &format!("lists: {label}: says what it has"));
        one.beat(pair, &format!("lists: {label}: heartbeat"));
        describe(pair, &format!("lists: {label}: settled"), GROUP);
    }
    two.say(pair, "lists: another joins for another topic", |_| subscribing(two.joining(), &[OTHER]));
    one.beat(pair, "lists: heartbeat");
    describe(pair, "lists: each has its own", GROUP);
    two.say(pair, "lists: the other wants both", |side| subscribing(two.beating(side), &[TOPIC, OTHER]));
    describe(pair, "lists: the other waits", GROUP);
    two.say(pair, "lists: another time-out", |side| ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 30_000,
        rack_id: Some("rack".into()),
        ..two.beating(side)
    });
    for seat in [one, two] {
        seat.leave(pair, "lists: leave", -1);
    }
}

fn assignors(pair: &mut Pair) {
    const GROUP: &str = "consumer.assignors";
    let (one, two) = (seat(GROUP, "one"), seat(GROUP, "two"));
    let by = |beat: ConsumerGroupHeartbeatRequest, assignor: &str| ConsumerGroupHeartbeatRequest {
        server_assignor: Some(assignor.into()),
        ..beat
    };
    one.say(pair, "assignors: range", |_| by(subscribing(one.joining(), &[OTHER]), "range"));
    two.say(pair, "assignors: range too", |_| by(subscribing(two.joining(), &[OTHER]), "range"));
    one.beat(pair, "assignors: told");
    one.confirm(pair, "assignors: given back");
    two.beat(pair, "assignors: given");
    describe(pair, "assignors: range", GROUP);
    one.say(pair, "assignors: one wants uniform", |side| by(one.beating(side), "uniform"));
    two.say(pair, "assignors: so does the other", |side| by(two.beating(side), "uniform"));
    describe(pair, "assignors: uniform", GROUP);
    one.say(pair, "assignors: no such assignor", |side| by(one.beating(side), "sticky"));
    two.leave(pair, "assignors: one leaves", -1);
    one.beat(pair, "assignors: has all");
    describe(pair, "assignors: alone", GROUP);
    one.leave(pair, "assignors: leave", -1);
    describe(pair, "assignors: empty", GROUP);
}

fn patterns(pair: &mut Pair) {
    const GROUP: &str = "consumer.patterns";
    let one = seat(GROUP, "one");
    let only = |side: &Side, pattern| matching(full(&one, side), pattern);
    pair.once("patterns: nothing matches", |_| matching(subscribing(one.joining(), &[]), "no such topic.*"));
    describe(pair, "patterns: nothing matches", GROUP);
    one.leave(pair, "patterns: leaves without topics", -1);
    delete(pair, "patterns: deleted", GROUP);
    one.wait_for(pair, "patterns: joins", 5, |_| matching(subscribing(one.joining(), &[]), "consumed|consumed[.]to+"));
    one.confirm(pair, "patterns: has it");
    describe(pair, "patterns: resolved", GROUP);
    pair.once("patterns: another that is none", |side| matching(one.beating(side), "["));
    pair.once("patterns: what RE2 lacks", |side| matching(one.beating(side), r"(a)\1"));
    one.wait_for(pair, "patterns: less", 2, |side| only(side, "consumed"));
    one.confirm(pair, "patterns: has less");
    describe(pair, "patterns: less", GROUP);
    one.say(pair, "patterns: a list too", |side| subscribing(one.beating(side), &[OTHER]));
    one.confirm(pair, "patterns: has the list too");
    describe(pair, "patterns: a list too", GROUP);
    one.say(pair, "patterns: none any more", |side| matching(one.beating(side), ""));
    one.confirm(pair, "patterns: has what is in the list");
    one.beat(pair, "patterns: heartbeat");
    describe(pair, "patterns: none any more", GROUP);
    one.leave(pair, "patterns: leave", -1);
}

/// What a member says that wants to be told what it has.
fn full(seat: &Seat<'_>, side: &Side) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(Vec::new()),
        ..seat.having(side)
    }
}

fn topics_change(pair: &mut Pair) {
    const GROUP: &str = "consumer.topics";
    let (one, two) = (seat(GROUP, "one"), seat(GROUP, "two"));
    let everything = |side: &Side| ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 60_000,
        ..subscribing(one.having(side), &[LATER])
    };
    one.say(pair, "topics: before there is one", |_| subscribing(one.joining(), &[LATER]));
    describe(pair, "topics: before there is one", GROUP);
    create(pair, LATER, 2, &[]);
    one.wait_for(pair, "topics: there is one", 2, everything);
    describe(pair, "topics: there is one", GROUP);
    two.say(pair, "topics: another joins", |_| subscribing(two.joining(), &[LATER]));
    one.beat(pair, "topics: told");
    one.confirm(pair, "topics: given back");
    two.beat(pair, "topics: given");
    pair.once("topics: grow", |_| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic { name: LATER.into(), count: 4, assignments: None }],
        timeout_ms: 5000,
        ..Default::default()
    });
    settle(pair, LATER, 4);
    one.wait_for(pair, "topics: has grown", 2, everything);
    two.beat(pair, "topics: has grown for the other");
    describe(pair, "topics: has grown", GROUP);
    pair.once("topics: deleted", |_| DeleteTopicsRequest {
        topic_names: vec![LATER.into()],
        topics: vec![delete_topics::DeleteTopicState { name: Some(LATER.into()), ..Default::default() }],
        timeout_ms: 5000,
    });
    settle_gone(pair, LATER);
    one.wait_for(pair, "topics: is gone", 0, everything);
    one.confirm(pair, "topics: has nothing");
    two.beat(pair, "topics: the other is told");
    two.confirm(pair, "topics: the other has nothing");
    describe(pair, "topics: is gone", GROUP);
    for seat in [one, two] {
        seat.leave(pair, "topics: leave", -1);
    }
}

//! Members that come, share, and go.

use protocol::messages::*;

use super::{Seat, TOPIC, alive, delete, describe, list_in};
use crate::pair::Pair;
use crate::scenarios::create;

/// A topic of six partitions, which two or three members can share evenly.
const SHARED: &str = "shared";

pub(super) fn run(pair: &mut Pair) {
    for version in pair.versions::<ConsumerGroupHeartbeatRequest>() {
        alone(pair, version);
    }
    create(pair, SHARED, 6, &[]);
    two(pair);
    three(pair);
    missed(pair);
    slow(pair);
}

fn seat<'a>(group: &'a str, member: &'a str) -> Seat<'a> {
    Seat { group, member, topics: &[SHARED] }
}

/// A member that is alone from its first request to its last.
fn alone(pair: &mut Pair, version: i16) {
    let group = format!("consumer.one.{version}");
    let one = Seat { group: &group, member: "one", topics: &[TOPIC] };
    one.say_in(pair, "alone: join", version, |_| one.joining());
    describe(pair, "alone", &group);
    one.say_in(pair, "alone: heartbeat", version, |side| one.beating(side));
    one.say_in(pair, "alone: heartbeat with what it has", version, |side| one.having(side));
    one.say_in(pair, "alone: everything once more", version, |side| ConsumerGroupHeartbeatRequest {
        member_epoch: one.epoch(side),
        topic_partitions: one.having(side).topic_partitions,
        ..one.joining()
    });
    one.say_in(pair, "alone: joins again", version, |_| one.joining());
    describe(pair, "alone: joined again", &group);
    pair.ask("alone: a later epoch", version, |side| one.at(side, 7));
    pair.ask("alone: a stranger", version, |_| alive(&group, "stranger", 1));
    pair.ask("alone: a stranger leaves", version, |_| alive(&group, "stranger", -1));
    pair.ask("alone: an instance that nobody has", version, |side| ConsumerGroupHeartbeatRequest {
        instance_id: Some("unknown".into()),
        ..one.beating(side)
    });
    pair.ask("alone: leaves for now without an instance", version, |_| alive(&group, "one", -2));
    for (label, assignor) in [("an unknown assignor", "mine"), ("an empty assignor", "")] {
        one.say_in(pair, &format!("alone: {label}"), version, |side| ConsumerGroupHeartbeatRequest {
            server_assignor: Some(assignor.into()),
            ..one.beating(side)
        });
    }
    list_in(pair, "alone", "Stable");
    delete(pair, "alone: deleted with a member", &group);
    one.say_in(pair, "alone: after all that", version, |side| one.beating(side));
    pair.ask("alone: leave", version, |_| alive(&group, "one", -1));
    pair.ask("alone: leave again", version, |_| alive(&group, "one", -1));
    pair.ask("alone: heartbeat after it", version, |side| one.beating(side));
    describe(pair, "alone: left", &group);
    list_in(pair, "alone: left", "Empty");
    one.say_in(pair, "alone: comes back", version, |_| one.joining());
    describe(pair, "alone: is back", &group);
    pair.ask("alone: leaves at last", version, |_| alive(&group, "one", -1));
    delete(pair, "alone: deleted", &group);
    describe(pair, "alone: deleted", &group);
    pair.ask("alone: heartbeat when deleted", version, |side| one.beating(side));
}

/// The first has all, and gives half of it to the second.
fn two(pair: &mut Pair) {
    const GROUP: &str = "consumer.two";
    let (first, second) = (seat(GROUP, "first"), seat(GROUP, "second"));
    first.join(pair, "two: the first joins");
    second.join(pair, "two: the second joins");
    describe(pair, "two: the first has not heard of it", GROUP);
    list_in(pair, "two", "Reconciling");
    second.beat(pair, "two: the second waits");
    first.beat(pair, "two: the first is told to give back");
    describe(pair, "two: the first gives back", GROUP);
    first.beat(pair, "two: the first is not done");
    pair.once("two: the first says it has all still", |side| {
        let all = super::joining(GROUP, "first").topic_partitions.map(|_| {
            vec![consumer_group_heartbeat::RequestedTopicPartitions {
                topic_id: side.topic_id(SHARED),
                partitions: (0..6).collect(),
            }]
        });
        ConsumerGroupHeartbeatRequest { topic_partitions: all, ..first.beating(side) }
    });
    second.confirm(pair, "two: the second has nothing yet");
    first.confirm(pair, "two: the first has given back");
    describe(pair, "two: the second may have it", GROUP);
    second.beat(pair, "two: the second gets it");
    describe(pair, "two: settled", GROUP);
    list_in(pair, "two", "Stable");
    for seat in [first, second] {
        seat.confirm(pair, "two: heartbeat with what it has");
        seat.beat(pair, "two: heartbeat");
    }
    first.leave(pair, "two: the first leaves", -1);
    describe(pair, "two: the first has left", GROUP);
    list_in(pair, "two", "Assigning");
    second.beat(pair, "two: the second inherits");
    describe(pair, "two: the second has all", GROUP);
    second.leave(pair, "two: the second leaves", -1);
    delete(pair, "two: deleted", GROUP);
}

/// A third comes while the first two share, and one goes before all is given back.
fn three(pair: &mut Pair) {
    const GROUP: &str = "consumer.three";
    let [first, second, third] = ["first", "second", "third"].map(|member| seat(GROUP, member));
    first.join(pair, "three: the first joins");
    second.join(pair, "three: the second joins");
    first.beat(pair, "three: the first is told");
    third.join(pair, "three: the third joins while the first gives back");
    describe(pair, "three: all are there", GROUP);
    second.beat(pair, "three: the second waits");
    first.confirm(pair, "three: the first has given back to the second");
    describe(pair, "three: the first has given back", GROUP);
    for round in 1..=3 {
        for seat in [first, second, third] {
            seat.beat(pair, &format!("three: {} asks, round {round}", seat.member));
            seat.confirm(pair, &format!("three: {} says what it has, round {round}", seat.member));
        }
        describe(pair, &format!("three: round {round}"), GROUP);
    }
    second.leave(pair, "three: the second leaves", -1);
    first.leave(pair, "three: the first leaves too", -1);
    third.beat(pair, "three: the third inherits");
    third.confirm(pair, "three: the third has it");
    describe(pair, "three: the third is alone", GROUP);
    third.leave(pair, "three: the third leaves", -1);
}

/// Answers that get lost.
fn missed(pair: &mut Pair) {
    const GROUP: &str = "consumer.missed";
    let (first, second) = (seat(GROUP, "first"), seat(GROUP, "second"));
    first.join(pair, "missed: the first joins");
    second.join(pair, "missed: the second joins");
    first.beat(pair, "missed: the first is told");
    first.confirm(pair, "missed: the first has given back");
    let having_at = |side: &crate::side::Side, beyond: i32| ConsumerGroupHeartbeatRequest {
        topic_partitions: first.having(side).topic_partitions,
        ..first.at(side, beyond)
    };
    pair.once("missed: the epoch before, with what it has", |side| having_at(side, -1));
    pair.once("missed: the epoch before, with nothing", |side| ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(Vec::new()),
        ..first.at(side, -1)
    });
    pair.once("missed: the epoch before, without a word", |side| first.at(side, -1));
    pair.once("missed: the epoch before, with more than it has", |side| ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(vec![consumer_group_heartbeat::RequestedTopicPartitions {
            topic_id: side.topic_id(SHARED),
            partitions: (0..6).collect(),
        }]),
        ..first.at(side, -1)
    });
    pair.once("missed: an epoch of the future", |side| having_at(side, 1));
    second.beat(pair, "missed: the second gets its part");
    pair.once("missed: the second did not hear of it", |side| second.at(side, 0));
    first.say(pair, "missed: the first joins once more", |_| first.joining());
    describe(pair, "missed: the first joined once more", GROUP);
    for seat in [first, second] {
        seat.beat(pair, "missed: heartbeat");
        seat.confirm(pair, "missed: heartbeat with what it has");
        seat.leave(pair, "missed: leave", -1);
    }
}

/// A member that is to give back goes instead.
fn slow(pair: &mut Pair) {
    const GROUP: &str = "consumer.slow";
    let (first, second) = (seat(GROUP, "first"), seat(GROUP, "second"));
    first.join(pair, "slow: the first joins");
    second.join(pair, "slow: the second joins");
    first.beat(pair, "slow: the first is told");
    describe(pair, "slow: the first gives back", GROUP);
    first.leave(pair, "slow: the first leaves", -1);
    describe(pair, "slow: the first has left", GROUP);
    second.beat(pair, "slow: the second gets all");
    second.leave(pair, "slow: the second leaves", -1);
}

//! Static members (KIP-345) of the consumer protocol: they leave for now, and come back to what they had.

use protocol::messages::*;

use super::{Seat, TOPIC, alive, describe};
use crate::pair::Pair;

pub(super) fn run(pair: &mut Pair) {
    comes_back(pair);
    comes_back_changed(pair);
    two(pair);
}

fn named(request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest { instance_id: Some("instance".into()), ..request }
}

fn seat<'a>(group: &'a str, member: &'a str) -> Seat<'a> {
    Seat { group, member, topics: &[TOPIC] }
}

fn comes_back(pair: &mut Pair) {
    const GROUP: &str = "consumer.static";
    let (before, after) = (seat(GROUP, "before"), seat(GROUP, "after"));
    before.say(pair, "static: joins", |_| named(before.joining()));
    before.say(pair, "static: heartbeat", |side| named(before.beating(side)));
    before.say(pair, "static: heartbeat without the name", |side| before.beating(side));
    before.say(pair, "static: joins again", |_| named(before.joining()));
    pair.once("static: another under the same name", |_| named(after.joining()));
    pair.once("static: another is alive", |_| named(alive(GROUP, "after", 1)));
    pair.once("static: another leaves for now", |_| named(alive(GROUP, "after", -2)));
    pair.once("static: another leaves", |_| named(alive(GROUP, "after", -1)));
    pair.once("static: under another name", |side| ConsumerGroupHeartbeatRequest {
        instance_id: Some("another".into()),
        ..before.beating(side)
    });
    pair.once("static: another name leaves for now", |_| ConsumerGroupHeartbeatRequest {
        instance_id: Some("another".into()),
        ..alive(GROUP, "before", -2)
    });
    describe(pair, "static", GROUP);
    pair.once("static: leaves for now", |_| named(alive(GROUP, "before", -2)));
    describe(pair, "static: away", GROUP);
    pair.once("static: leaves for now again", |_| named(alive(GROUP, "before", -2)));
    pair.once("static: a late heartbeat", |side| named(before.beating(side)));
    after.say(pair, "static: comes back", |_| named(after.joining()));
    pair.once("static: the one before", |side| named(before.beating(side)));
    pair.once("static: the one before without the name", |side| before.beating(side));
    pair.once("static: the one before leaves", |_| named(alive(GROUP, "before", -1)));
    describe(pair, "static: back", GROUP);
    after.say(pair, "static: heartbeat after it", |side| named(after.having(side)));
    pair.once("static: leaves for now once more", |_| named(alive(GROUP, "after", -2)));
    after.say(pair, "static: comes back with the same id", |_| named(after.joining()));
    describe(pair, "static: back with the same id", GROUP);
    pair.once("static: leaves", |_| named(alive(GROUP, "after", -1)));
    describe(pair, "static: gone", GROUP);
}

/// It comes back with another subscription, or when it was to give something back.
fn comes_back_changed(pair: &mut Pair) {
    const GROUP: &str = "consumer.static.changed";
    let (before, after) = (seat(GROUP, "before"), seat(GROUP, "after"));
    before.say(pair, "changed: joins", |_| named(before.joining()));
    pair.once("changed: leaves for now", |_| named(alive(GROUP, "before", -2)));
    after.say(pair, "changed: comes back with no topics", |_| ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(Vec::new()),
        ..named(after.joining())
    });
    describe(pair, "changed: no topics", GROUP);
    after.say(pair, "changed: says that it has nothing", |side| named(after.having(side)));
    describe(pair, "changed: settled", GROUP);
    pair.once("changed: leaves", |_| named(alive(GROUP, "after", -1)));
}

/// A static and a dynamic member: the partitions of the one that is away stay its own.
fn two(pair: &mut Pair) {
    const GROUP: &str = "consumer.static.two";
    let (stays, back, dynamic) = (seat(GROUP, "stays"), seat(GROUP, "stays.again"), seat(GROUP, "walks"));
    stays.say(pair, "static and dynamic: joins", |_| named(stays.joining()));
    dynamic.join(pair, "static and dynamic: another joins");
    pair.once("static and dynamic: away without giving back", |_| named(alive(GROUP, "stays", -2)));
    dynamic.beat(pair, "static and dynamic: the other asks");
    describe(pair, "static and dynamic: away", GROUP);
    back.say(pair, "static and dynamic: comes back", |_| named(back.joining()));
    describe(pair, "static and dynamic: back", GROUP);
    back.say(pair, "static and dynamic: heartbeat", |side| named(back.having(side)));
    for round in 1..=2 {
        dynamic.beat(pair, &format!("static and dynamic: the other asks, round {round}"));
        back.say(pair, &format!("static and dynamic: it asks, round {round}"), |side| named(back.having(side)));
    }
    describe(pair, "static and dynamic: settled", GROUP);
    pair.once("static and dynamic: away", |_| named(alive(GROUP, back.member, -2)));
    describe(pair, "static and dynamic: away when settled", GROUP);
    dynamic.leave(pair, "static and dynamic: the other leaves", -1);
    describe(pair, "static and dynamic: only the one that is away", GROUP);
    pair.once("static and dynamic: leaves for good while away", |_| named(alive(GROUP, back.member, -1)));
    describe(pair, "static and dynamic: gone", GROUP);
}

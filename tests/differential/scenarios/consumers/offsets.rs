//! Offsets of a group that has members: who may commit, read and delete them, and when.

use protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::txn_offset_commit::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use protocol::messages::*;

use super::{Seat, TOPIC, delete};
use crate::pair::Pair;
use crate::scenarios::{commits, create, transactions};
use crate::side::Side;

const UNREAD: &str = "unconsumed";
/// Another one, because that area may be asked alone.
const IN_TRANSACTIONS: &str = "consumed.in.transactions";

pub(super) fn run(pair: &mut Pair) {
    create(pair, UNREAD, 1, &[]);
    alone(pair);
    moved(pair);
    deleted(pair);
}

fn seat<'a>(group: &'a str, member: &'a str) -> Seat<'a> {
    Seat { group, member, topics: &[TOPIC] }
}

/// Who commits or asks: a label, a member id, and epochs beyond that of the member, or an epoch below 0 as it is.
const COMMITTERS: &[(&str, &str, i32)] = &[
    ("the member", "one", 0),
    ("the member, an epoch ahead", "one", 1),
    ("the member, an epoch behind", "one", -1),
    ("the member without an epoch", "one", i32::MIN),
    ("a stranger", "stranger", 0),
    ("a stranger without an epoch", "stranger", i32::MIN),
    ("nobody", "", i32::MIN),
    ("nobody of the epoch", "", 0),
];

fn epoch_of(seat: &Seat<'_>, side: &Side, beyond: i32) -> i32 {
    if beyond == i32::MIN { -1 } else { seat.epoch(side) + beyond }
}

fn commit(seat: &Seat<'_>, side: &Side, member: &str, beyond: i32, place: (&str, i32)) -> OffsetCommitRequest {
    OffsetCommitRequest {
        generation_id_or_member_epoch: epoch_of(seat, side, beyond),
        member_id: member.into(),
        ..commits::commit(side, seat.group, place.0, place.1, 3)
    }
}

fn fetch(seat: &Seat<'_>, side: &Side, member: Option<&str>, beyond: i32) -> OffsetFetchRequest {
    OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: seat.group.into(),
            member_id: member.map(Into::into),
            member_epoch: epoch_of(seat, side, beyond),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: TOPIC.into(),
                topic_id: side.topic_id(TOPIC),
                partition_indexes: vec![0, 1],
            }]),
        }],
        ..commits::fetch(side, seat.group, Some(&[(TOPIC, &[0, 1])]))
    }
}

fn who_may(pair: &mut Pair, stage: &str, seat: &Seat<'_>) {
    for (label, member, beyond) in COMMITTERS {
        for place in [(TOPIC, 0), (TOPIC, 1), (UNREAD, 0)] {
            let label = format!("{stage}: commit of {}-{} by {label}", place.0, place.1);
            pair.every_version(&label, |side| commit(seat, side, member, *beyond, place));
        }
        let id = (!member.is_empty()).then_some(*member);
        let label = format!("{stage}: fetch by {label}");
        pair.every_version(&label, |side| fetch(seat, side, id, *beyond));
    }
}

fn alone(pair: &mut Pair) {
    let one = seat("consumer.offsets", "one");
    one.join(pair, "offsets: join");
    who_may(pair, "offsets", &one);
    one.leave(pair, "offsets: leave", -1);
    who_may(pair, "offsets: empty", &one);
}

/// The member's answers are on their way: it has given partitions away, and commits what it read before.
fn moved(pair: &mut Pair) {
    const GROUP: &str = "consumer.offsets.moved";
    let (one, two) = (seat(GROUP, "one"), seat(GROUP, "two"));
    one.join(pair, "moved: join");
    two.join(pair, "moved: another joins");
    who_may(pair, "moved: before it hears of it", &one);
    one.beat(pair, "moved: told");
    who_may(pair, "moved: told", &one);
    one.confirm(pair, "moved: given back");
    who_may(pair, "moved: given back", &one);
    two.beat(pair, "moved: given");
    who_may(pair, "moved: given to the other", &one);
    for seat in [one, two] {
        seat.leave(pair, "moved: leave", -1);
    }
}

fn deleted(pair: &mut Pair) {
    const GROUP: &str = "consumer.offsets.deleted";
    let one = seat(GROUP, "one");
    one.join(pair, "deleted: join");
    for place in [(TOPIC, 0), (TOPIC, 1), (UNREAD, 0)] {
        pair.once("deleted: commit", |side| commit(&one, side, "one", 0, place));
    }
    let offsets = |pair: &mut Pair, label: &str| {
        pair.once(label, |side| commits::fetch(side, GROUP, None));
    };
    let cases: &[(&str, commits::Topics<'_>)] = &[
        ("of a topic that is read", &[(TOPIC, &[0])]),
        ("of a topic that is not read", &[(UNREAD, &[0])]),
        ("of both", &[(TOPIC, &[1]), (UNREAD, &[0])]),
        ("of a missing topic", &[("missing", &[0])]),
        ("of a missing partition", &[(TOPIC, &[9])]),
    ];
    for (label, topics) in cases {
        pair.once(&format!("deleted: {label}"), |_| commits::delete(GROUP, topics));
        offsets(pair, &format!("deleted: after {label}"));
    }
    delete(pair, "deleted: the group with a member", GROUP);
    offsets(pair, "deleted: the group is there");
    one.leave(pair, "deleted: leave", -1);
    pair.once("deleted: of an empty group", |_| commits::delete(GROUP, &[(TOPIC, &[0])]));
    offsets(pair, "deleted: after of an empty group");
    delete(pair, "deleted: the group", GROUP);
    offsets(pair, "deleted: the group is gone");
}

/// Offsets that a transaction commits for a member. Apart from the rest because the first transaction makes Apache
/// Kafka create a topic.
pub(crate) fn in_transactions(pair: &mut Pair) {
    const GROUP: &str = "consumer.offsets.transactional";
    const ID: &str = "moves.offsets";
    let seat = |member| Seat { group: GROUP, member, topics: &[IN_TRANSACTIONS] };
    let (one, two) = (seat("one"), seat("two"));
    let commit = |side: &Side, member: &str, beyond: i32| TxnOffsetCommitRequest {
        transactional_id: ID.into(),
        group_id: GROUP.into(),
        producer_id: side.number(ID),
        producer_epoch: transactions::epoch(side, ID),
        generation_id: epoch_of(&one, side, beyond),
        member_id: member.into(),
        topics: vec![TxnOffsetCommitRequestTopic {
            name: IN_TRANSACTIONS.into(),
            partitions: vec![TxnOffsetCommitRequestPartition {
                partition_index: 1,
                committed_offset: 5,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let who_may = |pair: &mut Pair, stage: &str| {
        for (label, member, beyond) in COMMITTERS {
            pair.once(&format!("{stage}: commit by {label}"), |side| commit(side, member, *beyond));
        }
    };
    create(pair, IN_TRANSACTIONS, 2, &[]);
    one.join(pair, "of a group: join");
    transactions::init(pair, ID, ID);
    who_may(pair, "of a group");
    two.join(pair, "of a group: another joins");
    who_may(pair, "of a group: before it hears of it");
    one.beat(pair, "of a group: told");
    one.confirm(pair, "of a group: given back");
    two.beat(pair, "of a group: given");
    who_may(pair, "of a group: given to the other");
    for seat in [one, two] {
        seat.leave(pair, "of a group: leave", -1);
    }
    who_may(pair, "of a group: empty");
    transactions::init(pair, ID, ID);
}

//! Transactions: their coordinator, what is in them, how they end, and what readers see of them.

use std::thread::sleep;
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use protocol::messages::describe_producers::TopicRequest;
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::txn_offset_commit::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use protocol::messages::write_txn_markers::{WritableTxnMarker, WritableTxnMarkerTopic};
use protocol::messages::*;
use protocol::records::BatchBuilder;

use super::{create, produce_to};
use crate::batch;
use crate::pair::Pair;
use crate::side::{Answer, Side};

const LIMIT: Duration = Duration::from_secs(20);
const TOPIC: &str = "in.transactions";

/// Last of all: asking makes Apache Kafka create the topic of the transactions.
pub(crate) fn run(pair: &mut Pair) {
    create(pair, TOPIC, 3, &[]);
    super::setup::wait_for_producer_ids(pair);
    super::wait_for_coordinator(pair);
    coordinators(pair);
    init(pair, "first", "first");
    producers(pair);
    what_is_added(pair);
    ends(pair);
    for (partition, produce, end) in [(0, 11, 4), (1, 12, 5)] {
        whole(pair, partition, produce, end);
    }
    offsets(pair, "older", 4, 4);
    offsets(pair, "newer", 5, 5);
    super::consumers::in_transactions(pair);
    told(pair);
}

fn coordinators(pair: &mut Pair) {
    // Apache Kafka creates the topic behind the answer.
    init(pair, "transactional", "transactional");
    pair.every_version("coordinator of a transaction", |_| FindCoordinatorRequest {
        key: "transactional".into(),
        key_type: 1,
        coordinator_keys: vec!["transactional".into()],
    });
    pair.every_version("coordinator of no transaction", |_| FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec![String::new()],
        ..Default::default()
    });
}

/// A producer of `id`, whose id and epoch are remembered as those of `alias`.
pub(crate) fn init(pair: &mut Pair, id: &str, alias: &str) {
    for side in [&mut pair.kafka, &mut pair.ottla] {
        let deadline = Instant::now() + LIMIT;
        loop {
            let keys = vec![id.into()];
            side.send(0, 4, &FindCoordinatorRequest { key_type: 1, coordinator_keys: keys, ..Default::default() });
            drop(side.receive::<FindCoordinatorRequest>(0, 4));
            side.send(0, 4, &init_of(id, 60_000, -1, -1));
            let Answer::Response(answer) = side.receive::<InitProducerIdRequest>(0, 4) else { panic!("no answer") };
            if answer.error_code == ErrorCode::NONE {
                side.set_number(alias, answer.producer_id);
                side.set_number(&format!("{alias}.epoch"), i64::from(answer.producer_epoch));
                break;
            }
            assert!(Instant::now() < deadline, "no producer: {answer:?}");
            sleep(Duration::from_millis(20));
        }
    }
}

fn init_of(id: &str, transaction_timeout_ms: i32, producer_id: i64, producer_epoch: i16) -> InitProducerIdRequest {
    InitProducerIdRequest { transactional_id: Some(id.into()), transaction_timeout_ms, producer_id, producer_epoch }
}

pub(crate) fn epoch(side: &Side, alias: &str) -> i16 {
    side.number(&format!("{alias}.epoch")) as i16
}

/// Waits until both have told all partitions how the transaction of `id` ended.
fn complete(pair: &mut Pair, id: &str) {
    for side in [&mut pair.kafka, &mut pair.ottla] {
        let deadline = Instant::now() + LIMIT;
        loop {
            side.send(0, 0, &DescribeTransactionsRequest { transactional_ids: vec![id.into()] });
            let found = side.receive::<DescribeTransactionsRequest>(0, 0);
            let Answer::Response(answer) = found else { panic!("no answer") };
            if !answer.transaction_states[0].transaction_state.starts_with("Prepare") {
                break;
            }
            assert!(Instant::now() < deadline, "it does not end: {answer:?}");
            sleep(Duration::from_millis(10));
        }
    }
}

fn producers(pair: &mut Pair) {
    let cases: &[(&str, &str, i32, i64, i16)] = &[
        ("no time", "timed", 0, -1, -1),
        ("less than no time", "timed", -1, -1, -1),
        ("too much time", "timed", 900_001, -1, -1),
        ("as much time as there is", "timed", 900_000, -1, -1),
        ("an id without an epoch", "timed", 1_000, 7, -1),
        ("an epoch without an id", "timed", 1_000, -1, 7),
        ("of somebody else", "first", 1_000, 123_456, 0),
        ("an epoch that is to come", "first", 1_000, 123_456, 99),
    ];
    for (label, id, timeout_ms, producer_id, producer_epoch) in cases {
        pair.every_version(&format!("init: {label}"), |_| init_of(id, *timeout_ms, *producer_id, *producer_epoch));
    }
    init(pair, "first", "first");
    pair.once("init: goes on with what it has", |side| {
        init_of("first", 60_000, side.number("first"), epoch(side, "first"))
    });
    init(pair, "first", "first");
}

fn add(side: &Side, id: &str, alias: &str, later: i16, topics: &[(&str, &[i32])]) -> AddPartitionsToTxnRequest {
    let topics: Vec<_> = topics
        .iter()
        .map(|(name, partitions)| AddPartitionsToTxnTopic { name: name.to_string(), partitions: partitions.to_vec() })
        .collect();
    let (producer_id, producer_epoch) = (side.number(alias), epoch(side, alias) + later);
    let transaction = AddPartitionsToTxnTransaction {
        transactional_id: id.into(),
        producer_id,
        producer_epoch,
        verify_only: false,
        topics: topics.clone(),
    };
    AddPartitionsToTxnRequest {
        transactions: vec![transaction],
        v3_and_below_transactional_id: id.into(),
        v3_and_below_producer_id: producer_id,
        v3_and_below_producer_epoch: producer_epoch,
        v3_and_below_topics: topics,
    }
}

fn what_is_added(pair: &mut Pair) {
    init(pair, "added", "added");
    type Case = (&'static str, &'static str, &'static str, i16, &'static [(&'static str, &'static [i32])]);
    let cases: &[Case] = &[
        ("an unknown topic", "added", "added", 0, &[(TOPIC, &[0]), ("no.such", &[0])]),
        ("an unknown partition", "added", "added", 0, &[(TOPIC, &[0, 9])]),
        ("an unknown id", "nobody", "added", 0, &[(TOPIC, &[0])]),
        ("no id", "", "added", 0, &[(TOPIC, &[0])]),
        ("another producer", "added", "first", 0, &[(TOPIC, &[0])]),
        ("a later epoch", "added", "added", 1, &[(TOPIC, &[0])]),
        ("no partition", "added", "added", 0, &[]),
        ("two partitions", "added", "added", 0, &[(TOPIC, &[0, 1])]),
        ("again", "added", "added", 0, &[(TOPIC, &[1])]),
    ];
    for (label, id, alias, later, topics) in cases {
        pair.every_version(&format!("add: {label}"), |side| add(side, id, alias, *later, topics));
    }
    for verified in [0, 2] {
        pair.ask(&format!("verify: partition {verified}"), 4, |side| {
            let mut request = add(side, "added", "added", 0, &[(TOPIC, &[verified])]);
            request.transactions[0].verify_only = true;
            request
        });
    }
    for (label, id, later) in [("an unknown id", "nobody", 0), ("a later epoch", "added", 1), ("right", "added", 0)] {
        pair.every_version(&format!("add offsets: {label}"), |side| AddOffsetsToTxnRequest {
            transactional_id: id.into(),
            producer_id: side.number("added"),
            producer_epoch: epoch(side, "added") + later,
            group_id: "group".into(),
        });
    }
}

fn end(side: &Side, id: &str, alias: &str, later: i16, committed: bool) -> EndTxnRequest {
    EndTxnRequest {
        transactional_id: id.into(),
        producer_id: side.number(alias),
        producer_epoch: epoch(side, alias) + later,
        committed,
    }
}

fn ends(pair: &mut Pair) {
    init(pair, "ended", "ended");
    let cases = [
        ("an unknown id", "nobody", 0, true),
        ("no id", "", 0, true),
        ("a later epoch", "ended", 1, true),
        ("nothing to commit", "ended", 0, true),
    ];
    for (label, id, later, committed) in cases {
        pair.every_version(&format!("end: {label}"), |side| end(side, id, "ended", later, committed));
    }
    for version in 0..=4 {
        pair.ask("end: nothing to abort", version, |side| end(side, "ended", "ended", 0, false));
    }
}

fn transactional(side: &Side, alias: &str, partition: i32, sequence: i32, produce: i16) -> ProduceRequest {
    let builder = BatchBuilder::new(0).producer(side.number(alias), epoch(side, alias), sequence).transactional();
    let mut request = produce_to(side, TOPIC, partition, &batch::records(builder, 0..2));
    request.transactional_id = Some(alias.into());
    assert!(produce < 13, "by name");
    request
}

/// A commit and an abort, with what readers see before and after.
fn whole(pair: &mut Pair, partition: i32, produce: i16, end_version: i16) {
    let id = format!("whole-{produce}");
    init(pair, &id, &id);
    let place = |text: &str| format!("v{produce}: {text}");
    pair.ask(&place("records of a transaction that nobody began"), 11, |side| {
        transactional(side, &id, partition, 0, 11)
    });
    for committed in [true, false] {
        if produce < 12 {
            pair.ask(&place("add"), 3, |side| add(side, &id, &id, 0, &[(TOPIC, &[partition])]));
        }
        // Their sequences go on where the epoch does.
        let sequence = if produce < 12 && !committed { 2 } else { 0 };
        pair.ask(&place("records"), produce, |side| transactional(side, &id, partition, sequence, produce));
        pair.ask(&place("the same records"), produce, |side| transactional(side, &id, partition, sequence, produce));
        reads(pair, &place("while it is open"), partition);
        let both = pair.ask(&place("end"), end_version, |side| end(side, &id, &id, 0, committed));
        complete(pair, &id);
        pair.ask(&place("end again"), end_version, |side| end(side, &id, &id, 0, committed));
        pair.ask(&place("end otherwise"), end_version, |side| end(side, &id, &id, 0, !committed));
        reads(pair, &place("when it has ended"), partition);
        if end_version >= 5 {
            for (side, answer) in [(&mut pair.kafka, both.kafka), (&mut pair.ottla, both.ottla)] {
                let answer = answer.expect("both end it");
                side.set_number(&id, answer.producer_id);
                side.set_number(&format!("{id}.epoch"), i64::from(answer.producer_epoch));
            }
        }
    }
}

fn reads(pair: &mut Pair, place: &str, partition: i32) {
    for isolation_level in [0, 1] {
        pair.once(&format!("{place}: offsets, isolation {isolation_level}"), |_| ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![ListOffsetsTopic {
                name: TOPIC.into(),
                partitions: vec![ListOffsetsPartition {
                    partition_index: partition,
                    current_leader_epoch: -1,
                    timestamp: -1,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        });
        pair.once(&format!("{place}: fetch, isolation {isolation_level}"), |side| {
            let mut request = super::fetch::fetch(side, TOPIC, partition, 0);
            request.isolation_level = isolation_level;
            request
        });
    }
}

/// Offsets in a transaction, and what a reader is told of them.
fn offsets(pair: &mut Pair, id: &str, commit_version: i16, end_version: i16) {
    init(pair, id, id);
    let place = |text: &str| format!("offsets v{commit_version}: {text}");
    let commit = |side: &Side, topic: &str, later: i16| TxnOffsetCommitRequest {
        transactional_id: id.into(),
        group_id: format!("group-{id}"),
        producer_id: side.number(id),
        producer_epoch: epoch(side, id) + later,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: topic.into(),
            partitions: vec![TxnOffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: 5,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    pair.ask(&place("not added"), 4, |side| commit(side, TOPIC, 0));
    if commit_version < 5 {
        pair.ask(&place("add"), 3, |side| AddOffsetsToTxnRequest {
            transactional_id: id.into(),
            producer_id: side.number(id),
            producer_epoch: epoch(side, id),
            group_id: format!("group-{id}"),
        });
    }
    pair.ask(&place("an unknown topic"), commit_version, |side| commit(side, "no.such", 0));
    pair.ask(&place("a later epoch"), commit_version, |side| commit(side, TOPIC, 1));
    pair.ask(&place("commit"), commit_version, |side| commit(side, TOPIC, 0));
    let fetch = |require_stable| OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: format!("group-{id}"),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: TOPIC.into(),
                partition_indexes: vec![0],
                ..Default::default()
            }]),
            ..Default::default()
        }],
        require_stable,
        ..Default::default()
    };
    for require_stable in [true, false] {
        pair.ask(&place(&format!("pending, stable {require_stable}")), 8, |_| fetch(require_stable));
    }
    pair.ask(&place("end"), end_version, |side| end(side, id, id, 0, true));
    complete(pair, id);
    pair.ask(&place("committed"), 8, |_| fetch(true));
}

/// What operators are told and may do.
fn told(pair: &mut Pair) {
    for id in ["whole-12", "nobody", ""] {
        pair.every_version(&format!("describe: {id:?}"), |_| DescribeTransactionsRequest {
            transactional_ids: vec![id.into()],
        });
    }
    for (label, states, pattern) in [
        ("all", vec![], None),
        ("some states", vec!["CompleteCommit", "NoSuchState"], None),
        ("no state that there is", vec!["NoSuchState"], None),
        ("by a pattern", vec![], Some("whole-.*")),
        ("by half a pattern", vec![], Some("whole")),
        ("by a pattern that is none", vec![], Some("(")),
    ] {
        pair.every_version(&format!("list: {label}"), |_| ListTransactionsRequest {
            state_filters: states.iter().map(|state| state.to_string()).collect(),
            transactional_id_pattern: pattern.map(Into::into),
            ..Default::default()
        });
    }
    pair.every_version("producers", |_| DescribeProducersRequest {
        topics: vec![
            TopicRequest { name: TOPIC.into(), partition_indexes: vec![0, 1, 9] },
            TopicRequest { name: "no.such".into(), partition_indexes: vec![0] },
        ],
    });
    for (label, topic, later) in [("of an unknown topic", "no.such", 0), ("of an epoch before", TOPIC, -1)] {
        pair.every_version(&format!("markers: {label}"), |side| WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: side.number("whole-12"),
                producer_epoch: epoch(side, "whole-12") + later,
                transaction_result: false,
                topics: vec![WritableTxnMarkerTopic { name: topic.into(), partition_indexes: vec![1] }],
                ..Default::default()
            }],
        });
    }
}

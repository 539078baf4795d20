//! Requests that nobody thought of: right in form, wild in content, the same for both brokers.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fastrand::Rng;
use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use protocol::messages::describe_configs::DescribeConfigsResource;
use protocol::messages::fetch::{FetchPartition, FetchTopic};
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::messages::metadata::MetadataRequestTopic;
use protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics};
use protocol::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use protocol::messages::*;

use crate::pair::Pair;
use crate::scenarios::{create, produce_to, wait_for_coordinator};
use crate::side::Side;
use crate::{batch, known};

/// Unless `DIFFERENTIAL_ROUNDS` says otherwise.
const ROUNDS: usize = 500;
const TOPICS: &[&str] = &["random.a", "random.b", "random.missing", "random.c", "a/b", ""];
const GROUPS: &[&str] = &["random.1", "random.2", "", "random.3"];

/// The seed is `DIFFERENTIAL_SEED`, or else taken from the clock.
pub(crate) fn run(pair: &mut Pair) {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let given = std::env::var("DIFFERENTIAL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(now);
    println!("DIFFERENTIAL_SEED={seed}");
    pair.scenario(known::RANDOM);
    wait_for_coordinator(pair);
    create(pair, "random.a", 1, &[]);
    create(pair, "random.b", 3, &[]);
    create(pair, "random.c", 1, &[("cleanup.policy", "compact")]);
    let mut rng = Rng::with_seed(seed);
    let rounds = std::env::var("DIFFERENTIAL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    for round in 0..rounds {
        let label = format!("round {round} of seed {seed}");
        one(pair, &label, &mut rng);
    }
}

fn one(pair: &mut Pair, label: &str, rng: &mut Rng) {
    match rng.u8(..16) {
        0..4 => produce(pair, label, rng),
        4..7 => fetch(pair, label, rng),
        7 => list_offsets(pair, label, rng),
        8 => epochs(pair, label, rng),
        9 => metadata(pair, label, rng),
        10 | 11 => commit(pair, label, rng),
        12 => fetch_offsets(pair, label, rng),
        13 => delete_records(pair, label, rng),
        14 => member(pair, label, rng),
        _ => configs(pair, label, rng),
    }
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

fn small(rng: &mut Rng) -> i32 {
    rng.i32(-2..5)
}

fn offset(rng: &mut Rng) -> i64 {
    match rng.u8(..10) {
        0 => -1,
        1 => -2,
        2 => i64::from(rng.i32(..)),
        _ => rng.i64(0..30),
    }
}

fn version(rng: &mut Rng, versions: std::ops::RangeInclusive<i16>) -> i16 {
    rng.i16(versions)
}

fn produce(pair: &mut Pair, label: &str, rng: &mut Rng) {
    let version = version(rng, 3..=pair.latest::<ProduceRequest>());
    let (topic, index) = (pick(rng, TOPICS), small(rng));
    let mut bytes = match rng.u8(..4) {
        0 => batch::without_key(),
        1 => batch::sequenced(8000 + rng.i64(0..3), rng.i16(-1..2), rng.i32(-1..6), rng.i64(1..4)),
        _ => batch::plain(rng.i64(0..5)),
    };
    if rng.u8(..4) == 0 {
        // Not the timestamps, of which two clocks think differently, and not the codec, which only Kafka looks behind.
        let (at, width) = [(8, 4), (16, 1), (17, 4), (23, 4), (53, 4), (57, 4)][rng.usize(..6)];
        let bytes_there: Vec<u8> = (0..width).map(|place| if place + 1 == width { rng.u8(..8) } else { 0 }).collect();
        bytes = batch::patched(bytes, at, &bytes_there);
    }
    let acks = [-1, 1][rng.usize(..2)];
    pair.ask(label, version, |side| ProduceRequest { acks, ..produce_to(side, topic, index, &bytes) });
}

fn fetch(pair: &mut Pair, label: &str, rng: &mut Rng) {
    let version = version(rng, pair.versions::<FetchRequest>());
    let parts: Vec<(&str, FetchPartition)> = (0..rng.usize(1..4))
        .map(|_| {
            let partition = FetchPartition {
                partition: small(rng),
                current_leader_epoch: rng.i32(-1..2),
                fetch_offset: offset(rng),
                last_fetched_epoch: rng.i32(-1..2),
                partition_max_bytes: 1 << 20,
                ..Default::default()
            };
            (pick(rng, &TOPICS[..4]), partition)
        })
        .collect();
    let (session_id, session_epoch) = (rng.i32(0..2), rng.i32(-1..2));
    let isolation_level = rng.i8(0..2);
    pair.ask(label, version, |side: &Side| FetchRequest {
        max_bytes: 1 << 20,
        isolation_level,
        session_id,
        session_epoch,
        topics: one_each(&parts)
            .map(|(topic, partition)| FetchTopic {
                topic: topic.into(),
                topic_id: side.topic_id(topic),
                partitions: vec![partition],
            })
            .collect(),
        ..Default::default()
    });
}

/// The first of each name: what two mentions of one topic mean is asked elsewhere.
fn one_each<'a, T: Clone>(parts: &'a [(&'a str, T)]) -> impl Iterator<Item = (&'a str, T)> {
    let is_first = |place: usize| parts[..place].iter().all(|(name, _)| *name != parts[place].0);
    (0..parts.len()).filter(move |place| is_first(*place)).map(|place| parts[place].clone())
}

fn list_offsets(pair: &mut Pair, label: &str, rng: &mut Rng) {
    let version = version(rng, pair.versions::<ListOffsetsRequest>());
    // Not the largest timestamp, which Kafka finds in records that are deleted.
    let special = [-1, -2, -4, -5, -6, -7, -8];
    let timestamp = if rng.bool() { special[rng.usize(..special.len())] } else { *batch::START_MS + rng.i64(-3..8) };
    let partition = ListOffsetsPartition {
        partition_index: small(rng),
        current_leader_epoch: rng.i32(-1..2),
        timestamp,
        max_num_offsets: rng.i32(0..4),
    };
    let (name, isolation_level) = (pick(rng, TOPICS), rng.i8(0..2));
    pair.ask(label, version, |_| ListOffsetsRequest {
        replica_id: -1,
        isolation_level,
        topics: vec![ListOffsetsTopic { name: name.into(), partitions: vec![partition.clone()] }],
        timeout_ms: 1000,
    });
}

fn epochs(pair: &mut Pair, label: &str, rng: &mut Rng) {
    let version = version(rng, pair.versions::<OffsetForLeaderEpochRequest>());
    let (topic, partition) = (pick(rng, TOPICS), small(rng));
    let (current_leader_epoch, leader_epoch) = (rng.i32(-2..3), rng.i32(-2..3));
    pair.ask(label, version, |_| OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![OffsetForLeaderTopic {
            topic: topic.into(),
            partitions: vec![OffsetForLeaderPartition { partition, current_leader_epoch, leader_epoch }],
        }],
    });
}

fn metadata(pair: &mut Pair, label: &str, rng: &mut Rng) {
    let version = version(rng, 1..=pair.latest::<MetadataRequest>());
    let names: Vec<&str> = (0..rng.usize(..4)).map(|_| pick(rng, TOPICS)).collect();
    let asked = rng.bool();
    pair.ask(label, version, |_| MetadataRequest {
        topics: Some(
            names
                .iter()
                .map(|name| MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() })
                .collect(),
        ),
        allow_auto_topic_creation: asked,
        include_cluster_authorized_operations: asked,
        include_topic_authorized_operations: asked,
    });
}

fn commit(pair: &mut Pair, label: &str, rng: &mut Rng) {
    let version = version(rng, pair.versions::<OffsetCommitRequest>());
    let (group, topic) = (pick(rng, GROUPS), pick(rng, TOPICS));
    let partition = OffsetCommitRequestPartition {
        partition_index: small(rng),
        committed_offset: offset(rng),
        committed_leader_epoch: rng.i32(-1..3),
        committed_metadata: rng.bool().then(|| "m".repeat(rng.usize(..3) * 2048)),
        ..Default::default()
    };
    let generation = rng.i32(-1..1);
    pair.ask(label, version, |side: &Side| OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: generation,
        topics: vec![OffsetCommitRequestTopic {
            name: topic.into(),
            topic_id: side.topic_id(topic),
            partitions: vec![partition.clone()],
        }],
        ..Default::default()
    });
}

fn fetch_offsets(pair: &mut Pair, label: &str, rng: &mut Rng) {
    let version = version(rng, 2..=pair.latest::<OffsetFetchRequest>());
    let (group, topic, partition, all) = (pick(rng, GROUPS), pick(rng, TOPICS), small(rng), rng.bool());
    pair.ask(label, version, |side: &Side| {
        let partition_indexes = vec![partition];
        let topics = vec![OffsetFetchRequestTopic { name: topic.into(), partition_indexes: partition_indexes.clone() }];
        let by_group =
            vec![OffsetFetchRequestTopics { name: topic.into(), topic_id: side.topic_id(topic), partition_indexes }];
        OffsetFetchRequest {
            group_id: group.into(),
            topics: (!all).then_some(topics),
            groups: vec![OffsetFetchRequestGroup {
                group_id: group.into(),
                topics: (!all).then_some(by_group),
                ..Default::default()
            }],
            require_stable: all,
        }
    });
}

fn delete_records(pair: &mut Pair, label: &str, rng: &mut Rng) {
    let version = version(rng, pair.versions::<DeleteRecordsRequest>());
    let partition = DeleteRecordsPartition { partition_index: small(rng), offset: rng.i64(-2..12) };
    let name = pick(rng, TOPICS);
    pair.ask(label, version, |_| DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic { name: name.into(), partitions: vec![partition.clone()] }],
        timeout_ms: 1000,
    });
}

/// Whoever is in no group.
fn member(pair: &mut Pair, label: &str, rng: &mut Rng) {
    let (group, generation_id, member) = (pick(rng, GROUPS), small(rng), pick(rng, &["stranger", ""]));
    match rng.u8(..4) {
        0 => {
            let version = version(rng, pair.versions::<HeartbeatRequest>());
            pair.ask(label, version, |_| HeartbeatRequest {
                group_id: group.into(),
                generation_id,
                member_id: member.into(),
                group_instance_id: None,
            });
        }
        1 => {
            let version = version(rng, pair.versions::<SyncGroupRequest>());
            pair.ask(label, version, |_| SyncGroupRequest {
                group_id: group.into(),
                generation_id,
                member_id: member.into(),
                protocol_type: Some("consumer".into()),
                protocol_name: Some("range".into()),
                ..Default::default()
            });
        }
        2 => {
            let version = version(rng, pair.versions::<DescribeGroupsRequest>());
            pair.ask(label, version, |_| DescribeGroupsRequest {
                groups: vec![group.into()],
                include_authorized_operations: generation_id > 0,
            });
        }
        _ => {
            let version = version(rng, pair.versions::<JoinGroupRequest>());
            pair.ask(label, version, |_| JoinGroupRequest {
                group_id: group.into(),
                session_timeout_ms: 10_000,
                rebalance_timeout_ms: 10_000,
                member_id: "stranger".into(),
                protocol_type: "consumer".into(),
                protocols: vec![join_group::JoinGroupRequestProtocol {
                    name: "range".into(),
                    metadata: Bytes::from_static(b"subscription"),
                }],
                ..Default::default()
            });
        }
    }
}

fn configs(pair: &mut Pair, label: &str, rng: &mut Rng) {
    let version = version(rng, pair.versions::<DescribeConfigsRequest>());
    let (name, more) = (pick(rng, TOPICS), rng.bool());
    let keys = ["retention.ms", "cleanup.policy", "max.message.bytes", "nonsense"];
    let keys: Vec<String> = (0..rng.usize(1..4)).map(|_| pick(rng, &keys).to_string()).collect();
    pair.ask(label, version, |_| DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: 2,
            resource_name: name.into(),
            configuration_keys: Some(keys.clone()),
        }],
        include_synonyms: more,
        include_documentation: more,
    });
}

//! OffsetCommit, OffsetFetch, OffsetDelete.

use std::thread::sleep;
use std::time::{Duration, Instant};

use protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::messages::offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics};
use protocol::messages::*;

use super::{create, groups};
use crate::pair::Pair;
use crate::side::{Answer, Side};

/// Names, and the partitions of each.
pub(crate) type Topics<'a> = &'a [(&'a str, &'a [i32])];

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn run(pair: &mut Pair) {
    create(pair, "read", 3, &[]);
    alone(pair);
    fetched(pair);
    with_members(pair);
    deleted(pair);
}

/// Waits until both coordinate groups.
pub(crate) fn wait_for_coordinator(pair: &mut Pair) {
    for side in [&mut pair.kafka, &mut pair.ottla] {
        let deadline = Instant::now() + LIMIT;
        loop {
            side.send(0, 3, &FindCoordinatorRequest { key: "group".into(), ..Default::default() });
            let found = side.receive::<FindCoordinatorRequest>(0, 3);
            let group = HeartbeatRequest { group_id: "group".into(), member_id: "nobody".into(), ..Default::default() };
            side.send(0, 4, &group);
            let Answer::Response(answer) = side.receive::<HeartbeatRequest>(0, 4) else { panic!("no answer") };
            if !answer.error_code.is_retriable() {
                break;
            }
            assert!(Instant::now() < deadline, "no coordinator: {found:?}");
            sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn commit(
    side: &Side,
    group: &str,
    topic: &str,
    partition_index: i32,
    committed_offset: i64,
) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        committed_metadata: Some("why".into()),
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.into(),
            topic_id: side.topic_id(topic),
            partitions: vec![partition],
        }],
        ..Default::default()
    }
}

/// Commits outside of any generation.
fn alone(pair: &mut Pair) {
    let cases: &[(&str, &str, &str, i32, i64)] = &[
        ("an offset", "simple", "read", 0, 5),
        ("an offset again", "simple", "read", 0, 4),
        ("offset 0", "simple", "read", 1, 0),
        ("a negative offset", "simple", "read", 0, -1),
        ("a very negative offset", "simple", "read", 0, -9),
        ("an unknown partition", "simple", "read", 9, 1),
        ("a negative partition", "simple", "read", -1, 1),
        ("an unknown topic", "simple", "missing", 0, 1),
        ("an invalid topic", "simple", "a/b", 0, 1),
        ("an empty group id", "", "read", 0, 1),
    ];
    for (label, group, topic, partition, offset) in cases {
        pair.every_version(&format!("commit: {label}"), |side| commit(side, group, topic, *partition, *offset));
    }
    type Change = fn(&mut OffsetCommitRequest);
    let changes: &[(&str, Change)] = &[
        ("no metadata", |commit| commit.topics[0].partitions[0].committed_metadata = None),
        ("empty metadata", |commit| commit.topics[0].partitions[0].committed_metadata = Some(String::new())),
        ("as much metadata as may be", |commit| {
            commit.topics[0].partitions[0].committed_metadata = Some("m".repeat(4096));
        }),
        ("too much metadata", |commit| commit.topics[0].partitions[0].committed_metadata = Some("m".repeat(4097))),
        ("a leader epoch", |commit| commit.topics[0].partitions[0].committed_leader_epoch = 3),
        ("a retention", |commit| commit.retention_time_ms = 1_000_000),
        ("a time", |commit| commit.topics[0].partitions[0].commit_timestamp = 5),
        ("a generation", |commit| commit.generation_id_or_member_epoch = 1),
        ("generation 0", |commit| commit.generation_id_or_member_epoch = 0),
        ("generation -2", |commit| commit.generation_id_or_member_epoch = -2),
        ("a member without a generation", |commit| commit.member_id = "stranger".into()),
        ("a member of a generation", |commit| {
            commit.member_id = "stranger".into();
            commit.generation_id_or_member_epoch = 1;
        }),
        ("an instance", |commit| commit.group_instance_id = Some("instance".into())),
        ("no topics", |commit| commit.topics.clear()),
        ("no partitions", |commit| commit.topics[0].partitions.clear()),
        ("one partition twice", |commit| {
            let mut again = commit.topics[0].partitions[0].clone();
            again.committed_offset += 1;
            commit.topics[0].partitions.push(again);
        }),
    ];
    for (label, change) in changes {
        for group in ["simple", "never.seen"] {
            let read_back = group.to_string();
            pair.every_version(&format!("commit to {group}: {label}"), |side| {
                let mut request = commit(side, group, "read", 2, 7);
                change(&mut request);
                request
            });
            pair.once(&format!("after commit to {group}: {label}"), |side| fetch(side, &read_back, None));
        }
    }
}

pub(crate) fn fetch(side: &Side, group: &str, topics: Option<Topics<'_>>) -> OffsetFetchRequest {
    let by_name = |(name, partitions): &(&str, &[i32])| OffsetFetchRequestTopic {
        name: name.to_string(),
        partition_indexes: partitions.to_vec(),
    };
    let by_group = |(name, partitions): &(&str, &[i32])| OffsetFetchRequestTopics {
        name: name.to_string(),
        topic_id: side.topic_id(name),
        partition_indexes: partitions.to_vec(),
    };
    OffsetFetchRequest {
        group_id: group.into(),
        topics: topics.map(|topics| topics.iter().map(by_name).collect()),
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: topics.map(|topics| topics.iter().map(by_group).collect()),
            ..Default::default()
        }],
        require_stable: false,
    }
}

fn fetched(pair: &mut Pair) {
    let cases: &[(&str, Option<Topics<'_>>)] = &[
        ("everything", None),
        ("nothing", Some(&[])),
        ("some partitions", Some(&[("read", &[0, 1, 2])])),
        ("unknown partitions", Some(&[("read", &[0, 9, -1])])),
        ("an unknown topic", Some(&[("missing", &[0]), ("read", &[0])])),
        ("no partitions", Some(&[("read", &[])])),
        ("one partition twice", Some(&[("read", &[0, 0])])),
        ("one topic twice", Some(&[("read", &[0]), ("read", &[1])])),
    ];
    for (label, topics) in cases {
        for group in ["simple", "nobody", ""] {
            for version in pair.versions::<OffsetFetchRequest>() {
                // Below version 2 null is no list.
                if version < 2 && topics.is_none() {
                    continue;
                }
                for require_stable in [false, true] {
                    pair.ask(&format!("fetch {label} of {group:?}"), version, |side| OffsetFetchRequest {
                        require_stable,
                        ..fetch(side, group, *topics)
                    });
                }
            }
        }
    }
    for version in 8..=pair.latest::<OffsetFetchRequest>() {
        pair.ask("fetch of several groups", version, |side| {
            let mut request = fetch(side, "simple", None);
            request.groups.extend(fetch(side, "nobody", Some(&[("read", &[0])])).groups);
            request.groups.extend(fetch(side, "simple", Some(&[("read", &[1])])).groups);
            request
        });
        pair.ask("fetch of no group", version, |_| OffsetFetchRequest::default());
        for (member_id, member_epoch) in [(Some("stranger"), 0), (Some("stranger"), -1), (None, 4), (Some(""), -1)] {
            for group in ["simple", "nobody"] {
                pair.ask(&format!("fetch of {group} as {member_id:?}, epoch {member_epoch}"), version, |side| {
                    let mut request = fetch(side, group, None);
                    request.groups[0].member_id = member_id.map(Into::into);
                    request.groups[0].member_epoch = member_epoch;
                    request
                });
            }
        }
    }
}

/// What a group with members takes, and from whom.
fn with_members(pair: &mut Pair) {
    let group = "busy";
    let both = pair.ask("busy: join", 3, |side| groups::join(side, group, ""));
    groups::name_member(pair, "busy.member", &both);
    let attempts: &[(&str, &str, i32)] = &[
        ("the member", "busy.member", 1),
        ("the member, a generation ahead", "busy.member", 2),
        ("the member, a generation behind", "busy.member", 0),
        ("the member without a generation", "busy.member", -1),
        ("a stranger", "stranger", 1),
        ("nobody", "", -1),
        ("nobody of the generation", "", 1),
    ];
    for stage in ["before the sync", "when stable"] {
        for (label, member, generation) in attempts {
            pair.every_version(&format!("busy: commit by {label} {stage}"), |side| OffsetCommitRequest {
                generation_id_or_member_epoch: *generation,
                member_id: side.name(member),
                ..commit(side, group, "read", 0, 3)
            });
        }
        pair.once("busy: sync", |side| SyncGroupRequest {
            group_id: group.into(),
            generation_id: 1,
            member_id: side.name("busy.member"),
            ..Default::default()
        });
    }
    pair.every_version("busy: offsets", |side| fetch(side, group, Some(&[("read", &[0])])));
    pair.once("busy: delete an offset", |_| delete(group, &[("read", &[0])]));
    pair.once("busy: delete the group", |_| DeleteGroupsRequest { groups_names: vec![group.into()] });
}

pub(crate) fn delete(group: &str, topics: Topics<'_>) -> OffsetDeleteRequest {
    let partition = |index: &i32| OffsetDeleteRequestPartition { partition_index: *index };
    let topic = |(name, partitions): &(&str, &[i32])| OffsetDeleteRequestTopic {
        name: name.to_string(),
        partitions: partitions.iter().map(partition).collect(),
    };
    OffsetDeleteRequest { group_id: group.into(), topics: topics.iter().map(topic).collect() }
}

fn deleted(pair: &mut Pair) {
    let cases: &[(&str, &str, Topics<'_>)] = &[
        ("an unknown group", "nobody", &[("read", &[0])]),
        ("an empty group id", "", &[("read", &[0])]),
        ("an unknown topic", "simple", &[("missing", &[0])]),
        ("unknown partitions", "simple", &[("read", &[9, -1])]),
        ("one", "simple", &[("read", &[0])]),
        ("it again", "simple", &[("read", &[0])]),
        ("good and bad ones", "simple", &[("read", &[1, 7]), ("missing", &[0])]),
        ("nothing", "simple", &[]),
        ("no partitions", "simple", &[("read", &[])]),
    ];
    for (label, group, topics) in cases {
        pair.every_version(&format!("delete offsets: {label}"), |_| delete(group, topics));
        pair.once(&format!("after delete offsets: {label}"), |side| fetch(side, "simple", None));
    }
    pair.once("delete the group", |_| DeleteGroupsRequest { groups_names: vec!["simple".into()] });
    pair.once("after delete the group", |side| fetch(side, "simple", None));
}

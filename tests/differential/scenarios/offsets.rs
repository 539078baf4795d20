//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use protocol::messages::*;

use super::{create, produce_to};
use crate::batch;
use crate::pair::Pair;

pub(crate) fn run(pair: &mut Pair) {
    create(pair, "at", 2, &[]);
    for _ in 0..3 {
        pair.once("records to find", |side| produce_to(side, "at", 0, &batch::plain(4)));
    }
    list(pair);
    epochs(pair);
    delete(pair);
    pair.scenario("offsets after deletion");
    list(pair);
}

fn wanted(name: &str, partition_index: i32, epoch: i32, timestamp: i64) -> ListOffsetsTopic {
    let partition =
        ListOffsetsPartition { partition_index, current_leader_epoch: epoch, timestamp, max_num_offsets: 5 };
    ListOffsetsTopic { name: name.into(), partitions: vec![partition] }
}

fn list(pair: &mut Pair) {
    let start = *batch::START_MS;
    let moments =
        [0, start - 1, start, start + 1, start + 3, start + 4, i64::MAX, -1, -2, -3, -4, -5, -6, -7, i64::MIN];
    for timestamp in moments {
        for partition in [0, 1] {
            // A moment is not the same in every run, its place is.
            let moment = if timestamp > 0 && timestamp < i64::MAX {
                format!("start{:+}", timestamp - start)
            } else {
                timestamp.to_string()
            };
            let label = format!("moment {moment} in partition {partition}");
            for isolation_level in [0, 1] {
                pair.every_version(&label, |_| ListOffsetsRequest {
                    replica_id: -1,
                    isolation_level,
                    topics: vec![wanted("at", partition, -1, timestamp)],
                    timeout_ms: 1000,
                });
            }
        }
    }
    let cases: Vec<(&str, Vec<ListOffsetsTopic>)> = vec![
        ("an unknown topic", vec![wanted("missing", 0, -1, -1)]),
        ("an invalid topic", vec![wanted("a/b", 0, -1, -1)]),
        ("an unknown partition", vec![wanted("at", 2, -1, -1)]),
        ("a negative partition", vec![wanted("at", -1, -1, -1)]),
        ("epoch 0", vec![wanted("at", 0, 0, -1)]),
        ("epoch 5", vec![wanted("at", 0, 5, -1)]),
        ("epoch -2", vec![wanted("at", 0, -2, -1)]),
        ("nothing", Vec::new()),
        (
            "one partition twice",
            vec![ListOffsetsTopic {
                name: "at".into(),
                partitions: [wanted("at", 0, -1, -1).partitions, wanted("at", 0, -1, -2).partitions].concat(),
            }],
        ),
        ("one topic twice", vec![wanted("at", 0, -1, -1), wanted("at", 1, -1, -2)]),
        ("good and bad ones", vec![wanted("at", 0, -1, -1), wanted("missing", 0, -1, -2)]),
    ];
    for (label, topics) in cases {
        for replica_id in [-1, -2, 7] {
            pair.every_version(&format!("{label}, replica {replica_id}"), |_| ListOffsetsRequest {
                replica_id,
                isolation_level: 0,
                topics: topics.clone(),
                timeout_ms: 1000,
            });
        }
    }
    for max_num_offsets in [0, 1, 2, -1] {
        pair.every_version(&format!("at most {max_num_offsets} offsets"), |_| {
            let mut topic = wanted("at", 0, -1, -1);
            topic.partitions[0].max_num_offsets = max_num_offsets;
            ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
        });
    }
}

fn epochs(pair: &mut Pair) {
    for (topic, partition) in [("at", 0), ("at", 1), ("at", 5), ("at", -1), ("missing", 0), ("", 0)] {
        for (current_leader_epoch, leader_epoch) in [(-1, 0), (0, 0), (-1, 1), (1, 0), (-1, -1), (-2, 5), (0, i32::MAX)]
        {
            let label = format!("epoch {leader_epoch} at {current_leader_epoch} of {topic:?}-{partition}");
            pair.every_version(&label, |_| OffsetForLeaderEpochRequest {
                replica_id: -1,
                topics: vec![OffsetForLeaderTopic {
                    topic: topic.into(),
                    partitions: vec![OffsetForLeaderPartition { partition, current_leader_epoch, leader_epoch }],
                }],
            });
        }
    }
    pair.every_version("epochs of nothing", |_| OffsetForLeaderEpochRequest::default());
}

fn delete(pair: &mut Pair) {
    create(pair, "at.compacted", 1, &[("cleanup.policy", "compact")]);
    let cases: &[(&str, &str, i32, i64)] = &[
        ("an unknown topic", "missing", 0, 1),
        ("an invalid topic", "a/b", 0, 1),
        ("an unknown partition", "at", 9, 1),
        ("a negative partition", "at", -1, 1),
        ("beyond the end", "at", 0, 99),
        ("a negative offset", "at", 0, -2),
        ("nothing", "at", 0, 0),
        ("an empty partition", "at", 1, -1),
        ("a compacted topic", "at.compacted", 0, 0),
        ("two records", "at", 0, 2),
        ("what is gone", "at", 0, 1),
        ("a batch and a half", "at", 0, 6),
    ];
    for (label, topic, partition_index, offset) in cases {
        pair.every_version(&format!("delete {label}"), |_| DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: topic.to_string(),
                partitions: vec![DeleteRecordsPartition { partition_index: *partition_index, offset: *offset }],
            }],
            timeout_ms: 1000,
        });
    }
    pair.every_version("delete nowhere", |_| DeleteRecordsRequest::default());
    for offset in [0, 5, 6, 8] {
        pair.every_version(&format!("fetch offset {offset} after deletion"), |side| {
            super::fetch::fetch(side, "at", 0, offset)
        });
    }
}

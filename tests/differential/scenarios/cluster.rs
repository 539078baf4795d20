//! DescribeQuorum.

use protocol::messages::describe_quorum::{RequestedPartitionData, RequestedTopicData};
use protocol::messages::*;

use crate::pair::Pair;

pub(crate) fn run(pair: &mut Pair) {
    quorum(pair);
}

fn quorum(pair: &mut Pair) {
    const METADATA: &str = "__cluster_metadata";
    let cases: &[(&str, &[(&str, &[i32])])] = &[
        ("", &[(METADATA, &[0])]),
        (" of nothing", &[]),
        (" of no partition", &[(METADATA, &[])]),
        (" of another partition", &[(METADATA, &[1])]),
        (" of two partitions", &[(METADATA, &[0, 1])]),
        (" of another topic", &[("missing", &[0])]),
        (" of two topics", &[(METADATA, &[0]), ("missing", &[0])]),
    ];
    for (label, topics) in cases {
        pair.every_version(&format!("the quorum{label}"), |_| DescribeQuorumRequest {
            topics: topics
                .iter()
                .map(|(name, partitions)| RequestedTopicData {
                    topic_name: name.to_string(),
                    partitions: partitions
                        .iter()
                        .map(|&partition_index| RequestedPartitionData { partition_index })
                        .collect(),
                })
                .collect(),
        });
    }
}

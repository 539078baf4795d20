//! DescribeQuorum: an admin client asks how far the voters and observers of the metadata quorum are (KIP-595, KIP-836).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Describes the metadata quorum.
    DescribeQuorum = 55, versions 0..=2, flexible 0..;

    request DescribeQuorumRequest {
        topics: Vec<RequestedTopicData>,
    }

    response DescribeQuorumResponse {
        error_code: ErrorCode,
        error_message: Option<String> [since 2, nullable 2],
        topics: Vec<TopicData>,
        nodes: Vec<Node> [since 2],
    }

    struct RequestedTopicData {
        topic_name: String,
        partitions: Vec<RequestedPartitionData>,
    }

    struct RequestedPartitionData {
        partition_index: i32,
    }

    struct TopicData {
        topic_name: String,
        partitions: Vec<PartitionData>,
    }

    struct PartitionData {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<String> [since 2, nullable 2],
        leader_id: i32,
        leader_epoch: i32,
        high_watermark: i64,
        current_voters: Vec<ReplicaState>,
        observers: Vec<ReplicaState>,
    }

    struct Node {
        node_id: i32 [since 2],
        listeners: Vec<Listener> [since 2],
    }

    struct Listener {
        name: String [since 2],
        host: String [since 2],
        port: u16 [since 2],
    }

    struct ReplicaState {
        replica_id: i32,
        replica_directory_id: Uuid [since 2],
        log_end_offset: i64,
        /// By the leader's clock, in milliseconds; −1 unknown, and of the leader.
        last_fetch_timestamp: i64 [since 1] = -1,
        /// By the leader's clock, in milliseconds; −1 unknown.
        last_caught_up_timestamp: i64 [since 1] = -1,
    }
}

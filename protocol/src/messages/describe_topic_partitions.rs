//! DescribeTopicPartitions: an admin client describes topics, a page at a time (KIP-966).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Describes topics in pages.
    DescribeTopicPartitions = 75, versions 0..=0, flexible 0..;

    request DescribeTopicPartitionsRequest {
        topics: Vec<TopicRequest>,
        response_partition_limit: i32 = 2000,
        /// Where to go on; null is the start.
        cursor: Option<RequestedCursor> [nullable 0],
    }

    response DescribeTopicPartitionsResponse {
        throttle_time_ms: i32,
        topics: Vec<DescribeTopicPartitionsResponseTopic>,
        /// Null when this was all.
        next_cursor: Option<Cursor> [nullable 0],
    }

    struct TopicRequest {
        name: String,
    }

    struct RequestedCursor {
        topic_name: String,
        partition_index: i32,
    }

    struct DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode,
        name: Option<String> [nullable 0],
        topic_id: Uuid,
        is_internal: bool,
        partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        /// A bit for each operation that is allowed, by its number; `i32::MIN` when nobody asked.
        topic_authorized_operations: i32 = i32::MIN,
    }

    struct DescribeTopicPartitionsResponsePartition {
        error_code: ErrorCode,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        eligible_leader_replicas: Option<Vec<i32>> [nullable 0],
        last_known_elr: Option<Vec<i32>> [nullable 0],
        offline_replicas: Vec<i32>,
    }

    struct Cursor {
        topic_name: String,
        partition_index: i32,
    }
}

//! ListOffsets: offset by timestamp / earliest / latest.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Offset by timestamp / earliest / latest.
    ListOffsets = 2, versions 0..=11, flexible 6..;

    request ListOffsetsRequest {
        replica_id: i32,
        isolation_level: i8 [since 2],
        topics: Vec<ListOffsetsTopic>,
        timeout_ms: i32 [since 10],
    }

    response ListOffsetsResponse {
        throttle_time_ms: i32 [since 2],
        topics: Vec<ListOffsetsTopicResponse>,
    }

    struct ListOffsetsTopic {
        name: String,
        partitions: Vec<ListOffsetsPartition>,
    }

    struct ListOffsetsPartition {
        partition_index: i32,
        current_leader_epoch: i32 [since 4] = -1,
        timestamp: i64,
        max_num_offsets: i32 [until 0] = 1,
    }

    struct ListOffsetsTopicResponse {
        name: String,
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    struct ListOffsetsPartitionResponse {
        partition_index: i32,
        error_code: ErrorCode,
        old_style_offsets: Vec<i64> [until 0],
        timestamp: i64 [since 1] = -1,
        offset: i64 [since 1] = -1,
        leader_epoch: i32 [since 4] = -1,
    }
}

//! ListOffsets: consumers and admin clients ask the leader of partitions for the offset of a timestamp, or of an end of
//! the log.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Finds offsets by timestamp.
    ListOffsets = 2, versions 0..=11, flexible 6..;

    request ListOffsetsRequest {
        /// −1 is a consumer.
        replica_id: i32,
        /// 0 reads everything, 1 only what is committed.
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
        /// −1 when the client does not know.
        current_leader_epoch: i32 [since 4] = -1,
        /// In milliseconds; −1 the end, −2 the start, −3 the largest timestamp, −4 the start on local disks, −5 the end
        /// in tiered storage, −6 the next to be tiered.
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
        /// In milliseconds; −1 with an end of the log.
        timestamp: i64 [since 1] = -1,
        /// −1 when no record is that late.
        offset: i64 [since 1] = -1,
        leader_epoch: i32 [since 4] = -1,
    }
}

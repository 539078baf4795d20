//! OffsetCommit: a consumer or an admin client stores how far a group has read.

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Stores the offsets of a group.
    OffsetCommit = 8, versions 0..=10, flexible 8..;

    request OffsetCommitRequest {
        group_id: String,
        /// −1 when no group is behind it.
        generation_id_or_member_epoch: i32 [since 1] = -1,
        member_id: String [since 1],
        group_instance_id: Option<String> [since 7, nullable 7],
        /// −1 is what the broker is configured to.
        retention_time_ms: i64 [since 2, until 4] = -1,
        topics: Vec<OffsetCommitRequestTopic>,
    }

    response OffsetCommitResponse {
        throttle_time_ms: i32 [since 3],
        topics: Vec<OffsetCommitResponseTopic>,
    }

    struct OffsetCommitRequestTopic {
        name: String [until 9],
        topic_id: Uuid [since 10],
        partitions: Vec<OffsetCommitRequestPartition>,
    }

    struct OffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        /// −1 when unknown.
        committed_leader_epoch: i32 [since 6] = -1,
        /// −1 is now.
        commit_timestamp: i64 [since 1, until 1] = -1,
        committed_metadata: Option<String> [nullable 0],
    }

    struct OffsetCommitResponseTopic {
        name: String [until 9],
        topic_id: Uuid [since 10],
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    struct OffsetCommitResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}

//! TxnOffsetCommit: a transactional producer stores a group's offsets as part of its transaction, at the group
//! coordinator.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Stores offsets of a group in a transaction.
    TxnOffsetCommit = 28, versions 0..=5, flexible 3..;

    request TxnOffsetCommitRequest {
        transactional_id: String,
        group_id: String,
        producer_id: i64,
        producer_epoch: i16,
        /// −1 when no group is behind it.
        generation_id: i32 [since 3] = -1,
        member_id: String [since 3],
        group_instance_id: Option<String> [since 3, nullable 3],
        topics: Vec<TxnOffsetCommitRequestTopic>,
    }

    response TxnOffsetCommitResponse {
        throttle_time_ms: i32,
        topics: Vec<TxnOffsetCommitResponseTopic>,
    }

    struct TxnOffsetCommitRequestTopic {
        name: String,
        partitions: Vec<TxnOffsetCommitRequestPartition>,
    }

    struct TxnOffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        /// −1 when unknown.
        committed_leader_epoch: i32 [since 2] = -1,
        committed_metadata: Option<String> [nullable 0],
    }

    struct TxnOffsetCommitResponseTopic {
        name: String,
        partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    struct TxnOffsetCommitResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}

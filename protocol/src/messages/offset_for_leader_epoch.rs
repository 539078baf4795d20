//! OffsetForLeaderEpoch: consumers and followers ask the leader where an epoch ended, to find out whether they have
//! what was truncated (KIP-101, KIP-320).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Asks where leader epochs ended.
    OffsetForLeaderEpoch = 23, versions 0..=4, flexible 4..;

    request OffsetForLeaderEpochRequest {
        /// −1 is a consumer, −2 one that debugs.
        replica_id: i32 [since 3] = -2,
        topics: Vec<OffsetForLeaderTopic>,
    }

    response OffsetForLeaderEpochResponse {
        throttle_time_ms: i32 [since 2],
        topics: Vec<OffsetForLeaderTopicResult>,
    }

    struct OffsetForLeaderTopic {
        topic: String,
        partitions: Vec<OffsetForLeaderPartition>,
    }

    struct OffsetForLeaderPartition {
        partition: i32,
        current_leader_epoch: i32 [since 2] = -1,
        leader_epoch: i32,
    }

    struct OffsetForLeaderTopicResult {
        topic: String,
        partitions: Vec<EpochEndOffset>,
    }

    struct EpochEndOffset {
        error_code: ErrorCode,
        partition: i32,
        leader_epoch: i32 [since 1] = -1,
        /// −1 when the epoch is not known.
        end_offset: i64 = -1,
    }
}

//! OffsetFetch: a consumer or an admin client reads how far groups have read; from version 8 on of many groups at once
//! (KIP-709).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Reads the offsets of groups.
    OffsetFetch = 9, versions 0..=10, flexible 6..;

    request OffsetFetchRequest {
        group_id: String [until 7],
        /// Null is all of them.
        topics: Option<Vec<OffsetFetchRequestTopic>> [until 7, nullable 2] = Some(Vec::new()),
        groups: Vec<OffsetFetchRequestGroup> [since 8],
        require_stable: bool [since 7],
    }

    response OffsetFetchResponse {
        throttle_time_ms: i32 [since 3],
        topics: Vec<OffsetFetchResponseTopic> [until 7],
        error_code: ErrorCode [since 2, until 7],
        groups: Vec<OffsetFetchResponseGroup> [since 8],
    }

    struct OffsetFetchRequestTopic {
        name: String [until 7],
        partition_indexes: Vec<i32> [until 7],
    }

    struct OffsetFetchRequestGroup {
        group_id: String [since 8],
        member_id: Option<String> [since 9, nullable 9],
        /// −1 when no member asks.
        member_epoch: i32 [since 9] = -1,
        /// Null is all of them.
        topics: Option<Vec<OffsetFetchRequestTopics>> [since 8, nullable 8] = Some(Vec::new()),
    }

    struct OffsetFetchRequestTopics {
        name: String [since 8, until 9],
        topic_id: Uuid [since 10],
        partition_indexes: Vec<i32> [since 8],
    }

    struct OffsetFetchResponseTopic {
        name: String [until 7],
        partitions: Vec<OffsetFetchResponsePartition> [until 7],
    }

    struct OffsetFetchResponsePartition {
        partition_index: i32 [until 7],
        /// −1 when there is none.
        committed_offset: i64 [until 7],
        /// −1 when unknown.
        committed_leader_epoch: i32 [since 5, until 7] = -1,
        metadata: Option<String> [until 7, nullable 0],
        error_code: ErrorCode [until 7],
    }

    struct OffsetFetchResponseGroup {
        group_id: String [since 8],
        topics: Vec<OffsetFetchResponseTopics> [since 8],
        error_code: ErrorCode [since 8],
    }

    struct OffsetFetchResponseTopics {
        name: String [since 8, until 9],
        topic_id: Uuid [since 10],
        partitions: Vec<OffsetFetchResponsePartitions> [since 8],
    }

    struct OffsetFetchResponsePartitions {
        partition_index: i32 [since 8],
        /// −1 when there is none.
        committed_offset: i64 [since 8],
        /// −1 when unknown.
        committed_leader_epoch: i32 [since 8] = -1,
        metadata: Option<String> [since 8, nullable 8],
        error_code: ErrorCode [since 8],
    }
}

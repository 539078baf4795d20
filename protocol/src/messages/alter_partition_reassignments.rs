//! AlterPartitionReassignments: an admin client moves partitions to other brokers, or cancels such a move (KIP-455).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Moves partitions to other brokers.
    AlterPartitionReassignments = 45, versions 0..=1, flexible 0..;

    request AlterPartitionReassignmentsRequest {
        timeout_ms: i32 = 60_000,
        allow_replication_factor_change: bool [since 1] = true,
        topics: Vec<ReassignableTopic>,
    }

    response AlterPartitionReassignmentsResponse {
        throttle_time_ms: i32,
        allow_replication_factor_change: bool [since 1] = true,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        responses: Vec<ReassignableTopicResponse>,
    }

    struct ReassignableTopic {
        name: String,
        partitions: Vec<ReassignablePartition>,
    }

    struct ReassignablePartition {
        partition_index: i32,
        /// Null cancels a move.
        replicas: Option<Vec<i32>> [nullable 0],
    }

    struct ReassignableTopicResponse {
        name: String,
        partitions: Vec<ReassignablePartitionResponse>,
    }

    struct ReassignablePartitionResponse {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}

//! ListPartitionReassignments: an admin client asks which partitions are on the move (KIP-455).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Lists partitions on the move.
    ListPartitionReassignments = 46, versions 0..=0, flexible 0..;

    request ListPartitionReassignmentsRequest {
        timeout_ms: i32 = 60_000,
        /// Null is all of them.
        topics: Option<Vec<ListPartitionReassignmentsTopics>> [nullable 0],
    }

    response ListPartitionReassignmentsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        topics: Vec<OngoingTopicReassignment>,
    }

    struct ListPartitionReassignmentsTopics {
        name: String,
        partition_indexes: Vec<i32>,
    }

    struct OngoingTopicReassignment {
        name: String,
        partitions: Vec<OngoingPartitionReassignment>,
    }

    struct OngoingPartitionReassignment {
        partition_index: i32,
        replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        removing_replicas: Vec<i32>,
    }
}

//! CreatePartitions: an admin client gives topics more partitions.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Gives topics more partitions.
    CreatePartitions = 37, versions 0..=3, flexible 2..;

    request CreatePartitionsRequest {
        topics: Vec<CreatePartitionsTopic>,
        timeout_ms: i32,
        validate_only: bool,
    }

    response CreatePartitionsResponse {
        throttle_time_ms: i32,
        results: Vec<CreatePartitionsTopicResult>,
    }

    struct CreatePartitionsTopic {
        name: String,
        /// How many there are to be in all.
        count: i32,
        /// Of the new partitions; null is automatic.
        assignments: Option<Vec<CreatePartitionsAssignment>> [nullable 0] = Some(Vec::new()),
    }

    struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }

    struct CreatePartitionsTopicResult {
        name: String,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}

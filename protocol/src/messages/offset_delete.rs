//! OffsetDelete: delete committed offsets of a group.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Delete committed offsets of a group.
    OffsetDelete = 47, versions 0..=0;

    request OffsetDeleteRequest {
        group_id: String,
        topics: Vec<OffsetDeleteRequestTopic>,
    }

    response OffsetDeleteResponse {
        error_code: ErrorCode,
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteResponseTopic>,
    }

    struct OffsetDeleteRequestTopic {
        name: String,
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    struct OffsetDeleteRequestPartition {
        partition_index: i32,
    }

    struct OffsetDeleteResponseTopic {
        name: String,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    struct OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}

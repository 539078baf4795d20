//! OffsetDelete: an admin client removes committed offsets of a group from topics that it no longer reads (KIP-496).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Removes committed offsets of a group.
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

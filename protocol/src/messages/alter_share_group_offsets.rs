//! AlterShareGroupOffsets: an admin client sets where an empty share group starts reading (KIP-932).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Sets the start offsets of a share group.
    AlterShareGroupOffsets = 91, versions 0..=0, flexible 0..;

    request AlterShareGroupOffsetsRequest {
        group_id: String,
        topics: Vec<AlterShareGroupOffsetsRequestTopic>,
    }

    response AlterShareGroupOffsetsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        responses: Vec<AlterShareGroupOffsetsResponseTopic>,
    }

    struct AlterShareGroupOffsetsRequestTopic {
        topic_name: String,
        partitions: Vec<AlterShareGroupOffsetsRequestPartition>,
    }

    struct AlterShareGroupOffsetsRequestPartition {
        partition_index: i32,
        start_offset: i64,
    }

    struct AlterShareGroupOffsetsResponseTopic {
        topic_name: String,
        topic_id: Uuid,
        partitions: Vec<AlterShareGroupOffsetsResponsePartition>,
    }

    struct AlterShareGroupOffsetsResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}

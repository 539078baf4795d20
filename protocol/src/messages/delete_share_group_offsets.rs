//! DeleteShareGroupOffsets: an admin client removes what an empty share group knows of topics (KIP-932).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Removes the offsets of a share group.
    DeleteShareGroupOffsets = 92, versions 0..=0, flexible 0..;

    request DeleteShareGroupOffsetsRequest {
        group_id: String,
        topics: Vec<DeleteShareGroupOffsetsRequestTopic>,
    }

    response DeleteShareGroupOffsetsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        responses: Vec<DeleteShareGroupOffsetsResponseTopic>,
    }

    struct DeleteShareGroupOffsetsRequestTopic {
        topic_name: String,
    }

    struct DeleteShareGroupOffsetsResponseTopic {
        topic_name: String,
        topic_id: Uuid,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}

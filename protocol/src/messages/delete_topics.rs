//! DeleteTopics: an admin client deletes topics, by name or from version 6 on by id.

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Deletes topics.
    DeleteTopics = 20, versions 0..=6, flexible 4..;

    request DeleteTopicsRequest {
        topics: Vec<DeleteTopicState> [since 6],
        topic_names: Vec<String> [until 5],
        timeout_ms: i32,
    }

    response DeleteTopicsResponse {
        throttle_time_ms: i32 [since 1],
        responses: Vec<DeletableTopicResult>,
    }

    struct DeleteTopicState {
        name: Option<String> [since 6, nullable 6],
        topic_id: Uuid [since 6],
    }

    struct DeletableTopicResult {
        name: Option<String> [nullable 6],
        topic_id: Uuid [since 6],
        error_code: ErrorCode,
        error_message: Option<String> [since 5, nullable 5],
    }
}

//! CreateTopics: an admin client creates topics.

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Creates topics.
    CreateTopics = 19, versions 0..=7, flexible 5..;

    request CreateTopicsRequest {
        topics: Vec<CreatableTopic>,
        timeout_ms: i32 = 60_000,
        validate_only: bool [since 1],
    }

    response CreateTopicsResponse {
        throttle_time_ms: i32 [since 2],
        topics: Vec<CreatableTopicResult>,
    }

    struct CreatableTopic {
        name: String,
        /// −1 with manual assignments, or for the broker's default.
        num_partitions: i32,
        /// −1 with manual assignments, or for the broker's default.
        replication_factor: i16,
        assignments: Vec<CreatableReplicaAssignment>,
        configs: Vec<CreatableTopicConfig>,
    }

    struct CreatableReplicaAssignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }

    struct CreatableTopicConfig {
        name: String,
        value: Option<String> [nullable 0],
    }

    struct CreatableTopicResult {
        name: String,
        topic_id: Uuid [since 7],
        error_code: ErrorCode,
        error_message: Option<String> [since 1, nullable 0],
        topic_config_error_code: ErrorCode [since 5, tag 0],
        num_partitions: i32 [since 5] = -1,
        replication_factor: i16 [since 5] = -1,
        configs: Option<Vec<CreatableTopicConfigs>> [since 5, nullable 5] = Some(Vec::new()),
    }

    struct CreatableTopicConfigs {
        name: String [since 5],
        value: Option<String> [since 5, nullable 5],
        read_only: bool [since 5],
        /// 1 topic, 2 one broker, 3 all brokers, 4 the broker's file, 5 default, 6 broker logger, 7 client metrics, 8
        /// group; 0 unknown.
        config_source: i8 [since 5] = -1,
        is_sensitive: bool [since 5],
    }
}

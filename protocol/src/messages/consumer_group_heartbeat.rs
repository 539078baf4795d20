//! ConsumerGroupHeartbeat: KIP-848 group heartbeat.

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// KIP-848 group heartbeat.
    ConsumerGroupHeartbeat = 68, versions 0..=1, flexible 0..;

    request ConsumerGroupHeartbeatRequest {
        group_id: String,
        member_id: String,
        member_epoch: i32,
        instance_id: Option<String> [nullable 0],
        rack_id: Option<String> [nullable 0],
        rebalance_timeout_ms: i32 = -1,
        subscribed_topic_names: Option<Vec<String>> [nullable 0],
        subscribed_topic_regex: Option<String> [since 1, nullable 1],
        server_assignor: Option<String> [nullable 0],
        topic_partitions: Option<Vec<RequestedTopicPartitions>> [nullable 0],
    }

    response ConsumerGroupHeartbeatResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        member_id: Option<String> [nullable 0],
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        assignment: Option<Assignment> [nullable 0],
    }

    struct RequestedTopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }

    struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }

    struct TopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }
}

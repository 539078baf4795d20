//! ConsumerGroupHeartbeat: a consumer of the new protocol joins, stays in and leaves its group, and learns its
//! assignment, all by this one request to the group coordinator (KIP-848).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Keeps a member in a group of the consumer protocol.
    ConsumerGroupHeartbeat = 68, versions 0..=1, flexible 0..;

    request ConsumerGroupHeartbeatRequest {
        group_id: String,
        member_id: String,
        /// 0 joins, −1 leaves, −2 leaves for now as a static member.
        member_epoch: i32,
        instance_id: Option<String> [nullable 0],
        rack_id: Option<String> [nullable 0],
        /// −1 when it has not changed.
        rebalance_timeout_ms: i32 = -1,
        /// Null when they have not changed.
        subscribed_topic_names: Option<Vec<String>> [nullable 0],
        subscribed_topic_regex: Option<String> [since 1, nullable 1],
        server_assignor: Option<String> [nullable 0],
        /// Null when they have not changed.
        topic_partitions: Option<Vec<RequestedTopicPartitions>> [nullable 0],
    }

    response ConsumerGroupHeartbeatResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        member_id: Option<String> [nullable 0],
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        /// Null when the member is to keep what it has.
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

//! ShareGroupHeartbeat: a consumer joins, stays in and leaves its share group, and learns its assignment (KIP-932).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Keeps a member in a share group.
    ShareGroupHeartbeat = 76, versions 1..=1, flexible 0..;

    request ShareGroupHeartbeatRequest {
        group_id: String,
        member_id: String,
        /// 0 joins, −1 leaves.
        member_epoch: i32,
        rack_id: Option<String> [nullable 0],
        /// Null when they have not changed.
        subscribed_topic_names: Option<Vec<String>> [nullable 0],
    }

    response ShareGroupHeartbeatResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        member_id: Option<String> [nullable 0],
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        /// Null when the member is to keep what it has.
        assignment: Option<Assignment> [nullable 0],
    }

    struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }

    struct TopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }
}

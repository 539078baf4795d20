//! ShareGroupDescribe: an admin client asks a group coordinator for the state and members of share groups (KIP-932).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Describes share groups.
    ShareGroupDescribe = 77, versions 1..=1, flexible 0..;

    request ShareGroupDescribeRequest {
        group_ids: Vec<String>,
        include_authorized_operations: bool,
    }

    response ShareGroupDescribeResponse {
        throttle_time_ms: i32,
        groups: Vec<DescribedGroup>,
    }

    struct DescribedGroup {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        group_id: String,
        group_state: String,
        group_epoch: i32,
        assignment_epoch: i32,
        assignor_name: String,
        members: Vec<Member>,
        /// A bit for each operation that is allowed, by its number; `i32::MIN` when nobody asked.
        authorized_operations: i32 = i32::MIN,
    }

    struct Member {
        member_id: String,
        rack_id: Option<String> [nullable 0],
        member_epoch: i32,
        client_id: String,
        client_host: String,
        subscribed_topic_names: Vec<String>,
        assignment: Assignment,
    }

    struct TopicPartitions {
        topic_id: Uuid,
        topic_name: String,
        partitions: Vec<i32>,
    }

    struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }
}

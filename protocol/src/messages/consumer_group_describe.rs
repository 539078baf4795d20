//! ConsumerGroupDescribe: describe KIP-848 groups (falls back to 15).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Describe KIP-848 groups (falls back to 15).
    ConsumerGroupDescribe = 69, versions 0..=1, flexible 0..;

    request ConsumerGroupDescribeRequest {
        group_ids: Vec<String>,
        include_authorized_operations: bool,
    }

    response ConsumerGroupDescribeResponse {
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
        authorized_operations: i32 = i32::MIN,
    }

    struct Member {
        member_id: String,
        instance_id: Option<String> [nullable 0],
        rack_id: Option<String> [nullable 0],
        member_epoch: i32,
        client_id: String,
        client_host: String,
        subscribed_topic_names: Vec<String>,
        subscribed_topic_regex: Option<String> [nullable 0],
        assignment: Assignment,
        target_assignment: Assignment,
        member_type: i8 [since 1] = -1,
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

//! ConsumerGroupDescribe: an admin client asks a group coordinator for the state and members of groups of the consumer
//! protocol (KIP-848).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Describes groups of the consumer protocol.
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
        /// A bit for each operation that is allowed, by its number; `i32::MIN` when nobody asked.
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
        /// 0 classic, 1 consumer; −1 unknown.
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

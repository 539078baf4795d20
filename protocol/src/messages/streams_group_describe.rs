//! StreamsGroupDescribe: an admin client asks a group coordinator for the state, topology and members of streams groups
//! (KIP-1071).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Describes streams groups.
    StreamsGroupDescribe = 89, versions 0..=0, flexible 0..;

    request StreamsGroupDescribeRequest {
        group_ids: Vec<String>,
        include_authorized_operations: bool,
    }

    response StreamsGroupDescribeResponse {
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
        topology: Option<Topology> [nullable 0],
        members: Vec<Member>,
        /// A bit for each operation that is allowed, by its number; `i32::MIN` when nobody asked.
        authorized_operations: i32 = i32::MIN,
    }

    struct Topology {
        epoch: i32,
        subtopologies: Option<Vec<Subtopology>> [nullable 0],
    }

    struct Subtopology {
        subtopology_id: String,
        source_topics: Vec<String>,
        repartition_sink_topics: Vec<String>,
        state_changelog_topics: Vec<TopicInfo>,
        repartition_source_topics: Vec<TopicInfo>,
    }

    struct Member {
        member_id: String,
        member_epoch: i32,
        instance_id: Option<String> [nullable 0],
        rack_id: Option<String> [nullable 0],
        client_id: String,
        client_host: String,
        topology_epoch: i32,
        process_id: String,
        user_endpoint: Option<Endpoint> [nullable 0],
        client_tags: Vec<KeyValue>,
        task_offsets: Vec<TaskOffset>,
        task_end_offsets: Vec<TaskOffset>,
        assignment: Assignment,
        target_assignment: Assignment,
        is_classic: bool,
    }

    struct Endpoint {
        host: String,
        port: u16,
    }

    struct TaskOffset {
        subtopology_id: String,
        partition: i32,
        offset: i64,
    }

    struct Assignment {
        active_tasks: Vec<TaskIds>,
        standby_tasks: Vec<TaskIds>,
        warmup_tasks: Vec<TaskIds>,
    }

    struct TaskIds {
        subtopology_id: String,
        partitions: Vec<i32>,
    }

    struct KeyValue {
        key: String,
        value: String,
    }

    struct TopicInfo {
        name: String,
        partitions: i32,
        replication_factor: i16,
        topic_configs: Vec<KeyValue>,
    }
}

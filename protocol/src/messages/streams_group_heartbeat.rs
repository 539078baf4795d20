//! StreamsGroupHeartbeat: an instance of a streams application joins, stays in and leaves its group, tells its
//! topology, and learns its tasks (KIP-1071).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Keeps a member in a streams group.
    StreamsGroupHeartbeat = 88, versions 0..=0, flexible 0..;

    request StreamsGroupHeartbeatRequest {
        group_id: String,
        member_id: String,
        /// 0 joins, −1 leaves, −2 leaves for now as a static member.
        member_epoch: i32,
        endpoint_information_epoch: i32,
        instance_id: Option<String> [nullable 0],
        rack_id: Option<String> [nullable 0],
        /// −1 when it has not changed.
        rebalance_timeout_ms: i32 = -1,
        /// Only from who joins.
        topology: Option<Topology> [nullable 0],
        active_tasks: Option<Vec<RequestedTaskIds>> [nullable 0],
        standby_tasks: Option<Vec<RequestedTaskIds>> [nullable 0],
        warmup_tasks: Option<Vec<RequestedTaskIds>> [nullable 0],
        process_id: Option<String> [nullable 0],
        user_endpoint: Option<RequestedEndpoint> [nullable 0],
        client_tags: Option<Vec<KeyValue>> [nullable 0],
        task_offsets: Option<Vec<TaskOffset>> [nullable 0],
        task_end_offsets: Option<Vec<TaskOffset>> [nullable 0],
        shutdown_application: bool,
    }

    response StreamsGroupHeartbeatResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        member_id: String,
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        acceptable_recovery_lag: i32,
        task_offset_interval_ms: i32,
        status: Option<Vec<Status>> [nullable 0] = Some(Vec::new()),
        active_tasks: Option<Vec<TaskIds>> [nullable 0],
        standby_tasks: Option<Vec<TaskIds>> [nullable 0],
        warmup_tasks: Option<Vec<TaskIds>> [nullable 0],
        endpoint_information_epoch: i32,
        partitions_by_user_endpoint: Option<Vec<EndpointToPartitions>> [nullable 0],
    }

    struct Topology {
        epoch: i32,
        subtopologies: Vec<Subtopology>,
    }

    struct Subtopology {
        subtopology_id: String,
        source_topics: Vec<String>,
        source_topic_regex: Vec<String>,
        state_changelog_topics: Vec<TopicInfo>,
        repartition_sink_topics: Vec<String>,
        repartition_source_topics: Vec<TopicInfo>,
        copartition_groups: Vec<CopartitionGroup>,
    }

    struct CopartitionGroup {
        source_topics: Vec<i16>,
        source_topic_regex: Vec<i16>,
        repartition_source_topics: Vec<i16>,
    }

    struct KeyValue {
        key: String,
        value: String,
    }

    struct TopicInfo {
        name: String,
        /// 0 when any number will do.
        partitions: i32,
        /// 0 is the broker's default.
        replication_factor: i16,
        topic_configs: Vec<KeyValue>,
    }

    struct RequestedEndpoint {
        host: String,
        port: u16,
    }

    struct TaskOffset {
        subtopology_id: String,
        partition: i32,
        offset: i64,
    }

    struct RequestedTaskIds {
        subtopology_id: String,
        partitions: Vec<i32>,
    }

    struct EndpointToPartitions {
        user_endpoint: Endpoint,
        active_partitions: Vec<TopicPartition>,
        standby_partitions: Vec<TopicPartition>,
    }

    struct Status {
        status_code: i8,
        status_detail: String,
    }

    struct TopicPartition {
        topic: String,
        partitions: Vec<i32>,
    }

    struct TaskIds {
        subtopology_id: String,
        partitions: Vec<i32>,
    }

    struct Endpoint {
        host: String,
        port: u16,
    }
}

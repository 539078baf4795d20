//! Metadata: every client asks which brokers there are and which of them leads each partition; asking may create a
//! topic.

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Asks for brokers, topics and leaders.
    Metadata = 3, versions 0..=13, flexible 9..;

    request MetadataRequest {
        /// Null is all of them; in version 0 empty is.
        topics: Option<Vec<MetadataRequestTopic>> [nullable 1] = Some(Vec::new()),
        allow_auto_topic_creation: bool [since 4] = true,
        include_cluster_authorized_operations: bool [since 8, until 10],
        include_topic_authorized_operations: bool [since 8],
    }

    response MetadataResponse {
        throttle_time_ms: i32 [since 3],
        brokers: Vec<MetadataResponseBroker>,
        cluster_id: Option<String> [since 2, nullable 2],
        /// −1 when unknown.
        controller_id: i32 [since 1] = -1,
        topics: Vec<MetadataResponseTopic>,
        /// A bit for each operation that is allowed, by its number; `i32::MIN` when nobody asked.
        cluster_authorized_operations: i32 [since 8, until 10] = i32::MIN,
        error_code: ErrorCode [since 13],
    }

    struct MetadataRequestTopic {
        topic_id: Uuid [since 10],
        name: Option<String> [nullable 10],
    }

    struct MetadataResponseBroker {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String> [since 1, nullable 1],
    }

    struct MetadataResponseTopic {
        error_code: ErrorCode,
        name: Option<String> [nullable 12],
        topic_id: Uuid [since 10],
        is_internal: bool [since 1],
        partitions: Vec<MetadataResponsePartition>,
        /// A bit for each operation that is allowed, by its number; `i32::MIN` when nobody asked.
        topic_authorized_operations: i32 [since 8] = i32::MIN,
    }

    struct MetadataResponsePartition {
        error_code: ErrorCode,
        partition_index: i32,
        /// −1 when there is none.
        leader_id: i32,
        leader_epoch: i32 [since 7] = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        offline_replicas: Vec<i32> [since 5],
    }
}

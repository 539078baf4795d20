//! Produce: a producer appends record batches to partitions, at their leader.

use crate::api::*;
use crate::wire::Records;
use crate::{ErrorCode, Uuid};

api! {
    /// Appends record batches.
    Produce = 0, versions 0..=13, flexible 9..;

    request ProduceRequest {
        transactional_id: Option<String> [since 3, nullable 3],
        /// 0 none and no answer either, 1 the leader, −1 all in sync.
        acks: i16,
        timeout_ms: i32,
        topic_data: Vec<TopicProduceData>,
    }

    response ProduceResponse {
        responses: Vec<TopicProduceResponse>,
        throttle_time_ms: i32 [since 1],
        node_endpoints: Vec<NodeEndpoint> [since 10, tag 0],
    }

    struct TopicProduceData {
        name: String [until 12],
        topic_id: Uuid [since 13],
        partition_data: Vec<PartitionProduceData>,
    }

    struct PartitionProduceData {
        index: i32,
        records: Option<Records> [nullable 0],
    }

    struct TopicProduceResponse {
        name: String [until 12],
        topic_id: Uuid [since 13],
        partition_responses: Vec<PartitionProduceResponse>,
    }

    struct PartitionProduceResponse {
        index: i32,
        error_code: ErrorCode,
        /// −1 with an error.
        base_offset: i64,
        /// −1 unless the topic stamps records itself.
        log_append_time_ms: i64 [since 2] = -1,
        log_start_offset: i64 [since 5] = -1,
        record_errors: Vec<BatchIndexAndErrorMessage> [since 8],
        error_message: Option<String> [since 8, nullable 8],
        current_leader: LeaderIdAndEpoch [since 10, tag 0],
    }

    struct BatchIndexAndErrorMessage {
        batch_index: i32 [since 8],
        batch_index_error_message: Option<String> [since 8, nullable 8],
    }

    struct LeaderIdAndEpoch {
        leader_id: i32 [since 10] = -1,
        leader_epoch: i32 [since 10] = -1,
    }

    struct NodeEndpoint {
        node_id: i32 [since 10],
        host: String [since 10],
        port: i32 [since 10],
        rack: Option<String> [since 10, nullable 10],
    }
}

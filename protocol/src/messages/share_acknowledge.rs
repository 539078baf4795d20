//! ShareAcknowledge: a consumer of a share group says what became of records, without fetching more (KIP-932).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Acknowledges records of a share group.
    ShareAcknowledge = 79, versions 1..=2, flexible 0..;

    request ShareAcknowledgeRequest {
        group_id: Option<String> [nullable 0],
        member_id: Option<String> [nullable 0],
        /// 0 opens a session, −1 closes it; otherwise one more than the request before.
        share_session_epoch: i32,
        is_renew_ack: bool [since 2],
        topics: Vec<AcknowledgeTopic>,
    }

    response ShareAcknowledgeResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        acquisition_lock_timeout_ms: i32 [since 2],
        responses: Vec<ShareAcknowledgeTopicResponse>,
        node_endpoints: Vec<NodeEndpoint>,
    }

    struct AcknowledgeTopic {
        topic_id: Uuid,
        partitions: Vec<AcknowledgePartition>,
    }

    struct AcknowledgePartition {
        partition_index: i32,
        acknowledgement_batches: Vec<AcknowledgementBatch>,
    }

    struct AcknowledgementBatch {
        first_offset: i64,
        last_offset: i64,
        /// 0 gap, 1 accept, 2 release, 3 reject, 4 renew; one for each offset, or one for all.
        acknowledge_types: Vec<i8>,
    }

    struct ShareAcknowledgeTopicResponse {
        topic_id: Uuid,
        partitions: Vec<PartitionData>,
    }

    struct PartitionData {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        current_leader: LeaderIdAndEpoch,
    }

    struct LeaderIdAndEpoch {
        leader_id: i32,
        leader_epoch: i32,
    }

    struct NodeEndpoint {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String> [nullable 0],
    }
}

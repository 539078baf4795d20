//! ShareFetch: a consumer of a share group acquires records, and says what became of earlier ones (KIP-932).

use crate::api::*;
use crate::wire::Records;
use crate::{ErrorCode, Uuid};

api! {
    /// Acquires records for a share group.
    ShareFetch = 78, versions 1..=2, flexible 0..;

    request ShareFetchRequest {
        group_id: Option<String> [nullable 0],
        member_id: Option<String> [nullable 0],
        /// 0 opens a session, −1 closes it; otherwise one more than the request before.
        share_session_epoch: i32,
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        max_records: i32 [since 1],
        batch_size: i32 [since 1],
        /// 0 whole batches, 1 no more than `max_records`.
        share_acquire_mode: i8 [since 2],
        is_renew_ack: bool [since 2],
        topics: Vec<FetchTopic>,
        forgotten_topics_data: Vec<ForgottenTopic>,
    }

    response ShareFetchResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        acquisition_lock_timeout_ms: i32 [since 1],
        responses: Vec<ShareFetchableTopicResponse>,
        node_endpoints: Vec<NodeEndpoint>,
    }

    struct FetchTopic {
        topic_id: Uuid,
        partitions: Vec<FetchPartition>,
    }

    struct FetchPartition {
        partition_index: i32,
        partition_max_bytes: i32 [until 0],
        acknowledgement_batches: Vec<AcknowledgementBatch>,
    }

    struct AcknowledgementBatch {
        first_offset: i64,
        last_offset: i64,
        /// 0 gap, 1 accept, 2 release, 3 reject, 4 renew; one for each offset, or one for all.
        acknowledge_types: Vec<i8>,
    }

    struct ForgottenTopic {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }

    struct ShareFetchableTopicResponse {
        topic_id: Uuid,
        partitions: Vec<PartitionData>,
    }

    struct PartitionData {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        acknowledge_error_code: ErrorCode,
        acknowledge_error_message: Option<String> [nullable 0],
        current_leader: LeaderIdAndEpoch,
        records: Records,
        acquired_records: Vec<AcquiredRecords>,
    }

    struct LeaderIdAndEpoch {
        leader_id: i32,
        leader_epoch: i32,
    }

    struct AcquiredRecords {
        first_offset: i64,
        last_offset: i64,
        delivery_count: i16,
    }

    struct NodeEndpoint {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String> [nullable 0],
    }
}

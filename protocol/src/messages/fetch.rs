//! Fetch: consumers, followers and voters of the metadata quorum read record batches; from version 7 on a session
//! remembers what they read (KIP-227).

use std::sync::Arc;

use crate::api::*;
use crate::wire::Records;
use crate::{ErrorCode, Uuid};

api! {
    /// Reads record batches.
    Fetch = 1, versions 0..=18, flexible 12..;

    request FetchRequest {
        cluster_id: Option<String> [since 12, nullable 12, tag 0],
        /// −1 is a consumer; since version 15 it is in `replica_state`.
        replica_id: i32 [until 14] = -1,
        replica_state: ReplicaState [since 15, tag 1],
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 [since 3] = i32::MAX,
        /// 0 reads everything, 1 only what is committed.
        isolation_level: i8 [since 4],
        /// 0 when there is no session yet.
        session_id: i32 [since 7],
        /// −1 without a session, 0 to open one; otherwise one more than the request before.
        session_epoch: i32 [since 7] = -1,
        topics: Vec<FetchTopic>,
        forgotten_topics_data: Vec<ForgottenTopic> [since 7],
        rack_id: String [since 11],
    }

    response FetchResponse {
        throttle_time_ms: i32 [since 1],
        error_code: ErrorCode [since 7],
        session_id: i32 [since 7],
        responses: Vec<FetchableTopicResponse>,
        node_endpoints: Vec<NodeEndpoint> [since 16, tag 0],
    }

    struct ReplicaState {
        replica_id: i32 [since 15] = -1,
        replica_epoch: i64 [since 15] = -1,
    }

    struct FetchTopic {
        topic: Arc<str> [until 12],
        topic_id: Uuid [since 13],
        partitions: Vec<FetchPartition>,
    }

    struct FetchPartition {
        partition: i32,
        /// −1 when the client does not know.
        current_leader_epoch: i32 [since 9] = -1,
        fetch_offset: i64,
        /// −1 when the log is empty, or a consumer's.
        last_fetched_epoch: i32 [since 12] = -1,
        /// The follower's own; −1 of a consumer.
        log_start_offset: i64 [since 5] = -1,
        partition_max_bytes: i32,
        replica_directory_id: Uuid [since 17, tag 0],
        high_watermark: i64 [since 18, tag 1] = i64::MAX,
    }

    struct ForgottenTopic {
        topic: Arc<str> [since 7, until 12],
        topic_id: Uuid [since 13],
        partitions: Vec<i32> [since 7],
    }

    struct FetchableTopicResponse {
        topic: Arc<str> [until 12],
        topic_id: Uuid [since 13],
        partitions: Vec<PartitionData>,
    }

    struct PartitionData {
        partition_index: i32,
        error_code: ErrorCode,
        high_watermark: i64,
        last_stable_offset: i64 [since 4] = -1,
        log_start_offset: i64 [since 5] = -1,
        /// Where the reader's log and the leader's part (KIP-595).
        diverging_epoch: EpochEndOffset [since 12, tag 0],
        current_leader: LeaderIdAndEpoch [since 12, tag 1],
        snapshot_id: SnapshotId [since 12, tag 2],
        aborted_transactions: Option<Vec<AbortedTransaction>> [since 4, nullable 4] = Some(Vec::new()),
        /// Where to read instead (KIP-392); −1 is here.
        preferred_read_replica: i32 [since 11] = -1,
        records: Option<Records> [nullable 0],
    }

    struct EpochEndOffset {
        epoch: i32 [since 12] = -1,
        end_offset: i64 [since 12] = -1,
    }

    struct LeaderIdAndEpoch {
        leader_id: i32 [since 12] = -1,
        leader_epoch: i32 [since 12] = -1,
    }

    struct SnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }

    struct AbortedTransaction {
        producer_id: i64 [since 4],
        first_offset: i64 [since 4],
    }

    struct NodeEndpoint {
        node_id: i32 [since 16],
        host: String [since 16],
        port: i32 [since 16],
        rack: Option<String> [since 16, nullable 16],
    }
}

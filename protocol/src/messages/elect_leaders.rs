//! ElectLeaders: preferred/unclean election.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Preferred/unclean election.
    ElectLeaders = 43, versions 0..=2, flexible 2..;

    request ElectLeadersRequest {
        election_type: i8 [since 1],
        topic_partitions: Option<Vec<TopicPartitions>> [nullable 0] = Some(Vec::new()),
        timeout_ms: i32 = 60_000,
    }

    response ElectLeadersResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [since 1],
        replica_election_results: Vec<ReplicaElectionResult>,
    }

    struct TopicPartitions {
        topic: String,
        partitions: Vec<i32>,
    }

    struct ReplicaElectionResult {
        topic: String,
        partition_result: Vec<PartitionResult>,
    }

    struct PartitionResult {
        partition_id: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}

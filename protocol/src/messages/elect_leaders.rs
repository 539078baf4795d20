//! ElectLeaders: an admin client has leaders elected, preferred ones or, at the price of data, any that are alive
//! (KIP-460).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Elects leaders.
    ElectLeaders = 43, versions 0..=2, flexible 2..;

    request ElectLeadersRequest {
        /// 0 the preferred replica, 1 any that is alive.
        election_type: i8 [since 1],
        /// Null is all of them.
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

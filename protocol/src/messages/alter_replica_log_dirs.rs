//! AlterReplicaLogDirs: an admin client asks a broker to move its replicas to another of its own log directories
//! (KIP-113).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Moves replicas between the log directories of one broker.
    AlterReplicaLogDirs = 34, versions 0..=2, flexible 2..;

    request AlterReplicaLogDirsRequest {
        dirs: Vec<AlterReplicaLogDir>,
    }

    response AlterReplicaLogDirsResponse {
        throttle_time_ms: i32,
        results: Vec<AlterReplicaLogDirTopicResult>,
    }

    struct AlterReplicaLogDir {
        path: String,
        topics: Vec<AlterReplicaLogDirTopic>,
    }

    struct AlterReplicaLogDirTopic {
        name: String,
        partitions: Vec<i32>,
    }

    struct AlterReplicaLogDirTopicResult {
        topic_name: String,
        partitions: Vec<AlterReplicaLogDirPartitionResult>,
    }

    struct AlterReplicaLogDirPartitionResult {
        partition_index: i32,
        error_code: ErrorCode,
    }
}

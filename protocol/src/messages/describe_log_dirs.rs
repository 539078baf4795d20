//! DescribeLogDirs: an admin client asks a broker what its log directories hold and how much room they have (KIP-113,
//! KIP-827).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Describes the log directories of a broker.
    DescribeLogDirs = 35, versions 0..=5, flexible 2..;

    request DescribeLogDirsRequest {
        /// Null is all of them.
        topics: Option<Vec<DescribableLogDirTopic>> [nullable 0] = Some(Vec::new()),
    }

    response DescribeLogDirsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [since 3],
        results: Vec<DescribeLogDirsResult>,
    }

    struct DescribableLogDirTopic {
        topic: String,
        partitions: Vec<i32>,
    }

    struct DescribeLogDirsResult {
        error_code: ErrorCode,
        log_dir: String,
        topics: Vec<DescribeLogDirsTopic>,
        /// −1 when unknown.
        total_bytes: i64 [since 4] = -1,
        /// −1 when unknown.
        usable_bytes: i64 [since 4] = -1,
        is_cordoned: bool [since 5],
    }

    struct DescribeLogDirsTopic {
        name: String,
        partitions: Vec<DescribeLogDirsPartition>,
    }

    struct DescribeLogDirsPartition {
        partition_index: i32,
        /// In bytes.
        partition_size: i64,
        /// Offsets behind the high watermark, or of a future log behind the present one.
        offset_lag: i64,
        /// Whether it is being filled to replace the present log.
        is_future_key: bool,
    }
}

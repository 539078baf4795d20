//! DescribeLogDirs: disk usage per replica.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Disk usage per replica.
    DescribeLogDirs = 35, versions 0..=5, flexible 2..;

    request DescribeLogDirsRequest {
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
        total_bytes: i64 [since 4] = -1,
        usable_bytes: i64 [since 4] = -1,
        is_cordoned: bool [since 5],
    }

    struct DescribeLogDirsTopic {
        name: String,
        partitions: Vec<DescribeLogDirsPartition>,
    }

    struct DescribeLogDirsPartition {
        partition_index: i32,
        partition_size: i64,
        offset_lag: i64,
        is_future_key: bool,
    }
}

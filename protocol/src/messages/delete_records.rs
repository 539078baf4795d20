//! DeleteRecords: advance log start offset.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Advance log start offset.
    DeleteRecords = 21, versions 0..=2, flexible 2..;

    request DeleteRecordsRequest {
        topics: Vec<DeleteRecordsTopic>,
        timeout_ms: i32,
    }

    response DeleteRecordsResponse {
        throttle_time_ms: i32,
        topics: Vec<DeleteRecordsTopicResult>,
    }

    struct DeleteRecordsTopic {
        name: String,
        partitions: Vec<DeleteRecordsPartition>,
    }

    struct DeleteRecordsPartition {
        partition_index: i32,
        offset: i64,
    }

    struct DeleteRecordsTopicResult {
        name: String,
        partitions: Vec<DeleteRecordsPartitionResult>,
    }

    struct DeleteRecordsPartitionResult {
        partition_index: i32,
        low_watermark: i64,
        error_code: ErrorCode,
    }
}

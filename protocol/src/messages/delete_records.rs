//! DeleteRecords: an admin client, or a streams application that is done with its repartition topics, drops the records
//! of partitions before an offset (KIP-107).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Drops records before an offset.
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
        /// −1 is the high watermark.
        offset: i64,
    }

    struct DeleteRecordsTopicResult {
        name: String,
        partitions: Vec<DeleteRecordsPartitionResult>,
    }

    struct DeleteRecordsPartitionResult {
        partition_index: i32,
        /// −1 with an error.
        low_watermark: i64,
        error_code: ErrorCode,
    }
}

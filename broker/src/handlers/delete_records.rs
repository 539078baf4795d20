//! DeleteRecords: move the start of a log forward.

use protocol::ErrorCode;
use protocol::messages::DeleteRecordsRequest;
use protocol::messages::delete_records::*;

use crate::context::Context;
use crate::error::delete_records_code;

/// Stands for the high watermark in a request.
const TO_HIGH_WATERMARK: i64 = -1;

/// Advances each partition's log start offset; answers the new one as the low watermark.
pub(crate) async fn handle(context: Context, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in topic.partitions {
            let result = delete(&context, &topic.name, &wanted).await;
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: wanted.partition_index,
                low_watermark: result.unwrap_or(-1),
                error_code: result.err().unwrap_or(ErrorCode::NONE),
                ..Default::default()
            });
        }
        topics.push(DeleteRecordsTopicResult { name: topic.name, partitions, ..Default::default() });
    }
    DeleteRecordsResponse { topics, ..Default::default() }
}

async fn delete(context: &Context, topic: &str, wanted: &DeleteRecordsPartition) -> Result<i64, ErrorCode> {
    let partition = context.broker.partitions().leader_by_name(topic, wanted.partition_index)?;
    if partition.is_internal() {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    if !partition.allows_delete_records() {
        // Compaction alone never forgets a key; cutting the log would.
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let high_watermark = partition.high_watermark();
    let offset = if wanted.offset == TO_HIGH_WATERMARK { high_watermark } else { wanted.offset };
    if offset < 0 || offset > high_watermark {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    partition.delete_records(offset).await.map_err(|error| delete_records_code(&error))
}

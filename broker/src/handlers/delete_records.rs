//! DeleteRecords: move the start of a log forward.

use std::sync::Arc;

use protocol::ErrorCode;
use protocol::messages::DeleteRecordsRequest;
use protocol::messages::delete_records::*;
use tracing::error;

use crate::clock::wall_ms;
use crate::context::Context;
use crate::disk_work::{self, Writers};
use crate::error::storage_code;

/// Stands for the high watermark in a request.
const TO_HIGH_WATERMARK: i64 = -1;

/// Advances each partition's log start offset; answers the new one as the low watermark.
pub(crate) async fn handle(context: Context, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut moved = false;
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in topic.partitions {
            let result = delete(&context, &topic.name, &wanted).await;
            moved |= result.is_ok();
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: wanted.partition_index,
                low_watermark: result.unwrap_or(-1),
                error_code: result.err().unwrap_or(ErrorCode::NONE),
            });
        }
        topics.push(DeleteRecordsTopicResult { name: topic.name, partitions });
    }
    if moved && !remember(&context).await {
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            (partition.error_code, partition.low_watermark) = (ErrorCode::KAFKA_STORAGE_ERROR, -1);
        }
    }
    DeleteRecordsResponse { topics, ..Default::default() }
}

/// Deleted records must not be back after a crash, so the new starts are on disk before the answer.
async fn remember(context: &Context) -> bool {
    let broker = Arc::clone(&context.broker);
    let written = disk_work::run(Writers::Administrators, move || broker.partitions().checkpoint()).await;
    match written {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            error!(%error, "deleted records may come back after a crash: the checkpoint could not be written");
            false
        }
        Err(_) => false,
    }
}

async fn delete(context: &Context, topic: &str, wanted: &DeleteRecordsPartition) -> Result<i64, ErrorCode> {
    let partition = context.broker.partitions().leader_by_name(topic, wanted.partition_index)?;
    if partition.is_internal() {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    if !partition.log().config().delete {
        // Compaction alone never forgets a key; cutting the log would.
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let high_watermark = partition.high_watermark();
    let offset = if wanted.offset == TO_HIGH_WATERMARK { high_watermark } else { wanted.offset };
    if offset < 0 || offset > high_watermark {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    let at = Arc::clone(&partition);
    let moved =
        disk_work::run(Writers::Administrators, move || at.log().advance_log_start_offset(offset, wall_ms())).await;
    match moved {
        Ok(Ok(start)) => Ok(start),
        Ok(Err(error)) => Err(storage_code(&partition, "delete records", &error)),
        Err(_) => Err(ErrorCode::KAFKA_STORAGE_ERROR),
    }
}

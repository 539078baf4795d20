//! OffsetDelete: a group forgets offsets of topics that it does not read (KIP-496).

use protocol::ErrorCode;
use protocol::messages::OffsetDeleteRequest;
use protocol::messages::offset_delete::*;
use state::group::{GroupRequest, GroupResponse, PartitionsOfTopic};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

/// Deletes; the answer leaves when that is durable.
pub(crate) async fn handle(context: Context, request: OffsetDeleteRequest) -> Later<OffsetDeleteResponse> {
    let image = context.broker.image();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for topic in request.topics {
        let indexes: Vec<i32> = topic.partitions.iter().map(|partition| partition.partition_index).collect();
        match image.topic(&topic.name) {
            Some(found) => {
                known.push(PartitionsOfTopic { name: topic.name, topic_id: found.id, partition_indexes: indexes })
            }
            None => unknown.push(answer(
                topic.name,
                indexes.into_iter().map(|index| (index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)).collect(),
            )),
        }
    }
    let group_id = request.group_id.clone();
    let delete = state::group::OffsetDeleteRequest { group_id: request.group_id, topics: known };
    match coordinator::submit(&context, &group_id, GroupRequest::OffsetDelete(delete)).await {
        Err(error_code) => Later::Now(OffsetDeleteResponse { error_code, ..Default::default() }),
        Ok(receiver) => Later::wait(async move {
            match coordinator::answer(receiver).await {
                Ok(GroupResponse::OffsetDelete(deleted)) if deleted.error.is_none() => {
                    let topics = deleted.topics.into_iter().map(|(name, partitions)| answer(name, partitions));
                    OffsetDeleteResponse { topics: topics.chain(unknown).collect(), ..Default::default() }
                }
                Ok(GroupResponse::OffsetDelete(refused)) => {
                    OffsetDeleteResponse { error_code: refused.error, ..Default::default() }
                }
                Ok(_) => OffsetDeleteResponse { error_code: ErrorCode::UNKNOWN_SERVER_ERROR, ..Default::default() },
                Err(error_code) => OffsetDeleteResponse { error_code, ..Default::default() },
            }
        }),
    }
}

fn answer(name: String, partitions: Vec<(i32, ErrorCode)>) -> OffsetDeleteResponseTopic {
    let partitions = partitions
        .into_iter()
        .map(|(partition_index, error_code)| OffsetDeleteResponsePartition { partition_index, error_code });
    OffsetDeleteResponseTopic { name, partitions: partitions.collect() }
}

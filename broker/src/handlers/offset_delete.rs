//! OffsetDelete: a group forgets offsets of topics that it does not read (KIP-496).

use protocol::ErrorCode;
use protocol::messages::OffsetDeleteRequest;
use protocol::messages::offset_delete::*;
use state::group::{GroupRequest, GroupResponse, PartitionsOfTopic};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

/// The topic, and what became of each partition's offset.
type Deleted = (String, Vec<(i32, ErrorCode)>);

/// Deletes; the answer leaves when that is durable.
pub(crate) async fn handle(context: Context, request: OffsetDeleteRequest) -> Later<OffsetDeleteResponse> {
    let image = context.broker.image();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for topic in request.topics {
        let found = image.topic(&topic.name);
        let count = found.map_or(0, |found| found.partitions.len());
        let (there, missing): (Vec<i32>, Vec<i32>) = topic
            .partitions
            .iter()
            .map(|partition| partition.partition_index)
            .partition(|index| usize::try_from(*index).is_ok_and(|index| index < count));
        if !missing.is_empty() {
            unknown.push((topic.name.clone(), missing));
        }
        if let Some(found) = found {
            known.push(PartitionsOfTopic { name: topic.name, topic_id: found.id, partition_indexes: there });
        }
    }
    let group_id = request.group_id.clone();
    let delete = state::group::OffsetDeleteRequest { group_id: request.group_id, topics: known };
    match coordinator::submit(&context, &group_id, GroupRequest::OffsetDelete(delete)).await {
        Err(error_code) => Later::Now(OffsetDeleteResponse { error_code, ..Default::default() }),
        Ok(receiver) => Later::wait(async move {
            match coordinator::answer(receiver).await {
                Ok(GroupResponse::OffsetDelete(deleted)) if deleted.error.is_none() => {
                    OffsetDeleteResponse { topics: merge(deleted.topics, unknown), ..Default::default() }
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

/// One answer for each topic, of the partitions that are there and of those that are not.
fn merge(deleted: Vec<Deleted>, unknown: Vec<(String, Vec<i32>)>) -> Vec<OffsetDeleteResponseTopic> {
    let mut topics: Vec<_> = deleted.into_iter().map(|(name, partitions)| answer(name, partitions)).collect();
    for (name, indexes) in unknown {
        let refused = indexes.into_iter().map(|index| (index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)).collect();
        let refused = answer(name, refused);
        match topics.iter_mut().find(|topic| topic.name == refused.name) {
            Some(topic) => topic.partitions.extend(refused.partitions),
            None => topics.push(refused),
        }
    }
    topics
}

fn answer(name: String, partitions: Vec<(i32, ErrorCode)>) -> OffsetDeleteResponseTopic {
    let partitions = partitions
        .into_iter()
        .map(|(partition_index, error_code)| OffsetDeleteResponsePartition { partition_index, error_code });
    OffsetDeleteResponseTopic { name, partitions: partitions.collect() }
}

//! OffsetFetch: what a group has committed.

use protocol::{ErrorCode, Uuid};

use super::record::OffsetValue;
use super::registry::{GroupEntry, Registry};
use super::{FetchedGroup, FetchedPartition, FetchedTopic, OffsetFetchGroup, PartitionsOfTopic};

/// Answers for one group. One that does not exist has committed nothing; that is no error.
pub(super) fn fetch(groups: &Registry, request: OffsetFetchGroup, require_stable: bool) -> FetchedGroup {
    let entry = groups.get(&request.group_id);
    if let Some(group) = entry.and_then(|entry| entry.consumer.as_ref())
        && let Err(error) = group.validate_fetch(request.member_id.as_deref(), request.member_epoch)
    {
        return FetchedGroup { group_id: request.group_id, error, topics: Vec::new() };
    }
    let topics = match request.topics {
        Some(topics) => topics.into_iter().map(|topic| fetch_topic(entry, topic, require_stable)).collect(),
        None => entry.map_or_else(Vec::new, |entry| fetch_all(entry, require_stable)),
    };
    FetchedGroup { group_id: request.group_id, error: ErrorCode::NONE, topics }
}

fn fetch_topic(entry: Option<&GroupEntry>, topic: PartitionsOfTopic, require_stable: bool) -> FetchedTopic {
    let partitions = topic.partition_indexes.iter().map(|&partition| {
        let value = entry.and_then(|entry| entry.offsets.get(&topic.name, partition));
        let is_unstable =
            require_stable && entry.is_some_and(|entry| entry.offsets.is_unstable(&topic.name, partition));
        fetched(partition, value, is_unstable)
    });
    FetchedTopic { partitions: partitions.collect(), name: topic.name, topic_id: topic.topic_id }
}

fn fetch_all(entry: &GroupEntry, require_stable: bool) -> Vec<FetchedTopic> {
    let topics = entry.offsets.topics().map(|(name, partitions)| {
        let partitions = partitions.map(|(partition, value)| {
            fetched(partition, Some(value), require_stable && entry.offsets.is_unstable(name, partition))
        });
        FetchedTopic { partitions: partitions.collect(), name: name.clone(), topic_id: Uuid::ZERO }
    });
    topics.collect()
}

fn fetched(partition_index: i32, value: Option<&OffsetValue>, is_unstable: bool) -> FetchedPartition {
    match value.filter(|_| !is_unstable) {
        Some(value) => FetchedPartition {
            partition_index,
            committed_offset: value.offset,
            committed_leader_epoch: value.leader_epoch,
            metadata: value.metadata.clone(),
            error: ErrorCode::NONE,
        },
        None => FetchedPartition {
            partition_index,
            committed_offset: -1,
            committed_leader_epoch: -1,
            metadata: String::new(),
            error: if is_unstable { ErrorCode::UNSTABLE_OFFSET_COMMIT } else { ErrorCode::NONE },
        },
    }
}

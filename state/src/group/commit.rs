//! OffsetCommit, TxnOffsetCommit, OffsetDelete: what becomes a record.

use protocol::{ErrorCode, Uuid};

use super::consumer::CommitRight;
use super::record::{GroupRecord, OffsetKey, OffsetValue};
use super::registry::{GroupEntry, Registry};
use super::turn::Turn;
use super::{
    CommitPartition, CommitTopic, CommitTopicResult, Committer, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetDeleteResponse, TxnOffsetCommitRequest,
};

/// OffsetCommit. A group that does not exist comes into being with the first record, if nobody claims to be a
/// member of it: a "simple" group, whose consumers use the coordinator for offsets only.
pub(super) fn commit(
    groups: &mut Registry,
    request: OffsetCommitRequest,
    turn: &mut Turn<'_>,
) -> Vec<CommitTopicResult> {
    let has_room = groups.has_room_for(&request.group_id, turn.config);
    let entry = groups.get_mut(&request.group_id);
    let checked = match &entry {
        Some(entry) => entry.validate_commit(&request.committer, false, request.knows_group_id_not_found),
        None if request.committer.generation_id >= 0 && request.knows_group_id_not_found => {
            Err(ErrorCode::GROUP_ID_NOT_FOUND)
        }
        None if request.committer.generation_id >= 0 => Err(ErrorCode::ILLEGAL_GENERATION),
        None if !has_room => Err(ErrorCode::POLICY_VIOLATION),
        None => Ok(CommitRight::All),
    };
    if let Err(error) = checked {
        return fail_all(request.topics, error);
    }
    let mut committed = entry.as_ref().map_or(0, |entry| entry.offset_count());
    if let Some(entry) = entry {
        entry.classic.heard_of_committer(&request.committer, turn);
    }
    let retention_ms = request.retention_time_ms.filter(|retention_ms| *retention_ms > 0);
    let expire_timestamp_ms = retention_ms.map(|retention_ms| turn.now.wall_ms.saturating_add(retention_ms));
    let entry = groups.get(&request.group_id);
    let right = entry.map(|entry| entry.validate_commit(&request.committer, false, request.knows_group_id_not_found));
    let right = right.and_then(Result::ok).unwrap_or(CommitRight::All);
    store(request.topics, turn, |topic, partition, turn| {
        right.check(entry.and_then(|entry| entry.topic_id(topic)), partition.partition_index)?;
        let value = value_of(topic, partition, expire_timestamp_ms, turn)?;
        admit(entry, topic, partition, &mut committed, turn)?;
        let key = key_of(&request.group_id, &topic.name, partition.partition_index);
        turn.totals.offset_commits += 1;
        Ok(GroupRecord::OffsetCommit { key, value: Some(value) })
    })
}

/// TxnOffsetCommit. The offsets count once the transaction's commit marker is applied.
pub(super) fn commit_in_transaction(
    groups: &Registry,
    request: TxnOffsetCommitRequest,
    turn: &mut Turn<'_>,
) -> Vec<CommitTopicResult> {
    let entry = groups.get(&request.group_id);
    let checked = match entry {
        _ if request.group_id.is_empty() => Err(ErrorCode::INVALID_GROUP_ID),
        Some(entry) => entry.validate_commit(&request.committer, true, true).map_err(as_transactional),
        None if request.committer.generation_id >= 0 => Err(ErrorCode::ILLEGAL_GENERATION),
        None if !groups.has_room_for(&request.group_id, turn.config) => Err(ErrorCode::POLICY_VIOLATION),
        None => Ok(CommitRight::All),
    };
    let right = match checked {
        Ok(right) => right,
        Err(error) => return fail_all(request.topics, error),
    };
    let (producer_id, producer_epoch) = (request.producer_id, request.producer_epoch);
    let mut committed = entry.map_or(0, GroupEntry::offset_count);
    let mut pending = entry.map_or(0, |entry| entry.offsets.pending_len());
    store(request.topics, turn, |topic, partition, turn| {
        let checked = right.check(entry.and_then(|entry| entry.topic_id(topic)), partition.partition_index);
        checked.map_err(as_transactional)?;
        let value = value_of(topic, partition, None, turn)?;
        // Each transaction has a copy of its own, also of an offset that the group has already.
        let index = partition.partition_index;
        if !entry.is_some_and(|entry| entry.offsets.is_pending_of(producer_id, &topic.name, index)) {
            if pending >= turn.config.max_offsets_per_group {
                return Err(ErrorCode::POLICY_VIOLATION);
            }
            pending += 1;
        }
        admit(entry, topic, partition, &mut committed, turn)?;
        let key = key_of(&request.group_id, &topic.name, partition.partition_index);
        turn.totals.offset_commits += 1;
        Ok(GroupRecord::TxnOffsetCommit { producer_id, producer_epoch, key, value: Some(value) })
    })
}

/// No version of TxnOffsetCommit knows STALE_MEMBER_EPOCH: a producer would give up for good, where it only has to abort.
fn as_transactional(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::STALE_MEMBER_EPOCH => ErrorCode::ILLEGAL_GENERATION,
        error => error,
    }
}

fn fail_all(topics: Vec<CommitTopic>, error: ErrorCode) -> Vec<CommitTopicResult> {
    let fail = |topic: CommitTopic| CommitTopicResult {
        partitions: topic.partitions.iter().map(|partition| (partition.partition_index, error)).collect(),
        name: topic.name,
        topic_id: topic.topic_id,
    };
    topics.into_iter().map(fail).collect()
}

/// Each partition for itself: one that is refused does not keep the others from being committed.
fn store<F>(topics: Vec<CommitTopic>, turn: &mut Turn<'_>, mut record: F) -> Vec<CommitTopicResult>
where
    F: FnMut(&CommitTopic, &CommitPartition, &mut Turn<'_>) -> Result<GroupRecord, ErrorCode>,
{
    let mut results = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let error = match record(&topic, partition, turn) {
                Ok(record) => {
                    turn.log(record);
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            partitions.push((partition.partition_index, error));
        }
        results.push(CommitTopicResult { name: topic.name, topic_id: topic.topic_id, partitions });
    }
    results
}

fn value_of(
    topic: &CommitTopic,
    partition: &CommitPartition,
    expire_timestamp_ms: Option<i64>,
    turn: &Turn<'_>,
) -> Result<OffsetValue, ErrorCode> {
    let metadata = partition.committed_metadata.clone().unwrap_or_default();
    if metadata.len() > turn.config.offset_metadata_max_bytes {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    if topic.name.is_empty() || topic.name.len() > MAX_TOPIC_NAME_BYTES {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    let commit_timestamp_ms = partition.commit_timestamp_ms.filter(|timestamp_ms| *timestamp_ms != -1);
    Ok(OffsetValue {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata,
        commit_timestamp_ms: commit_timestamp_ms.unwrap_or(turn.now.wall_ms),
        expire_timestamp_ms,
    })
}

/// Kafka's limit for a topic's name. Handlers know which topics exist; this only keeps records small.
const MAX_TOPIC_NAME_BYTES: usize = 249;

/// Counts an offset that the group does not have yet against its limit.
fn admit(
    entry: Option<&GroupEntry>,
    topic: &CommitTopic,
    partition: &CommitPartition,
    committed: &mut usize,
    turn: &Turn<'_>,
) -> Result<(), ErrorCode> {
    if !entry.is_some_and(|entry| entry.offsets.contains(&topic.name, partition.partition_index)) {
        if *committed >= turn.config.max_offsets_per_group {
            return Err(ErrorCode::POLICY_VIOLATION);
        }
        *committed += 1;
    }
    Ok(())
}

/// OffsetDelete (KIP-496): forgets offsets of topics that the group does not read any more.
pub(super) fn delete(groups: &Registry, request: OffsetDeleteRequest, turn: &mut Turn<'_>) -> OffsetDeleteResponse {
    let failed = |error| OffsetDeleteResponse { error, topics: Vec::new() };
    if request.group_id.is_empty() {
        return failed(ErrorCode::INVALID_GROUP_ID);
    }
    let Some(entry) = groups.get(&request.group_id) else { return failed(ErrorCode::GROUP_ID_NOT_FOUND) };
    if !entry.is_empty_group() && !entry.is_of_consumers() {
        // Only a consumer's subscription can be read, so nobody knows what the others still need.
        return failed(ErrorCode::NON_EMPTY_GROUP);
    }
    let subscribed = entry.subscribed_topics();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let is_subscribed = entry.is_subscribed(subscribed.as_ref(), &topic.name);
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for partition in topic.partition_indexes {
            if !is_subscribed && entry.offsets.contains(&topic.name, partition) {
                turn.log(tombstone(&request.group_id, &topic.name, partition));
                turn.totals.offset_deletions += 1;
            }
            let error = if is_subscribed { ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC } else { ErrorCode::NONE };
            partitions.push((partition, error));
        }
        topics.push((topic.name, partitions));
    }
    OffsetDeleteResponse { error: ErrorCode::NONE, topics }
}

/// Forgets every group's offsets of topics that no longer exist.
pub(super) fn delete_topics(groups: &Registry, names: &[String], turn: &mut Turn<'_>) {
    for (group_id, entry) in groups.iter() {
        for name in names {
            for partition in entry.offsets.partitions_of(name) {
                turn.log(tombstone(group_id, name, partition));
                turn.totals.offset_deletions += 1;
            }
        }
    }
}

/// DeleteGroups: forgets an empty group and everything it has committed.
pub(super) fn delete_group(groups: &Registry, group_id: &str, turn: &mut Turn<'_>) -> ErrorCode {
    let Some(entry) = groups.get(group_id) else { return ErrorCode::GROUP_ID_NOT_FOUND };
    if !entry.is_empty_group() {
        return ErrorCode::NON_EMPTY_GROUP;
    }
    for (topic, partition) in entry.offsets.partitions() {
        turn.log(tombstone(group_id, topic, partition));
        turn.totals.offset_deletions += 1;
    }
    log_end(group_id, entry, turn);
    ErrorCode::NONE
}

/// The records that make the log forget a group, apart from its offsets.
pub(super) fn log_end(group_id: &str, entry: &GroupEntry, turn: &mut Turn<'_>) {
    if let Some(group) = &entry.consumer {
        group.log_end(turn);
    }
    turn.log(GroupRecord::GroupMetadata { group_id: group_id.to_owned(), value: None });
}

impl GroupEntry {
    /// What may be committed; see the groups of either protocol.
    fn validate_commit(
        &self,
        committer: &Committer,
        is_transactional: bool,
        knows_stale_member_epoch: bool,
    ) -> Result<CommitRight<'_>, ErrorCode> {
        match &self.consumer {
            Some(group) => group.validate_commit(committer, is_transactional, knows_stale_member_epoch),
            None => self.classic.validate_commit(committer, is_transactional).map(|()| CommitRight::All),
        }
    }

    /// The id of the topic that is committed for.
    fn topic_id(&self, topic: &CommitTopic) -> Option<Uuid> {
        let known = || self.consumer.as_ref().and_then(|group| group.topic_id(&topic.name));
        if topic.topic_id.is_zero() { known() } else { Some(topic.topic_id) }
    }
}

/// The record that makes the log forget an offset.
pub(super) fn tombstone(group_id: &str, topic: &str, partition: i32) -> GroupRecord {
    GroupRecord::OffsetCommit { key: key_of(group_id, topic, partition), value: None }
}

fn key_of(group_id: &str, topic: &str, partition: i32) -> OffsetKey {
    OffsetKey { group_id: group_id.to_owned(), topic: topic.to_owned(), partition }
}

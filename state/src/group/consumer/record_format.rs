//! How a consumer group's record stands in `__consumer_offsets`: as Kafka 4.3 writes it.

use bytes::Bytes;
use protocol::Uuid;
use protocol::internal::{
    self, ClassicMemberMetadata, ClassicProtocol, ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, CurrentTopicPartitions, TargetTopicPartition,
};

use super::record::{
    Assignment, ClassicMember, ConsumerGroupEpoch, ConsumerMemberMetadata, ConsumerRecord, CurrentAssignment,
    MemberState, OwnedPartitions, ResolvedPattern,
};
use crate::group::record_format::{UnknownRecord, read};

const EPOCH_KEY: i16 = 3;
const MEMBER_KEY: i16 = 5;
const TARGET_EPOCH_KEY: i16 = 6;
const TARGET_KEY: i16 = 7;
const CURRENT_KEY: i16 = 8;
const PATTERN_KEY: i16 = 16;
const VALUE_VERSION: i16 = 0;

impl ConsumerRecord {
    /// Key and value; no value is a tombstone.
    pub(crate) fn encode(&self, group_id: &str) -> (Bytes, Option<Bytes>) {
        let group_id = group_id.to_owned();
        match self {
            ConsumerRecord::Epoch(value) => {
                let key = ConsumerGroupMetadataKey { group_id };
                (internal::encode(&key, EPOCH_KEY), value.as_ref().map(epoch_value))
            }
            ConsumerRecord::Member { member_id, value } => {
                let key = ConsumerGroupMemberMetadataKey { group_id, member_id: member_id.clone() };
                (internal::encode(&key, MEMBER_KEY), value.as_ref().map(member_value))
            }
            ConsumerRecord::TargetEpoch(value) => {
                let key = ConsumerGroupTargetAssignmentMetadataKey { group_id };
                (internal::encode(&key, TARGET_EPOCH_KEY), value.as_ref().map(target_epoch_value))
            }
            ConsumerRecord::Target { member_id, value } => {
                let key = ConsumerGroupTargetAssignmentMemberKey { group_id, member_id: member_id.clone() };
                (internal::encode(&key, TARGET_KEY), value.as_ref().map(target_value))
            }
            ConsumerRecord::Current { member_id, value } => {
                let key = ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id: member_id.clone() };
                (internal::encode(&key, CURRENT_KEY), value.as_ref().map(current_value))
            }
            ConsumerRecord::Pattern { pattern, value } => {
                let key = ConsumerGroupRegularExpressionKey { group_id, regular_expression: pattern.clone() };
                (internal::encode(&key, PATTERN_KEY), value.as_ref().map(pattern_value))
            }
        }
    }

    /// Reads group, key and value.
    ///
    /// # Errors
    /// [`UnknownRecord`] for other kinds of records, among them the topics that Kafka 4.0 kept with a group: since 4.1
    /// their hash stands with the epoch, and without it the group is assigned anew once.
    pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<(String, ConsumerRecord), UnknownRecord> {
        Ok(match internal::version_of(key) {
            Some(EPOCH_KEY) => {
                let key: ConsumerGroupMetadataKey = read(key)?;
                (key.group_id, ConsumerRecord::Epoch(value.map(read).transpose()?.map(read_epoch)))
            }
            Some(MEMBER_KEY) => {
                let key: ConsumerGroupMemberMetadataKey = read(key)?;
                let value = value.map(read).transpose()?.map(read_member);
                (key.group_id, ConsumerRecord::Member { member_id: key.member_id, value })
            }
            Some(TARGET_EPOCH_KEY) => {
                let key: ConsumerGroupTargetAssignmentMetadataKey = read(key)?;
                let read_epoch = |value: ConsumerGroupTargetAssignmentMetadataValue| {
                    (value.assignment_epoch, value.assignment_timestamp)
                };
                (key.group_id, ConsumerRecord::TargetEpoch(value.map(read).transpose()?.map(read_epoch)))
            }
            Some(TARGET_KEY) => {
                let key: ConsumerGroupTargetAssignmentMemberKey = read(key)?;
                let value = value.map(read).transpose()?.map(read_target);
                (key.group_id, ConsumerRecord::Target { member_id: key.member_id, value })
            }
            Some(CURRENT_KEY) => {
                let key: ConsumerGroupCurrentMemberAssignmentKey = read(key)?;
                let value = value.map(read).transpose()?.map(read_current);
                (key.group_id, ConsumerRecord::Current { member_id: key.member_id, value })
            }
            Some(PATTERN_KEY) => {
                let key: ConsumerGroupRegularExpressionKey = read(key)?;
                let read_pattern = |value: ConsumerGroupRegularExpressionValue| ResolvedPattern {
                    topics: value.topics,
                    timestamp_ms: value.timestamp,
                };
                let value = value.map(read).transpose()?.map(read_pattern);
                (key.group_id, ConsumerRecord::Pattern { pattern: key.regular_expression, value })
            }
            _ => return Err(UnknownRecord),
        })
    }
}

fn epoch_value(value: &ConsumerGroupEpoch) -> Bytes {
    let value = ConsumerGroupMetadataValue { epoch: value.epoch, metadata_hash: value.metadata_hash };
    internal::encode(&value, VALUE_VERSION)
}

fn read_epoch(value: ConsumerGroupMetadataValue) -> ConsumerGroupEpoch {
    ConsumerGroupEpoch { epoch: value.epoch, metadata_hash: value.metadata_hash }
}

fn member_value(value: &ConsumerMemberMetadata) -> Bytes {
    let protocol =
        |(name, metadata): &(String, Bytes)| ClassicProtocol { name: name.clone(), metadata: metadata.clone() };
    let classic = value.classic.as_ref().map(|classic| ClassicMemberMetadata {
        session_timeout_ms: classic.session_timeout_ms,
        supported_protocols: classic.protocols.iter().map(protocol).collect(),
    });
    let value = ConsumerGroupMemberMetadataValue {
        instance_id: value.instance_id.clone(),
        rack_id: value.rack_id.clone(),
        client_id: value.client_id.clone(),
        client_host: value.client_host.clone(),
        subscribed_topic_names: value.subscribed_topic_names.clone(),
        subscribed_topic_regex: value.subscribed_topic_regex.clone(),
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        server_assignor: value.server_assignor.clone(),
        classic_member_metadata: classic,
    };
    internal::encode(&value, VALUE_VERSION)
}

fn read_member(value: ConsumerGroupMemberMetadataValue) -> ConsumerMemberMetadata {
    let classic = value.classic_member_metadata.map(|classic| ClassicMember {
        session_timeout_ms: classic.session_timeout_ms,
        protocols: classic.supported_protocols.into_iter().map(|protocol| (protocol.name, protocol.metadata)).collect(),
    });
    let mut subscribed_topic_names = value.subscribed_topic_names;
    subscribed_topic_names.sort();
    ConsumerMemberMetadata {
        instance_id: value.instance_id,
        rack_id: value.rack_id,
        client_id: value.client_id,
        client_host: value.client_host,
        subscribed_topic_names,
        subscribed_topic_regex: value.subscribed_topic_regex.filter(|pattern| !pattern.is_empty()),
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        server_assignor: value.server_assignor,
        classic,
    }
}

fn target_epoch_value(&(assignment_epoch, assignment_timestamp): &(i32, i64)) -> Bytes {
    let value = ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch, assignment_timestamp };
    internal::encode(&value, VALUE_VERSION)
}

fn target_value(value: &Assignment) -> Bytes {
    let topic = |(topic_id, partitions): (&Uuid, &Vec<i32>)| TargetTopicPartition {
        topic_id: *topic_id,
        partitions: partitions.clone(),
    };
    let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions: value.iter().map(topic).collect() };
    internal::encode(&value, VALUE_VERSION)
}

fn read_target(value: ConsumerGroupTargetAssignmentMemberValue) -> Assignment {
    let mut assignment = Assignment::new();
    for topic in value.topic_partitions.into_iter().filter(|topic| !topic.partitions.is_empty()) {
        let mut partitions = topic.partitions;
        partitions.sort_unstable();
        assignment.insert(topic.topic_id, partitions);
    }
    assignment
}

fn current_value(value: &CurrentAssignment) -> Bytes {
    let value = ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: value.member_epoch,
        previous_member_epoch: value.previous_member_epoch,
        state: match value.state {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
        },
        assigned_partitions: owned_topics(&value.assigned),
        partitions_pending_revocation: owned_topics(&value.pending_revocation),
    };
    internal::encode(&value, VALUE_VERSION)
}

fn owned_topics(owned: &OwnedPartitions) -> Vec<CurrentTopicPartitions> {
    let topic = |(topic_id, partitions): (&Uuid, &std::collections::BTreeMap<i32, i32>)| CurrentTopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
    };
    owned.iter().map(topic).collect()
}

fn read_current(value: ConsumerGroupCurrentMemberAssignmentValue) -> CurrentAssignment {
    let epoch = value.member_epoch;
    CurrentAssignment {
        member_epoch: epoch,
        previous_member_epoch: value.previous_member_epoch,
        state: match value.state {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            // A state of a later release: to be assigned from what it has now is right in every state.
            _ => MemberState::UnreleasedPartitions,
        },
        assigned: read_owned(value.assigned_partitions, epoch),
        pending_revocation: read_owned(value.partitions_pending_revocation, epoch),
    }
}

/// Releases before 4.3 did not note when a partition was assigned: not later than the member came to its epoch.
fn read_owned(topics: Vec<CurrentTopicPartitions>, member_epoch: i32) -> OwnedPartitions {
    let mut owned = OwnedPartitions::new();
    for topic in topics.into_iter().filter(|topic| !topic.partitions.is_empty()) {
        let epochs = topic.assignment_epochs.unwrap_or_default();
        let epochs = epochs.into_iter().chain(std::iter::repeat(member_epoch));
        owned.entry(topic.topic_id).or_default().extend(topic.partitions.into_iter().zip(epochs));
    }
    owned
}

fn pattern_value(value: &ResolvedPattern) -> Bytes {
    let value =
        ConsumerGroupRegularExpressionValue { topics: value.topics.clone(), version: 0, timestamp: value.timestamp_ms };
    internal::encode(&value, VALUE_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::GroupRecord;

    fn assert_reads_as_written(record: ConsumerRecord) {
        let record = GroupRecord::Consumer { group_id: "g".into(), record };
        let (key, value) = record.encode().unwrap();
        assert_eq!(GroupRecord::decode(&key, value.as_deref(), None), Ok(record));
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let topic = Uuid([7; 16]);
        let member_id = || "m".to_owned();
        let metadata = ConsumerMemberMetadata {
            instance_id: Some("i".into()),
            rack_id: Some("r".into()),
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            subscribed_topic_names: vec!["a".into(), "b".into()],
            subscribed_topic_regex: Some("c.*".into()),
            rebalance_timeout_ms: 60_000,
            server_assignor: Some("range".into()),
            classic: Some(ClassicMember {
                session_timeout_ms: 9,
                protocols: vec![("range".into(), Bytes::from_static(b"s"))],
            }),
        };
        let current = CurrentAssignment {
            member_epoch: 5,
            previous_member_epoch: 4,
            state: MemberState::UnrevokedPartitions,
            assigned: [(topic, [(0, 3), (1, 5)].into())].into(),
            pending_revocation: [(topic, [(2, 4)].into())].into(),
        };
        for value in [Some(ConsumerGroupEpoch { epoch: 3, metadata_hash: -9 }), None] {
            assert_reads_as_written(ConsumerRecord::Epoch(value));
        }
        for value in [Some(metadata), None] {
            assert_reads_as_written(ConsumerRecord::Member { member_id: member_id(), value });
        }
        for value in [Some((3, 1_000)), None] {
            assert_reads_as_written(ConsumerRecord::TargetEpoch(value));
        }
        for value in [Some([(topic, vec![0, 1])].into()), None] {
            assert_reads_as_written(ConsumerRecord::Target { member_id: member_id(), value });
        }
        for value in [Some(current), None] {
            assert_reads_as_written(ConsumerRecord::Current { member_id: member_id(), value });
        }
        for value in [Some(ResolvedPattern { topics: vec!["c1".into()], timestamp_ms: 7 }), None] {
            assert_reads_as_written(ConsumerRecord::Pattern { pattern: "c.*".into(), value });
        }
    }

    #[test]
    fn partitions_without_an_epoch_have_that_of_their_member() {
        let topic_id = Uuid([7; 16]);
        let partitions = CurrentTopicPartitions { topic_id, partitions: vec![4], assignment_epochs: None };
        assert_eq!(read_owned(vec![partitions], 9), [(topic_id, [(4, 9)].into())].into());
    }
}

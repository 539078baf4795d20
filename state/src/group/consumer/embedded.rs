//! What members of the classic protocol say and are told: the subscriptions and assignments that consumers put into
//! JoinGroup and SyncGroup, here for once read and written by the coordinator.

use std::collections::BTreeSet;

use bytes::Bytes;
use protocol::Uuid;
use protocol::internal::{self, ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition};

use super::record::{Assignment, ClassicMember, OwnedPartitions};
use super::topics::Topics;
use crate::group::config::MAX_SUBSCRIBED_TOPICS;

/// The protocol type of consumers.
pub(super) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// What a classic member wants.
pub(super) struct Subscription {
    /// Ascending.
    pub(super) topics: Vec<String>,
    pub(super) owned: Vec<TopicPartition>,
    pub(super) rack_id: Option<String>,
}

/// Reads a subscription. `None` if the bytes are something else, or name too many topics.
pub(super) fn read_subscription(metadata: &Bytes) -> Option<Subscription> {
    let read: ConsumerProtocolSubscription = internal::decode_or_newer(metadata.clone()).ok()?;
    let topics: BTreeSet<String> = read.topics.into_iter().collect();
    (topics.len() <= MAX_SUBSCRIBED_TOPICS).then(|| Subscription {
        topics: topics.into_iter().collect(),
        owned: read.owned_partitions,
        rack_id: read.rack_id,
    })
}

/// The same partitions with their topics' ids. Topics that are gone are left out.
pub(super) fn with_ids(owned: &[TopicPartition], topics: &Topics) -> Vec<(Uuid, Vec<i32>)> {
    owned.iter().filter_map(|owned| Some((topics.get(&owned.topic)?.0, owned.partitions.clone()))).collect()
}

/// Reads an assignment, given at this epoch. A member that was never given one has nothing. `None` if the bytes are
/// something else.
pub(super) fn read_assignment(assignment: &Bytes, topics: &Topics, epoch: i32) -> Option<OwnedPartitions> {
    let mut owned = OwnedPartitions::new();
    if assignment.is_empty() {
        return Some(owned);
    }
    let read: ConsumerProtocolAssignment = internal::decode_or_newer(assignment.clone()).ok()?;
    for topic in read.assigned_partitions {
        let Some((id, count)) = topics.get(&topic.topic) else { continue };
        let exists = |partition: &i32| usize::try_from(*partition).is_ok_and(|index| index < count);
        let partitions = topic.partitions.into_iter().filter(exists).map(|partition| (partition, epoch));
        owned.entry(id).or_default().extend(partitions);
    }
    owned.retain(|_, partitions| !partitions.is_empty());
    Some(owned)
}

/// Writes an assignment in the version that the member speaks. Topics that are gone are left out.
pub(super) fn write_assignment(assigned: &Assignment, topics: &Topics, member: &ClassicMember) -> Bytes {
    let named = assigned.iter().filter_map(|(topic, partitions)| {
        let topic = topics.name_of(*topic)?.to_owned();
        Some(TopicPartition { topic, partitions: partitions.clone() })
    });
    let value = ConsumerProtocolAssignment { assigned_partitions: named.collect(), ..Default::default() };
    internal::encode(&value, version_of(member))
}

/// The version of the consumer protocol that a member speaks, or the newest known here if it is newer.
fn version_of(member: &ClassicMember) -> i16 {
    let metadata = member.protocols.first().map(|(_, metadata)| metadata.as_ref()).unwrap_or_default();
    let version = internal::version_of(metadata).unwrap_or(0);
    version.clamp(0, NEWEST_ASSIGNMENT_VERSION)
}

const NEWEST_ASSIGNMENT_VERSION: i16 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(version: i16) -> Bytes {
        let owned = vec![TopicPartition { topic: "b".into(), partitions: vec![1] }];
        let value = ConsumerProtocolSubscription {
            topics: vec!["b".into(), "a".into(), "b".into()],
            owned_partitions: owned,
            rack_id: Some("r".into()),
            ..Default::default()
        };
        internal::encode(&value, version)
    }

    #[test]
    fn a_subscription_is_read_in_every_version() {
        for version in 0..=3 {
            let read = read_subscription(&subscription(version)).unwrap();
            assert_eq!(read.topics, ["a", "b"]);
            assert_eq!(read.owned.len(), usize::from(version >= 1));
            assert_eq!(read.rack_id.is_some(), version >= 3);
        }
        assert!(read_subscription(&Bytes::from_static(b"\0\x01garbage")).is_none());
    }

    #[test]
    fn an_assignment_has_the_version_of_its_member() {
        for version in 0..=3 {
            let member =
                ClassicMember { session_timeout_ms: 1, protocols: vec![("range".into(), subscription(version))] };
            let written = write_assignment(&Assignment::new(), &Topics::default(), &member);
            assert_eq!(internal::version_of(&written), Some(version));
        }
    }

    #[test]
    fn nothing_was_given_where_nothing_is_written() {
        assert_eq!(read_assignment(&Bytes::new(), &Topics::default(), 1), Some(OwnedPartitions::new()));
        assert_eq!(read_assignment(&Bytes::from_static(b"?"), &Topics::default(), 1), None);
    }
}

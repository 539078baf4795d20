//! How a record stands in `__consumer_offsets`: in the versions that Kafka writes, read in every version it ever wrote.

use bytes::Bytes;
use protocol::internal::{self, GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue};

use super::consumer::ConsumerRecord;
use super::record::{GroupMetadata, GroupRecord, MemberMetadata, OffsetKey, OffsetValue};

const OFFSET_KEY_VERSION: i16 = 1;
const OFFSET_VALUE_VERSION: i16 = 3;
/// The last version with an expiry of its own, written only for clients that asked for one (OffsetCommit v2-4).
const OFFSET_VALUE_VERSION_WITH_EXPIRY: i16 = 1;
const GROUP_KEY_VERSION: i16 = 2;
const GROUP_VALUE_VERSION: i16 = 3;

/// A record that this version cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRecord;

impl GroupRecord {
    /// Key and value; no value is a tombstone. `None` for a transaction marker, which is a control batch.
    pub fn encode(&self) -> Option<(Bytes, Option<Bytes>)> {
        match self {
            GroupRecord::OffsetCommit { key, value } | GroupRecord::TxnOffsetCommit { key, value, .. } => {
                Some((offset_key(key), value.as_ref().map(offset_value)))
            }
            GroupRecord::GroupMetadata { group_id, value } => {
                let key = GroupMetadataKey { group: group_id.clone() };
                Some((internal::encode(&key, GROUP_KEY_VERSION), value.as_ref().map(group_value)))
            }
            GroupRecord::Consumer { group_id, record } => Some(record.encode(group_id)),
            GroupRecord::TxnEnd { .. } => None,
        }
    }

    /// Reads key and value; `producer` is the producer id and epoch of the batch if it is transactional.
    ///
    /// # Errors
    /// [`UnknownRecord`] for kinds of other releases (share groups and streams groups) and for broken bytes.
    pub fn decode(
        key: &[u8],
        value: Option<&[u8]>,
        producer: Option<(i64, i16)>,
    ) -> Result<GroupRecord, UnknownRecord> {
        match internal::version_of(key) {
            Some(0 | OFFSET_KEY_VERSION) => {
                let key: OffsetCommitKey = read(key)?;
                let value = value.map(read).transpose()?.map(read_offset);
                let key = OffsetKey { group_id: key.group, topic: key.topic, partition: key.partition };
                Ok(match producer {
                    Some((producer_id, producer_epoch)) => {
                        GroupRecord::TxnOffsetCommit { producer_id, producer_epoch, key, value }
                    }
                    None => GroupRecord::OffsetCommit { key, value },
                })
            }
            Some(GROUP_KEY_VERSION) => {
                let key: GroupMetadataKey = read(key)?;
                let value = value.map(read).transpose()?.map(read_group);
                Ok(GroupRecord::GroupMetadata { group_id: key.group, value })
            }
            _ => {
                let (group_id, record) = ConsumerRecord::decode(key, value)?;
                Ok(GroupRecord::Consumer { group_id, record })
            }
        }
    }
}

pub(super) fn read<V: internal::Versioned>(bytes: &[u8]) -> Result<V, UnknownRecord> {
    internal::decode(Bytes::copy_from_slice(bytes)).map_err(|_| UnknownRecord)
}

fn offset_key(key: &OffsetKey) -> Bytes {
    let key = OffsetCommitKey { group: key.group_id.clone(), topic: key.topic.clone(), partition: key.partition };
    internal::encode(&key, OFFSET_KEY_VERSION)
}

fn offset_value(value: &OffsetValue) -> Bytes {
    let version = match value.expire_timestamp_ms {
        Some(_) => OFFSET_VALUE_VERSION_WITH_EXPIRY,
        None => OFFSET_VALUE_VERSION,
    };
    let value = OffsetCommitValue {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.clone(),
        commit_timestamp: value.commit_timestamp_ms,
        expire_timestamp: value.expire_timestamp_ms.unwrap_or(-1),
        ..OffsetCommitValue::default()
    };
    internal::encode(&value, version)
}

fn read_offset(value: OffsetCommitValue) -> OffsetValue {
    OffsetValue {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata,
        commit_timestamp_ms: value.commit_timestamp,
        expire_timestamp_ms: (value.expire_timestamp != -1).then_some(value.expire_timestamp),
    }
}

fn group_value(value: &GroupMetadata) -> Bytes {
    let member = |member: &MemberMetadata| internal::MemberMetadata {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: member.subscription.clone(),
        assignment: member.assignment.clone(),
    };
    let value = GroupMetadataValue {
        protocol_type: value.protocol_type.clone(),
        generation: value.generation_id,
        protocol: value.protocol.clone(),
        leader: value.leader.clone(),
        current_state_timestamp: value.current_state_timestamp_ms.unwrap_or(-1),
        members: value.members.iter().map(member).collect(),
    };
    internal::encode(&value, GROUP_VALUE_VERSION)
}

fn read_group(value: GroupMetadataValue) -> GroupMetadata {
    let member = |member: internal::MemberMetadata| MemberMetadata {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        // Version 0 knew one time-out only.
        rebalance_timeout_ms: match member.rebalance_timeout {
            -1 => member.session_timeout,
            rebalance_timeout => rebalance_timeout,
        },
        session_timeout_ms: member.session_timeout,
        subscription: member.subscription,
        assignment: member.assignment,
    };
    GroupMetadata {
        protocol_type: value.protocol_type,
        generation_id: value.generation,
        protocol: value.protocol,
        leader: value.leader,
        current_state_timestamp_ms: (value.current_state_timestamp != -1).then_some(value.current_state_timestamp),
        members: value.members.into_iter().map(member).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> OffsetKey {
        OffsetKey { group_id: "g".into(), topic: "t".into(), partition: 3 }
    }

    fn value(expire_timestamp_ms: Option<i64>) -> OffsetValue {
        OffsetValue { offset: 7, leader_epoch: -1, metadata: "m".into(), commit_timestamp_ms: 9, expire_timestamp_ms }
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let member = MemberMetadata {
            member_id: "m-1".into(),
            group_instance_id: Some("i".into()),
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            rebalance_timeout_ms: 60_000,
            session_timeout_ms: 10_000,
            subscription: Bytes::from_static(b"s"),
            assignment: Bytes::from_static(b"a"),
        };
        let group = GroupMetadata {
            protocol_type: "consumer".into(),
            generation_id: 4,
            protocol: Some("range".into()),
            leader: Some("m-1".into()),
            current_state_timestamp_ms: Some(5),
            members: vec![member],
        };
        for record in [
            GroupRecord::OffsetCommit { key: key(), value: Some(value(None)) },
            GroupRecord::OffsetCommit { key: key(), value: Some(value(Some(11))) },
            GroupRecord::OffsetCommit { key: key(), value: None },
            GroupRecord::GroupMetadata { group_id: "g".into(), value: Some(group) },
            GroupRecord::GroupMetadata { group_id: "g".into(), value: None },
        ] {
            let (key, value) = record.encode().unwrap();
            assert_eq!(GroupRecord::decode(&key, value.as_deref(), None), Ok(record));
        }
    }

    #[test]
    fn the_bytes_are_kafkas() {
        let record = GroupRecord::OffsetCommit { key: key(), value: Some(value(None)) };
        let (key, value) = record.encode().unwrap();
        assert_eq!(key[..], *b"\0\x01\0\x01g\0\x01t\0\0\0\x03");
        let expected = b"\0\x03\0\0\0\0\0\0\0\x07\xff\xff\xff\xff\0\x01m\0\0\0\0\0\0\0\x09";
        assert_eq!(value.unwrap()[..], *expected);
    }

    #[test]
    fn a_commit_in_a_transaction_knows_its_producer() {
        let record =
            GroupRecord::TxnOffsetCommit { producer_id: 5, producer_epoch: 1, key: key(), value: Some(value(None)) };
        let (key, value) = record.encode().unwrap();
        assert_eq!(GroupRecord::decode(&key, value.as_deref(), Some((5, 1))), Ok(record));
    }

    #[test]
    fn records_of_other_releases_are_told_apart() {
        assert_eq!(GroupRecord::decode(b"\0\x0b\0\x01g", None, None), Err(UnknownRecord), "a share group");
        assert_eq!(GroupRecord::decode(b"\0", None, None), Err(UnknownRecord));
        assert_eq!(GroupRecord::decode(b"\0\x01\0\x01g", None, None), Err(UnknownRecord), "cut short");
    }
}

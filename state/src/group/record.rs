//! What a group coordinator logs: the records of `__consumer_offsets`, in Kafka's own format.

use bytes::Bytes;

use super::consumer::ConsumerRecord;

/// One record of `__consumer_offsets`.
///
/// Each stands for itself, and only their order matters: a long list of them may be split over several batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRecord {
    /// A committed offset, or (no value) its tombstone.
    OffsetCommit {
        /// Whose offset.
        key: OffsetKey,
        /// The offset.
        value: Option<OffsetValue>,
    },
    /// An offset that counts once the transaction commits. Belongs into a transactional batch of this producer.
    TxnOffsetCommit {
        /// The producer of the batch.
        producer_id: i64,
        /// Its epoch.
        producer_epoch: i16,
        /// Whose offset.
        key: OffsetKey,
        /// The offset, or (no value) its tombstone.
        value: Option<OffsetValue>,
    },
    /// A transaction marker: a control batch, written on WriteTxnMarkers and not by this machine.
    TxnEnd {
        /// The transaction's producer.
        producer_id: i64,
        /// Whether it committed.
        committed: bool,
    },
    /// A group as its latest generation left it, or (no value) its tombstone.
    GroupMetadata {
        /// The group.
        group_id: String,
        /// The group.
        value: Option<GroupMetadata>,
    },
    /// A group of the consumer protocol.
    Consumer {
        /// The group.
        group_id: String,
        /// What about it.
        record: ConsumerRecord,
    },
}

/// Whose offset in which partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetKey {
    /// The group.
    pub group_id: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetValue {
    /// The next offset to consume.
    pub offset: i64,
    /// -1 if unknown.
    pub leader_epoch: i32,
    /// Whatever the client wanted to remember.
    pub metadata: String,
    /// Wall clock.
    pub commit_timestamp_ms: i64,
    /// Wall clock; only when an old client asked for its own retention.
    pub expire_timestamp_ms: Option<i64>,
}

/// A group as its latest generation left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// Empty for a group that never had members.
    pub protocol_type: String,
    /// The generation.
    pub generation_id: i32,
    /// The chosen strategy.
    pub protocol: Option<String>,
    /// The leader's member id.
    pub leader: Option<String>,
    /// Wall clock at the last change of state, `None` in records older than Kafka 2.1.
    pub current_state_timestamp_ms: Option<i64>,
    /// The members. None means the group is empty.
    pub members: Vec<MemberMetadata>,
}

/// A member of a stable group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    /// The member.
    pub member_id: String,
    /// Its static name.
    pub group_instance_id: Option<String>,
    /// The client id it joined with.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// Silence after which it is taken for dead.
    pub session_timeout_ms: i32,
    /// What it said about itself for the chosen strategy.
    pub subscription: Bytes,
    /// What it was given.
    pub assignment: Bytes,
}

/// What the fixed fields of a record and its framing take, at most.
const FIXED_BYTES: usize = 128;

impl GroupRecord {
    /// How large the record gets, at most: to know before it is logged whether the log will take it.
    pub fn size_bytes(&self) -> usize {
        let offset = |key: &OffsetKey, value: &Option<OffsetValue>| {
            key.group_id.len() + key.topic.len() + value.as_ref().map_or(0, |value| value.metadata.len())
        };
        let variable = match self {
            GroupRecord::OffsetCommit { key, value } | GroupRecord::TxnOffsetCommit { key, value, .. } => {
                offset(key, value)
            }
            GroupRecord::TxnEnd { .. } => 0,
            GroupRecord::Consumer { group_id, record } => group_id.len() + record.size_bytes(),
            GroupRecord::GroupMetadata { group_id, value } => {
                group_id.len() + value.as_ref().map_or(0, GroupMetadata::size_bytes)
            }
        };
        variable + FIXED_BYTES
    }

    /// The producer in whose transactional batch the record belongs.
    pub fn producer(&self) -> Option<(i64, i16)> {
        match self {
            GroupRecord::TxnOffsetCommit { producer_id, producer_epoch, .. } => Some((*producer_id, *producer_epoch)),
            GroupRecord::OffsetCommit { .. }
            | GroupRecord::TxnEnd { .. }
            | GroupRecord::GroupMetadata { .. }
            | GroupRecord::Consumer { .. } => None,
        }
    }
}

impl GroupMetadata {
    fn size_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let members = self.members.iter().map(|member| {
            let texts = member.member_id.len() + member.client_id.len() + member.client_host.len();
            texts
                + text(&member.group_instance_id)
                + member.subscription.len()
                + member.assignment.len()
                + MemberMetadata::FIXED_BYTES
        });
        self.protocol_type.len() + text(&self.protocol) + text(&self.leader) + members.sum::<usize>()
    }
}

impl MemberMetadata {
    /// Two timeouts and the lengths of six fields.
    const FIXED_BYTES: usize = 2 * 4 + 4 * 2 + 2 * 4;
}

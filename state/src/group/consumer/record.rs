//! What a consumer group logs.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::Uuid;

/// Partitions by topic, ascending. No topic is empty.
pub type Assignment = BTreeMap<Uuid, Vec<i32>>;

/// Partitions by topic, each with the epoch at which its member got it. No topic is empty.
pub type OwnedPartitions = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// One record about a consumer group; without a value it is the tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerRecord {
    /// The group's epoch. Its tombstone ends the group.
    Epoch(Option<ConsumerGroupEpoch>),
    /// A member: who it is and what it wants to read.
    Member {
        /// The member.
        member_id: String,
        /// The member.
        value: Option<ConsumerMemberMetadata>,
    },
    /// The group epoch for which the target assignment stands, and the wall clock when it was computed.
    TargetEpoch(Option<(i32, i64)>),
    /// What a member shall have in the end.
    Target {
        /// The member.
        member_id: String,
        /// The partitions.
        value: Option<Assignment>,
    },
    /// What a member has now.
    Current {
        /// The member.
        member_id: String,
        /// The partitions.
        value: Option<CurrentAssignment>,
    },
    /// A regular expression that members subscribe to.
    Pattern {
        /// The expression.
        pattern: String,
        /// What it matches.
        value: Option<ResolvedPattern>,
    },
}

/// A group's epoch: it grows whenever the assignment must be computed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerGroupEpoch {
    /// The epoch, 1 at first.
    pub epoch: i32,
    /// Of the topics that members subscribe to.
    pub metadata_hash: i64,
}

/// Who a member is and what it wants to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerMemberMetadata {
    /// Its static name.
    pub instance_id: Option<String>,
    /// Where it stands.
    pub rack_id: Option<String>,
    /// The client id it joined with.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// Topics by name, ascending.
    pub subscribed_topic_names: Vec<String>,
    /// Topics by a regular expression. Never empty.
    pub subscribed_topic_regex: Option<String>,
    /// How long it may take to give partitions back.
    pub rebalance_timeout_ms: i32,
    /// The assignor that it would like.
    pub server_assignor: Option<String>,
    /// Only of a member that speaks the classic protocol.
    pub classic: Option<ClassicMember>,
}

/// What a member that speaks the classic protocol said in JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember {
    /// Silence after which it is taken for dead.
    pub session_timeout_ms: i32,
    /// Its strategies in its order of preference, and what it says about itself for each.
    pub protocols: Vec<(String, Bytes)>,
}

/// Where a member stands on its way to its target assignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It has what it shall have at its epoch.
    #[default]
    Stable,
    /// It has to give partitions back before it moves to the next epoch.
    UnrevokedPartitions,
    /// Others have to give partitions back that it shall have.
    UnreleasedPartitions,
}

/// What a member has now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentAssignment {
    /// 0 before the first assignment; −2 of a static member that is away.
    pub member_epoch: i32,
    /// The epoch before: the answer that told the member its new one may have been lost.
    pub previous_member_epoch: i32,
    /// Where it stands.
    pub state: MemberState,
    /// What it may read.
    pub assigned: OwnedPartitions,
    /// What it was told to give back, and may still read.
    pub pending_revocation: OwnedPartitions,
}

/// The topics that a regular expression matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedPattern {
    /// Ascending.
    pub topics: Vec<String>,
    /// Wall clock when it was resolved.
    pub timestamp_ms: i64,
}

impl ConsumerRecord {
    /// Whether it says that something is gone.
    pub(crate) fn is_tombstone(&self) -> bool {
        match self {
            ConsumerRecord::Epoch(value) => value.is_none(),
            ConsumerRecord::Member { value, .. } => value.is_none(),
            ConsumerRecord::TargetEpoch(value) => value.is_none(),
            ConsumerRecord::Target { value, .. } => value.is_none(),
            ConsumerRecord::Current { value, .. } => value.is_none(),
            ConsumerRecord::Pattern { value, .. } => value.is_none(),
        }
    }

    /// How large the record gets, at most, apart from the group's id and fixed fields.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            ConsumerRecord::Epoch(_) | ConsumerRecord::TargetEpoch(_) => 0,
            ConsumerRecord::Member { member_id, value } => {
                member_id.len() + value.as_ref().map_or(0, ConsumerMemberMetadata::size_bytes)
            }
            ConsumerRecord::Target { member_id, value } => {
                let partitions = value.iter().flatten().map(|(_, partitions)| TOPIC_BYTES + partitions.len() * 4);
                member_id.len() + partitions.sum::<usize>()
            }
            ConsumerRecord::Current { member_id, value } => {
                let owned =
                    value.iter().flat_map(|value| value.assigned.values().chain(value.pending_revocation.values()));
                member_id.len() + owned.map(|partitions| TOPIC_BYTES + partitions.len() * 8).sum::<usize>()
            }
            ConsumerRecord::Pattern { pattern, value } => {
                let topics = value.iter().flat_map(|value| &value.topics);
                pattern.len() + topics.map(|topic| topic.len() + LENGTH_BYTES).sum::<usize>()
            }
        }
    }
}

/// A topic's id and the lengths of its arrays.
const TOPIC_BYTES: usize = 16 + 2 * LENGTH_BYTES;

/// The length of a text or an array, at most.
const LENGTH_BYTES: usize = 5;

impl ConsumerMemberMetadata {
    fn size_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let names = self.subscribed_topic_names.iter().map(|name| name.len() + LENGTH_BYTES);
        let protocols = self.classic.iter().flat_map(|classic| &classic.protocols);
        text(&self.instance_id)
            + text(&self.rack_id)
            + self.client_id.len()
            + self.client_host.len()
            + names.sum::<usize>()
            + text(&self.subscribed_topic_regex)
            + text(&self.server_assignor)
            + protocols.map(|(name, metadata)| name.len() + metadata.len() + 2 * LENGTH_BYTES).sum::<usize>()
    }
}

//! What a group coordinator is asked, independent of wire versions.
//!
//! A handler translates a request of any version into these; where a version changes behaviour, and not only
//! layout, a field says so.

use bytes::Bytes;
use protocol::Uuid;

use super::consumer::Topics;

/// One request to the coordinator of a partition of `__consumer_offsets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRequest {
    /// JoinGroup. Parked until the rebalance completes.
    Join(JoinRequest),
    /// SyncGroup. Followers are parked until the leader's arrives.
    Sync(SyncRequest),
    /// Heartbeat. Answered at once.
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup.
    Leave(LeaveRequest),
    /// OffsetCommit.
    OffsetCommit(OffsetCommitRequest),
    /// TxnOffsetCommit.
    TxnOffsetCommit(TxnOffsetCommitRequest),
    /// OffsetFetch.
    OffsetFetch(OffsetFetchRequest),
    /// OffsetDelete.
    OffsetDelete(OffsetDeleteRequest),
    /// ConsumerGroupHeartbeat. Answered at once.
    ConsumerHeartbeat(Box<ConsumerHeartbeatRequest>),
    /// ConsumerGroupDescribe: the group ids.
    ConsumerDescribe(Vec<String>),
    /// DescribeGroups: the group ids.
    Describe(Vec<String>),
    /// ListGroups.
    List(ListRequest),
    /// DeleteGroups: the group ids.
    DeleteGroups(Vec<String>),
    /// What was done since loading.
    Totals,
    /// Topics that no longer exist: every offset committed for them is forgotten.
    TopicsDeleted(Vec<String>),
}

/// JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The group.
    pub group_id: String,
    /// Empty for a member that has no id yet.
    pub member_id: String,
    /// The id to give to a member that has none: `<client id>-<uuid>`, or `<instance id>-<uuid>` for a static
    /// member. Drawn by the caller for every request, because nothing here draws random numbers.
    pub fresh_member_id: String,
    /// Names a static member (KIP-345, version 5 and up).
    pub group_instance_id: Option<String>,
    /// The client id of the request header, empty if it had none.
    pub client_id: String,
    /// Where the client connects from, as Kafka prints it: `/192.0.2.1`.
    pub client_host: String,
    /// Silence after which the member is taken for dead.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for this member. Version 0 has none: pass the session timeout.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, `sr` and so on.
    pub protocol_type: String,
    /// Assignment strategies and what each needs to know about the member, in order of preference.
    pub protocols: Vec<(String, Bytes)>,
    /// Whether a new member must come back with the id it is given (KIP-394): version 4 and up.
    pub require_known_member_id: bool,
    /// Whether a leader may be told not to assign (KIP-814): version 9 and up.
    pub supports_skipping_assignment: bool,
    /// Why the client joins (KIP-800), for people who read logs.
    pub reason: Option<String>,
    /// The topics there are, for a group of the consumer protocol.
    pub topics: Topics,
}

/// SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// The group.
    pub group_id: String,
    /// The generation that the member joined.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Its static name, if it has one.
    pub group_instance_id: Option<String>,
    /// What the member thinks the group's protocol type is (version 5 and up); `None` is not checked.
    pub protocol_type: Option<String>,
    /// The same for the chosen strategy.
    pub protocol_name: Option<String>,
    /// From the leader: member id and what it gets. Empty from followers.
    pub assignments: Vec<(String, Bytes)>,
    /// The topics there are, for a group of the consumer protocol.
    pub topics: Topics,
}

/// Heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: String,
    /// The generation that the member is in.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Its static name, if it has one.
    pub group_instance_id: Option<String>,
}

/// LeaveGroup. Versions 0 to 2 name one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveRequest {
    /// The group.
    pub group_id: String,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// One member that leaves, or is removed by an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    /// Empty when an administrator removes a static member by its instance id alone.
    pub member_id: String,
    /// The static name.
    pub group_instance_id: Option<String>,
    /// Why (KIP-800), for people who read logs.
    pub reason: Option<String>,
}

/// ConsumerGroupHeartbeat (KIP-848). The handler has checked what can be said without looking at the group. What is
/// `None` has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeatRequest {
    /// The group.
    pub group_id: String,
    /// Empty only in version 0, of a member that has no id yet.
    pub member_id: String,
    /// The id to give to a member that has none, drawn by the caller.
    pub fresh_member_id: String,
    /// 0 joins, −1 leaves, −2 leaves for now as a static member.
    pub member_epoch: i32,
    /// Names a static member.
    pub instance_id: Option<String>,
    /// Where the member stands.
    pub rack_id: Option<String>,
    /// How long it may take to give partitions back.
    pub rebalance_timeout_ms: Option<i32>,
    /// Topics by name.
    pub subscribed_topic_names: Option<Vec<String>>,
    /// Topics by a regular expression (version 1 and up); empty for none.
    pub subscribed_topic_regex: Option<String>,
    /// The assignor that it would like; one of those that are configured.
    pub server_assignor: Option<String>,
    /// What it reads.
    pub owned_partitions: Option<Vec<(Uuid, Vec<i32>)>>,
    /// The client id of the request header, empty if it had none.
    pub client_id: String,
    /// Where the client connects from, as Kafka prints it: `/192.0.2.1`.
    pub client_host: String,
    /// The topics there are.
    pub topics: Topics,
}

/// Who commits: a member in a generation, or (generation -1, no member) somebody outside the group protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committer {
    /// Or the member's epoch; -1 when the group protocol is not used.
    pub generation_id: i32,
    /// Empty when the group protocol is not used.
    pub member_id: String,
    /// The static name.
    pub group_instance_id: Option<String>,
}

/// OffsetCommit. The handler has checked topics, partitions and authorization before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitRequest {
    /// The group. May be empty, as ancient clients have it.
    pub group_id: String,
    /// Who commits.
    pub committer: Committer,
    /// How long to keep the offsets (versions 2 to 4). `None`, 0 and below mean the coordinator's own retention.
    pub retention_time_ms: Option<i64>,
    /// Whether the client understands GROUP_ID_NOT_FOUND for a group that does not exist (version 9 and up);
    /// older ones get ILLEGAL_GENERATION. It understands STALE_MEMBER_EPOCH then, too.
    pub knows_group_id_not_found: bool,
    /// What is committed.
    pub topics: Vec<CommitTopic>,
}

/// TxnOffsetCommit (KIP-98, KIP-447): offsets that count once the transaction commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnOffsetCommitRequest {
    /// The group.
    pub group_id: String,
    /// The transaction's producer.
    pub producer_id: i64,
    /// The epoch of the producer; the log checks it on append.
    pub producer_epoch: i16,
    /// Who commits. Versions 0 to 2 have no member: generation -1 and an empty id.
    pub committer: Committer,
    /// What is committed.
    pub topics: Vec<CommitTopic>,
}

/// The partitions of one topic in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTopic {
    /// The topic's name, which is what gets stored.
    pub name: String,
    /// The topic's id, handed back in the response; zero when the version has none.
    pub topic_id: Uuid,
    /// The partitions.
    pub partitions: Vec<CommitPartition>,
}

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPartition {
    /// The partition.
    pub partition_index: i32,
    /// The next offset to consume.
    pub committed_offset: i64,
    /// The leader epoch of the last consumed record, -1 if unknown.
    pub committed_leader_epoch: i32,
    /// Version 1 lets the client date its commit. `None` and -1 mean now.
    pub commit_timestamp_ms: Option<i64>,
    /// Whatever the client wants to remember.
    pub committed_metadata: Option<String>,
}

/// OffsetFetch, for one or (version 8 and up) several groups of this coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetFetchRequest {
    /// The groups.
    pub groups: Vec<OffsetFetchGroup>,
    /// Whether an offset that an open transaction may change is answered with UNSTABLE_OFFSET_COMMIT (version 7).
    pub require_stable: bool,
}

/// What is asked about one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetFetchGroup {
    /// The group.
    pub group_id: String,
    /// The member that asks (version 9 and up); `None` for an administrator.
    pub member_id: Option<String>,
    /// Its epoch, -1 if the group protocol is not used.
    pub member_epoch: i32,
    /// `None` asks for everything the group has committed.
    pub topics: Option<Vec<PartitionsOfTopic>>,
}

/// Partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionsOfTopic {
    /// The topic's name.
    pub name: String,
    /// The topic's id, handed back in the response; zero when the version has none.
    pub topic_id: Uuid,
    /// The partitions.
    pub partition_indexes: Vec<i32>,
}

/// OffsetDelete (KIP-496).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetDeleteRequest {
    /// The group.
    pub group_id: String,
    /// What to forget.
    pub topics: Vec<PartitionsOfTopic>,
}

/// ListGroups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// State names in any case (KIP-518); empty means all.
    pub states_filter: Vec<String>,
    /// Type names in any case (KIP-848); empty means all.
    pub types_filter: Vec<String>,
}

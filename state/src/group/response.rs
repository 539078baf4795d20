//! What a group coordinator answers, independent of wire versions.

use bytes::Bytes;
use protocol::{ErrorCode, Uuid};

use super::classic::ClassicGroupState;
use super::consumer::{Assignment, Assignor, ConsumerGroupState, ConsumerMemberMetadata};

/// The answer to the request of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupResponse {
    /// JoinGroup.
    Join(JoinResponse),
    /// SyncGroup.
    Sync(SyncResponse),
    /// Heartbeat.
    Heartbeat(ErrorCode),
    /// LeaveGroup.
    Leave(LeaveResponse),
    /// OffsetCommit.
    OffsetCommit(Vec<CommitTopicResult>),
    /// TxnOffsetCommit.
    TxnOffsetCommit(Vec<CommitTopicResult>),
    /// OffsetFetch: one entry for each group asked for, in their order.
    OffsetFetch(Vec<FetchedGroup>),
    /// OffsetDelete.
    OffsetDelete(OffsetDeleteResponse),
    /// ConsumerGroupHeartbeat.
    ConsumerHeartbeat(ConsumerHeartbeatResponse),
    /// ConsumerGroupDescribe: one entry for each group asked for, in their order. `None` for one that is not there, or
    /// not of the consumer protocol.
    ConsumerDescribe(Vec<Option<DescribedConsumerGroup>>),
    /// DescribeGroups: one entry for each group asked for, in their order.
    Describe(Vec<DescribedGroup>),
    /// ListGroups.
    List(Vec<ListedGroup>),
    /// DeleteGroups: one entry for each group asked for, in their order.
    DeleteGroups(Vec<(String, ErrorCode)>),
    /// What was done since loading.
    Totals(GroupTotals),
    /// The offsets of deleted topics are gone.
    TopicsDeleted,
}

/// JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinResponse {
    /// NONE, or why the member is not in.
    pub error: ErrorCode,
    /// -1 on errors.
    pub generation_id: i32,
    /// On success, the group's protocol type.
    pub protocol_type: Option<String>,
    /// On success, the chosen strategy. (Versions below 7 cannot say null: send an empty string.)
    pub protocol_name: Option<String>,
    /// The leader's member id, empty on errors.
    pub leader: String,
    /// Whether the leader keeps the assignment as it is (version 9 and up).
    pub skip_assignment: bool,
    /// The member's id: its own, or with MEMBER_ID_REQUIRED the one to come back with.
    pub member_id: String,
    /// Everybody, for the leader; nobody, for followers.
    pub members: Vec<JoinedMember>,
}

/// What the leader learns about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// The member.
    pub member_id: String,
    /// Its static name.
    pub group_instance_id: Option<String>,
    /// What it said about itself for the chosen strategy.
    pub metadata: Bytes,
}

/// SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncResponse {
    /// NONE, or why there is no assignment.
    pub error: ErrorCode,
    /// On success, the group's protocol type.
    pub protocol_type: Option<String>,
    /// On success, the chosen strategy.
    pub protocol_name: Option<String>,
    /// What the leader gave to this member; empty on errors.
    pub assignment: Bytes,
}

/// LeaveGroup. Versions 0 to 2 have no members: send the error of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveResponse {
    /// An error of the request as a whole.
    pub error: ErrorCode,
    /// One entry for each member named, in their order.
    pub members: Vec<LeftMember>,
}

/// How one member's leaving went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    /// As in the request.
    pub member_id: String,
    /// As in the request.
    pub group_instance_id: Option<String>,
    /// NONE, or why it did not leave.
    pub error: ErrorCode,
}

/// How the commits for one topic went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTopicResult {
    /// As in the request.
    pub name: String,
    /// As in the request.
    pub topic_id: Uuid,
    /// Partition and result.
    pub partitions: Vec<(i32, ErrorCode)>,
}

/// What one group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedGroup {
    /// As in the request.
    pub group_id: String,
    /// An error of the group as a whole.
    pub error: ErrorCode,
    /// Every partition asked for, or everything there is.
    pub topics: Vec<FetchedTopic>,
}

/// What a group has committed for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// The topic's name.
    pub name: String,
    /// As in the request; zero when everything was asked for, so that the handler fills it in.
    pub topic_id: Uuid,
    /// The partitions.
    pub partitions: Vec<FetchedPartition>,
}

/// One committed offset, or its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// The partition.
    pub partition_index: i32,
    /// -1 if nothing is committed.
    pub committed_offset: i64,
    /// -1 if unknown.
    pub committed_leader_epoch: i32,
    /// Empty if nothing is committed.
    pub metadata: String,
    /// NONE also when nothing is committed.
    pub error: ErrorCode,
}

impl FetchedPartition {
    /// Nothing is committed, or it cannot be told.
    pub fn missing(partition_index: i32, error: ErrorCode) -> FetchedPartition {
        FetchedPartition {
            partition_index,
            committed_offset: -1,
            committed_leader_epoch: -1,
            metadata: String::new(),
            error,
        }
    }
}

/// OffsetDelete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetDeleteResponse {
    /// An error of the request as a whole.
    pub error: ErrorCode,
    /// Topic, and for each partition how it went.
    pub topics: Vec<(String, Vec<(i32, ErrorCode)>)>,
}

/// ConsumerGroupHeartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeatResponse {
    /// NONE, or why it was refused.
    pub error: ErrorCode,
    /// The same for people.
    pub error_message: Option<String>,
    /// The member's id.
    pub member_id: Option<String>,
    /// The epoch that it is at now.
    pub member_epoch: i32,
    /// When to be heard of again. Sooner than configured while the member waits for partitions.
    pub heartbeat_interval_ms: i32,
    /// What it may read; `None` if it knows.
    pub assignment: Option<Assignment>,
}

/// ConsumerGroupDescribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    /// The group.
    pub group_id: String,
    /// Where it stands.
    pub state: ConsumerGroupState,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch that the target assignment is for.
    pub assignment_epoch: i32,
    /// Who made it.
    pub assignor: Assignor,
    /// The members.
    pub members: Vec<DescribedConsumer>,
}

/// A member of a consumer group, as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumer {
    /// The member.
    pub member_id: String,
    /// The epoch it is at.
    pub member_epoch: i32,
    /// Who it is and what it wants to read.
    pub metadata: ConsumerMemberMetadata,
    /// What it may read.
    pub assignment: Assignment,
    /// What it shall have in the end.
    pub target_assignment: Assignment,
}

/// DescribeGroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// The group.
    pub group_id: String,
    /// `Dead` exactly when there is no such group of the classic protocol. (Version 6 also says GROUP_ID_NOT_FOUND then.)
    pub state: ClassicGroupState,
    /// Empty if none.
    pub protocol_type: String,
    /// The chosen strategy, only in state `Stable`.
    pub protocol_data: String,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// A member, as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// The member.
    pub member_id: String,
    /// Its static name.
    pub group_instance_id: Option<String>,
    /// The client id it joined with.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// What it said about itself, only in state `Stable`.
    pub metadata: Bytes,
    /// What it was given.
    pub assignment: Bytes,
}

/// One line of ListGroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: String,
    /// Empty if none.
    pub protocol_type: String,
    /// The name of its state.
    pub state: &'static str,
    /// `classic` or `consumer`, as Kafka writes a group type.
    pub group_type: &'static str,
}

/// How much a coordinator holds, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCounts {
    /// All groups (`NumGroups`).
    pub groups: usize,
    /// Groups in state Empty.
    pub groups_empty: usize,
    /// Groups in state PreparingRebalance.
    pub groups_preparing_rebalance: usize,
    /// Groups in state CompletingRebalance.
    pub groups_completing_rebalance: usize,
    /// Groups in state Stable.
    pub groups_stable: usize,
    /// Groups of the consumer protocol, in whichever state; they are among all groups.
    pub consumer_groups: usize,
    /// Groups of the consumer protocol without members.
    pub consumer_groups_empty: usize,
    /// Groups of the consumer protocol whose target assignment is out of date.
    pub consumer_groups_assigning: usize,
    /// Groups of the consumer protocol with members on their way.
    pub consumer_groups_reconciling: usize,
    /// Groups of the consumer protocol where everybody has what they shall have.
    pub consumer_groups_stable: usize,
    /// Members of all groups.
    pub members: usize,
    /// Member ids handed out and not yet used.
    pub pending_members: usize,
    /// Requests parked in JoinGroup or SyncGroup.
    pub parked_requests: usize,
    /// Committed offsets (`NumOffsets`).
    pub offsets: usize,
    /// Offsets of open transactions.
    pub pending_transactional_offsets: usize,
}

/// What a coordinator has done since it was loaded, for metrics. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupTotals {
    /// Offsets committed.
    pub offset_commits: u64,
    /// Offsets that outlived their retention.
    pub offset_expirations: u64,
    /// Offsets deleted by request, with their group or with their topic.
    pub offset_deletions: u64,
    /// Rebalances that ended with an assignment.
    pub completed_rebalances: u64,
    /// Times that a consumer group's epoch was raised (`consumer-group-rebalance-count`).
    pub consumer_rebalances: u64,
    /// Members removed because they were silent or late.
    pub expired_members: u64,
}

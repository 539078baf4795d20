//! What an operator may set, and the limits that keep a coordinator's memory bounded.

use super::consumer::Assignor;

/// Settings of one group coordinator; the fields carry Kafka's config keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`: a JoinGroup that asks for less is refused.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`: a JoinGroup that asks for more is refused.
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members after its first.
    pub initial_rebalance_delay_ms: i32,
    /// How long a member that never heard its id may stay parked in JoinGroup; Kafka fixes it at five minutes.
    pub new_member_join_timeout_ms: i32,
    /// `group.max.size`: members of one group.
    pub max_size: usize,
    /// `group.consumer.session.timeout.ms`: silence after which a member of a consumer group is taken for dead.
    pub consumer_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`: how often a member of a consumer group is to be heard of.
    pub consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.max.size`: members of one consumer group.
    pub consumer_max_size: usize,
    /// `group.consumer.assignors`: which a member may wish for; the first is taken where nobody has a wish.
    pub consumer_assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`: which way a group with members may go from one protocol to the other.
    pub consumer_migration_policy: MigrationPolicy,
    /// `offset.metadata.max.bytes`: the metadata string of one committed offset.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`: pause between two searches for expired offsets.
    pub offsets_retention_check_interval_ms: u64,
    /// Groups in this coordinator. One more is refused with POLICY_VIOLATION.
    pub max_groups: usize,
    /// Member ids handed out and not yet used, in one group. One more is refused with GROUP_MAX_SIZE_REACHED.
    pub max_pending_members: usize,
    /// Offsets of one group, committed or pending in a transaction; and pending ones of all its transactions, each for
    /// itself. One more is refused with POLICY_VIOLATION.
    pub max_offsets_per_group: usize,
    /// Members and pending members of all groups together. One more is refused with GROUP_MAX_SIZE_REACHED.
    pub max_members: usize,
    /// Bytes of one record: what `max.message.bytes` of `__consumer_offsets` lets through. A JoinGroup with more
    /// metadata is refused; so is an assignment that makes the record of the group larger.
    pub max_record_bytes: usize,
}

/// Which way a group that has members may go from one protocol to the other (KIP-848). An empty one may go either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Both ways.
    #[default]
    Bidirectional,
    /// A classic group becomes one of consumers when a member of the consumer protocol joins.
    Upgrade,
    /// A group of consumers becomes classic when its last member of the consumer protocol goes.
    Downgrade,
    /// Neither.
    Disabled,
}

impl MigrationPolicy {
    /// The policy of that name, in any case.
    pub fn from_name(name: &str) -> Option<MigrationPolicy> {
        let all = [
            ("bidirectional", MigrationPolicy::Bidirectional),
            ("upgrade", MigrationPolicy::Upgrade),
            ("downgrade", MigrationPolicy::Downgrade),
            ("disabled", MigrationPolicy::Disabled),
        ];
        all.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, policy)| policy)
    }

    pub(crate) fn upgrades(self) -> bool {
        matches!(self, MigrationPolicy::Bidirectional | MigrationPolicy::Upgrade)
    }

    pub(crate) fn downgrades(self) -> bool {
        matches!(self, MigrationPolicy::Bidirectional | MigrationPolicy::Downgrade)
    }
}

impl GroupConfig {
    /// The assignor of a group whose members have no wish.
    pub(crate) fn default_assignor(&self) -> Assignor {
        self.consumer_assignors.first().copied().unwrap_or(Assignor::Uniform)
    }
}

impl Default for GroupConfig {
    /// Kafka's defaults, and limits that a 64 MB process survives.
    fn default() -> Self {
        GroupConfig {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            new_member_join_timeout_ms: 5 * 60 * 1000,
            max_size: i32::MAX as usize,
            consumer_session_timeout_ms: 45_000,
            consumer_heartbeat_interval_ms: 5_000,
            consumer_max_size: i32::MAX as usize,
            consumer_assignors: Assignor::ALL.to_vec(),
            consumer_migration_policy: MigrationPolicy::default(),
            offset_metadata_max_bytes: 4096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_interval_ms: 600_000,
            max_groups: 10_000,
            max_pending_members: 1_000,
            max_offsets_per_group: 100_000,
            max_members: 20_000,
            max_record_bytes: 1_000_000,
        }
    }
}

/// Groups looked at in one step of the search for expired offsets, so that no step stalls the requests behind it.
pub(crate) const SWEEP_GROUPS_PER_STEP: usize = 256;

/// Tombstones after which a step of that search stops: its records must fit into one batch.
pub(crate) const SWEEP_TOMBSTONES_PER_STEP: usize = 1_000;

/// Topics read out of one member's subscription. A longer one counts as unreadable, which keeps its offsets.
pub(crate) const MAX_SUBSCRIBED_TOPICS: usize = 100_000;

//! A consumer group: its members, its epochs, and who has which partition.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use protocol::Uuid;

use super::record::{
    Assignment, ConsumerGroupEpoch, ConsumerMemberMetadata, ConsumerRecord, CurrentAssignment, MemberState,
    OwnedPartitions, ResolvedPattern,
};
use super::topics::Topics;
use crate::group::turn::Turn;
use crate::group::{GroupConfig, GroupRecord};

/// Where a consumer group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConsumerGroupState {
    /// No members; there may be offsets.
    Empty,
    /// The target assignment is older than the group's epoch.
    Assigning,
    /// Members are on their way to the target assignment.
    Reconciling,
    /// Everybody has what they shall have.
    Stable,
}

impl ConsumerGroupState {
    /// The name that Kafka gives it on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ConsumerGroupState::Empty => "Empty",
            ConsumerGroupState::Assigning => "Assigning",
            ConsumerGroupState::Reconciling => "Reconciling",
            ConsumerGroupState::Stable => "Stable",
        }
    }
}

impl fmt::Display for ConsumerGroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A member as the log has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) metadata: ConsumerMemberMetadata,
    pub(crate) target: Assignment,
    pub(crate) current: CurrentAssignment,
}

/// A member's deadlines. Kept apart from [`Member`], which comes into being only when its record is applied.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers {
    /// When the member is taken for dead.
    pub(super) session_deadline_ms: Option<u64>,
    /// When it must have given back what it was told to.
    pub(super) revocation_deadline_ms: Option<u64>,
    /// Since when it waits for others to give partitions back.
    pub(super) waiting_since_ms: Option<u64>,
    /// When a classic member that was told to join again must have done so.
    pub(super) join_deadline_ms: Option<u64>,
    /// When a classic member that joined must have asked for its assignment.
    pub(super) sync_deadline_ms: Option<u64>,
}

impl Timers {
    /// Whatever passes first ends the membership.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = u64> + use<> {
        let Timers { session_deadline_ms, revocation_deadline_ms, join_deadline_ms, sync_deadline_ms, .. } = *self;
        [session_deadline_ms, revocation_deadline_ms, join_deadline_ms, sync_deadline_ms].into_iter().flatten()
    }
}

/// A group of the consumer protocol.
pub(crate) struct ConsumerGroup {
    pub(super) id: Arc<str>,
    pub(super) epoch: i32,
    pub(super) metadata_hash: i64,
    /// The group epoch that the targets of all members are for.
    pub(super) assignment_epoch: i32,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Instance id to member id.
    pub(super) static_members: BTreeMap<String, Arc<str>>,
    /// Who has each partition, be it to read or to give back.
    pub(super) owners: BTreeMap<(Uuid, i32), Arc<str>>,
    pub(super) patterns: BTreeMap<String, ResolvedPattern>,
    /// The topics that the hash and the patterns were last compared with. Soft.
    pub(super) seen_topics: Option<Topics>,
    /// The topics that a request brought last, for the names of what classic members are given. Soft.
    pub(super) latest_topics: Topics,
    /// Soft. Every member has an entry once it was heard of or loaded.
    pub(super) timers: BTreeMap<Arc<str>, Timers>,
    /// No deadline of this group is earlier. It may be too early, because a heartbeat does not move it.
    wake_ms: Option<u64>,
}

impl ConsumerGroup {
    pub(crate) fn new(id: Arc<str>) -> ConsumerGroup {
        ConsumerGroup {
            id,
            epoch: 0,
            metadata_hash: 0,
            assignment_epoch: 0,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            owners: BTreeMap::new(),
            patterns: BTreeMap::new(),
            seen_topics: None,
            latest_topics: Topics::default(),
            timers: BTreeMap::new(),
            wake_ms: None,
        }
    }

    /// Where the group stands. Looks at every member.
    pub(crate) fn state(&self) -> ConsumerGroupState {
        let is_there = |member: &Member| {
            member.current.state == MemberState::Stable && member.current.member_epoch == self.assignment_epoch
        };
        if self.members.is_empty() {
            ConsumerGroupState::Empty
        } else if self.epoch > self.assignment_epoch {
            ConsumerGroupState::Assigning
        } else if self.members.values().all(is_there) {
            ConsumerGroupState::Stable
        } else {
            ConsumerGroupState::Reconciling
        }
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(crate) fn assignment_epoch(&self) -> i32 {
        self.assignment_epoch
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&Arc<str>, &Member)> {
        self.members.iter()
    }

    pub(crate) fn member(&self, member_id: &str) -> Option<&Member> {
        self.members.get(member_id)
    }

    pub(crate) fn member_count(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether neither the log nor a turn that is about to be logged knows of it.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.epoch == 0 && self.members.is_empty() && self.timers.is_empty()
    }

    /// The id of a topic, as of the last heartbeat.
    pub(crate) fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.seen_topics.as_ref()?.get(name).map(|(id, _)| id)
    }

    /// Every topic that a member subscribes to, by name or by a pattern.
    pub(crate) fn subscribed_topics(&self) -> BTreeSet<String> {
        let by_name = self.members.values().flat_map(|member| &member.metadata.subscribed_topic_names);
        by_name.chain(self.patterns.values().flat_map(|pattern| &pattern.topics)).cloned().collect()
    }

    pub(super) fn record(&self, record: ConsumerRecord) -> GroupRecord {
        GroupRecord::Consumer { group_id: self.id.to_string(), record }
    }

    /// Takes a record from the log. Records of one member may come in any order: compaction keeps the latest of each.
    pub(crate) fn apply(&mut self, record: &ConsumerRecord) {
        match record {
            ConsumerRecord::Epoch(Some(ConsumerGroupEpoch { epoch, metadata_hash })) => {
                self.epoch = *epoch;
                self.metadata_hash = *metadata_hash;
            }
            // The registry ends the group.
            ConsumerRecord::Epoch(None) => {}
            ConsumerRecord::Member { member_id, value: Some(value) } => self.apply_member(member_id, value),
            ConsumerRecord::Member { member_id, value: None } => self.apply_departure(member_id),
            ConsumerRecord::TargetEpoch(value) => self.assignment_epoch = value.map_or(0, |(epoch, _)| epoch),
            ConsumerRecord::Target { member_id, value: Some(target) } => {
                self.members.entry(Arc::from(member_id.as_str())).or_default().target = target.clone();
            }
            ConsumerRecord::Target { member_id, value: None } => {
                if let Some(member) = self.members.get_mut(member_id.as_str()) {
                    member.target = Assignment::new();
                }
            }
            ConsumerRecord::Current { member_id, value } => {
                self.release(member_id);
                if let Some(current) = value {
                    self.claim(member_id, current);
                }
            }
            ConsumerRecord::Pattern { pattern, value: Some(resolved) } => {
                self.patterns.insert(pattern.clone(), resolved.clone());
            }
            ConsumerRecord::Pattern { pattern, value: None } => {
                self.patterns.remove(pattern);
            }
        }
    }

    fn apply_member(&mut self, member_id: &str, value: &ConsumerMemberMetadata) {
        let id: Arc<str> = Arc::from(member_id);
        if let Some(instance_id) = &value.instance_id {
            self.static_members.insert(instance_id.clone(), Arc::clone(&id));
        }
        self.members.entry(id).or_default().metadata = value.clone();
    }

    fn apply_departure(&mut self, member_id: &str) {
        self.release(member_id);
        self.timers.remove(member_id);
        let Some(member) = self.members.remove(member_id) else { return };
        if let Some(instance_id) = &member.metadata.instance_id
            && self.static_members.get(instance_id).is_some_and(|current| **current == *member_id)
        {
            self.static_members.remove(instance_id);
        }
    }

    /// Nothing belongs to the member any more, unless somebody else has taken it over.
    fn release(&mut self, member_id: &str) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        let current = std::mem::take(&mut member.current);
        for place in places(&current) {
            if self.owners.get(&place).is_some_and(|owner| **owner == *member_id) {
                self.owners.remove(&place);
            }
        }
    }

    fn claim(&mut self, member_id: &str, current: &CurrentAssignment) {
        let id = self.members.get_key_value(member_id).map_or_else(|| Arc::from(member_id), |(id, _)| Arc::clone(id));
        for place in places(current) {
            self.owners.insert(place, Arc::clone(&id));
        }
        self.members.entry(id).or_default().current = current.clone();
    }

    /// The log has been read to its end: every member has a full session to be heard of, and to give back what it was
    /// told to.
    pub(crate) fn on_loaded(&mut self, turn: &mut Turn<'_>) {
        for (member_id, member) in &self.members {
            let timeout_ms = session_timeout_ms(member, turn.config);
            let speaks_classic = member.metadata.classic.is_some();
            let is_revoking = member.current.state == MemberState::UnrevokedPartitions && !speaks_classic;
            let timers = Timers {
                session_deadline_ms: Some(turn.after_ms(timeout_ms)),
                revocation_deadline_ms: is_revoking.then(|| turn.after_ms(member.metadata.rebalance_timeout_ms)),
                ..Timers::default()
            };
            self.timers.insert(Arc::clone(member_id), timers);
        }
        self.find_next_wake();
    }

    /// Makes sure that `expire` is called at that moment, or before.
    pub(super) fn wake_at(&mut self, deadline_ms: u64) {
        self.wake_ms = Some(self.wake_ms.map_or(deadline_ms, |wake_ms| wake_ms.min(deadline_ms)));
    }

    pub(crate) fn wake_ms(&self) -> Option<u64> {
        self.wake_ms
    }

    /// Looks at every deadline. Called when the last known earliest has passed, so once per session timeout or so.
    pub(super) fn find_next_wake(&mut self) {
        self.wake_ms = self.timers.values().flat_map(Timers::deadlines).min();
    }
}

/// Silence after which a member is taken for dead.
fn session_timeout_ms(member: &Member, config: &GroupConfig) -> i32 {
    member.metadata.classic.as_ref().map_or(config.consumer_session_timeout_ms, |classic| classic.session_timeout_ms)
}

fn places(current: &CurrentAssignment) -> impl Iterator<Item = (Uuid, i32)> {
    let all = |owned: &OwnedPartitions| -> Vec<(Uuid, i32)> {
        owned.iter().flat_map(|(topic, partitions)| partitions.keys().map(|partition| (*topic, *partition))).collect()
    };
    all(&current.assigned).into_iter().chain(all(&current.pending_revocation))
}

//! A classic group: its members, and how far their rebalance has come.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;

use super::member::{Member, Protocols};
use super::subscription;
use crate::group::turn::Turn;
use crate::group::{GroupMetadata, GroupRecord, MemberMetadata};
use crate::machine::ReplyTo;

/// Where a group stands.
///
/// ```text
///                        last member gone
///            ┌───────────────────────────────────────┐
///            ▼                                       │
///   ┌──► Empty ──first member──► PreparingRebalance ─┤◄─────────────┬───────────────┐
///   │                                │               │              │               │
///   │                     all joined, or time is up  │     member joins, leaves,     │
///   │                                ▼               │     dies or changes           │
///   │                       CompletingRebalance ─────┴──────────────┘               │
///   │                                │                                              │
///   │                      leader sent assignments, logged                          │
///   │                                ▼                                              │
///   │                             Stable ───────────────────────────────────────────┘
///   │
///   └── created          Empty ──no offsets, or deleted──► Dead (no longer held)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassicGroupState {
    /// No members; there may be offsets.
    Empty,
    /// Waiting for members to join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
    /// There is no such group.
    Dead,
}

impl ClassicGroupState {
    /// The name that Kafka gives it on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ClassicGroupState::Empty => "Empty",
            ClassicGroupState::PreparingRebalance => "PreparingRebalance",
            ClassicGroupState::CompletingRebalance => "CompletingRebalance",
            ClassicGroupState::Stable => "Stable",
            ClassicGroupState::Dead => "Dead",
        }
    }
}

impl fmt::Display for ClassicGroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How long the first rebalance of an empty group may still wait for more members.
pub(super) struct InitialDelay {
    /// The wait that is running.
    pub(super) delay_ms: u64,
    /// What may be added to it if members keep coming.
    pub(super) remaining_ms: u64,
    /// Whether somebody came during the wait that is running.
    pub(super) member_added: bool,
}

/// When PreparingRebalance ends at the latest.
pub(super) struct JoinTimer {
    pub(super) deadline_ms: u64,
    /// Only when the group was empty before: then the time is waited out even if all have joined.
    pub(super) initial: Option<InitialDelay>,
}

/// The members of one group, and how far their rebalance has come.
///
/// Of this, the log knows the latest generation that got an assignment. Everything newer lives here only and is
/// lost with the coordinator; clients then find a generation they do not know, and join again.
pub(crate) struct ClassicGroup {
    pub(super) id: Arc<str>,
    pub(super) state: ClassicGroupState,
    pub(super) generation_id: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    /// Wall clock at the last logged change of state.
    state_timestamp_ms: Option<i64>,
    /// Whether the log holds metadata of this group that a tombstone must end.
    is_logged: bool,
    pub(super) members: BTreeMap<String, Member>,
    /// Instance id to member id.
    static_members: BTreeMap<String, String>,
    /// Ids handed out with MEMBER_ID_REQUIRED, and until when they may be used (KIP-394).
    pub(super) pending_members: BTreeMap<String, u64>,
    /// Members of the current generation that have not sent SyncGroup.
    pub(super) pending_sync: BTreeSet<String>,
    /// How many members know each protocol.
    supported_protocols: BTreeMap<String, usize>,
    /// How many members are parked in JoinGroup.
    awaiting_join: usize,
    /// Set exactly in state PreparingRebalance.
    pub(super) join_timer: Option<JoinTimer>,
    /// Until when `pending_sync` must be empty.
    pub(super) sync_deadline_ms: Option<u64>,
    /// No deadline of this group is earlier. It may be too early, because a heartbeat does not move it.
    wake_ms: Option<u64>,
}

impl ClassicGroup {
    pub(crate) fn new(id: Arc<str>) -> ClassicGroup {
        ClassicGroup {
            id,
            state: ClassicGroupState::Empty,
            generation_id: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            state_timestamp_ms: None,
            is_logged: false,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_members: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            supported_protocols: BTreeMap::new(),
            awaiting_join: 0,
            join_timer: None,
            sync_deadline_ms: None,
            wake_ms: None,
        }
    }

    pub(crate) fn state(&self) -> ClassicGroupState {
        self.state
    }

    pub(crate) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(crate) fn generation_id(&self) -> i32 {
        self.generation_id
    }

    pub(crate) fn state_timestamp_ms(&self) -> Option<i64> {
        self.state_timestamp_ms
    }

    pub(crate) fn is_logged(&self) -> bool {
        self.is_logged
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.members.iter()
    }

    pub(crate) fn pending_member_count(&self) -> usize {
        self.pending_members.len()
    }

    /// Members, and those to be.
    pub(crate) fn member_count(&self) -> usize {
        self.members.len() + self.pending_members.len()
    }

    /// Whether nobody is in, and nobody was told to come.
    pub(crate) fn is_deserted(&self) -> bool {
        self.state == ClassicGroupState::Empty && self.pending_members.is_empty()
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type() == Some("consumer")
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn static_member_id(&self, group_instance_id: &str) -> Option<&String> {
        self.static_members.get(group_instance_id)
    }

    pub(super) fn awaiting_join_count(&self) -> usize {
        self.awaiting_join
    }

    pub(super) fn have_all_joined(&self) -> bool {
        self.awaiting_join == self.members.len() && self.pending_members.is_empty()
    }

    /// The longest that any member wants a rebalance to wait.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0)
    }

    /// Whether a request comes from the member it names.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID if another member has taken over the instance id (KIP-345).
    pub(crate) fn validate_member(&self, member_id: &str, group_instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = group_instance_id {
            match self.static_members.get(instance) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(current) if current != member_id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    /// Whether a member with these protocols finds common ground with everybody who is in.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[(String, Bytes)]) -> bool {
        if protocol_type.is_empty() || protocols.is_empty() {
            return false;
        }
        self.members.is_empty()
            || self.protocol_type() == Some(protocol_type) && protocols.iter().any(|(name, _)| self.is_candidate(name))
    }

    fn is_candidate(&self, protocol: &str) -> bool {
        self.supported_protocols.get(protocol) == Some(&self.members.len())
    }

    /// The protocol of the next generation: each member votes for the first it likes among those that all know.
    /// Where votes are equal, the leader's order decides.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let mut votes = BTreeMap::<&str, usize>::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| self.is_candidate(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader))?;
        let mut chosen: Option<(&str, usize)> = None;
        for (name, _) in &leader.protocols {
            let count = votes.get(name.as_str()).copied().unwrap_or(0);
            if self.is_candidate(name) && chosen.is_none_or(|(_, most)| count > most) {
                chosen = Some((name, count));
            }
        }
        chosen.map(|(name, _)| name.to_owned())
    }

    pub(super) fn insert_member(&mut self, member_id: &str, member: Member) {
        if let Some(instance) = &member.group_instance_id {
            self.static_members.insert(instance.clone(), member_id.to_owned());
        }
        for (name, _) in &member.protocols {
            *self.supported_protocols.entry(name.clone()).or_default() += 1;
        }
        self.awaiting_join += usize::from(member.is_awaiting_join());
        self.leader.get_or_insert_with(|| member_id.to_owned());
        self.pending_members.remove(member_id);
        self.members.insert(member_id.to_owned(), member);
    }

    /// Takes a member out, with whatever request it has parked. A lost leader is replaced by anybody.
    pub(super) fn take_member(&mut self, member_id: &str) -> Option<Member> {
        self.pending_members.remove(member_id);
        self.pending_sync.remove(member_id);
        let member = self.members.remove(member_id)?;
        self.awaiting_join -= usize::from(member.is_awaiting_join());
        self.forget_protocols(&member.protocols);
        if let Some(instance) = &member.group_instance_id
            && self.static_members.get(instance).is_some_and(|current| current == member_id)
        {
            self.static_members.remove(instance);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Removes a member and answers what it has parked, so that it finds out and joins again if it is alive.
    pub(super) fn remove_member(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        let Some(member) = self.take_member(member_id) else { return };
        if let Some(to) = member.awaiting_join {
            turn.refuse_join(to, ErrorCode::UNKNOWN_MEMBER_ID, "");
        }
        if let Some(to) = member.awaiting_sync {
            turn.refuse_sync(to, ErrorCode::UNKNOWN_MEMBER_ID);
        }
    }

    fn forget_protocols(&mut self, protocols: &[(String, Bytes)]) {
        for (name, _) in protocols {
            if let Some(count) = self.supported_protocols.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.supported_protocols.remove(name);
                }
            }
        }
    }

    pub(super) fn set_protocols(&mut self, member_id: &str, protocols: Protocols) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        let old = std::mem::replace(&mut member.protocols, protocols);
        for (name, _) in &member.protocols {
            *self.supported_protocols.entry(name.clone()).or_default() += 1;
        }
        self.forget_protocols(&old);
    }

    /// Parks a JoinGroup. One that the same member had parked before is answered, so that no request is forgotten.
    pub(super) fn park_join(&mut self, member_id: &str, from: ReplyTo, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(member_id) else {
            return turn.refuse_join(from, ErrorCode::UNKNOWN_MEMBER_ID, "");
        };
        match member.awaiting_join.replace(from) {
            Some(superseded) => turn.refuse_join(superseded, ErrorCode::REBALANCE_IN_PROGRESS, member_id),
            None => self.awaiting_join += 1,
        }
    }

    /// Takes a parked JoinGroup to be answered.
    pub(super) fn unpark_join(&mut self, member_id: &str) -> Option<ReplyTo> {
        let to = self.members.get_mut(member_id)?.awaiting_join.take()?;
        self.awaiting_join -= 1;
        Some(to)
    }

    /// Gives a member another `timeout_ms` to live.
    pub(super) fn extend_session_by(&mut self, member_id: &str, timeout_ms: i32, turn: &Turn<'_>) {
        let deadline_ms = turn.after_ms(timeout_ms);
        if let Some(member) = self.members.get_mut(member_id) {
            member.session_deadline_ms = Some(deadline_ms);
            self.wake_at(deadline_ms);
        }
    }

    /// Gives a member another session timeout to live: it was heard of.
    pub(crate) fn extend_session(&mut self, member_id: &str, turn: &Turn<'_>) {
        if let Some(timeout_ms) = self.members.get(member_id).map(|member| member.session_timeout_ms) {
            self.extend_session_by(member_id, timeout_ms, turn);
        }
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
        let sessions = self.members.values().filter_map(|member| member.session_deadline_ms);
        let timers = [self.join_timer.as_ref().map(|timer| timer.deadline_ms), self.sync_deadline_ms];
        self.wake_ms = sessions.chain(self.pending_members.values().copied()).chain(timers.into_iter().flatten()).min();
    }

    /// The group as the log shall know it, with these assignments.
    pub(super) fn metadata_record(&self, assignments: &BTreeMap<String, Bytes>, turn: &Turn<'_>) -> GroupRecord {
        let protocol = self.protocol().unwrap_or_default();
        let members = self.members.iter().map(|(member_id, member)| MemberMetadata {
            member_id: member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: assignments.get(member_id).cloned().unwrap_or_default(),
        });
        let value = GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation_id: self.generation_id,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp_ms: Some(turn.now.wall_ms),
            members: members.collect(),
        };
        GroupRecord::GroupMetadata { group_id: self.id.to_string(), value: Some(value) }
    }

    /// Takes a generation from the log.
    ///
    /// When it is our own, just decided, the members are the same, and keep their timers and what is not logged:
    /// their other protocols. When loading, they are as the log says, and have no timers yet.
    pub(crate) fn apply(&mut self, value: &GroupMetadata) {
        let logged: BTreeSet<&str> = value.members.iter().map(|member| member.member_id.as_str()).collect();
        let gone: Vec<String> = self.members.keys().filter(|id| !logged.contains(id.as_str())).cloned().collect();
        for member_id in gone {
            self.take_member(&member_id);
        }
        let protocol = value.protocol.as_deref().unwrap_or_default();
        for metadata in &value.members {
            let member_id = &metadata.member_id;
            match self.members.get_mut(member_id).filter(|member| member.said(protocol, metadata)) {
                Some(member) => member.update(metadata),
                None => {
                    self.take_member(member_id);
                    self.insert_member(member_id, Member::logged(metadata, protocol));
                }
            }
        }
        self.state = if value.members.is_empty() { ClassicGroupState::Empty } else { ClassicGroupState::Stable };
        self.generation_id = value.generation_id;
        self.protocol_type = Some(value.protocol_type.clone()).filter(|name| !name.is_empty());
        self.protocol = value.protocol.clone();
        self.leader = value.leader.clone();
        self.state_timestamp_ms = value.current_state_timestamp_ms;
        self.is_logged = true;
        if self.must_rebalance() {
            self.wake_at(0);
        }
    }

    /// The topics that one member subscribes to, if this is a group of consumers and they can be read.
    pub(super) fn subscription_of(&self, member_id: &str) -> Option<BTreeSet<String>> {
        let member = self.members.get(member_id).filter(|_| self.uses_consumer_protocol())?;
        let mut topics = BTreeSet::new();
        subscription::topics_of(&member.metadata(self.protocol()?), &mut topics)?;
        Some(topics)
    }

    /// The topics that members subscribe to, if this is a group of consumers whose subscriptions can be read.
    ///
    /// Computed when asked for, which is rare (OffsetDelete and the search for expired offsets), so that groups
    /// with many topics do not pay for it in memory.
    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        let mut topics = BTreeSet::new();
        if !self.members.is_empty() {
            let protocol = self.protocol()?;
            for member in self.members.values() {
                subscription::topics_of(&member.metadata(protocol), &mut topics)?;
            }
        }
        Some(topics)
    }
}

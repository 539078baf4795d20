//! ConsumerGroupHeartbeat of a member that joins or stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::ErrorCode;

use super::describe::plain;
use super::reconcile::{Reconciliation, ReportedPartitions};
use super::record::{
    Assignment, ConsumerGroupEpoch, ConsumerMemberMetadata, ConsumerRecord, CurrentAssignment, MemberState,
    ResolvedPattern,
};
use super::state::ConsumerGroup;
use super::subscription::{Membership, is_subscribed};
use super::topics::{PatternCompiler, Topics};
use super::{JOIN_EPOCH, LEAVE_STATIC_EPOCH, Refused};
use crate::group::turn::Turn;
use crate::group::{ConsumerHeartbeatRequest, ConsumerHeartbeatResponse};

/// A member that waits for partitions asks again after this share of the time that it has waited: soon at first,
/// rarely when somebody takes minutes to give them back.
const WAITING_SHARE: u64 = 32;
/// But not sooner, milliseconds.
const WAITING_INTERVAL_MIN_MS: u64 = 50;

/// The first epoch that a member is told is the one after this, as in Kafka: 1 is never told.
const EPOCH_BEFORE_FIRST: i32 = 1;

/// The member that a request is about, as it was before.
pub(super) struct Known {
    pub(super) member_id: Arc<str>,
    pub(super) metadata: ConsumerMemberMetadata,
    pub(super) target: Assignment,
    pub(super) current: CurrentAssignment,
    /// The static member whose place it takes.
    pub(super) replaces: Option<Arc<str>>,
    pub(super) is_new: bool,
}

/// What a member says in its request.
pub(super) struct Said<'a> {
    /// Who it is and what it wants now.
    pub(super) metadata: &'a ConsumerMemberMetadata,
    /// What it reads. `None` if it said nothing.
    pub(super) owned: Option<&'a ReportedPartitions>,
    /// The topics there are.
    pub(super) topics: &'a Topics,
    pub(super) compile: PatternCompiler,
}

/// What is decided about a member, and with it about the group.
pub(super) struct Step {
    pub(super) records: Vec<ConsumerRecord>,
    /// The member's next assignment; `None` if it stays as it is.
    pub(super) next: Option<CurrentAssignment>,
}

/// What a turn has decided so far.
struct Draft {
    records: Vec<ConsumerRecord>,
    /// The patterns that are in use, if they had to be looked at.
    patterns: Option<BTreeMap<String, ResolvedPattern>>,
    epoch: i32,
}

impl ConsumerGroup {
    /// Lets a member in or keeps it in, computes a new target assignment if one is due, and takes the member a step
    /// further on its way there.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE_ID, FENCED_INSTANCE_ID, GROUP_MAX_SIZE_REACHED,
    /// INVALID_REGULAR_EXPRESSION; INVALID_REQUEST if a record of the group would be too large for the log.
    pub(crate) fn heartbeat(
        &mut self,
        request: &ConsumerHeartbeatRequest,
        compile: PatternCompiler,
        turn: &mut Turn<'_>,
    ) -> Result<ConsumerHeartbeatResponse, Refused> {
        let known = self.admit(request, turn)?;
        let metadata = merged(&known.metadata, request);
        let owned = request.owned_partitions.as_deref();
        let said = Said { metadata: &metadata, owned, topics: &request.topics, compile };
        let step = self.step(&known, &said, turn)?;
        Ok(self.conclude(&known, request, step, turn))
    }

    /// Decides what follows from what a member says, without changing anything.
    ///
    /// # Errors
    /// INVALID_REGULAR_EXPRESSION; INVALID_REQUEST if a record of the group would be too large for the log.
    pub(super) fn step(&self, known: &Known, said: &Said<'_>, turn: &mut Turn<'_>) -> Result<Step, Refused> {
        let metadata = said.metadata;
        let subscription_changed = metadata.subscribed_topic_names != known.metadata.subscribed_topic_names
            || metadata.subscribed_topic_regex != known.metadata.subscribed_topic_regex;
        let membership = Membership {
            group: self,
            member_id: &known.member_id,
            metadata,
            target: &known.target,
            replaced: known.replaces.as_deref(),
        };
        let mut draft = self.draft_epoch(&membership, said, subscription_changed, turn)?;
        if known.is_new || known.replaces.is_some() || *metadata != known.metadata {
            let member_id = known.member_id.to_string();
            draft.records.push(ConsumerRecord::Member { member_id, value: Some(metadata.clone()) });
        }
        self.draft_replacement(known, &mut draft);
        let patterns = draft.patterns.as_ref().unwrap_or(&self.patterns);
        let target = match draft.epoch > self.assignment_epoch {
            true => {
                let (target, records) = self.draft_targets(&membership, said.topics, patterns, draft.epoch, turn);
                draft.records.extend(records);
                target
            }
            false => known.target.clone(),
        };
        let next = Reconciliation {
            target_epoch: draft.epoch.max(self.assignment_epoch),
            target: &target,
            is_subscribed: &|topic| {
                said.topics.name_of(*topic).is_some_and(|name| is_subscribed(metadata, patterns, name))
            },
            is_taken: &|topic, partition| {
                let owner = self.owners.get(&(topic, partition));
                owner.is_some_and(|owner| *owner != known.member_id && Some(owner) != known.replaces.as_ref())
            },
            reported: said.owned,
            subscription_changed,
        }
        .next(&known.current);
        if let Some(next) = &next {
            let member_id = known.member_id.to_string();
            draft.records.push(ConsumerRecord::Current { member_id, value: Some(next.clone()) });
        }
        self.refuse_large_records(&draft.records, turn)?;
        Ok(Step { records: draft.records, next })
    }

    /// Finds the member, or makes room for a new one.
    fn admit(&self, request: &ConsumerHeartbeatRequest, turn: &Turn<'_>) -> Result<Known, Refused> {
        let joins = request.member_epoch == JOIN_EPOCH;
        let is_member = self.members.contains_key(request.member_id.as_str());
        if self.members.len() >= turn.config.consumer_max_size && !is_member {
            let message = format!(
                "The consumer group has reached its maximum capacity of {} members.",
                turn.config.consumer_max_size
            );
            return Err(Refused::new(ErrorCode::GROUP_MAX_SIZE_REACHED, message));
        }
        let member_id = if request.member_id.is_empty() { &request.fresh_member_id } else { &request.member_id };
        let Some(instance_id) = &request.instance_id else { return self.admit_dynamic(member_id, request) };
        match self.static_members.get(instance_id) {
            None if joins => self.admit_dynamic(member_id, request),
            None => Err(Refused::new(ErrorCode::UNKNOWN_MEMBER_ID, format!("Instance id {instance_id} is unknown."))),
            Some(owner) if joins => {
                let predecessor = &self.members[owner];
                let is_away = predecessor.current.member_epoch == LEAVE_STATIC_EPOCH;
                if **owner == **member_id && !is_away {
                    // The same client: the answer to its first request was lost.
                    return self.admit_dynamic(member_id, request);
                }
                if !is_away && predecessor.metadata.classic.is_none() {
                    let message = format!(
                        "Static member {member_id} with instance id {instance_id} cannot join the group because the \
                         instance id is owned by {owner} member."
                    );
                    return Err(Refused::new(ErrorCode::UNRELEASED_INSTANCE_ID, message));
                }
                Ok(self.replacing(owner, member_id))
            }
            Some(owner) if **owner != *request.member_id => {
                let message =
                    format!("Static member {member_id} with instance id {instance_id} was fenced by member {owner}.");
                Err(Refused::new(ErrorCode::FENCED_INSTANCE_ID, message))
            }
            Some(_) => self.admit_dynamic(member_id, request),
        }
    }

    fn admit_dynamic(&self, member_id: &str, request: &ConsumerHeartbeatRequest) -> Result<Known, Refused> {
        let known = self.known_or_new(member_id);
        if known.is_new && request.member_epoch != JOIN_EPOCH {
            let message = format!("Member {member_id} is not a member of group {}.", self.id);
            return Err(Refused::new(ErrorCode::UNKNOWN_MEMBER_ID, message));
        }
        if !known.is_new && known.metadata.classic.is_none() {
            check_epoch(&known.current, request)?;
        }
        Ok(known)
    }

    /// A member as it is, or one that nothing is known of.
    pub(super) fn known_or_new(&self, member_id: &str) -> Known {
        let Some((id, member)) = self.members.get_key_value(member_id) else {
            return Known {
                member_id: Arc::from(member_id),
                metadata: ConsumerMemberMetadata::default(),
                target: Assignment::new(),
                current: CurrentAssignment::default(),
                replaces: None,
                is_new: true,
            };
        };
        Known {
            member_id: Arc::clone(id),
            metadata: member.metadata.clone(),
            target: member.target.clone(),
            current: member.current.clone(),
            replaces: None,
            is_new: false,
        }
    }

    /// A static member that comes back under another member id, with what it had.
    pub(super) fn replacing(&self, predecessor_id: &Arc<str>, member_id: &str) -> Known {
        let predecessor = self.known_or_new(predecessor_id);
        let mut current = predecessor.current;
        (current.member_epoch, current.previous_member_epoch) = (0, 0);
        Known {
            member_id: Arc::from(member_id),
            current,
            replaces: (**predecessor_id != *member_id).then(|| Arc::clone(predecessor_id)),
            ..predecessor
        }
    }

    /// Raises the group's epoch if the subscriptions, or the topics they are about, have changed.
    fn draft_epoch(
        &self,
        membership: &Membership<'_>,
        said: &Said<'_>,
        subscription_changed: bool,
        turn: &mut Turn<'_>,
    ) -> Result<Draft, Refused> {
        let topics = said.topics;
        let mut draft = Draft { records: Vec::new(), patterns: None, epoch: self.epoch };
        if self.epoch > 0 && !subscription_changed && self.seen_topics.as_ref() == Some(topics) {
            return Ok(draft);
        }
        let mut patterns = membership.resolve_patterns(topics, said.compile, turn.now.wall_ms)?;
        let mut pattern_records = Vec::new();
        for (pattern, resolved) in &mut patterns {
            match self.patterns.get(pattern) {
                Some(known) if known.topics == resolved.topics => *resolved = known.clone(),
                _ => {
                    let (pattern, value) = (pattern.clone(), Some(resolved.clone()));
                    pattern_records.push(ConsumerRecord::Pattern { pattern, value });
                }
            }
        }
        let matches_changed = !pattern_records.is_empty();
        for pattern in self.patterns.keys().filter(|pattern| !patterns.contains_key(*pattern)) {
            pattern_records.push(ConsumerRecord::Pattern { pattern: pattern.clone(), value: None });
        }
        let metadata_hash = membership.metadata_hash(topics, &patterns);
        if self.epoch == 0 || subscription_changed || matches_changed || metadata_hash != self.metadata_hash {
            draft.epoch = self.epoch.max(EPOCH_BEFORE_FIRST).saturating_add(1);
            let epoch = ConsumerGroupEpoch { epoch: draft.epoch, metadata_hash };
            draft.records.push(ConsumerRecord::Epoch(Some(epoch)));
            turn.totals.consumer_rebalances += 1;
        }
        draft.records.extend(pattern_records);
        draft.patterns = Some(patterns);
        Ok(draft)
    }

    /// A static member has come back under another member id: what its predecessor had is its own.
    fn draft_replacement(&self, known: &Known, draft: &mut Draft) {
        let Some(predecessor) = &known.replaces else { return };
        let member_id = known.member_id.to_string();
        draft.records.extend([
            ConsumerRecord::Target { member_id: member_id.clone(), value: Some(known.target.clone()) },
            ConsumerRecord::Current { member_id, value: Some(known.current.clone()) },
        ]);
        draft.records.extend(super::departure::tombstones(predecessor));
    }

    /// A new target for everybody: what this member shall have, and a record for each whose target has changed.
    fn draft_targets(
        &self,
        membership: &Membership<'_>,
        topics: &Topics,
        patterns: &BTreeMap<String, ResolvedPattern>,
        epoch: i32,
        turn: &Turn<'_>,
    ) -> (Assignment, Vec<ConsumerRecord>) {
        let mut mine = Assignment::new();
        let mut records = Vec::new();
        for (member_id, target) in membership.assign(topics, patterns, turn.config.default_assignor()) {
            let is_this_member = member_id == membership.member_id;
            let known = self.members.get(member_id).map(|member| &member.target);
            let before = if is_this_member { Some(membership.target) } else { known };
            if is_this_member {
                mine.clone_from(&target);
            }
            let is_unlogged = is_this_member && known.is_none() && membership.replaced.is_none();
            if is_unlogged || before != Some(&target) {
                records.push(ConsumerRecord::Target { member_id: member_id.to_owned(), value: Some(target) });
            }
        }
        records.push(ConsumerRecord::TargetEpoch(Some((epoch, turn.now.wall_ms))));
        (mine, records)
    }

    /// A record that the log would not take must not be decided: it would end the coordinator each time anew.
    pub(super) fn refuse_large_records(&self, records: &[ConsumerRecord], turn: &Turn<'_>) -> Result<(), Refused> {
        let limit = turn.config.max_record_bytes.saturating_sub(self.id.len());
        match records.iter().map(ConsumerRecord::size_bytes).max() {
            Some(largest) if largest > limit => {
                let message = format!("A record of the group would have {largest} bytes; the log takes {limit}.");
                Err(Refused::new(ErrorCode::INVALID_REQUEST, message))
            }
            _ => Ok(()),
        }
    }

    /// Logs what was decided, starts the timers, and says what the member is to know.
    fn conclude(
        &mut self,
        known: &Known,
        request: &ConsumerHeartbeatRequest,
        step: Step,
        turn: &mut Turn<'_>,
    ) -> ConsumerHeartbeatResponse {
        let Step { records, next } = step;
        self.log_step(records, &request.topics, turn);
        let current = next.as_ref().unwrap_or(&known.current);
        let rebalance_timeout_ms = request.rebalance_timeout_ms.unwrap_or(known.metadata.rebalance_timeout_ms);
        let heartbeat_interval_ms =
            self.restart_timers(&known.member_id, current, next.is_some(), rebalance_timeout_ms, turn);
        let has_subscription = request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
        let is_full_request =
            request.rebalance_timeout_ms.is_some() && has_subscription && request.owned_partitions.is_some();
        let is_told =
            request.member_epoch == JOIN_EPOCH || is_full_request || current.assigned != known.current.assigned;
        ConsumerHeartbeatResponse {
            error: ErrorCode::NONE,
            error_message: None,
            member_id: Some(known.member_id.to_string()),
            member_epoch: current.member_epoch,
            heartbeat_interval_ms,
            assignment: is_told.then(|| plain(&current.assigned)),
        }
    }

    pub(super) fn log_step(&mut self, records: Vec<ConsumerRecord>, topics: &Topics, turn: &mut Turn<'_>) {
        for record in records {
            turn.log(self.record(record));
        }
        self.seen_topics = Some(topics.clone());
        self.latest_topics = topics.clone();
    }

    /// The member was heard of. Returns when to be heard of again.
    fn restart_timers(
        &mut self,
        member_id: &Arc<str>,
        current: &CurrentAssignment,
        has_moved: bool,
        rebalance_timeout_ms: i32,
        turn: &Turn<'_>,
    ) -> i32 {
        let now_ms = turn.now.monotonic_ms;
        let timers = self.timers.entry(Arc::clone(member_id)).or_default();
        timers.session_deadline_ms = Some(turn.after_ms(turn.config.consumer_session_timeout_ms));
        // It may have spoken the classic protocol before.
        (timers.join_deadline_ms, timers.sync_deadline_ms) = (None, None);
        if current.state != MemberState::UnrevokedPartitions {
            timers.revocation_deadline_ms = None;
        } else if has_moved || timers.revocation_deadline_ms.is_none() {
            timers.revocation_deadline_ms = Some(turn.after_ms(rebalance_timeout_ms));
        }
        let interval_ms = u64::try_from(turn.config.consumer_heartbeat_interval_ms).unwrap_or(0);
        let next_ms = if current.state == MemberState::UnreleasedPartitions {
            let waited_ms = now_ms.saturating_sub(*timers.waiting_since_ms.get_or_insert(now_ms));
            (waited_ms / WAITING_SHARE).max(WAITING_INTERVAL_MIN_MS).min(interval_ms)
        } else {
            timers.waiting_since_ms = None;
            interval_ms
        };
        for deadline_ms in timers.deadlines() {
            self.wake_at(deadline_ms);
        }
        i32::try_from(next_ms).unwrap_or(i32::MAX)
    }
}

/// Whether the member is where it believes it is.
fn check_epoch(current: &CurrentAssignment, request: &ConsumerHeartbeatRequest) -> Result<(), Refused> {
    let (received, known) = (request.member_epoch, current.member_epoch);
    let is_subset = || {
        request.owned_partitions.as_ref().is_some_and(|owned| {
            owned.iter().all(|(topic, partitions)| {
                let assigned = current.assigned.get(topic);
                partitions.iter().all(|partition| assigned.is_some_and(|assigned| assigned.contains_key(partition)))
            })
        })
    };
    // Whoever joins anew has nothing. Whoever comes with the epoch before may not have got the last answer.
    let may_have_missed = received == JOIN_EPOCH || received == current.previous_member_epoch;
    if received == known || (received < known && may_have_missed && is_subset()) {
        return Ok(());
    }
    let compared = if received > known { "greater" } else { "smaller" };
    let message = format!(
        "The consumer group member has a {compared} member epoch ({received}) than the one known by the group \
         coordinator ({known}). The member must abandon all its partitions and rejoin."
    );
    Err(Refused::new(ErrorCode::FENCED_MEMBER_EPOCH, message))
}

/// What is known of the member, with what the request says anew.
fn merged(known: &ConsumerMemberMetadata, request: &ConsumerHeartbeatRequest) -> ConsumerMemberMetadata {
    let names = request.subscribed_topic_names.clone().map(|mut names| {
        names.sort();
        names.dedup();
        names
    });
    let regex = match &request.subscribed_topic_regex {
        Some(pattern) => Some(pattern.clone()).filter(|pattern| !pattern.is_empty()),
        None => known.subscribed_topic_regex.clone(),
    };
    ConsumerMemberMetadata {
        instance_id: request.instance_id.clone().or_else(|| known.instance_id.clone()),
        rack_id: request.rack_id.clone().or_else(|| known.rack_id.clone()),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        subscribed_topic_names: names.unwrap_or_else(|| known.subscribed_topic_names.clone()),
        subscribed_topic_regex: regex,
        rebalance_timeout_ms: request.rebalance_timeout_ms.unwrap_or(known.rebalance_timeout_ms),
        server_assignor: request.server_assignor.clone().or_else(|| known.server_assignor.clone()),
        classic: None,
    }
}

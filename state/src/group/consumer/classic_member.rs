//! Members of a consumer group that speak the classic protocol: JoinGroup, SyncGroup, Heartbeat and LeaveGroup while a
//! group is on its way from one protocol to the other (KIP-848).
//!
//! To such a member its epoch is the generation. It is told that a rebalance is in progress when it has to take a step
//! on its way to its target; JoinGroup takes the step, and SyncGroup says what the member has then. Nobody leads.

use std::sync::Arc;

use protocol::ErrorCode;

use super::describe::plain;
use super::embedded::{CONSUMER_PROTOCOL_TYPE, Subscription, read_subscription, with_ids, write_assignment};
use super::heartbeat::{Known, Said, Step};
use super::record::{ClassicMember, ConsumerMemberMetadata, MemberState};
use super::state::{ConsumerGroup, Member};
use super::topics::PatternCompiler;
use crate::group::classic::{ClassicGroup, join_failed};
use crate::group::turn::Turn;
use crate::group::{HeartbeatRequest, JoinRequest, JoinResponse, LeavingMember, LeftMember, SyncRequest, SyncResponse};

impl ConsumerGroup {
    /// JoinGroup. If a static member thereby takes the place of the last member of the consumer protocol, the group
    /// becomes a classic one, which is returned.
    ///
    /// # Errors
    /// GROUP_MAX_SIZE_REACHED, INCONSISTENT_GROUP_PROTOCOL, MEMBER_ID_REQUIRED, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID;
    /// INVALID_REQUEST if a record of the group would be too large for the log.
    pub(crate) fn join(
        &mut self,
        request: &JoinRequest,
        compile: PatternCompiler,
        turn: &mut Turn<'_>,
    ) -> Result<(JoinResponse, Option<ClassicGroup>), ErrorCode> {
        let is_member = self.members.contains_key(request.member_id.as_str());
        if self.members.len() >= turn.config.consumer_max_size && !is_member {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        let Some(subscription) = self.understood(request) else {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        };
        let is_dynamic = request.group_instance_id.is_none();
        if is_dynamic && request.member_id.is_empty() && request.require_known_member_id {
            return Ok((join_failed(ErrorCode::MEMBER_ID_REQUIRED, &request.fresh_member_id), None));
        }
        let known = self.admit_classic(request)?;
        let owned = with_ids(&subscription.owned, &request.topics);
        let metadata = joined(&known.metadata, request, subscription);
        let said = Said { metadata: &metadata, owned: Some(&owned), topics: &request.topics, compile };
        let step = self.step(&known, &said, turn).map_err(|refused| refused.error)?;
        let generation_id = step.next.as_ref().unwrap_or(&known.current).member_epoch;
        let downgraded = self.conclude_join(&known, request, step, turn);
        let response = JoinResponse {
            error: ErrorCode::NONE,
            generation_id,
            protocol_type: Some(CONSUMER_PROTOCOL_TYPE.to_owned()),
            protocol_name: request.protocols.first().map(|(name, _)| name.clone()),
            leader: String::new(),
            skip_assignment: false,
            member_id: known.member_id.to_string(),
            members: Vec::new(),
        };
        Ok((response, downgraded))
    }

    /// What the member wants, if it can be read and it has a strategy in common with the other classic members.
    fn understood(&self, request: &JoinRequest) -> Option<Subscription> {
        let others = || self.members.values().filter_map(|member| member.metadata.classic.as_ref());
        let is_known_to_all =
            |name: &String| others().all(|other| other.protocols.iter().any(|(known, _)| known == name));
        if request.protocol_type != CONSUMER_PROTOCOL_TYPE
            || !request.protocols.iter().any(|(name, _)| is_known_to_all(name))
        {
            return None;
        }
        read_subscription(&request.protocols.first()?.1)
    }

    /// Finds the member, or makes room for a new one. An id that nobody has is taken for one that was handed out.
    fn admit_classic(&self, request: &JoinRequest) -> Result<Known, ErrorCode> {
        let has_no_id = request.member_id.is_empty();
        let member_id = if has_no_id { &request.fresh_member_id } else { &request.member_id };
        let Some(instance_id) = &request.group_instance_id else { return Ok(self.known_or_new(member_id)) };
        match self.static_members.get(instance_id) {
            None if has_no_id => Ok(self.known_or_new(member_id)),
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(owner) if has_no_id => Ok(self.replacing(owner, member_id)),
            Some(owner) if **owner != **member_id => Err(ErrorCode::FENCED_INSTANCE_ID),
            Some(_) => Ok(self.known_or_new(member_id)),
        }
    }

    fn conclude_join(
        &mut self,
        known: &Known,
        request: &JoinRequest,
        step: Step,
        turn: &mut Turn<'_>,
    ) -> Option<ClassicGroup> {
        if let Some(predecessor) = &known.replaces
            && self.is_last_consumer(predecessor)
        {
            // The step is taken here already, because what follows builds on it; once it is logged it is taken again.
            step.records.iter().for_each(|record| self.apply(record));
            self.log_step(step.records, &request.topics, turn);
            if let Some(classic) = self.downgrade(&[], true, turn) {
                self.timers.clear();
                return Some(classic);
            }
        } else {
            self.log_step(step.records, &request.topics, turn);
        }
        let timers = self.timers.entry(Arc::clone(&known.member_id)).or_default();
        timers.session_deadline_ms = Some(turn.after_ms(request.session_timeout_ms));
        timers.sync_deadline_ms = Some(turn.after_ms(request.rebalance_timeout_ms));
        (timers.join_deadline_ms, timers.revocation_deadline_ms, timers.waiting_since_ms) = (None, None, None);
        self.wake_for(&known.member_id);
        None
    }

    /// SyncGroup: what the member has now.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL; REBALANCE_IN_PROGRESS if
    /// the group has moved on since the member joined.
    pub(crate) fn sync(&mut self, request: &SyncRequest, turn: &Turn<'_>) -> Result<SyncResponse, ErrorCode> {
        let instance_id = request.group_instance_id.as_deref();
        let (id, member, classic) = self.classic_member(&request.member_id, instance_id)?;
        if request.generation_id != member.current.member_epoch {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs = |said: &Option<String>, is: &str| said.as_ref().is_some_and(|said| said != is);
        let protocol = classic.protocols.first().map(|(name, _)| name.as_str()).unwrap_or_default();
        if differs(&request.protocol_type, CONSUMER_PROTOCOL_TYPE) || differs(&request.protocol_name, protocol) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        // Who has to give something back first is told what it keeps; it joins again when that is done.
        let is_behind = self.epoch > member.current.member_epoch;
        if is_behind && member.current.state != MemberState::UnrevokedPartitions {
            let timeout_ms = member.metadata.rebalance_timeout_ms;
            self.expect_join(&id, timeout_ms, turn);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let assignment = write_assignment(&plain(&member.current.assigned), &request.topics, classic);
        let session_timeout_ms = classic.session_timeout_ms;
        let timers = self.timers.entry(Arc::clone(&id)).or_default();
        timers.sync_deadline_ms = None;
        timers.session_deadline_ms = Some(turn.after_ms(session_timeout_ms));
        self.wake_for(&id);
        self.latest_topics = request.topics.clone();
        Ok(SyncResponse {
            error: ErrorCode::NONE,
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment,
        })
    }

    /// Heartbeat: keeps a member alive and tells it whether to join again.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION; REBALANCE_IN_PROGRESS if the member is to join again.
    pub(crate) fn classic_heartbeat(&mut self, request: &HeartbeatRequest, turn: &Turn<'_>) -> Result<(), ErrorCode> {
        let instance_id = request.group_instance_id.as_deref();
        let (id, member, classic) = self.classic_member(&request.member_id, instance_id)?;
        if request.generation_id != member.current.member_epoch {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let must_join = member.current.member_epoch < self.epoch
            || match member.current.state {
                MemberState::Stable => false,
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !self.waits_for_others(member),
            };
        let (session_timeout_ms, rebalance_timeout_ms) =
            (classic.session_timeout_ms, member.metadata.rebalance_timeout_ms);
        self.timers.entry(Arc::clone(&id)).or_default().session_deadline_ms = Some(turn.after_ms(session_timeout_ms));
        self.wake_for(&id);
        if must_join {
            self.expect_join(&id, rebalance_timeout_ms, turn);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// LeaveGroup: removes each member that is named, whichever protocol it speaks: administrators remove members by it.
    /// If only members of the classic protocol are left, the group becomes one of theirs, which is returned.
    pub(crate) fn leave_classic(
        &mut self,
        leaving: Vec<LeavingMember>,
        turn: &mut Turn<'_>,
    ) -> (Vec<LeftMember>, Option<ClassicGroup>) {
        let mut gone: Vec<Arc<str>> = Vec::new();
        let mut results = Vec::with_capacity(leaving.len());
        for LeavingMember { member_id, group_instance_id, .. } in leaving {
            let instance_id = group_instance_id.as_deref();
            let owner = instance_id.and_then(|instance_id| self.static_members.get(instance_id));
            let named = owner.filter(|_| member_id.is_empty()).map_or(member_id.as_str(), |owner| &**owner);
            let error = match self.named_member(named, instance_id) {
                Ok((id, _)) => {
                    if !gone.contains(&id) {
                        gone.push(id);
                    }
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            results.push(LeftMember { member_id, group_instance_id, error });
        }
        let downgraded = if gone.is_empty() { None } else { self.remove(&gone, turn) };
        (results, downgraded)
    }

    /// The member that a request of the classic protocol names, if it speaks that.
    fn classic_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(Arc<str>, &Member, &ClassicMember), ErrorCode> {
        let (id, member) = self.named_member(member_id, instance_id)?;
        let classic = member.metadata.classic.as_ref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        Ok((id, member, classic))
    }

    fn named_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(Arc<str>, &Member), ErrorCode> {
        if let Some(instance_id) = instance_id {
            let owner = self.static_members.get(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            if **owner != *member_id {
                return Err(ErrorCode::FENCED_INSTANCE_ID);
            }
        }
        let (id, member) = self.members.get_key_value(member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        Ok((Arc::clone(id), member))
    }

    /// Whether others still have a partition that the member shall have.
    fn waits_for_others(&self, member: &Member) -> bool {
        member.target.iter().any(|(topic, partitions)| {
            let assigned = member.current.assigned.get(topic);
            let has_it = |partition: &i32| assigned.is_some_and(|assigned| assigned.contains_key(partition));
            partitions.iter().any(|partition| !has_it(partition) && self.owners.contains_key(&(*topic, *partition)))
        })
    }

    /// The member was told to join again, now or before.
    fn expect_join(&mut self, member_id: &Arc<str>, rebalance_timeout_ms: i32, turn: &Turn<'_>) {
        let deadline_ms = turn.after_ms(rebalance_timeout_ms);
        self.timers.entry(Arc::clone(member_id)).or_default().join_deadline_ms.get_or_insert(deadline_ms);
        self.wake_for(member_id);
    }

    fn wake_for(&mut self, member_id: &str) {
        if let Some(deadline_ms) = self.timers.get(member_id).and_then(|timers| timers.deadlines().min()) {
            self.wake_at(deadline_ms);
        }
    }
}

/// What is known of the member, with what JoinGroup says anew.
fn joined(known: &ConsumerMemberMetadata, request: &JoinRequest, subscription: Subscription) -> ConsumerMemberMetadata {
    let own = |(name, metadata): &(String, bytes::Bytes)| (name.clone(), bytes::Bytes::copy_from_slice(metadata));
    ConsumerMemberMetadata {
        instance_id: request.group_instance_id.clone().or_else(|| known.instance_id.clone()),
        rack_id: subscription.rack_id.or_else(|| known.rack_id.clone()),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        subscribed_topic_names: subscription.topics,
        subscribed_topic_regex: None,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        server_assignor: None,
        classic: Some(ClassicMember {
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.iter().map(own).collect(),
        }),
    }
}

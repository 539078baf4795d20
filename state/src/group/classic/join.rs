//! JoinGroup: who comes in, under which id, and whether everybody has to join again for it.

use protocol::ErrorCode;

use super::member::{Member, own_protocols};
use super::state::{ClassicGroup, ClassicGroupState};
use crate::group::turn::Turn;
use crate::group::{GroupResponse, JoinRequest, JoinResponse, JoinedMember};
use crate::machine::ReplyTo;

impl ClassicGroup {
    /// Decides about a JoinGroup whose group id and timeouts are valid.
    pub(crate) fn join(&mut self, from: ReplyTo, request: &JoinRequest, turn: &mut Turn<'_>) {
        if !self.has_room_for(&request.member_id, turn) {
            self.remove_member(&request.member_id, turn);
            turn.refuse_join(from, ErrorCode::GROUP_MAX_SIZE_REACHED, "");
            self.maybe_complete_join(turn);
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            turn.refuse_join(from, ErrorCode::INCONSISTENT_GROUP_PROTOCOL, &request.member_id);
        } else if request.member_id.is_empty() {
            self.join_new(from, request, turn);
        } else {
            self.join_known(from, request, turn);
        }
    }

    /// Whether `group.max.size` lets this member in.
    ///
    /// During a rebalance those who wait are counted, not those who were in before: if the limit was lowered, the
    /// last to come back find no place.
    fn has_room_for(&self, member_id: &str, turn: &Turn<'_>) -> bool {
        let max_size = turn.config.max_size;
        match self.state {
            ClassicGroupState::Empty | ClassicGroupState::Dead => true,
            ClassicGroupState::PreparingRebalance => {
                self.members.get(member_id).is_some_and(Member::is_awaiting_join)
                    || self.awaiting_join_count() < max_size
            }
            ClassicGroupState::CompletingRebalance | ClassicGroupState::Stable => {
                self.members.contains_key(member_id) || self.members.len() < max_size
            }
        }
    }

    /// A member without an id: new, or a static one that restarted.
    fn join_new(&mut self, from: ReplyTo, request: &JoinRequest, turn: &mut Turn<'_>) {
        let fresh = &request.fresh_member_id;
        if fresh.is_empty() || self.members.contains_key(fresh) || self.pending_members.contains_key(fresh) {
            // The dice fell badly: the client tries again and gets another id.
            return turn.refuse_join(from, ErrorCode::UNKNOWN_MEMBER_ID, "");
        }
        match request.group_instance_id.as_ref().map(|instance| self.static_member_id(instance).cloned()) {
            Some(Some(replaced)) => self.replace_static_member(from, request, &replaced, turn),
            None if request.require_known_member_id => self.hand_out_member_id(from, request, turn),
            Some(None) | None => self.add_member(from, request, fresh, turn),
        }
    }

    /// Answers a first JoinGroup with MEMBER_ID_REQUIRED and a fresh id (KIP-394).
    ///
    /// Without this round trip, a client that times out and tries again would leave a ghost behind each time, and
    /// the rebalance would wait for every one of them.
    fn hand_out_member_id(&mut self, from: ReplyTo, request: &JoinRequest, turn: &mut Turn<'_>) {
        if self.pending_members.len() >= turn.config.max_pending_members {
            return turn.refuse_join(from, ErrorCode::GROUP_MAX_SIZE_REACHED, "");
        }
        let deadline_ms = turn.after_ms(request.session_timeout_ms);
        self.pending_members.insert(request.fresh_member_id.clone(), deadline_ms);
        self.wake_at(deadline_ms);
        let response = join_failed(ErrorCode::MEMBER_ID_REQUIRED, &request.fresh_member_id);
        turn.reply_now(from, GroupResponse::Join(response));
    }

    /// A member with an id: one that was just handed out, or one that is in.
    fn join_known(&mut self, from: ReplyTo, request: &JoinRequest, turn: &mut Turn<'_>) {
        let member_id = &request.member_id;
        let instance = request.group_instance_id.as_deref();
        if self.pending_members.contains_key(member_id) && instance.is_none() {
            return self.add_member(from, request, member_id, turn);
        }
        if let Err(error) = self.validate_member(member_id, instance) {
            return turn.refuse_join(from, error, member_id);
        }
        let is_unchanged = self.members.get(member_id).is_some_and(|member| member.protocols == request.protocols);
        match self.state {
            ClassicGroupState::PreparingRebalance => self.rejoin(from, request, member_id, turn),
            // Most likely the answer to its first JoinGroup was lost: the generation is as good as it was. A leader
            // in a stable group, though, asks for a rebalance this way, when topics have changed.
            ClassicGroupState::CompletingRebalance if is_unchanged => self.repeat_joined(from, member_id, turn),
            ClassicGroupState::Stable if is_unchanged && !self.is_leader(member_id) => {
                self.repeat_joined(from, member_id, turn);
            }
            ClassicGroupState::CompletingRebalance | ClassicGroupState::Stable => {
                self.rejoin(from, request, member_id, turn);
            }
            ClassicGroupState::Empty | ClassicGroupState::Dead => {
                turn.refuse_join(from, ErrorCode::UNKNOWN_MEMBER_ID, member_id);
            }
        }
    }

    fn add_member(&mut self, from: ReplyTo, request: &JoinRequest, member_id: &str, turn: &mut Turn<'_>) {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        if let Some(initial) = self.join_timer.as_mut().and_then(|timer| timer.initial.as_mut()) {
            initial.member_added = true;
        }
        self.insert_member(member_id, Member::joining(request, own_protocols(&request.protocols)));
        self.park_join(member_id, from, turn);
        // It cannot send heartbeats before it is answered, and its death would not be noticed either, because
        // nothing is read from its connection meanwhile. It gets a long, but not an endless time.
        self.extend_session_by(member_id, turn.config.new_member_join_timeout_ms, turn);
        self.rebalance_or_complete_join(turn);
    }

    fn rejoin(&mut self, from: ReplyTo, request: &JoinRequest, member_id: &str, turn: &mut Turn<'_>) {
        self.update_member(from, request, member_id, turn);
        self.rebalance_or_complete_join(turn);
    }

    fn update_member(&mut self, from: ReplyTo, request: &JoinRequest, member_id: &str, turn: &mut Turn<'_>) {
        self.set_protocols(member_id, own_protocols(&request.protocols));
        if let Some(member) = self.members.get_mut(member_id) {
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
            member.session_timeout_ms = request.session_timeout_ms;
        }
        self.park_join(member_id, from, turn);
    }

    /// A static member came back after a restart, or somebody else uses its instance id: the newcomer takes its
    /// place and its assignment, and the old one is fenced (KIP-345).
    ///
    /// A consumer that comes back with other topics than it left with is the exception: it needs a new assignment.
    /// Kafka leaves it without until something else causes a rebalance. Other differences in what it says (what it
    /// owned, in which generation) are mere consequences of the restart.
    fn replace_static_member(&mut self, from: ReplyTo, request: &JoinRequest, old_id: &str, turn: &mut Turn<'_>) {
        let new_id = &request.fresh_member_id;
        let old_leader = self.leader.clone();
        let old_topics = self.subscription_of(old_id);
        let Some(mut member) = self.take_member(old_id) else {
            return turn.refuse_join(from, ErrorCode::UNKNOWN_MEMBER_ID, "");
        };
        if let Some(to) = member.awaiting_join.take() {
            turn.refuse_join(to, ErrorCode::FENCED_INSTANCE_ID, old_id);
        }
        if let Some(to) = member.awaiting_sync.take() {
            turn.refuse_sync(to, ErrorCode::FENCED_INSTANCE_ID);
        }
        if self.pending_sync.is_empty() {
            self.sync_deadline_ms = None;
        }
        member.client_id.clone_from(&request.client_id);
        member.client_host.clone_from(&request.client_host);
        member.is_new = false;
        self.insert_member(new_id, member);
        if old_leader.as_deref() == Some(old_id) {
            self.leader = Some(new_id.clone());
        }
        self.update_member(from, request, new_id, turn);
        self.extend_session(new_id, turn);

        let reads_the_same = self.subscription_of(new_id) == old_topics;
        let is_settled = self.state == ClassicGroupState::Stable && reads_the_same;
        if !(is_settled && self.keep_generation(request, old_leader, turn)) {
            self.rebalance_or_complete_join(turn);
        }
    }

    /// Lets a returning static member into the stable generation as it is, if the chosen protocol stays the same.
    /// The log learns its new id, so that a new coordinator fences the old one too.
    fn keep_generation(&mut self, request: &JoinRequest, old_leader: Option<String>, turn: &mut Turn<'_>) -> bool {
        let member_id = &request.fresh_member_id;
        if self.select_protocol() != self.protocol {
            return false;
        }
        let assignments = self.members.iter().map(|(id, member)| (id.clone(), member.assignment.clone())).collect();
        let record = self.metadata_record(&assignments, turn);
        if record.size_bytes() > turn.config.max_record_bytes {
            return false;
        }
        turn.log(record);
        // A leader that cannot be told to skip the assignment (KIP-814) is told that somebody else leads, or it
        // would hand in a new one that nobody waits for.
        let mut response = if request.supports_skipping_assignment {
            self.joined(member_id, self.leader.clone().unwrap_or_default())
        } else {
            JoinResponse { members: Vec::new(), ..self.joined(member_id, old_leader.unwrap_or_default()) }
        };
        response.skip_assignment = request.supports_skipping_assignment && self.is_leader(member_id);
        if let Some(to) = self.unpark_join(member_id) {
            turn.reply(to, GroupResponse::Join(response));
        }
        true
    }

    fn repeat_joined(&self, from: ReplyTo, member_id: &str, turn: &mut Turn<'_>) {
        let response = self.joined(member_id, self.leader.clone().unwrap_or_default());
        turn.reply(from, GroupResponse::Join(response));
    }

    /// What a member is told when it is in.
    pub(super) fn joined(&self, member_id: &str, leader: String) -> JoinResponse {
        let protocol = self.protocol().unwrap_or_default();
        let everybody =
            self.members.iter().filter(|_| self.is_leader(member_id)).map(|(member_id, member)| JoinedMember {
                member_id: member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                metadata: member.metadata(protocol),
            });
        JoinResponse {
            error: ErrorCode::NONE,
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader,
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: everybody.collect(),
        }
    }
}

/// A refused JoinGroup.
pub(crate) fn join_failed(error: ErrorCode, member_id: &str) -> JoinResponse {
    JoinResponse {
        error,
        generation_id: -1,
        protocol_type: None,
        protocol_name: None,
        leader: String::new(),
        skip_assignment: false,
        member_id: member_id.to_owned(),
        members: Vec::new(),
    }
}

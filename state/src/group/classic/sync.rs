//! SyncGroup: the leader hands in what everybody gets, and everybody gets it.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::ErrorCode;

use super::state::{ClassicGroup, ClassicGroupState};
use crate::group::turn::Turn;
use crate::group::{GroupResponse, SyncRequest, SyncResponse};
use crate::machine::ReplyTo;

impl ClassicGroup {
    /// Parks a follower until the leader's assignment is logged, or answers from the assignment that is.
    pub(crate) fn sync(&mut self, from: ReplyTo, request: SyncRequest, turn: &mut Turn<'_>) {
        if let Err(error) = self.validate_sync(&request) {
            return turn.refuse_sync(from, error);
        }
        match self.state {
            ClassicGroupState::Empty | ClassicGroupState::Dead => {
                turn.refuse_sync(from, ErrorCode::UNKNOWN_MEMBER_ID);
            }
            ClassicGroupState::PreparingRebalance => turn.refuse_sync(from, ErrorCode::REBALANCE_IN_PROGRESS),
            ClassicGroupState::CompletingRebalance => {
                self.has_synced(&request.member_id);
                self.park_sync(&request.member_id, from, turn);
                if self.is_leader(&request.member_id) {
                    self.assign(&request.assignments, turn);
                }
            }
            ClassicGroupState::Stable => {
                self.has_synced(&request.member_id);
                let assignment = self.members.get(&request.member_id).map(|member| member.assignment.clone());
                turn.reply(from, GroupResponse::Sync(self.synced(assignment.unwrap_or_default())));
            }
        }
    }

    fn validate_sync(&self, request: &SyncRequest) -> Result<(), ErrorCode> {
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        // Since version 5 a client says what it thinks the group runs; what it does not say is not checked.
        let differs =
            |theirs: &Option<String>, ours: Option<&str>| theirs.as_deref().is_some_and(|name| Some(name) != ours);
        if differs(&request.protocol_type, self.protocol_type()) || differs(&request.protocol_name, self.protocol()) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        Ok(())
    }

    /// One member fewer to wait for.
    fn has_synced(&mut self, member_id: &str) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() {
            self.sync_deadline_ms = None;
        }
    }

    fn park_sync(&mut self, member_id: &str, from: ReplyTo, turn: &mut Turn<'_>) {
        let superseded = self.members.get_mut(member_id).and_then(|member| member.awaiting_sync.replace(from));
        if let Some(superseded) = superseded {
            turn.refuse_sync(superseded, ErrorCode::REBALANCE_IN_PROGRESS);
        }
    }

    /// Logs what the leader decided. The group is stable once the record is applied; the answers leave once it is
    /// committed, so that no member works on an assignment that a new coordinator would not know.
    fn assign(&mut self, from_leader: &[(String, Bytes)], turn: &mut Turn<'_>) {
        let assignments: BTreeMap<String, Bytes> = from_leader
            .iter()
            .filter(|(member_id, _)| self.members.contains_key(member_id))
            .map(|(member_id, assignment)| (member_id.clone(), Bytes::copy_from_slice(assignment)))
            .collect();
        let record = self.metadata_record(&assignments, turn);
        if record.size_bytes() > turn.config.max_record_bytes {
            // The log would refuse it. Kafka answers this error then, and lets everybody try again.
            self.abandon_syncs(ErrorCode::UNKNOWN_SERVER_ERROR, turn);
            return self.prepare_rebalance(turn);
        }
        turn.log(record);
        turn.totals.completed_rebalances += 1;
        for (member_id, to) in self.unpark_syncs() {
            let assignment = assignments.get(&member_id).cloned().unwrap_or_default();
            turn.reply(to, GroupResponse::Sync(self.synced(assignment)));
            self.extend_session(&member_id, turn);
        }
    }

    /// Answers every parked SyncGroup with an error.
    pub(super) fn abandon_syncs(&mut self, error: ErrorCode, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for (member_id, to) in self.unpark_syncs() {
            turn.refuse_sync(to, error);
            self.extend_session(&member_id, turn);
        }
    }

    fn unpark_syncs(&mut self) -> Vec<(String, ReplyTo)> {
        self.members
            .iter_mut()
            .filter_map(|(member_id, member)| Some((member_id.clone(), member.awaiting_sync.take()?)))
            .collect()
    }

    fn synced(&self, assignment: Bytes) -> SyncResponse {
        SyncResponse {
            error: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment,
        }
    }
}

/// A refused SyncGroup.
pub(crate) fn sync_failed(error: ErrorCode) -> SyncResponse {
    SyncResponse { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() }
}

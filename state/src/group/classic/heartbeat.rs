//! Heartbeat: I am alive; is there anything new?

use protocol::ErrorCode;

use super::state::{ClassicGroup, ClassicGroupState};
use crate::group::HeartbeatRequest;
use crate::group::turn::Turn;

impl ClassicGroup {
    /// Keeps a member alive and tells it whether to join again.
    ///
    /// During a rebalance the answer is an error, but it keeps the member alive all the same: the client may still
    /// be finishing its work before it joins.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest, turn: &Turn<'_>) -> ErrorCode {
        if let Err(error) = self.validate_member(&request.member_id, request.group_instance_id.as_deref()) {
            return error;
        }
        if request.generation_id != self.generation_id {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        match self.state {
            ClassicGroupState::Empty | ClassicGroupState::Dead => ErrorCode::UNKNOWN_MEMBER_ID,
            ClassicGroupState::PreparingRebalance => {
                self.extend_session(&request.member_id, turn);
                ErrorCode::REBALANCE_IN_PROGRESS
            }
            ClassicGroupState::CompletingRebalance | ClassicGroupState::Stable => {
                self.extend_session(&request.member_id, turn);
                ErrorCode::NONE
            }
        }
    }
}

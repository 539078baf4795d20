//! Which offset commits a group lets through.

use protocol::ErrorCode;

use super::state::{ClassicGroup, ClassicGroupState};
use crate::group::Committer;
use crate::group::turn::Turn;

impl ClassicGroup {
    /// Whether these offsets may be committed, outside a transaction or in one.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION; REBALANCE_IN_PROGRESS while the generation has no
    /// assignment yet. Transactions are not held up by the state of the group, and their oldest versions name no
    /// member at all (KIP-447).
    pub(crate) fn validate_commit(&self, committer: &Committer, is_transactional: bool) -> Result<(), ErrorCode> {
        let is_empty = self.state == ClassicGroupState::Empty;
        if committer.generation_id < 0 && is_empty {
            return Ok(());
        }
        let names_member = !committer.member_id.is_empty() || committer.group_instance_id.is_some();
        if committer.generation_id >= 0 || names_member {
            self.validate_member(&committer.member_id, committer.group_instance_id.as_deref())?;
            if committer.generation_id != self.generation_id {
                return Err(ErrorCode::ILLEGAL_GENERATION);
            }
        } else if !is_transactional && !is_empty {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if !is_transactional && self.state == ClassicGroupState::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// A commit is a sign of life, except while the assignment is awaited.
    pub(crate) fn heard_of_committer(&mut self, committer: &Committer, turn: &Turn<'_>) {
        if matches!(self.state, ClassicGroupState::Stable | ClassicGroupState::PreparingRebalance) {
            self.extend_session(&committer.member_id, turn);
        }
    }
}

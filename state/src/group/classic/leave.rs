//! LeaveGroup: members go, or an administrator removes them (KIP-345).

use protocol::ErrorCode;

use super::state::ClassicGroup;
use crate::group::turn::Turn;
use crate::group::{LeavingMember, LeftMember};

impl ClassicGroup {
    /// Removes each member that may be removed, then rebalances once.
    pub(crate) fn leave(&mut self, members: Vec<LeavingMember>, turn: &mut Turn<'_>) -> Vec<LeftMember> {
        let members_before = self.members.len();
        let mut results = Vec::with_capacity(members.len());
        for member in members {
            let error = match self.who_leaves(&member) {
                Ok(member_id) => {
                    self.remove_member(&member_id, turn);
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            results.push(LeftMember {
                member_id: member.member_id,
                group_instance_id: member.group_instance_id,
                error,
            });
        }
        if self.members.len() < members_before {
            self.rebalance_or_complete_join(turn);
        } else {
            // Pending members are no part of the generation: at most, nobody waits for them any more.
            self.maybe_complete_join(turn);
        }
        results
    }

    /// The id of the member that is to go: a pending one, a static one named by its instance alone, or any other.
    fn who_leaves(&self, leaving: &LeavingMember) -> Result<String, ErrorCode> {
        let instance = leaving.group_instance_id.as_deref();
        if leaving.member_id.is_empty() {
            return instance
                .and_then(|instance| self.static_member_id(instance))
                .cloned()
                .ok_or(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if !self.pending_members.contains_key(&leaving.member_id) {
            self.validate_member(&leaving.member_id, instance)?;
        }
        Ok(leaving.member_id.clone())
    }
}

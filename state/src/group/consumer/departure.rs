//! How members go: they leave, for good or for now, or they are silent, or take too long to give partitions back.

use std::sync::Arc;

use protocol::ErrorCode;

use super::record::{ConsumerGroupEpoch, ConsumerRecord, CurrentAssignment, OwnedPartitions};
use super::state::ConsumerGroup;
use super::{LEAVE_STATIC_EPOCH, Refused};
use crate::group::classic::ClassicGroup;
use crate::group::turn::Turn;
use crate::group::{ConsumerHeartbeatRequest, ConsumerHeartbeatResponse};

impl ConsumerGroup {
    /// ConsumerGroupHeartbeat of a member that leaves. A static one may leave for now: its partitions stay its own
    /// until its session ends. With the last member of the consumer protocol the rest may become a classic group, which
    /// is returned.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID; FENCED_INSTANCE_ID if another member has taken over the instance id.
    pub(crate) fn leave(
        &mut self,
        request: &ConsumerHeartbeatRequest,
        turn: &mut Turn<'_>,
    ) -> Result<(ConsumerHeartbeatResponse, Option<ClassicGroup>), Refused> {
        let member_id = request.member_id.as_str();
        let mut downgraded = None;
        if let Some(instance_id) = &request.instance_id {
            let owner = self.static_members.get(instance_id).ok_or_else(|| {
                Refused::new(ErrorCode::UNKNOWN_MEMBER_ID, format!("Instance id {instance_id} is unknown."))
            })?;
            if **owner != *member_id {
                let message =
                    format!("Static member {member_id} with instance id {instance_id} was fenced by member {owner}.");
                return Err(Refused::new(ErrorCode::FENCED_INSTANCE_ID, message));
            }
        }
        let Some((id, member)) = self.members.get_key_value(member_id) else {
            let message = format!("Member {member_id} is not a member of group {}.", self.id);
            return Err(Refused::new(ErrorCode::UNKNOWN_MEMBER_ID, message));
        };
        if request.member_epoch == LEAVE_STATIC_EPOCH {
            let away = CurrentAssignment {
                member_epoch: LEAVE_STATIC_EPOCH,
                previous_member_epoch: member.current.member_epoch,
                pending_revocation: OwnedPartitions::new(),
                ..member.current.clone()
            };
            turn.log(self.record(ConsumerRecord::Current { member_id: member_id.to_owned(), value: Some(away) }));
            if let Some(timers) = self.timers.get_mut(member_id) {
                timers.revocation_deadline_ms = None;
            }
        } else {
            let gone = vec![Arc::clone(id)];
            self.latest_topics = request.topics.clone();
            downgraded = self.remove(&gone, turn);
        }
        let response = ConsumerHeartbeatResponse {
            error: ErrorCode::NONE,
            error_message: None,
            member_id: Some(member_id.to_owned()),
            member_epoch: request.member_epoch,
            heartbeat_interval_ms: 0,
            assignment: None,
        };
        Ok((response, downgraded))
    }

    /// Removes the members whose deadlines have passed. Returns the classic group that the rest becomes, if so.
    pub(crate) fn expire(&mut self, turn: &mut Turn<'_>) -> Option<ClassicGroup> {
        let now_ms = turn.now.monotonic_ms;
        let due = self.timers.iter().filter(|(_, timers)| timers.deadlines().any(|deadline_ms| deadline_ms <= now_ms));
        let dead: Vec<Arc<str>> = due.map(|(member_id, _)| Arc::clone(member_id)).collect();
        let mut downgraded = None;
        if !dead.is_empty() {
            turn.totals.expired_members += dead.len() as u64;
            downgraded = self.remove(&dead, turn);
        }
        self.find_next_wake();
        downgraded
    }

    /// Logs that members are gone. The epoch comes first: whatever follows is lost, the next heartbeat assigns anew.
    ///
    /// If only members of the classic protocol are left, the group becomes one of theirs, which is returned.
    pub(super) fn remove(&mut self, gone: &[Arc<str>], turn: &mut Turn<'_>) -> Option<ClassicGroup> {
        if let Some(downgraded) = self.downgrade(gone, false, turn) {
            self.timers.clear();
            return Some(downgraded);
        }
        let epoch = ConsumerGroupEpoch { epoch: self.epoch.saturating_add(1), metadata_hash: self.metadata_hash };
        turn.log(self.record(ConsumerRecord::Epoch(Some(epoch))));
        turn.totals.consumer_rebalances += 1;
        for member_id in gone {
            self.timers.remove(member_id);
            for record in tombstones(member_id) {
                turn.log(self.record(record));
            }
        }
        let is_gone = |member_id: &Arc<str>| gone.contains(member_id);
        let patterns_in_use = |pattern: &String| {
            self.members
                .iter()
                .any(|(id, member)| !is_gone(id) && member.metadata.subscribed_topic_regex.as_ref() == Some(pattern))
        };
        for pattern in self.patterns.keys().filter(|pattern| !patterns_in_use(pattern)) {
            turn.log(self.record(ConsumerRecord::Pattern { pattern: pattern.clone(), value: None }));
        }
        None
    }

    /// The records that end the group, which must be empty.
    pub(crate) fn log_end(&self, turn: &mut Turn<'_>) {
        for pattern in self.patterns.keys() {
            turn.log(self.record(ConsumerRecord::Pattern { pattern: pattern.clone(), value: None }));
        }
        turn.log(self.record(ConsumerRecord::TargetEpoch(None)));
        turn.log(self.record(ConsumerRecord::Epoch(None)));
    }
}

/// The records that make the log forget a member.
pub(super) fn tombstones(member_id: &str) -> [ConsumerRecord; 3] {
    let member_id = || member_id.to_owned();
    [
        ConsumerRecord::Current { member_id: member_id(), value: None },
        ConsumerRecord::Target { member_id: member_id(), value: None },
        ConsumerRecord::Member { member_id: member_id(), value: None },
    ]
}

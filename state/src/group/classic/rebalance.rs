//! From one generation to the next: waiting for members to join, the next generation, and what time does to both.

use protocol::ErrorCode;

use super::state::{ClassicGroup, ClassicGroupState, InitialDelay, JoinTimer};
use crate::group::turn::Turn;
use crate::group::{GroupMetadata, GroupRecord, GroupResponse};

/// Pause before looking again whether anybody rejoined, for groups whose own rebalance timeout is even shorter.
const MIN_RETRY_JOIN_MS: i32 = 1_000;

impl ClassicGroup {
    /// After members came, changed or went: starts a rebalance, or completes the one that waited for nobody else.
    pub(super) fn rebalance_or_complete_join(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            ClassicGroupState::PreparingRebalance => self.maybe_complete_join(turn),
            ClassicGroupState::Empty
            | ClassicGroupState::CompletingRebalance
            | ClassicGroupState::Stable
            | ClassicGroupState::Dead => self.prepare_rebalance(turn),
        }
    }

    /// After loading: every member gets a full session to be heard of. If `group.max.size` was lowered meanwhile,
    /// everybody joins again, and the last find no place.
    pub(crate) fn on_loaded(&mut self, turn: &mut Turn<'_>) {
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.extend_session(&member_id, turn);
        }
        if self.members.len() > turn.config.max_size {
            self.prepare_rebalance(turn);
        }
    }

    /// Asks everybody to join again.
    pub(super) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == ClassicGroupState::CompletingRebalance {
            self.abandon_syncs(ErrorCode::REBALANCE_IN_PROGRESS, turn);
        }
        self.pending_sync.clear();
        self.sync_deadline_ms = None;

        let was_empty = self.state == ClassicGroupState::Empty;
        self.state = ClassicGroupState::PreparingRebalance;
        if was_empty {
            self.wait_for_more_members(turn);
        } else if self.have_all_joined() {
            self.complete_join(turn);
        } else {
            self.wait_for_members(self.rebalance_timeout_ms(), turn);
        }
    }

    fn wait_for_members(&mut self, timeout_ms: i32, turn: &Turn<'_>) {
        let deadline_ms = turn.after_ms(timeout_ms);
        self.join_timer = Some(JoinTimer { deadline_ms, initial: None });
        self.wake_at(deadline_ms);
    }

    /// Lets a starting application's members come in together, rather than one rebalance each (KIP-134).
    fn wait_for_more_members(&mut self, turn: &Turn<'_>) {
        let delay_ms = u64::try_from(turn.config.initial_rebalance_delay_ms).unwrap_or(0);
        let most_ms = u64::try_from(self.rebalance_timeout_ms()).unwrap_or(0);
        let initial = InitialDelay { delay_ms, remaining_ms: most_ms.saturating_sub(delay_ms), member_added: false };
        let deadline_ms = turn.now.monotonic_ms.saturating_add(delay_ms);
        self.join_timer = Some(JoinTimer { deadline_ms, initial: Some(initial) });
        self.wake_at(deadline_ms);
    }

    /// Goes on if everybody is there, unless this is an empty group's first wait, which is always waited out.
    pub(super) fn maybe_complete_join(&mut self, turn: &mut Turn<'_>) {
        if self.join_timer.as_ref().is_some_and(|timer| timer.initial.is_none()) && self.have_all_joined() {
            self.complete_join(turn);
        }
    }

    /// Begins the next generation with those who joined. Static members may be late; the others are removed.
    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        self.join_timer = None;
        let late = self.members.iter().filter(|(_, member)| !member.is_awaiting_join() && !member.is_static());
        for member_id in late.map(|(member_id, _)| member_id.clone()).collect::<Vec<_>>() {
            self.remove_member(&member_id, turn);
            turn.totals.expired_members += 1;
        }
        if self.members.is_empty() {
            return self.log_empty_generation(turn);
        }
        if !self.elect_leader() {
            // Only late static members are left. Their sessions will end, or they will come back.
            return self.wait_for_members(self.rebalance_timeout_ms().max(MIN_RETRY_JOIN_MS), turn);
        }
        self.generation_id = next_generation(self.generation_id);
        self.protocol = self.select_protocol();
        self.state = ClassicGroupState::CompletingRebalance;
        self.pending_sync = self.members.keys().cloned().collect();
        let deadline_ms = turn.after_ms(self.rebalance_timeout_ms());
        self.sync_deadline_ms = Some(deadline_ms);
        self.wake_at(deadline_ms);

        let leader = self.leader.clone().unwrap_or_default();
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            if let Some(to) = self.unpark_join(&member_id) {
                let response = self.joined(&member_id, leader.clone());
                turn.reply(to, GroupResponse::Join(response));
            }
            self.extend_session(&member_id, turn);
            if let Some(member) = self.members.get_mut(&member_id) {
                member.is_new = false;
            }
        }
    }

    /// Nobody is left. The group is empty once this is applied.
    fn log_empty_generation(&self, turn: &mut Turn<'_>) {
        let value = GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation_id: next_generation(self.generation_id),
            protocol: None,
            leader: None,
            current_state_timestamp_ms: Some(turn.now.wall_ms),
            members: Vec::new(),
        };
        turn.log(GroupRecord::GroupMetadata { group_id: self.id.to_string(), value: Some(value) });
    }

    /// Keeps the leader if it joined, else takes somebody who did.
    fn elect_leader(&mut self) -> bool {
        let has_joined =
            |member_id: &String| self.members.get(member_id).is_some_and(|member| member.is_awaiting_join());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| member.is_awaiting_join());
        let Some((member_id, _)) = joined else { return false };
        self.leader = Some(member_id.clone());
        true
    }

    /// Does what the time asks for, and finds out when to be called next.
    pub(crate) fn expire(&mut self, turn: &mut Turn<'_>) {
        self.expire_pending_members(turn);
        self.expire_sessions(turn);
        self.expire_pending_sync(turn);
        self.expire_join(turn);
        self.find_next_wake();
    }

    fn expire_pending_members(&mut self, turn: &mut Turn<'_>) {
        let before = self.pending_members.len();
        self.pending_members.retain(|_, deadline_ms| *deadline_ms > turn.now.monotonic_ms);
        if self.pending_members.len() < before {
            self.maybe_complete_join(turn);
        }
    }

    fn expire_sessions(&mut self, turn: &mut Turn<'_>) {
        let mut dead = Vec::new();
        for (member_id, member) in &mut self.members {
            if member.session_deadline_ms.is_some_and(|deadline_ms| deadline_ms <= turn.now.monotonic_ms) {
                member.session_deadline_ms = None;
                if !member.is_excused() {
                    dead.push(member_id.clone());
                }
            }
        }
        for member_id in &dead {
            self.remove_member(member_id, turn);
            turn.totals.expired_members += 1;
        }
        if !dead.is_empty() {
            self.rebalance_or_complete_join(turn);
        }
    }

    /// Removes members that joined and then never asked for their assignment.
    fn expire_pending_sync(&mut self, turn: &mut Turn<'_>) {
        if self.sync_deadline_ms.is_none_or(|deadline_ms| deadline_ms > turn.now.monotonic_ms) {
            return;
        }
        self.sync_deadline_ms = None;
        for member_id in std::mem::take(&mut self.pending_sync) {
            self.remove_member(&member_id, turn);
            turn.totals.expired_members += 1;
        }
        self.prepare_rebalance(turn);
    }

    fn expire_join(&mut self, turn: &mut Turn<'_>) {
        let Some(timer) = &mut self.join_timer else { return };
        if timer.deadline_ms > turn.now.monotonic_ms {
            return;
        }
        if let Some(initial) = &mut timer.initial
            && initial.member_added
            && initial.remaining_ms > 0
        {
            let spent_ms = initial.delay_ms;
            initial.member_added = false;
            initial.delay_ms =
                u64::try_from(turn.config.initial_rebalance_delay_ms).unwrap_or(0).min(initial.remaining_ms);
            initial.remaining_ms = initial.remaining_ms.saturating_sub(spent_ms);
            timer.deadline_ms = turn.now.monotonic_ms.saturating_add(initial.delay_ms);
            return;
        }
        self.complete_join(turn);
    }
}

/// Generations count from 1 and, after two billion rebalances, start over.
fn next_generation(generation_id: i32) -> i32 {
    generation_id.checked_add(1).unwrap_or(1).max(1)
}

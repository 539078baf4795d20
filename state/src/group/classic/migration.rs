//! A classic group that becomes one of the consumer protocol while members are in, or comes from one (KIP-848).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;

use super::member::Member;
use super::state::{ClassicGroup, ClassicGroupState};
use crate::group::GroupRecord;
use crate::group::consumer::ConsumerMemberMetadata;
use crate::group::turn::Turn;

impl ClassicGroup {
    /// A stable generation of members that a group of the consumer protocol is left with. `None` if they have no
    /// strategy in common, or one of them does not speak the classic protocol.
    pub(crate) fn downgraded<'a>(
        id: Arc<str>,
        generation_id: i32,
        members: impl Iterator<Item = (&'a str, &'a ConsumerMemberMetadata)>,
        turn: &Turn<'_>,
    ) -> Option<ClassicGroup> {
        let mut group = ClassicGroup::new(id);
        group.state = ClassicGroupState::Stable;
        group.generation_id = generation_id;
        group.protocol_type = Some("consumer".to_owned());
        for (member_id, metadata) in members {
            group.insert_member(member_id, Member::downgraded(metadata)?);
            group.extend_session(member_id, turn);
        }
        group.protocol = group.select_protocol();
        group.protocol.is_some().then_some(group)
    }

    /// The record of such a generation. One that has to be followed by another has no leader: whoever reads it, from
    /// the log or now, has the members join again.
    pub(crate) fn downgrade_record(
        &mut self,
        assignments: &BTreeMap<String, Bytes>,
        is_settled: bool,
        turn: &Turn<'_>,
    ) -> GroupRecord {
        if !is_settled {
            self.leader = None;
        }
        self.metadata_record(assignments, turn)
    }

    /// Asks the members of a group that was one of the consumer protocol to join again, before anything else is decided
    /// about it.
    pub(crate) fn begin_due_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.must_rebalance() {
            self.prepare_rebalance(turn);
        }
    }

    /// Whether the group is stable, but nobody leads it.
    pub(super) fn must_rebalance(&self) -> bool {
        self.state == ClassicGroupState::Stable && self.leader.is_none() && !self.members.is_empty()
    }

    /// The group is about to become one of the consumer protocol: whoever is parked joins again there.
    pub(crate) fn abandon(&mut self, turn: &mut Turn<'_>) {
        for (member_id, member) in &mut self.members {
            if let Some(to) = member.awaiting_join.take() {
                // Who does not know its id yet joins as somebody new.
                let known = if member.is_new { "" } else { member_id };
                turn.refuse_join(to, ErrorCode::REBALANCE_IN_PROGRESS, known);
            }
            if let Some(to) = member.awaiting_sync.take() {
                turn.refuse_sync(to, ErrorCode::REBALANCE_IN_PROGRESS);
            }
        }
    }

    /// Members with what each says for the chosen strategy. Not those who have never been told that they are in: they
    /// have nothing, and come back.
    pub(crate) fn upgradable_members(&self) -> impl Iterator<Item = (&String, &Member, Bytes)> {
        self.members.iter().filter(|(_, member)| !member.is_new).map(|(member_id, member)| {
            let chosen = self.protocol().map(|protocol| member.metadata(protocol)).filter(|bytes| !bytes.is_empty());
            let first = || member.protocols.first().map(|(_, metadata)| metadata.clone()).unwrap_or_default();
            (member_id, member, chosen.unwrap_or_else(first))
        })
    }
}

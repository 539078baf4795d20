//! From the classic protocol to the consumer protocol and back, while members are in (KIP-848).
//!
//! A change of protocol is one list of records that the log takes as a whole or not at all. It is refused if it would
//! not fit into a batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use protocol::{ErrorCode, Uuid};

use super::Refused;
use super::describe::plain;
use super::embedded::{read_assignment, read_subscription, with_ids, write_assignment};
use super::record::{
    Assignment, ClassicMember, ConsumerGroupEpoch, ConsumerMemberMetadata, ConsumerRecord, CurrentAssignment,
    MemberState, OwnedPartitions,
};
use super::state::{ConsumerGroup, Member, Timers};
use super::topics::Topics;
use crate::group::GroupRecord;
use crate::group::classic::ClassicGroup;
use crate::group::turn::Turn;

/// The consumer group that a classic one becomes, with the records that lead there. Each member stands where its last
/// assignment left it.
///
/// # Errors
/// GROUP_ID_NOT_FOUND if the group may not be upgraded, or cannot because of what its members say.
pub(super) fn upgrade(
    group_id: &str,
    classic: &ClassicGroup,
    topics: &Topics,
    turn: &Turn<'_>,
) -> Result<(ConsumerGroup, Vec<GroupRecord>), Refused> {
    let refused = |why: &str| Err(Refused::new(ErrorCode::GROUP_ID_NOT_FOUND, why.to_owned()));
    if !turn.config.consumer_migration_policy.upgrades() || !classic.uses_consumer_protocol() {
        return refused(&format!("Group {group_id} is not a consumer group."));
    }
    if classic.members().count() > turn.config.consumer_max_size {
        return refused(&format!("Group {group_id} has more members than group.consumer.max.size allows."));
    }
    let Some(records) = upgrade_records(classic, topics, turn) else {
        let why = "because the embedded consumer protocol is malformed.";
        return refused(&format!("Cannot upgrade the classic group {group_id} to consumer group {why}"));
    };
    let mut group = ConsumerGroup::new(group_id.into());
    records.iter().for_each(|record| group.apply(record));
    let members: Vec<(Arc<str>, i32)> = group
        .members
        .iter()
        .filter_map(|(id, member)| Some((Arc::clone(id), member.metadata.classic.as_ref()?.session_timeout_ms)))
        .collect();
    for (member_id, session_timeout_ms) in members {
        let deadline_ms = turn.after_ms(session_timeout_ms);
        group.timers.insert(member_id, Timers { session_deadline_ms: Some(deadline_ms), ..Timers::default() });
        group.wake_at(deadline_ms);
    }
    let tombstone = GroupRecord::GroupMetadata { group_id: group_id.to_owned(), value: None };
    let records = records.into_iter().map(|record| group.record(record));
    let records: Vec<GroupRecord> = classic.is_logged().then_some(tombstone).into_iter().chain(records).collect();
    if !is_one_batch(&records, turn) {
        return refused(&format!("Group {group_id} is too large to become a consumer group in one batch of its log."));
    }
    Ok((group, records))
}

/// `None` if a subscription or an assignment cannot be read.
fn upgrade_records(classic: &ClassicGroup, topics: &Topics, turn: &Turn<'_>) -> Option<Vec<ConsumerRecord>> {
    let epoch = classic.generation_id();
    let mut given = Vec::new();
    for (id, member, subscription) in classic.upgradable_members() {
        let assigned = read_assignment(member.logged_assignment(), topics, epoch)?;
        given.push((id, member, read_subscription(&subscription)?, assigned));
    }
    let mut taken: BTreeSet<(Uuid, i32)> = given.iter().flat_map(|(.., assigned)| each(assigned)).collect();
    let (mut members, mut targets, mut currents) = (Vec::new(), Vec::new(), Vec::new());
    for (id, member, subscription, mut assigned) in given {
        targets.push(ConsumerRecord::Target { member_id: id.clone(), value: Some(plain(&assigned)) });
        // A cooperative member goes on reading what it had when it joined, until it has heard what it is given.
        for (topic, partitions) in with_ids(&subscription.owned, topics) {
            for partition in partitions.into_iter().filter(|partition| taken.insert((topic, *partition))) {
                assigned.entry(topic).or_default().insert(partition, epoch);
            }
        }
        let metadata = ConsumerMemberMetadata {
            instance_id: member.group_instance_id.clone(),
            rack_id: subscription.rack_id,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            subscribed_topic_names: subscription.topics,
            subscribed_topic_regex: None,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            server_assignor: None,
            classic: Some(ClassicMember {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols().clone(),
            }),
        };
        members.push(ConsumerRecord::Member { member_id: id.clone(), value: Some(metadata) });
        let current = CurrentAssignment {
            member_epoch: epoch,
            previous_member_epoch: epoch,
            state: MemberState::Stable,
            assigned,
            ..CurrentAssignment::default()
        };
        currents.push(ConsumerRecord::Current { member_id: id.clone(), value: Some(current) });
    }
    if members.is_empty() && epoch <= 0 {
        return Some(Vec::new());
    }
    let mut records = members;
    // The topics are not compared yet: whoever joins raises the epoch in any case.
    records.push(ConsumerRecord::Epoch(Some(ConsumerGroupEpoch { epoch, metadata_hash: 0 })));
    records.extend(targets);
    records.push(ConsumerRecord::TargetEpoch(Some((epoch, turn.now.wall_ms))));
    records.extend(currents);
    Some(records)
}

/// What a member may read, be it to give back. In a group that is not settled, what it shall have may be another's.
fn readable(member: &Member) -> Assignment {
    let mut all = member.current.assigned.clone();
    for (topic, partitions) in &member.current.pending_revocation {
        all.entry(*topic).or_default().extend(partitions);
    }
    plain(&all)
}

fn each(owned: &OwnedPartitions) -> impl Iterator<Item = (Uuid, i32)> {
    owned.iter().flat_map(|(topic, partitions)| partitions.keys().map(|partition| (*topic, *partition)))
}

/// Whether they fit into a batch together with what this turn has logged already.
fn is_one_batch(records: &[GroupRecord], turn: &Turn<'_>) -> bool {
    let all = turn.out.records.iter().chain(records);
    all.map(GroupRecord::size_bytes).sum::<usize>() <= turn.config.max_record_bytes
}

impl ConsumerGroup {
    /// Whether everybody else speaks the classic protocol, and this member does not.
    pub(super) fn is_last_consumer(&self, member_id: &str) -> bool {
        let speaks_classic = |member: &Member| member.metadata.classic.is_some();
        self.members.get(member_id).is_some_and(|member| !speaks_classic(member))
            && self.members.iter().all(|(id, member)| **id == *member_id || speaks_classic(member))
    }

    /// Logs that the group becomes a classic one, and returns it, if with these members the last one goes that speaks
    /// the consumer protocol. `was_replaced` says that it has been replaced already by a member that does not.
    pub(super) fn downgrade(
        &mut self,
        gone: &[Arc<str>],
        was_replaced: bool,
        turn: &mut Turn<'_>,
    ) -> Option<ClassicGroup> {
        let speaks_classic =
            |id: &Arc<str>| self.members.get(id).is_some_and(|member| member.metadata.classic.is_some());
        let stay: Vec<&Arc<str>> = self.members.keys().filter(|id| !gone.contains(id)).collect();
        let was_last = was_replaced || gone.iter().any(|id| self.members.contains_key(id) && !speaks_classic(id));
        if !was_last
            || stay.is_empty()
            || !stay.iter().all(|id| speaks_classic(id))
            || !turn.config.consumer_migration_policy.downgrades()
            || stay.len() > turn.config.max_size
        {
            return None;
        }
        let members = stay.iter().map(|id| (&***id, &self.members[&***id].metadata));
        let mut classic = ClassicGroup::downgraded(Arc::clone(&self.id), self.epoch, members, turn)?;
        let assignments: BTreeMap<String, Bytes> = stay
            .iter()
            .filter_map(|id| {
                let member = &self.members[&***id];
                let speaks = member.metadata.classic.as_ref()?;
                Some((id.to_string(), write_assignment(&readable(member), &self.latest_topics, speaks)))
            })
            .collect();
        let is_settled = was_replaced && self.is_settled();
        let mut records = self.end_records();
        records.push(classic.downgrade_record(&assignments, is_settled, turn));
        if !is_one_batch(&records, turn) {
            return None;
        }
        records.into_iter().for_each(|record| turn.log(record));
        Some(classic)
    }

    /// Whether everybody has what they shall have, at the group's epoch.
    fn is_settled(&self) -> bool {
        self.members.values().all(|member| {
            member.current.state == MemberState::Stable
                && member.current.member_epoch == self.epoch
                && plain(&member.current.assigned) == member.target
        })
    }

    /// The records that make the log forget the group with all its members, apart from its offsets.
    fn end_records(&self) -> Vec<GroupRecord> {
        let ids = || self.members.keys().map(|id| id.to_string());
        let mut records: Vec<ConsumerRecord> = Vec::new();
        records.extend(ids().map(|member_id| ConsumerRecord::Current { member_id, value: None }));
        records.extend(ids().map(|member_id| ConsumerRecord::Target { member_id, value: None }));
        records.push(ConsumerRecord::TargetEpoch(None));
        records.extend(ids().map(|member_id| ConsumerRecord::Member { member_id, value: None }));
        records.extend(self.patterns.keys().cloned().map(|pattern| ConsumerRecord::Pattern { pattern, value: None }));
        records.push(ConsumerRecord::Epoch(None));
        records.into_iter().map(|record| self.record(record)).collect()
    }
}

//! DescribeGroups, ListGroups, and the numbers for metrics: looking without touching.

use bytes::Bytes;

use super::classic::{ClassicGroup, ClassicGroupState};
use super::consumer::{ConsumerGroup, ConsumerGroupState};
use super::registry::Registry;
use super::{DescribedGroup, DescribedMember, GroupCounts, ListRequest, ListedGroup};

/// What Kafka calls the types of groups (KIP-848).
const CLASSIC: &str = "classic";
const CONSUMER: &str = "consumer";

/// Describes a group. One that does not exist, or is of the consumer protocol, is Dead.
pub(super) fn describe(groups: &Registry, group_id: &str) -> DescribedGroup {
    let Some(classic) = groups.get(group_id).filter(|entry| entry.consumer.is_none()).map(|entry| &entry.classic)
    else {
        return DescribedGroup {
            group_id: group_id.to_owned(),
            state: ClassicGroupState::Dead,
            protocol_type: String::new(),
            protocol_data: String::new(),
            members: Vec::new(),
        };
    };
    // What members say about themselves is settled only once the protocol is.
    let protocol = classic.protocol().filter(|_| classic.state() == ClassicGroupState::Stable);
    DescribedGroup {
        group_id: group_id.to_owned(),
        state: classic.state(),
        protocol_type: classic.protocol_type().unwrap_or_default().to_owned(),
        protocol_data: protocol.unwrap_or_default().to_owned(),
        members: describe_members(classic, protocol),
    }
}

fn describe_members(classic: &ClassicGroup, protocol: Option<&str>) -> Vec<DescribedMember> {
    let members = classic.members().map(|(member_id, member)| DescribedMember {
        member_id: member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: protocol.map_or_else(Bytes::new, |protocol| member.metadata(protocol)),
        assignment: member.assignment.clone(),
    });
    members.collect()
}

/// Lists the groups that pass the filters. Names that no state or type has match nothing.
pub(super) fn list(groups: &Registry, request: &ListRequest) -> Vec<ListedGroup> {
    let matches =
        |filter: &[String], name: &str| filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(name));
    let listed = groups.iter().map(|(group_id, entry)| match &entry.consumer {
        Some(group) => ListedGroup {
            group_id: group_id.to_string(),
            protocol_type: CONSUMER.to_owned(),
            state: group.state().name(),
            group_type: CONSUMER,
        },
        None => ListedGroup {
            group_id: group_id.to_string(),
            protocol_type: entry.classic.protocol_type().unwrap_or_default().to_owned(),
            state: entry.classic.state().name(),
            group_type: CLASSIC,
        },
    });
    let is_wanted = |group: &ListedGroup| {
        matches(&request.types_filter, group.group_type) && matches(&request.states_filter, group.state)
    };
    listed.filter(is_wanted).collect()
}

pub(super) fn count(groups: &Registry) -> GroupCounts {
    let mut counts = GroupCounts { groups: groups.len(), ..GroupCounts::default() };
    for (_, entry) in groups.iter() {
        counts.offsets += entry.offsets.committed_len();
        counts.pending_transactional_offsets += entry.offsets.pending_len();
        if let Some(group) = &entry.consumer {
            count_consumers(group, &mut counts);
            continue;
        }
        let classic = &entry.classic;
        match classic.state() {
            ClassicGroupState::Empty => counts.groups_empty += 1,
            ClassicGroupState::PreparingRebalance => counts.groups_preparing_rebalance += 1,
            ClassicGroupState::CompletingRebalance => counts.groups_completing_rebalance += 1,
            ClassicGroupState::Stable => counts.groups_stable += 1,
            ClassicGroupState::Dead => {}
        }
        for (_, member) in classic.members() {
            counts.members += 1;
            counts.parked_requests += usize::from(member.is_awaiting_join()) + usize::from(member.is_awaiting_sync());
        }
        counts.pending_members += classic.pending_member_count();
    }
    counts
}

fn count_consumers(group: &ConsumerGroup, counts: &mut GroupCounts) {
    counts.consumer_groups += 1;
    counts.members += group.member_count();
    match group.state() {
        ConsumerGroupState::Empty => counts.consumer_groups_empty += 1,
        ConsumerGroupState::Assigning => counts.consumer_groups_assigning += 1,
        ConsumerGroupState::Reconciling => counts.consumer_groups_reconciling += 1,
        ConsumerGroupState::Stable => counts.consumer_groups_stable += 1,
    }
}

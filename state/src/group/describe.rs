//! DescribeGroups, ListGroups, and the numbers for metrics: looking without touching.

use bytes::Bytes;

use super::classic::{ClassicGroup, ClassicGroupState};
use super::registry::Registry;
use super::{DescribedGroup, DescribedMember, GroupCounts, ListRequest, ListedGroup};

/// What Kafka calls the type of the groups here (KIP-848).
const CLASSIC: &str = "classic";

/// Describes a group. One that does not exist is Dead.
pub(super) fn describe(groups: &Registry, group_id: &str) -> DescribedGroup {
    let Some(classic) = groups.get(group_id).map(|entry| &entry.classic) else {
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
    if !matches(&request.types_filter, CLASSIC) {
        return Vec::new();
    }
    let matching = groups.iter().filter(|(_, entry)| matches(&request.states_filter, entry.classic.state().name()));
    let listed = matching.map(|(group_id, entry)| ListedGroup {
        group_id: group_id.to_string(),
        protocol_type: entry.classic.protocol_type().unwrap_or_default().to_owned(),
        state: entry.classic.state(),
        group_type: CLASSIC,
    });
    listed.collect()
}

pub(super) fn count(groups: &Registry) -> GroupCounts {
    let mut counts = GroupCounts { groups: groups.len(), ..GroupCounts::default() };
    for (_, entry) in groups.iter() {
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
        counts.offsets += entry.offsets.committed_len();
        counts.pending_transactional_offsets += entry.offsets.pending_len();
    }
    counts
}

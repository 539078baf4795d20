//! ConsumerGroupDescribe: looking without touching.

use super::record::{Assignment, OwnedPartitions};
use super::state::Member;
use crate::group::registry::Registry;
use crate::group::{DescribedConsumer, DescribedConsumerGroup, GroupConfig};

/// Describes a group; `None` if it is not one of the consumer protocol.
pub(crate) fn describe(groups: &Registry, group_id: &str, config: &GroupConfig) -> Option<DescribedConsumerGroup> {
    let group = groups.consumer(group_id)?;
    let member = |(member_id, member): (&std::sync::Arc<str>, &Member)| DescribedConsumer {
        member_id: member_id.to_string(),
        member_epoch: member.current.member_epoch,
        metadata: member.metadata.clone(),
        assignment: plain(&member.current.assigned),
        target_assignment: member.target.clone(),
    };
    Some(DescribedConsumerGroup {
        group_id: group_id.to_owned(),
        state: group.state(),
        epoch: group.epoch(),
        assignment_epoch: group.assignment_epoch(),
        assignor: group.preferred_assignor().unwrap_or_else(|| config.default_assignor()),
        members: group.members().map(member).collect(),
    })
}

/// Partitions without their epochs.
pub(super) fn plain(owned: &OwnedPartitions) -> Assignment {
    owned.iter().map(|(topic, partitions)| (*topic, partitions.keys().copied().collect())).collect()
}

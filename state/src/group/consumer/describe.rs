//! ConsumerGroupDescribe: looking without touching.

use super::record::{Assignment, CurrentAssignment, OwnedPartitions};
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
        assignment: read_by(&member.current),
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

/// What a member may still read: what it has to give back is its own until it says that it has.
fn read_by(current: &CurrentAssignment) -> Assignment {
    let mut all = plain(&current.assigned);
    for (topic, partitions) in plain(&current.pending_revocation) {
        let of_topic = all.entry(topic).or_default();
        of_topic.extend(partitions);
        of_topic.sort_unstable();
    }
    all
}

/// Partitions without their epochs.
pub(super) fn plain(owned: &OwnedPartitions) -> Assignment {
    owned.iter().map(|(topic, partitions)| (*topic, partitions.keys().copied().collect())).collect()
}

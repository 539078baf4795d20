//! Consumer groups: listed, described, moved and deleted.

use std::collections::BTreeMap;

use client::{ClientError, Cluster, TopicPartition};
use protocol::ErrorCode;
use protocol::internal::{self, ConsumerProtocolAssignment};
use protocol::messages::delete_groups::DeleteGroupsRequest;
use protocol::messages::describe_groups::{DescribeGroupsRequest, DescribedGroupMember};
use protocol::messages::list_groups::{ListGroupsRequest, ListedGroup};
use protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};

/// The state of a group that does not exist, from brokers that have no error for it.
const DEAD: &str = "Dead";
/// The last version of OffsetCommit that names topics instead of giving their ids.
const LAST_NAME_VERSION: i16 = 9;

/// A group and who is in it.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) protocol_type: String,
    /// How partitions are dealt.
    pub(crate) assignor: String,
    /// Where its coordinator listens, `host:port`.
    pub(crate) coordinator: String,
    /// By member id.
    pub(crate) members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) host: String,
    pub(crate) assigned: BTreeMap<String, Vec<i32>>,
}

impl Member {
    /// Every partition it reads, by name.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        let of_topic = |(topic, partitions): (&'_ String, &'_ Vec<i32>)| {
            let topic: std::sync::Arc<str> = topic.as_str().into();
            partitions.iter().map(|partition| TopicPartition::new(topic.clone(), *partition)).collect::<Vec<_>>()
        };
        self.assigned.iter().flat_map(of_topic)
    }
}

/// All groups of all brokers, by name.
///
/// # Errors
/// The first broker's.
pub(crate) async fn list(cluster: &Cluster) -> Result<Vec<ListedGroup>, ClientError> {
    let mut groups = Vec::new();
    // Each broker knows the groups it coordinates.
    for connection in cluster.brokers().await? {
        let answer = connection.send(&ListGroupsRequest::default()).await?;
        ClientError::check(format!("the groups of {}", connection.address()), answer.error_code, None)?;
        groups.extend(answer.groups);
    }
    groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
    Ok(groups)
}

/// Whether a listed group is one of consumers: of the classic kind, or of one that says so itself.
pub(crate) fn is_of_consumers(group: &ListedGroup) -> bool {
    group.protocol_type == "consumer" || group.protocol_type.is_empty()
}

/// One group.
///
/// # Errors
/// GROUP_ID_NOT_FOUND when there is none of this name.
pub(crate) async fn describe(cluster: &Cluster, id: &str) -> Result<Group, ClientError> {
    let coordinator = cluster.coordinator(id).await?;
    let request = DescribeGroupsRequest { groups: vec![id.into()], ..Default::default() };
    let answer = coordinator.send(&request).await?;
    let group = answer.groups.into_iter().next().unwrap_or_default();
    let what = || format!("group {id}");
    ClientError::check(what(), group.error_code, group.error_message)?;
    if group.group_state == DEAD {
        ClientError::check(what(), ErrorCode::GROUP_ID_NOT_FOUND, None)?;
    }
    let mut members = group.members.into_iter().map(member).collect::<Result<Vec<_>, _>>()?;
    members.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Group {
        id: group.group_id,
        state: group.group_state,
        protocol_type: group.protocol_type,
        assignor: group.protocol_data,
        coordinator: coordinator.address().to_string(),
        members,
    })
}

fn member(member: DescribedGroupMember) -> Result<Member, ClientError> {
    let mut assigned = BTreeMap::new();
    // Empty while the group rebalances.
    if !member.member_assignment.is_empty() {
        let assignment: ConsumerProtocolAssignment =
            internal::decode_or_newer(member.member_assignment).map_err(|error| ClientError::Corrupt {
                what: format!("the assignment of member {}", member.member_id),
                reason: error.to_string(),
            })?;
        assigned.extend(assignment.assigned_partitions.into_iter().map(|topic| (topic.topic, topic.partitions)));
    }
    Ok(Member {
        id: member.member_id,
        instance_id: member.group_instance_id,
        client_id: member.client_id,
        host: member.client_host,
        assigned,
    })
}

/// Deletes a group.
///
/// # Errors
/// NON_EMPTY_GROUP while it has members, GROUP_ID_NOT_FOUND.
pub(crate) async fn delete(cluster: &Cluster, id: &str) -> Result<(), ClientError> {
    let request = DeleteGroupsRequest { groups_names: vec![id.into()] };
    let answer = cluster.coordinator(id).await?.send(&request).await?;
    let code = answer.results.first().map_or(ErrorCode::NONE, |result| result.error_code);
    ClientError::check(format!("group {id}"), code, None)
}

/// Sets the offsets of a group that has no members.
///
/// # Errors
/// The first partition's.
pub(crate) async fn commit(
    cluster: &Cluster,
    id: &str,
    offsets: &BTreeMap<TopicPartition, i64>,
) -> Result<(), ClientError> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (place, offset) in offsets {
        topics.entry(&place.topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: place.partition,
            committed_offset: *offset,
            committed_metadata: Some(String::new()),
            ..Default::default()
        });
    }
    let topic = |(name, partitions): (&str, _)| OffsetCommitRequestTopic {
        name: name.into(),
        partitions,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: id.into(),
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    };
    let connection = cluster.coordinator(id).await?;
    let version = connection.version_up_to::<OffsetCommitRequest>(LAST_NAME_VERSION)?;
    for topic in connection.send_version(&request, version).await?.topics {
        for partition in topic.partitions {
            let what = format!("the offset of {}-{}", topic.name, partition.partition_index);
            ClientError::check(what, partition.error_code, None)?;
        }
    }
    Ok(())
}

/// Forgets offsets of a group. Answers how it went for each partition.
///
/// # Errors
/// The group's own.
pub(crate) async fn forget(
    cluster: &Cluster,
    id: &str,
    places: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Result<(), ClientError>>, ClientError> {
    let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
    for place in places {
        let partition = OffsetDeleteRequestPartition { partition_index: place.partition };
        topics.entry(&place.topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (&str, _)| OffsetDeleteRequestTopic { name: name.into(), partitions };
    let request = OffsetDeleteRequest { group_id: id.into(), topics: topics.into_iter().map(topic).collect() };
    let answer = cluster.coordinator(id).await?.send(&request).await?;
    ClientError::check(format!("group {id}"), answer.error_code, None)?;
    let mut results = BTreeMap::new();
    for topic in answer.topics {
        for partition in topic.partitions {
            let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
            let result = ClientError::check(place.to_string(), partition.error_code, None);
            results.insert(place, result);
        }
    }
    Ok(results)
}

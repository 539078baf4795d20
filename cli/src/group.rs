//! `ottla group`: list and describe consumer groups.

use std::collections::BTreeMap;

use client::{ClientError, Cluster, StartOffset, TopicPartition, fetch_committed, list_offsets};
use protocol::ErrorCode;
use protocol::internal::{self, ConsumerProtocolAssignment};
use protocol::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup, DescribedGroupMember};
use protocol::messages::list_groups::ListGroupsRequest;
use serde::Serialize;

use crate::arguments::{GroupDescribeArgs, GroupVerb, OutputArgs};
use crate::failure::Outcome;
use crate::output::{or_nothing, print_as};
use crate::table::Table;

/// The state of a group that does not exist, from brokers that have no error for it.
const DEAD: &str = "Dead";

pub(crate) async fn run(cluster: &Cluster, verb: &GroupVerb) -> Outcome {
    match verb {
        GroupVerb::List(output) => list(cluster, *output).await,
        GroupVerb::Describe(args) => describe(cluster, args).await,
    }
}

#[derive(Serialize)]
struct ListedGroup {
    group: String,
    state: String,
    #[serde(rename = "type")]
    group_type: String,
    protocol_type: String,
}

async fn list(cluster: &Cluster, output: OutputArgs) -> Outcome {
    let mut groups = Vec::new();
    // Each broker knows the groups it coordinates.
    for connection in cluster.brokers().await? {
        let answer = connection.send(&ListGroupsRequest::default()).await?;
        ClientError::check(format!("the groups of {}", connection.address()), answer.error_code, None)?;
        groups.extend(answer.groups.into_iter().map(|group| ListedGroup {
            group: group.group_id,
            state: group.group_state,
            group_type: group.group_type,
            protocol_type: group.protocol_type,
        }));
    }
    groups.sort_by(|a, b| a.group.cmp(&b.group));
    print_as(output, &groups, |groups| {
        let mut table = Table::new(&["GROUP", "STATE", "TYPE", "PROTOCOL"]);
        for group in groups {
            table.row([
                group.group.clone(),
                group.state.clone(),
                group.group_type.clone(),
                group.protocol_type.clone(),
            ]);
        }
        table.to_string()
    })
}

#[derive(Serialize)]
struct Description {
    group: String,
    state: String,
    protocol_type: String,
    /// How partitions are dealt.
    assignor: String,
    coordinator: String,
    members: Vec<Member>,
    positions: Vec<Position>,
}

#[derive(Serialize)]
struct Member {
    member_id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
    assigned: BTreeMap<String, Vec<i32>>,
}

#[derive(Serialize)]
struct Position {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    /// The offset of the next record that is written.
    end: Option<i64>,
    /// Records that the group has still to read.
    lag: Option<i64>,
    member_id: Option<String>,
}

async fn describe(cluster: &Cluster, args: &GroupDescribeArgs) -> Outcome {
    let coordinator = cluster.coordinator(&args.group).await?;
    let request = DescribeGroupsRequest { groups: vec![args.group.clone()], ..Default::default() };
    let answer = coordinator.send(&request).await?;
    let group = answer.groups.into_iter().next().unwrap_or_default();
    let what = || format!("group {}", args.group);
    ClientError::check(what(), group.error_code, group.error_message.clone())?;
    if group.group_state == DEAD {
        ClientError::check(what(), ErrorCode::GROUP_ID_NOT_FOUND, None)?;
    }
    let members = group.members.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    let positions = positions(cluster, &args.group, &members).await?;
    let DescribedGroup { group_id, group_state: state, protocol_type, protocol_data: assignor, .. } = group;
    let coordinator = coordinator.address().to_string();
    let description = Description { group: group_id, state, protocol_type, assignor, coordinator, members, positions };
    print_as(args.output, &description, show)
}

fn member(member: &DescribedGroupMember) -> Result<Member, ClientError> {
    let mut assigned = BTreeMap::new();
    // Empty while the group rebalances.
    if !member.member_assignment.is_empty() {
        let assignment: ConsumerProtocolAssignment = internal::decode_or_newer(member.member_assignment.clone())
            .map_err(|error| ClientError::Corrupt {
                what: format!("the assignment of member {}", member.member_id),
                reason: error.to_string(),
            })?;
        assigned.extend(assignment.assigned_partitions.into_iter().map(|topic| (topic.topic, topic.partitions)));
    }
    Ok(Member {
        member_id: member.member_id.clone(),
        instance_id: member.group_instance_id.clone(),
        client_id: member.client_id.clone(),
        host: member.client_host.clone(),
        assigned,
    })
}

/// Everything the group has committed or is reading.
async fn positions(cluster: &Cluster, group: &str, members: &[Member]) -> Result<Vec<Position>, ClientError> {
    let committed = fetch_committed(cluster, group, None).await?;
    let mut owners: BTreeMap<TopicPartition, Option<&str>> =
        committed.keys().map(|place| (place.clone(), None)).collect();
    for member in members {
        for (topic, partitions) in &member.assigned {
            let places = partitions.iter().map(|partition| TopicPartition::new(topic.as_str(), *partition));
            owners.extend(places.map(|place| (place, Some(member.member_id.as_str()))));
        }
    }
    let ends = ends(cluster, owners.keys()).await?;
    let position = |(place, owner): (&TopicPartition, &Option<&str>)| {
        let committed = committed.get(place).map(|committed| committed.offset);
        let end = ends.get(place).copied();
        Position {
            topic: place.topic.to_string(),
            partition: place.partition,
            committed,
            end,
            lag: committed.zip(end).map(|(committed, end)| (end - committed).max(0)),
            member_id: owner.map(str::to_owned),
        }
    };
    Ok(owners.iter().map(position).collect())
}

/// Where partitions end; those of deleted topics, and those without a leader, are left out.
async fn ends<'p>(
    cluster: &Cluster,
    partitions: impl Iterator<Item = &'p TopicPartition>,
) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
    let partitions: Vec<&TopicPartition> = partitions.collect();
    let mut names: Vec<&str> = partitions.iter().map(|place| &*place.topic).collect();
    names.dedup();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let topics = cluster.topics(Some(&names)).await?;
    let has_leader = |place: &&TopicPartition| {
        let topic = topics.iter().flatten().find(|topic| topic.name == place.topic);
        topic.is_some_and(|topic| topic.leader(place.partition).is_ok())
    };
    let with_leader: Vec<TopicPartition> = partitions.into_iter().filter(has_leader).cloned().collect();
    list_offsets(cluster, &with_leader, StartOffset::Latest).await
}

fn show(group: &Description) -> String {
    let mut text = format!("group {}  {}", group.group, group.state);
    if !group.assignor.is_empty() {
        text.push_str(&format!("  assignor {}", group.assignor));
    }
    text.push_str(&format!("  coordinator {}  members {}\n", group.coordinator, group.members.len()));
    let mut table = Table::new(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER", "CLIENT", "HOST"]);
    let who = |id: Option<&str>| {
        let found = group.members.iter().find(|member| Some(member.member_id.as_str()) == id);
        found
            .map(|member| [member.member_id.clone(), member.client_id.clone(), member.host.clone()])
            .unwrap_or_default()
    };
    for position in &group.positions {
        let [member, client, host] = who(position.member_id.as_deref());
        table.row([
            position.topic.clone(),
            position.partition.to_string(),
            or_nothing(position.committed),
            or_nothing(position.end),
            or_nothing(position.lag),
            member,
            client,
            host,
        ]);
    }
    for member in group.members.iter().filter(|member| member.assigned.values().all(Vec::is_empty)) {
        let [member, client, host] = who(Some(&member.member_id));
        let nothing = String::new;
        table.row([nothing(), nothing(), nothing(), nothing(), nothing(), member, client, host]);
    }
    text.push_str(&table.to_string());
    text
}

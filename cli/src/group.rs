//! `ottla group`: list and describe consumer groups.

use std::collections::BTreeMap;

use client::{ClientError, Cluster, TopicPartition, fetch_committed};
use serde::Serialize;

use crate::admin::{groups, topics};
use crate::arguments::{GroupDescribeArgs, GroupVerb, OutputArgs};
use crate::failure::Outcome;
use crate::output::{or_nothing, print_as};
use crate::table::Table;

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
    let listed = |group: protocol::messages::list_groups::ListedGroup| ListedGroup {
        group: group.group_id,
        state: group.group_state,
        group_type: group.group_type,
        protocol_type: group.protocol_type,
    };
    let groups: Vec<ListedGroup> = groups::list(cluster).await?.into_iter().map(listed).collect();
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
    let groups::Group { id, state, protocol_type, assignor, coordinator, members } =
        groups::describe(cluster, &args.group).await?;
    let member = |member: groups::Member| Member {
        member_id: member.id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        host: member.host,
        assigned: member.assigned,
    };
    let members: Vec<Member> = members.into_iter().map(member).collect();
    let positions = positions(cluster, &args.group, &members).await?;
    let description = Description { group: id, state, protocol_type, assignor, coordinator, members, positions };
    print_as(args.output, &description, show)
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
    let places: Vec<TopicPartition> = owners.keys().cloned().collect();
    let ends = topics::ends(cluster, &places).await?;
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

//! `kafka-consumer-groups --describe`.

use std::collections::BTreeMap;
use std::fmt::Write;

use client::{ClientError, Cluster, CommittedOffset, TopicPartition, fetch_committed};

use super::super::flags::Parsed;
use super::chosen;
use crate::admin::groups::{self, Group, Member};
use crate::admin::{nodes, topics};
use crate::failure::{Failure, Outcome};
use crate::output::{commas, say};

/// Narrower, a column is not printed.
const WIDTH: usize = 15;
/// What is not known.
const NOTHING: &str = "-";

pub(super) async fn run(cluster: &Cluster, parsed: &Parsed) -> Outcome {
    for id in chosen(cluster, parsed).await? {
        let group = groups::describe(cluster, &id).await?;
        say_state(&group)?;
        let text = if parsed.has("members") {
            show_members(&group, parsed.has("verbose"))
        } else if parsed.has("state") {
            show_state(cluster, &group).await?
        } else {
            show_offsets(cluster, &group, parsed.has("verbose")).await?
        };
        say(&text)?;
    }
    Ok(())
}

/// What people should know about the state, which is not among what programs read.
fn say_state(group: &Group) -> Result<(), Failure> {
    match group.state.as_str() {
        "Empty" => eprintln!("\nConsumer group '{}' has no active members.", group.id),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            eprintln!("\nWarning: Consumer group '{}' is rebalancing.", group.id);
        }
        _ => {}
    }
    Ok(())
}

/// A line of the table of offsets.
struct Row<'a> {
    place: Option<&'a TopicPartition>,
    member: Option<&'a Member>,
}

async fn show_offsets(cluster: &Cluster, group: &Group, verbose: bool) -> Result<String, ClientError> {
    let committed = fetch_committed(cluster, &group.id, None).await?;
    let assigned: Vec<(TopicPartition, &Member)> =
        group.members.iter().flat_map(|member| member.partitions().map(move |place| (place, member))).collect();
    let owned: BTreeMap<&TopicPartition, &Member> = assigned.iter().map(|(place, member)| (place, *member)).collect();
    let mut rows: Vec<Row<'_>> = Vec::new();
    // Members in order, each with its partitions; then those without partitions; then what nobody reads.
    let mut members: Vec<&Member> = group.members.iter().collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.assigned.values().map(Vec::len).sum::<usize>()));
    for member in members {
        let mut places: Vec<&TopicPartition> =
            owned.iter().filter(|(_, owner)| owner.id == member.id).map(|(place, _)| *place).collect();
        places.sort_by_key(|place| place.partition);
        if places.is_empty() {
            rows.push(Row { place: None, member: Some(member) });
        }
        rows.extend(places.into_iter().map(|place| Row { place: Some(place), member: Some(member) }));
    }
    let mut unread: Vec<&TopicPartition> = committed.keys().filter(|place| !owned.contains_key(place)).collect();
    unread.sort_by_key(|place| place.partition);
    rows.extend(unread.into_iter().map(|place| Row { place: Some(place), member: None }));
    if rows.is_empty() {
        return Ok(String::new());
    }
    let places: Vec<TopicPartition> = rows.iter().filter_map(|row| row.place).cloned().collect();
    let ends = topics::ends(cluster, &places).await?;
    Ok(offsets_table(group, &rows, &committed, &ends, verbose))
}

fn offsets_table(
    group: &Group,
    rows: &[Row<'_>],
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
    ends: &BTreeMap<TopicPartition, i64>,
    verbose: bool,
) -> String {
    let width = |texts: &mut dyn Iterator<Item = &str>| texts.map(str::len).max().unwrap_or(0).max(WIDTH);
    let topic = width(&mut rows.iter().filter_map(|row| row.place).map(|place| &*place.topic));
    let consumer = width(&mut rows.iter().filter_map(|row| row.member).map(|member| member.id.as_str()));
    let host = width(&mut rows.iter().filter_map(|row| row.member).map(|member| member.host.as_str()));
    let name = group.id.len().max(WIDTH);
    let line = |cells: [&str; 10]| {
        let [group, of, partition, epoch, current, end, lag, member, at, client] = cells;
        let epoch = if verbose { format!("{epoch:<15} ") } else { String::new() };
        format!(
            "\n{group:<name$} {of:<topic$} {partition:<10} {epoch}{current:<15} {end:<15} {lag:<15} \
             {member:<consumer$} {at:<host$} {client}"
        )
    };
    let mut text = line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ]);
    let shown = |number: Option<i64>| number.map_or_else(|| NOTHING.into(), |number| number.to_string());
    for row in rows {
        let found = row.place.and_then(|place| committed.get(place));
        let (current, end) = (found.map(|found| found.offset), row.place.and_then(|place| ends.get(place)).copied());
        let epoch = found.map(|found| i64::from(found.leader_epoch)).filter(|epoch| *epoch >= 0);
        text.push_str(&line([
            &group.id,
            row.place.map_or(NOTHING, |place| &place.topic),
            &shown(row.place.map(|place| place.partition.into())),
            &shown(epoch),
            &shown(current),
            &shown(end),
            &shown(current.zip(end).map(|(current, end)| end - current)),
            row.member.map_or(NOTHING, |member| &member.id),
            row.member.map_or(NOTHING, |member| &member.host),
            row.member.map_or(NOTHING, |member| &member.client_id),
        ]));
    }
    text.push('\n');
    text
}

fn show_members(group: &Group, verbose: bool) -> String {
    let width = |text: fn(&Member) -> &str, least: usize| {
        group.members.iter().map(|member| text(member).len()).max().unwrap_or(0).max(least)
    };
    let instance_of = |member: &Member| member.instance_id.clone().unwrap_or_default();
    let has_instances = group.members.iter().any(|member| member.instance_id.is_some());
    let name = if group.members.is_empty() { WIDTH } else { group.id.len().max(WIDTH) };
    let consumer = width(|member| &member.id, WIDTH);
    let instance = width(|member| member.instance_id.as_deref().unwrap_or_default(), 17);
    let host = width(|member| &member.host, WIDTH);
    let client = width(|member| &member.client_id, WIDTH);
    let line = |cells: [&str; 6], more: [&str; 4]| {
        let [group, id, instance_id, at, client_id, count] = cells;
        let [epoch, assignment, target_epoch, target] = more;
        let instance_id = if has_instances { format!("{instance_id:<instance$} ") } else { String::new() };
        let mut line =
            format!("{group:<name$} {id:<consumer$} {instance_id}{at:<host$} {client_id:<client$} {count:<15} ");
        if verbose {
            // Writing to a string cannot fail.
            let _ = write!(line, "{epoch:<15} {assignment:<20} {target_epoch:<15} {target:<20}");
        }
        line.push('\n');
        line
    };
    let mut text = String::from("\n");
    text.push_str(&line(
        ["GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS"],
        ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"],
    ));
    let mut members: Vec<&Member> = group.members.iter().collect();
    let count = |member: &Member| member.assigned.values().map(Vec::len).sum::<usize>();
    members.sort_by_key(|member| std::cmp::Reverse(count(member)));
    for member in members {
        let count = count(member).to_string();
        let assigned: Vec<String> =
            member.assigned.iter().map(|(topic, partitions)| format!("{topic}:{}", commas(partitions))).collect();
        let assigned = if assigned.is_empty() { NOTHING.into() } else { assigned.join(";") };
        text.push_str(&line(
            [&group.id, &member.id, &instance_of(member), &member.host, &member.client_id, &count],
            [NOTHING, &assigned, NOTHING, NOTHING],
        ));
    }
    text
}

async fn show_state(cluster: &Cluster, group: &Group) -> Result<String, ClientError> {
    let brokers = nodes::describe(cluster).await?.brokers;
    let is_it = |broker: &protocol::messages::describe_cluster::DescribeClusterBroker| {
        let host = if broker.host.contains(':') { format!("[{}]", broker.host) } else { broker.host.clone() };
        format!("{host}:{}", broker.port) == group.coordinator
    };
    let id = brokers.iter().find(|broker| is_it(broker)).map_or(-1, |broker| broker.broker_id);
    let coordinator = format!("{}  ({id})", group.coordinator);
    let place = coordinator.len().max(25);
    let name = group.id.len().max(WIDTH);
    let line = |group: &str, at: &str, assignor: &str, state: &str, members: &str| {
        format!("\n{group:<name$} {at:<place$} {assignor:<20} {state:<20} {members}")
    };
    let assignor = if group.assignor.is_empty() { NOTHING } else { &group.assignor };
    let members = group.members.len().to_string();
    Ok(format!(
        "{}{}\n",
        line("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS"),
        line(&group.id, &coordinator, assignor, &group.state, &members)
    ))
}

//! `kafka-consumer-groups --reset-offsets`.

use std::collections::BTreeMap;

use client::{Cluster, StartOffset, TopicPartition, fetch_committed, list_offsets};
use protocol::ErrorCode;

use super::super::flags::Parsed;
use super::super::properties::read_file;
use super::{SCENARIOS, chosen, complain, places, when};
use crate::admin::groups;
use crate::failure::{Failure, Outcome};
use crate::output::say;

/// Where each partition is to be moved to.
type Plan = BTreeMap<TopicPartition, i64>;

pub(super) async fn run(cluster: &Cluster, parsed: &Parsed) -> Outcome {
    if !SCENARIOS.iter().any(|scenario| parsed.has(scenario)) {
        let all = SCENARIOS.map(|scenario| format!("[{scenario}]")).join(", ");
        return Err(Failure::Usage(format!(
            "Option '[reset-offsets]' requires one of the following scenarios: [{all}]"
        )));
    }
    if !parsed.has("all-topics") && !parsed.has("topic") && !parsed.has("from-file") {
        let text = "One of the reset scopes should be defined: --all-topics, --topic.";
        return Err(Failure::Usage(text.into()));
    }
    if !parsed.has("dry-run") && !parsed.has("execute") {
        eprintln!("WARN: nothing is changed without --execute; say --dry-run if that is what you want");
    }
    let mut plans = BTreeMap::new();
    for id in chosen(cluster, parsed).await? {
        let state = match groups::describe(cluster, &id).await {
            Ok(group) => group.state,
            Err(error) if error.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => "Dead".into(),
            Err(error) => return Err(error.into()),
        };
        if state != "Empty" && state != "Dead" {
            complain(&format!(
                "Assignments can only be reset if the group '{id}' is inactive, but the current state is {state}."
            ))?;
            plans.insert(id, Plan::new());
            continue;
        }
        let plan = plan(cluster, parsed, &id).await?;
        if parsed.has("execute") && !plan.is_empty() {
            groups::commit(cluster, &id, &plan).await?;
        }
        plans.insert(id, plan);
    }
    let is_alone = parsed.values("group").count() == 1;
    say(&if parsed.has("export") { export(&plans, is_alone) } else { table(&plans) })
}

fn table(plans: &BTreeMap<String, Plan>) -> String {
    let places = || plans.values().flat_map(BTreeMap::keys);
    let group = plans.keys().map(String::len).max().unwrap_or(0).max(15);
    let topic = places().map(|place| place.topic.len()).max().unwrap_or(0).max(15);
    let mut text = format!("\n{:<group$} {:<topic$} {:<10} {}", "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
    for (id, plan) in plans {
        for (place, offset) in plan {
            text.push_str(&format!("\n{id:<group$} {:<topic$} {:<10} {offset}", place.topic, place.partition));
        }
    }
    text.push('\n');
    text
}

fn export(plans: &BTreeMap<String, Plan>, is_alone: bool) -> String {
    let mut text = String::new();
    for (id, plan) in plans {
        for (place, offset) in plan {
            let group = if is_alone { String::new() } else { format!("{id},") };
            text.push_str(&format!("{group}{},{},{offset}\n", place.topic, place.partition));
        }
    }
    text.push('\n');
    text
}

async fn plan(cluster: &Cluster, parsed: &Parsed, id: &str) -> Result<Plan, Failure> {
    if let Some(path) = parsed.value("from-file")? {
        let is_alone = parsed.values("group").count() == 1;
        let mut plans = read_plans(&read_file(path)?, is_alone.then_some(id))?;
        return match plans.remove(id) {
            Some(plan) => within_range(cluster, plan).await,
            None => complain(&format!("No reset plan for group {id} found")).map(|()| Plan::new()),
        };
    }
    let places = match parsed.has("all-topics") {
        true => fetch_committed(cluster, id, None).await?.into_keys().collect(),
        false => places::find(cluster, parsed.values("topic")).await?,
    };
    if let Some(offset) = parsed.number::<i64>("to-offset")? {
        return within_range(cluster, places.into_iter().map(|place| (place, offset)).collect()).await;
    }
    if let Some(by) = parsed.number::<i64>("shift-by")? {
        let committed = fetch_committed(cluster, id, None).await?;
        let shifted = |place: TopicPartition| match committed.get(&place) {
            Some(found) => Ok((place, found.offset.saturating_add(by))),
            None => Err(Failure::Usage(format!(
                "Cannot shift offset for partition {place} since there is no current committed offset"
            ))),
        };
        return within_range(cluster, places.into_iter().map(shifted).collect::<Result<_, _>>()?).await;
    }
    if parsed.has("to-current") {
        let committed = fetch_committed(cluster, id, None).await?;
        let fresh: Vec<TopicPartition> =
            places.iter().filter(|place| !committed.contains_key(*place)).cloned().collect();
        let mut plan = list_offsets(cluster, &fresh, StartOffset::Latest).await?;
        let known = places.into_iter().filter_map(|place| committed.get(&place).map(|found| (place, found.offset)));
        plan.extend(known.collect::<Vec<_>>());
        return Ok(plan);
    }
    let start = match (parsed.value("to-datetime")?, parsed.value("by-duration")?) {
        (Some(text), _) => StartOffset::Time(when::moment_ms(text)?),
        (_, Some(text)) => StartOffset::Time(when::ago_ms(text)?),
        _ if parsed.has("to-earliest") => StartOffset::Earliest,
        _ => StartOffset::Latest,
    };
    Ok(list_offsets(cluster, &places, start).await?)
}

/// Lines of `topic,partition,offset`, after a group where several are meant.
fn read_plans(text: &str, alone: Option<&str>) -> Result<BTreeMap<String, Plan>, Failure> {
    let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let invalid = || Failure::Input(format!("line {}: expected topic,partition,offset: {line}", number + 1));
        let cells: Vec<&str> = line.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        let (group, topic, partition, offset) = match (cells[..].as_ref(), alone) {
            ([topic, partition, offset], Some(group)) => (group, topic, partition, offset),
            ([group, topic, partition, offset], _) => (*group, topic, partition, offset),
            _ => return Err(invalid()),
        };
        let place = TopicPartition::new(*topic, partition.parse().map_err(|_| invalid())?);
        plans.entry(group.into()).or_default().insert(place, offset.parse().map_err(|_| invalid())?);
    }
    Ok(plans)
}

/// Moves offsets that are outside of the log to its nearer end.
async fn within_range(cluster: &Cluster, mut plan: Plan) -> Result<Plan, Failure> {
    let places: Vec<TopicPartition> = plan.keys().cloned().collect();
    let first = list_offsets(cluster, &places, StartOffset::Earliest).await?;
    let end = list_offsets(cluster, &places, StartOffset::Latest).await?;
    for (place, offset) in &mut plan {
        let (first, end) = (first.get(place).copied().unwrap_or(0), end.get(place).copied().unwrap_or(i64::MAX));
        let wanted = *offset;
        *offset = wanted.min(end).max(first);
        if *offset != wanted {
            let (which, than) = if wanted > end { ("higher", "latest") } else { ("lower", "earliest") };
            eprintln!(
                "New offset ({wanted}) is {which} than {than} offset for topic partition {place}. \
                 Value will be set to {offset}"
            );
        }
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_one_group_or_several() {
        let plans = read_plans("t,0,5\nt,1,6\n", Some("g")).unwrap();
        assert_eq!(plans["g"].len(), 2);
        let plans = read_plans("g,t,0,5\nh,\"t\",1,6\n", None).unwrap();
        assert_eq!(plans["h"][&TopicPartition::new("t", 1)], 6);
        assert!(read_plans("t,0\n", Some("g")).is_err());
        assert!(read_plans("t,0,5\n", None).is_err());
    }
}

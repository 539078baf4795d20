//! `kafka-consumer-groups --list`.

use client::Cluster;
use protocol::messages::list_groups::ListedGroup;

use super::super::flags::Parsed;
use crate::admin::groups;
use crate::failure::{Failure, Outcome};
use crate::output::say;

const STATES: [&str; 7] =
    ["Dead", "CompletingRebalance", "Stable", "Assigning", "PreparingRebalance", "Reconciling", "Empty"];
const TYPES: [&str; 2] = ["Classic", "Consumer"];

pub(super) async fn run(cluster: &Cluster, parsed: &Parsed) -> Outcome {
    let states = wanted(parsed, "state", "state", &STATES)?;
    let types = wanted(parsed, "type", "types", &TYPES)?;
    let mut found = groups::list(cluster).await?;
    found.retain(|group| {
        groups::is_of_consumers(group)
            && (states.is_empty() || states.contains(&group.group_state.to_lowercase()))
            && (types.is_empty() || types.contains(&group.group_type.to_lowercase()))
    });
    let (with_type, with_state) = (parsed.has("type"), parsed.has("state"));
    if !with_type && !with_state {
        return say(&found.iter().map(|group| format!("{}\n", group.group_id)).collect::<String>());
    }
    let width = found.iter().map(|group| group.group_id.chars().count()).max().unwrap_or(0).max(15) + 10;
    let line = |name: &str, kind: &str, state: &str| {
        let mut line = format!("{name:<width$}");
        if with_type {
            line.push_str(&format!(" {kind:<20}"));
        }
        if with_state {
            line.push_str(&format!(" {state:<20}"));
        }
        line.push('\n');
        line
    };
    let row = |group: &ListedGroup| line(&group.group_id, &capitalised(&group.group_type), &group.group_state);
    say(&std::iter::once(line("GROUP", "TYPE", "STATE")).chain(found.iter().map(row)).collect::<String>())
}

/// As brokers say it in one release and in another.
fn capitalised(kind: &str) -> String {
    let (first, rest) = kind.split_at(kind.len().min(1));
    format!("{}{rest}", first.to_uppercase())
}

/// The values of a filter, in lower case; none for all.
fn wanted(parsed: &Parsed, flag: &str, what: &str, known: &[&str]) -> Result<Vec<String>, Failure> {
    let Some(list) = parsed.value(flag)? else { return Ok(Vec::new()) };
    let wanted: Vec<String> = list.split(',').map(|word| word.trim().to_lowercase()).collect();
    match wanted.iter().all(|word| known.iter().any(|known| known.to_lowercase() == *word)) {
        true => Ok(wanted),
        false => Err(Failure::Usage(format!("Invalid {what} list '{list}'. Valid {flag}s are: {}", known.join(", ")))),
    }
}

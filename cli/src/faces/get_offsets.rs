//! `kafka-get-offsets`.

use std::fmt::Write;

use client::TopicPartition;

use super::errors::exception;
use super::flags::{Flag, Parsed, switch, value};
use super::pattern::Pattern;
use super::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connect};
use crate::admin::offsets::{EARLIEST, EARLIEST_LOCAL, EARLIEST_PENDING_UPLOAD, LATEST, LATEST_TIERED, MAX_TIMESTAMP};
use crate::admin::{offsets, topics};
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    value("topic", "regex", "Topics; all, without it"),
    value("partitions", "list", "Partitions, with commas between them; all, without it"),
    value("topic-partitions", "list", "Topics with partitions, as t:0,u:1-3,v:-2,w"),
    value(
        "time",
        "moment",
        "-1 or latest (without it), -2 or earliest, -3 or max-timestamp, -4 or earliest-local, -5 or latest-tiered, or ms since 1970",
    ),
    switch("exclude-internal-topics", "Leave out the cluster's own topics"),
];

/// Which partitions are asked for.
struct Filter {
    topics: Pattern,
    partitions: Partitions,
}

enum Partitions {
    All,
    These(Vec<i32>),
    /// From the first to before the second.
    Range(i32, i32),
}

impl Filter {
    fn matches(&self, place: &TopicPartition) -> bool {
        let partition = match &self.partitions {
            Partitions::All => true,
            Partitions::These(list) => list.contains(&place.partition),
            Partitions::Range(from, to) => (*from..*to).contains(&place.partition),
        };
        partition && self.topics.matches(&place.topic)
    }
}

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    work(parsed).await.map_err(|failure| match failure {
        Failure::Input(text) => Failure::Input(format!("Error occurred: {text}")),
        other => other,
    })
}

async fn work(parsed: &Parsed) -> Outcome {
    parsed.required("bootstrap-server")?;
    let moment = moment(parsed.value("time")?.unwrap_or("latest"))?;
    let filters = filters(parsed)?;
    let cluster = connect(parsed).await?;
    let mut places = Vec::new();
    for topic in topics::list(&cluster).await? {
        if topic.is_internal && parsed.has("exclude-internal-topics") {
            continue;
        }
        if filters.iter().any(|filter| filter.topics.matches(&topic.name)) {
            places.extend(topics::partitions(&cluster, &topic.name).await?);
        }
    }
    places.retain(|place| filters.iter().any(|filter| filter.matches(place)));
    if places.is_empty() {
        return Err(Failure::Input("Could not match any topic-partitions with the specified filters".into()));
    }
    let found = offsets::at(&cluster, places, moment).await?;
    let mut found: Vec<(String, _, _)> =
        found.into_iter().map(|(place, result)| (place.to_string(), place, result)).collect();
    // As text, so that partition 10 comes before 2, as it does in Kafka's.
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let mut text = String::new();
    for (name, place, result) in found {
        match result {
            // Writing to a string cannot fail.
            Ok(offset) if offset >= 0 => {
                let _ = writeln!(text, "{}:{}:{offset}", place.topic, place.partition);
            }
            Ok(_) => {}
            Err(error) => {
                let words = exception(&error);
                eprintln!("Skip getting offsets for topic-partition {name} due to error: {words}");
            }
        }
    }
    say(&text)
}

fn moment(text: &str) -> Result<i64, Failure> {
    Ok(match text {
        "latest" => LATEST,
        "earliest" => EARLIEST,
        "max-timestamp" => MAX_TIMESTAMP,
        "earliest-local" => EARLIEST_LOCAL,
        "latest-tiered" => LATEST_TIERED,
        "earliest-pending-upload" => EARLIEST_PENDING_UPLOAD,
        other => other.parse().map_err(|_| {
            Failure::Input(format!(
                "Malformed time argument {other}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / \
                 -4 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp"
            ))
        })?,
    })
}

fn filters(parsed: &Parsed) -> Result<Vec<Filter>, Failure> {
    if let Some(list) = parsed.value("topic-partitions")? {
        if parsed.has("topic") || parsed.has("partitions") {
            return Err(Failure::Input("--topic-partitions cannot be used with --topic or --partitions".into()));
        }
        return list.split(',').map(rule).collect();
    }
    let partitions = match parsed.value("partitions")?.filter(|list| !list.is_empty()) {
        None => Partitions::All,
        Some(list) => {
            let numbers: Result<Vec<i32>, _> = list.split(',').map(str::parse).collect();
            Partitions::These(numbers.map_err(|_| {
                Failure::Input(format!(
                    "--partitions expects a comma separated list of numeric partition ids, but received: {list}"
                ))
            })?)
        }
    };
    Ok(vec![Filter { topics: Pattern::new(parsed.value("topic")?.unwrap_or(".*"))?, partitions }])
}

/// `topic`, `topic:5`, `topic:5-`, `topic:5-7` (7 is not in it), `topic:-7`; the topic may be left out.
fn rule(text: &str) -> Result<Filter, Failure> {
    let invalid = || Failure::Input(format!("Invalid rule specification: {text}"));
    let (topic, range) = text.split_once(':').unwrap_or((text, ""));
    let number = |text: &str, otherwise| match text {
        "" => Ok(otherwise),
        text => text.parse::<i32>().ok().filter(|number| *number >= 0).ok_or_else(invalid),
    };
    let partitions = match range.split_once('-') {
        _ if range.is_empty() => Partitions::All,
        None => Partitions::These(vec![number(range, 0)?]),
        Some((from, to)) => Partitions::Range(number(from, 0)?, number(to, i32::MAX)?),
    };
    Ok(Filter { topics: Pattern::new(if topic.is_empty() { ".*" } else { topic })?, partitions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_choose_partitions() {
        let chosen = |text: &str| {
            let filter = rule(text).unwrap();
            (0..5).filter(|partition| filter.matches(&TopicPartition::new("t", *partition))).collect::<Vec<_>>()
        };
        assert_eq!(chosen("t"), [0, 1, 2, 3, 4]);
        assert_eq!(chosen("t:2"), [2]);
        assert_eq!(chosen("t:1-3"), [1, 2]);
        assert_eq!(chosen("t:3-"), [3, 4]);
        assert_eq!(chosen(":-2"), [0, 1]);
        assert!(chosen("u").is_empty());
        assert!(rule("t:x").is_err());
    }
}

//! Which partition goes where, as JSON.

use std::collections::{BTreeMap, BTreeSet};

use client::TopicPartition;
use serde::{Deserialize, Serialize};

use super::super::joined;
use super::LogDirs;
use crate::failure::{Failure, Outcome};
use crate::output::commas;

/// Leaves the directory to the broker.
const ANY: &str = "any";

/// Where a partition is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) place: TopicPartition,
    pub(super) replicas: Vec<i32>,
    /// The directories of some of the replicas.
    pub(super) log_dirs: BTreeMap<i32, String>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    #[serde(default = "first_version")]
    version: i32,
    #[serde(default)]
    partitions: Vec<Partition>,
}

#[derive(Serialize, Deserialize)]
struct Partition {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
    log_dirs: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Topics {
    #[serde(default = "first_version")]
    version: i32,
    #[serde(default)]
    topics: Vec<Topic>,
}

#[derive(Deserialize)]
struct Topic {
    topic: String,
}

fn first_version() -> i32 {
    1
}

fn is_known(version: i32) -> Outcome {
    match version {
        1 => Ok(()),
        other => Err(Failure::Input(format!("Not supported version field value {other}"))),
    }
}

fn broken(error: &serde_json::Error) -> Failure {
    Failure::Input(format!("The input string is not a valid JSON: {error}"))
}

/// # Errors
/// When it is no plan.
pub(super) fn read(text: &str) -> Result<Vec<Placed>, Failure> {
    let plan: Plan = serde_json::from_str(text).map_err(|error| broken(&error))?;
    is_known(plan.version)?;
    let placed = |partition: Partition| {
        let Partition { topic, partition, replicas, log_dirs } = partition;
        let place = TopicPartition::new(topic, partition);
        let log_dirs = log_dirs.unwrap_or_else(|| vec![ANY.into(); replicas.len()]);
        if log_dirs.len() != replicas.len() {
            return Err(Failure::Input(format!(
                "Size of replicas list [{}] is different from size of log dirs list [{}] for partition {place}",
                joined(replicas.iter(), ", "),
                log_dirs.join(", ")
            )));
        }
        let chosen = replicas.iter().copied().zip(log_dirs).filter(|(_, dir)| dir != ANY);
        Ok(Placed { place, log_dirs: chosen.collect(), replicas })
    };
    plan.partitions.into_iter().map(placed).collect()
}

/// The topics of `--topics-to-move-json-file`.
///
/// # Errors
/// When it names none, or one twice.
pub(super) fn read_topics(text: &str) -> Result<Vec<String>, Failure> {
    let topics: Topics = serde_json::from_str(text).map_err(|error| broken(&error))?;
    is_known(topics.version)?;
    let names: Vec<String> = topics.topics.into_iter().map(|topic| topic.topic).collect();
    match twice(names.iter()) {
        twice if twice.is_empty() => Ok(names),
        twice => {
            let twice = joined(twice.iter(), ", ");
            Err(Failure::Input(format!("List of topics to reassign contains duplicate entries: [{twice}]")))
        }
    }
}

/// Those that are there more than once.
pub(super) fn twice<T: Ord>(things: impl Iterator<Item = T>) -> BTreeSet<T> {
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for thing in things {
        if seen.contains(&thing) {
            twice.insert(thing);
        } else {
            seen.insert(thing);
        }
    }
    twice
}

/// # Errors
/// When it cannot be carried out, whatever the cluster.
pub(super) fn check(placed: &[Placed]) -> Outcome {
    let refused = |text: String| Err(Failure::Input(text));
    if placed.is_empty() {
        return refused("Partition reassignment list cannot be empty".into());
    }
    if placed.iter().any(|placed| placed.replicas.is_empty()) {
        return refused("Partition replica list cannot be empty".into());
    }
    let places = twice(placed.iter().map(|placed| &placed.place));
    if !places.is_empty() {
        let places = joined(places.iter(), ",");
        return refused(format!("Partition reassignment contains duplicate topic partitions: {places}"));
    }
    let brokers = placed.iter().map(|placed| (&placed.place, twice(placed.replicas.iter().copied())));
    let brokers: Vec<String> = brokers
        .filter(|(_, twice)| !twice.is_empty())
        .map(|(place, twice)| {
            format!("{place} contains multiple entries for {}", commas(&twice.into_iter().collect::<Vec<_>>()))
        })
        .collect();
    match brokers.is_empty() {
        true => Ok(()),
        false => refused(format!("Partition replica lists may not contain duplicate entries: {}", brokers.join(". "))),
    }
}

/// A plan, from which these replicas can be had again.
///
/// # Errors
/// Never in practice: text is always JSON.
pub(super) fn to_json(replicas: &BTreeMap<TopicPartition, Vec<i32>>, dirs: &LogDirs) -> Result<String, Failure> {
    let partition = |(place, replicas): (&TopicPartition, &Vec<i32>)| {
        let dir = |id: &i32| dirs.get(&(place.clone(), *id)).cloned().unwrap_or_else(|| ANY.into());
        Partition {
            topic: place.topic.to_string(),
            partition: place.partition,
            replicas: replicas.clone(),
            log_dirs: Some(replicas.iter().map(dir).collect()),
        }
    };
    let plan = Plan { version: 1, partitions: replicas.iter().map(partition).collect() };
    Ok(serde_json::to_string(&plan).map_err(std::io::Error::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read() {
        let place = TopicPartition::new("t", 3);
        let replicas = BTreeMap::from([(place.clone(), vec![1, 2])]);
        let dirs = LogDirs::from([((place.clone(), 2), "/d".to_string())]);
        let json = to_json(&replicas, &dirs).unwrap();
        let expected =
            r#"{"version":1,"partitions":[{"topic":"t","partition":3,"replicas":[1,2],"log_dirs":["any","/d"]}]}"#;
        assert_eq!(json, expected);
        let placed = Placed { place, replicas: vec![1, 2], log_dirs: BTreeMap::from([(2, "/d".to_string())]) };
        assert_eq!(read(&json).unwrap(), [placed]);
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused() {
        let said = |partitions: &str| {
            let placed = read(&format!(r#"{{"partitions":[{partitions}]}}"#)).and_then(|placed| check(&placed));
            placed.unwrap_err().to_string()
        };
        let one = r#"{"topic":"t","partition":0,"replicas":[1]}"#;
        assert_eq!(said(""), "Partition reassignment list cannot be empty");
        assert_eq!(said(&format!("{one},{one}")), "Partition reassignment contains duplicate topic partitions: t-0");
        assert!(said(&one.replace("[1]", "[1,1]")).ends_with("t-0 contains multiple entries for 1"));
        assert_eq!(said(&one.replace("[1]", "[]")), "Partition replica list cannot be empty");
        let two_dirs = r#"{"topic":"t","partition":0,"replicas":[1],"log_dirs":["any","any"]}"#;
        assert!(
            said(two_dirs).starts_with("Size of replicas list [1] is different from size of log dirs list [any, any]")
        );
        assert!(read(r#"{"version":2}"#).is_err() && read("x").is_err());
    }
}

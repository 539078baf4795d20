//! `--verify`.

use std::collections::BTreeMap;

use client::TopicPartition;
use protocol::ErrorCode;

use super::super::flags::Parsed;
use super::super::properties::read_file;
use super::super::{cluster_endpoint, connect, of_cluster};
use super::plan::{self, Placed};
use super::{LogDirs, clear_throttles, log_dirs};
use crate::admin::reassignments;
use crate::failure::{Failure, Outcome};
use crate::output::{commas, say};

pub(super) async fn run(parsed: &Parsed) -> Outcome {
    let mut placed = plan::read(&read_file(parsed.required("reassignment-json-file")?)?)?;
    let endpoint = cluster_endpoint(parsed).await?;
    let cluster = connect(parsed).await?;
    let moving = reassignments::list(&endpoint, None).await.map_err(of_cluster)?;
    let mut current: BTreeMap<TopicPartition, Vec<i32>> = BTreeMap::new();
    for placed in &placed {
        match cluster.topic(&placed.place.topic).await {
            Ok(topic) => {
                let found = topic.partitions.iter().find(|partition| partition.index == placed.place.partition);
                current.insert(placed.place.clone(), found.map(|found| found.replicas.clone()).unwrap_or_default());
            }
            // Its replicas are none.
            Err(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {}
            Err(error) => return Err(Failure::Client(error)),
        }
    }
    let as_given = placed.clone();
    placed.sort_by(|a, b| a.place.cmp(&b.place));
    say("Status of partition reassignment:\n")?;
    for placed in &placed {
        let now = current.get(&placed.place).map(Vec::as_slice).unwrap_or_default();
        say(&state(placed, now, moving.contains_key(&placed.place)))?;
    }
    let dirs = match placed.iter().any(|placed| !placed.log_dirs.is_empty()) {
        true => log_dirs(&cluster, &current).await?,
        false => LogDirs::new(),
    };
    let in_dirs: String = placed.iter().map(|placed| in_directories(placed, &dirs)).collect();
    say(if in_dirs.is_empty() { "\n" } else { &in_dirs })?;
    let is_over = !placed.iter().any(|placed| moving.contains_key(&placed.place));
    match is_over && !parsed.has("preserve-throttles") {
        true => clear_throttles(&cluster, &as_given).await,
        false => Ok(()),
    }
}

fn state(placed: &Placed, now: &[i32], is_moving: bool) -> String {
    let Placed { place, replicas, .. } = placed;
    if is_moving {
        format!("Reassignment of partition {place} is still in progress.\n")
    } else if now == replicas {
        format!("Reassignment of partition {place} is completed.\n")
    } else {
        let (now, wanted) = (commas(now), commas(replicas));
        format!(
            "There is no active reassignment of partition {place}, but replica set is {now} rather than {wanted}.\n"
        )
    }
}

fn in_directories(placed: &Placed, dirs: &LogDirs) -> String {
    let place = &placed.place;
    let line = |(broker, wanted): (&i32, &String)| match dirs.get(&(place.clone(), *broker)) {
        None => format!("Partition {place} cannot be found in any live log directory on broker {broker}.\n"),
        Some(found) if found == wanted => {
            format!("Reassignment of replica {place}-{broker} completed successfully.\n")
        }
        Some(found) => {
            format!("Partition {place} on broker {broker} is not being moved from log dir {found} to {wanted}.\n")
        }
    };
    placed.log_dirs.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_over_under_way_or_was_never_begun() {
        let placed = Placed { place: TopicPartition::new("t", 0), replicas: vec![2], log_dirs: BTreeMap::new() };
        assert_eq!(state(&placed, &[2], false), "Reassignment of partition t-0 is completed.\n");
        assert_eq!(state(&placed, &[1, 2], true), "Reassignment of partition t-0 is still in progress.\n");
        let said = state(&placed, &[1, 3], false);
        assert_eq!(said, "There is no active reassignment of partition t-0, but replica set is 1,3 rather than 2.\n");
        let dirs = LogDirs::from([((placed.place.clone(), 2), "/a".to_string())]);
        let in_dir = |dir: &str| {
            in_directories(&Placed { log_dirs: BTreeMap::from([(2, dir.to_string())]), ..placed.clone() }, &dirs)
        };
        assert_eq!(in_dir("/a"), "Reassignment of replica t-0-2 completed successfully.\n");
        assert!(in_dir("/b").contains("from log dir /a to /b"));
    }
}

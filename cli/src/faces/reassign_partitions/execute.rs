//! `--execute` and `--cancel`.

use std::collections::{BTreeMap, BTreeSet};

use client::{ClientError, TopicPartition};
use protocol::ErrorCode;

use super::super::flags::Parsed;
use super::super::properties::read_file;
use super::super::{cluster_endpoint, connect, errors, of_cluster};
use super::plan::{self, Placed};
use super::{LogDirs, clear_throttles, joined, log_dirs, missing, replicas_of};
use crate::admin::reassignments;
use crate::failure::{Failure, Outcome};
use crate::output::say;

const ALREADY_MOVING: &str = "Cannot execute because there is an existing partition assignment.  Use --additional to \
    override this and create a new partition assignment in addition to the existing one. The --additional flag can also \
    be used to change the throttle by resubmitting the current reassignment.";

type Outcomes = BTreeMap<TopicPartition, Result<(), ClientError>>;

pub(super) async fn run(parsed: &Parsed) -> Outcome {
    for flag in ["throttle", "replica-alter-log-dirs-throttle"] {
        if parsed.number::<i64>(flag)?.is_some() {
            return Err(Failure::Input(format!("--{flag} is not possible: replication is not throttled; take it out")));
        }
    }
    let placed = plan::read(&read_file(parsed.required("reassignment-json-file")?)?)?;
    plan::check(&placed)?;
    let endpoint = cluster_endpoint(parsed).await?;
    if !parsed.has("additional") && !reassignments::list(&endpoint, None).await.map_err(of_cluster)?.is_empty() {
        say(&format!("{ALREADY_MOVING}\n"))?;
        return Err(Failure::Said);
    }
    let is_there = |id: &i32| endpoint.cluster.brokers.iter().any(|broker| broker.broker_id == *id);
    if let Some(unknown) = placed.iter().flat_map(|placed| &placed.replicas).find(|id| !is_there(id)) {
        return Err(Failure::Input(format!("Unknown broker id {unknown}")));
    }
    let cluster = connect(parsed).await?;
    let mut current = replicas_of(&cluster, &placed.iter().map(|placed| &*placed.place.topic).collect()).await?;
    let places: BTreeSet<&TopicPartition> = placed.iter().map(|placed| &placed.place).collect();
    if let Some(unknown) = places.iter().find(|place| !current.contains_key(place)) {
        let text = format!("Unable to find partition: {unknown}");
        return Err(missing(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text));
    }
    current.retain(|place, _| places.contains(place));
    let dirs = log_dirs(&cluster, &current).await?;
    check_log_dirs(&placed, &dirs)?;
    say(&format!(
        "Current partition replica assignment\n\n{}\n\nSave this to use as the --reassignment-json-file option during \
         rollback\n",
        plan::to_json(&current, &dirs)?
    ))?;
    let moves = placed.iter().map(|placed| (placed.place.clone(), Some(placed.replicas.clone()))).collect();
    let any_factor = !parsed.has("disallow-replication-factor-change");
    let outcomes = reassignments::alter(&endpoint, &moves, any_factor).await.map_err(of_cluster)?;
    check_all(&outcomes, "Error reassigning partition(s):")?;
    let s = if places.len() == 1 { "" } else { "s" };
    say(&format!("Successfully started partition reassignment{s} for {}\n", joined(places.iter(), ",")))?;
    placed.iter().try_for_each(|placed| {
        placed.log_dirs.iter().try_for_each(|(broker, dir)| {
            let place = &placed.place;
            say(&format!(
                "Successfully started moving log directory to {dir} for replica {place} with broker {broker} \n"
            ))
        })
    })
}

/// A replica may be told to stay in its directory: the plan that is printed for a way back says so.
fn check_log_dirs(placed: &[Placed], dirs: &LogDirs) -> Outcome {
    let mut chosen = placed.iter().flat_map(|placed| placed.log_dirs.iter().map(|chosen| (&placed.place, chosen)));
    let moved = chosen.find(|(place, (broker, dir))| dirs.get(&((*place).clone(), **broker)) != Some(dir));
    match moved {
        None => Ok(()),
        Some((place, (broker, dir))) => Err(Failure::Input(format!(
            "{place} cannot be moved to {dir} on broker {broker}: log directories cannot be chosen here; write \"any\""
        ))),
    }
}

fn check_all(outcomes: &Outcomes, heading: &str) -> Outcome {
    let failed = outcomes.iter().filter_map(|(place, outcome)| outcome.as_ref().err().map(|error| (place, error)));
    let failed: Vec<String> =
        failed.map(|(place, error)| format!("{place}: {}\n", errors::client_words(error))).collect();
    if failed.is_empty() {
        return Ok(());
    }
    say(&format!("{heading}\n{}", failed.concat()))?;
    Err(Failure::Said)
}

pub(super) async fn cancel(parsed: &Parsed) -> Outcome {
    let placed = plan::read(&read_file(parsed.required("reassignment-json-file")?)?)?;
    let endpoint = cluster_endpoint(parsed).await?;
    let places: Vec<TopicPartition> = placed.iter().map(|placed| placed.place.clone()).collect();
    let moving = match places.is_empty() {
        true => BTreeMap::new(),
        false => reassignments::list(&endpoint, Some(&places)).await.map_err(of_cluster)?,
    };
    if moving.is_empty() {
        say("None of the specified partition reassignments are active.\n")?;
    } else {
        let s = if moving.len() == 1 { "" } else { "s" };
        let cancelled = moving.keys().map(|place| (place.clone(), None)).collect();
        let outcomes = reassignments::alter(&endpoint, &cancelled, true).await.map_err(of_cluster)?;
        check_all(&outcomes, &format!("Error cancelling partition reassignment{s} for:"))?;
        say(&format!("Successfully cancelled partition reassignment{s} for: {}\n", joined(moving.keys(), ",")))?;
    }
    // Nothing moves between directories, and Kafka's tool ends this line with the next.
    say("None of the specified partition moves are active.")?;
    match parsed.has("preserve-throttles") {
        true => Ok(()),
        false => clear_throttles(&connect(parsed).await?, &placed).await,
    }
}

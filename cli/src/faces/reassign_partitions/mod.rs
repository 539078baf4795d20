//! `kafka-reassign-partitions`.

mod execute;
mod generate;
mod plan;
mod verify;

use std::collections::{BTreeMap, BTreeSet};

use client::{ClientError, Cluster, TopicPartition};
use protocol::ErrorCode;

use super::flags::{Flag, Parsed, switch, value};
use super::{BOOTSTRAP_CONTROLLER, cluster_endpoint, errors, joined, of_cluster};
use crate::admin::configs::{self, Kind};
use crate::admin::{nodes, reassignments};
use crate::failure::{Failure, Outcome};
use crate::output::{commas, say};

pub(crate) const FLAGS: &[Flag] = &[
    value("bootstrap-server", "host:port", "Brokers to connect to, with commas between them"),
    BOOTSTRAP_CONTROLLER,
    value("command-config", "file", "Properties of the client"),
    switch("generate", "Propose where partitions could be"),
    switch("execute", "Move partitions"),
    switch("verify", "Show how far the moves are"),
    switch("cancel", "Take back moves that are under way"),
    switch("list", "Show what is on the move"),
    value("reassignment-json-file", "file", "Which partition goes where, as --generate prints it"),
    value("topics-to-move-json-file", "file", r#"{"topics":[{"topic":"t"}],"version":1}, for --generate"#),
    value("broker-list", "1,2", "Brokers that get the partitions, for --generate"),
    switch("disable-rack-aware", "--generate: do not look at racks"),
    switch("additional", "--execute: also while other moves are under way"),
    switch("disallow-replication-factor-change", "--execute: as many replicas as there are"),
    switch("preserve-throttles", "--verify, --cancel: leave throttles as they are"),
    value("throttle", "bytes/s", "Not possible: replication is not throttled"),
    value("replica-alter-log-dirs-throttle", "bytes/s", "Not possible: replication is not throttled"),
    value("timeout", "ms", "--execute, --cancel: for log directories, which are not changed here; no effect"),
];

const ACTIONS: [&str; 5] = ["generate", "execute", "verify", "cancel", "list"];
/// What may go with an action beside the first, without which there is none.
const PERMITTED: [(&str, &[&str], &[&str]); 5] = [
    ("generate", &["topics-to-move-json-file", "broker-list"], &["bootstrap-server", "disable-rack-aware"]),
    (
        "execute",
        &["reassignment-json-file"],
        &[
            "bootstrap-server",
            "additional",
            "throttle",
            "replica-alter-log-dirs-throttle",
            "timeout",
            "disallow-replication-factor-change",
        ],
    ),
    ("verify", &["reassignment-json-file"], &["bootstrap-server", "preserve-throttles"]),
    ("cancel", &["reassignment-json-file"], &["bootstrap-server", "preserve-throttles", "timeout"]),
    ("list", &[], &["bootstrap-server", "bootstrap-controller"]),
];
const BROKER_THROTTLES: [&str; 3] = [
    "leader.replication.throttled.rate",
    "follower.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
];
const TOPIC_THROTTLES: [&str; 2] = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let action = check(parsed)?;
    let done = match action {
        "generate" => generate::run(parsed).await,
        "execute" => execute::run(parsed).await,
        "verify" => verify::run(parsed).await,
        "cancel" => execute::cancel(parsed).await,
        _ => list(parsed).await,
    };
    // Kafka's tool has no use for standard error here.
    match done {
        Err(failure @ (Failure::Input(_) | Failure::Client(_))) => {
            say(&format!("Error: {}\n", errors::words(&failure)))?;
            Err(Failure::Said)
        }
        done => done,
    }
}

/// Checks what goes with what.
fn check(parsed: &Parsed) -> Result<&'static str, Failure> {
    let listed = ACTIONS.map(|action| format!("--{action}")).join(", ");
    let action = super::one_action(parsed, &ACTIONS, &listed)?;
    match (parsed.has("bootstrap-server"), parsed.has("bootstrap-controller")) {
        (true, true) => {
            return Err(Failure::Usage(
                "Please don't specify both --bootstrap-server and --bootstrap-controller".into(),
            ));
        }
        (false, false) => {
            return Err(Failure::Usage("Please specify either --bootstrap-server or --bootstrap-controller".into()));
        }
        _ => {}
    }
    let permitted = PERMITTED.iter().find(|(name, ..)| *name == action);
    let (_, required, others) = permitted.expect("every action has a row");
    required.iter().try_for_each(|flag| parsed.required(flag).map(|_| ()))?;
    let is_permitted =
        |name: &str| name == action || name == "command-config" || required.contains(&name) || others.contains(&name);
    match FLAGS.iter().find(|flag| parsed.has(flag.name) && !is_permitted(flag.name)) {
        Some(flag) => {
            let name = flag.name;
            Err(Failure::Usage(format!("Option \"[{name}]\" can't be used with action \"[{action}]\"")))
        }
        None => Ok(action),
    }
}

async fn list(parsed: &Parsed) -> Outcome {
    let moves = reassignments::list(&cluster_endpoint(parsed).await?, None).await.map_err(of_cluster)?;
    if moves.is_empty() {
        return say("No partition reassignments found.\n");
    }
    say("Current partition reassignments:\n")?;
    moves.iter().try_for_each(|(place, state)| {
        let changed = |what: &str, replicas: &[i32]| match replicas {
            [] => String::new(),
            replicas => format!(" {what}: {}.", commas(replicas)),
        };
        let (adding, removing) =
            (changed("adding", &state.adding_replicas), changed("removing", &state.removing_replicas));
        say(&format!("{place}: replicas: {}.{adding}{removing}\n", commas(&state.replicas)))
    })
}

/// The replicas of all partitions of some topics.
///
/// # Errors
/// When one does not exist.
async fn replicas_of(
    cluster: &Cluster,
    topics: &BTreeSet<&str>,
) -> Result<BTreeMap<TopicPartition, Vec<i32>>, Failure> {
    let mut replicas = BTreeMap::new();
    for name in topics {
        let topic = cluster.topic(name).await.map_err(|error| match error.code() {
            Some(code @ ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => missing(code, format!("Topic {name} not found.")),
            _ => of_cluster(error),
        })?;
        let partitions = topic.partitions.iter();
        replicas.extend(
            partitions.map(|found| (TopicPartition::new(topic.name.clone(), found.index), found.replicas.clone())),
        );
    }
    Ok(replicas)
}

fn missing(code: ErrorCode, message: String) -> Failure {
    let error = ClientError::Kafka { what: String::new(), code, message: Some(message) };
    Failure::Input(errors::exception(&error))
}

type LogDirs = BTreeMap<(TopicPartition, i32), String>;

/// In which directory each replica of some partitions is, as far as its broker has it.
async fn log_dirs(cluster: &Cluster, replicas: &BTreeMap<TopicPartition, Vec<i32>>) -> Result<LogDirs, Failure> {
    let topics: BTreeSet<String> = replicas.keys().map(|place| place.topic.to_string()).collect();
    let topics: Vec<String> = topics.into_iter().collect();
    let brokers: BTreeSet<i32> = replicas.values().flatten().copied().collect();
    let mut found = LogDirs::new();
    for broker in brokers {
        for dir in nodes::log_dirs(cluster, broker, Some(&topics)).await.map_err(of_cluster)? {
            for topic in &dir.topics {
                for partition in topic.partitions.iter().filter(|partition| !partition.is_future_key) {
                    let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                    found.insert((place, broker), dir.log_dir.clone());
                }
            }
        }
    }
    Ok(found)
}

/// Takes back what throttles the brokers, and these topics.
async fn clear_throttles(cluster: &Cluster, placed: &[plan::Placed]) -> Outcome {
    let mut brokers: BTreeSet<i32> =
        nodes::describe(cluster).await?.brokers.iter().map(|broker| broker.broker_id).collect();
    brokers.extend(placed.iter().flat_map(|placed| &placed.replicas));
    let s = |count: usize| if count == 1 { "" } else { "s" };
    let named = joined(brokers.iter(), ",");
    say(&format!("Clearing broker-level throttles on broker{} {named}\n", s(brokers.len())))?;
    let cleared = |keys: &[&str]| keys.iter().map(|key| (key.to_string(), None)).collect::<Vec<configs::Change>>();
    for broker in &brokers {
        let changes = cleared(&BROKER_THROTTLES);
        configs::alter(cluster, Kind::Broker, &broker.to_string(), changes, false).await.map_err(of_cluster)?;
    }
    let mut topics: Vec<&str> = Vec::new();
    for placed in placed {
        if !topics.contains(&&*placed.place.topic) {
            topics.push(&placed.place.topic);
        }
    }
    say(&format!("Clearing topic-level throttles on topic{} {}\n", s(topics.len()), topics.join(",")))?;
    for topic in topics {
        configs::alter(cluster, Kind::Topic, topic, cleared(&TOPIC_THROTTLES), false).await.map_err(of_cluster)?;
    }
    Ok(())
}

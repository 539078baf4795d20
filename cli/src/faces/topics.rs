//! `kafka-topics`.

use std::collections::BTreeSet;
use std::fmt::Write;

use client::Cluster;
use protocol::ErrorCode;
use protocol::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use protocol::messages::describe_configs::DescribeConfigsResult;
use protocol::messages::describe_topic_partitions::{
    DescribeTopicPartitionsResponsePartition as Partition, DescribeTopicPartitionsResponseTopic as Topic,
};

use super::errors::words;
use super::flags::{Flag, Parsed, switch, value};
use super::pattern::Pattern;
use super::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connect, one_action};
use crate::admin::topics::{BROKERS_DEFAULT, TopicName};
use crate::admin::{configs, nodes, topics};
use crate::failure::{Failure, Outcome};
use crate::output::{commas, say};

/// Which partitions `--describe` shows.
const REPORTS: [&str; 4] =
    ["under-replicated-partitions", "unavailable-partitions", "under-min-isr-partitions", "at-min-isr-partitions"];

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    switch("list", "List topics, one name a line"),
    switch("create", "Create a topic"),
    switch("delete", "Delete topics"),
    switch("alter", "Give topics more partitions"),
    switch("describe", "Show partitions and settings of topics"),
    value("topic", "name", "The topic; but for --create, a regular expression"),
    value("topic-id", "id", "With --describe, the topic of this id"),
    value("config", "key=value", "A setting of the new topic; may be repeated"),
    value("delete-config", "key", "Of releases before 4.0: use kafka-configs"),
    value("partitions", "n", "Number of partitions; without it, the broker's num.partitions"),
    value("replication-factor", "n", "Number of replicas; without it, the broker's default.replication.factor"),
    value("replica-assignment", "list", "Brokers of each partition, as 1:2,2:3"),
    switch(REPORTS[0], "With --describe, only partitions that lack replicas"),
    switch(REPORTS[1], "With --describe, only partitions without a leader"),
    switch(REPORTS[2], "With --describe, only partitions with fewer replicas in sync than min.insync.replicas"),
    switch(REPORTS[3], "With --describe, only partitions with just min.insync.replicas in sync"),
    switch("topics-with-overrides", "With --describe, only topics with settings of their own"),
    switch("if-exists", "Do nothing when the topic does not exist"),
    switch("if-not-exists", "Do nothing when the topic exists"),
    switch("exclude-internal", "Leave out the cluster's own topics"),
    value("partition-size-limit-per-response", "n", "No effect here: pages are put together"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let actions = ["create", "list", "alter", "describe", "delete"];
    let action = one_action(parsed, &actions, "--list, --describe, --create, --alter or --delete")?;
    check(parsed)?;
    let done = match connect(parsed).await {
        Ok(cluster) => match action {
            "create" => create(&cluster, parsed).await,
            "list" => list(&cluster, parsed).await,
            "alter" => alter(&cluster, parsed).await,
            "describe" => describe(&cluster, parsed).await,
            _ => delete(&cluster, parsed).await,
        },
        Err(failure) => Err(failure),
    };
    match done {
        // Kafka writes this one to standard output.
        Err(failure @ (Failure::Client(_) | Failure::Input(_))) => {
            say(&format!("Error while executing topic command : {}\n", words(&failure)))?;
            let cure = failure.cure().map(|cure| format!("  {cure}\n")).unwrap_or_default();
            eprint!("{cure}");
            Err(Failure::Said)
        }
        done => done,
    }
}

/// What goes with what.
fn check(parsed: &Parsed) -> Outcome {
    if !parsed.has("bootstrap-server") {
        return Err(Failure::Usage("--bootstrap-server must be specified".into()));
    }
    if !parsed.has("list") && !parsed.has("describe") {
        parsed.required("topic")?;
    }
    if parsed.has("alter") {
        parsed.excludes("alter", &["config"])?;
        parsed.required("partitions")?;
    }
    if parsed.has("delete-config") {
        eprintln!("--delete-config has no effect; kafka-configs --alter --delete-config does it");
    }
    parsed.excludes("config", &["delete", "describe", "list"])?;
    parsed.excludes("partitions", &["delete", "describe", "list"])?;
    parsed.excludes("replication-factor", &["alter", "delete", "describe", "list"])?;
    parsed.excludes("replica-assignment", &["delete", "describe", "list"])?;
    if parsed.has("create") {
        parsed.excludes("replica-assignment", &["partitions", "replication-factor"])?;
    }
    for report in REPORTS {
        parsed.excludes(report, &["alter", "create", "delete", "list", "topics-with-overrides"])?;
    }
    parsed.excludes("topics-with-overrides", &["alter", "create", "delete", "list"])?;
    parsed.excludes("if-exists", &["create", "list"])?;
    parsed.excludes("if-not-exists", &["alter", "delete", "describe", "list"])?;
    parsed.excludes("exclude-internal", &["alter", "create", "delete"])
}

async fn create(cluster: &Cluster, parsed: &Parsed) -> Outcome {
    let name = parsed.required("topic")?;
    let mut settings = Vec::new();
    for text in parsed.values("config") {
        let (key, value) =
            text.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty()).ok_or(Failure::Input(
                "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\"."
                    .into(),
            ))?;
        settings.push(CreatableTopicConfig { name: key.trim().into(), value: Some(value.trim().into()) });
    }
    let assignment = assignment(parsed)?;
    if name.contains(['.', '_']) {
        say("WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could \
             collide. To avoid issues it is best to use either, but not both.\n")?;
    }
    let replicas: Option<i32> = parsed.number("replication-factor")?;
    if replicas.is_some_and(|replicas| i16::try_from(replicas).map_or(true, |replicas| replicas < 1)) {
        let text = format!("The replication factor must be between 1 and {} inclusive", i16::MAX);
        return Err(Failure::Input(text));
    }
    let partitions: Option<i32> = parsed.number("partitions")?;
    if partitions.is_some_and(|partitions| partitions < 1) {
        return Err(Failure::Input("The partitions must be greater than 0".into()));
    }
    let place = |(index, broker_ids): (usize, Vec<i32>)| CreatableReplicaAssignment {
        partition_index: index as i32,
        broker_ids,
    };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: partitions.unwrap_or(BROKERS_DEFAULT.into()),
        replication_factor: replicas.map_or(BROKERS_DEFAULT, |replicas| replicas as i16),
        assignments: assignment.into_iter().flatten().enumerate().map(place).collect(),
        configs: settings,
    };
    match topics::create(cluster, topic, false).await {
        Ok(_) => say(&format!("Created topic {name}.\n")),
        Err(error) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) && parsed.has("if-not-exists") => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// `--replica-assignment`: the brokers of each partition.
fn assignment(parsed: &Parsed) -> Result<Option<Vec<Vec<i32>>>, Failure> {
    let Some(text) = parsed.value("replica-assignment")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let mut partitions: Vec<Vec<i32>> = Vec::new();
    for (index, list) in text.split(',').enumerate() {
        let number = |id: &str| id.trim().parse::<i32>();
        let brokers: Result<Vec<i32>, _> = list.split(':').map(number).collect();
        let brokers = brokers.map_err(|_| Failure::Input(format!("For input string: \"{list}\"")))?;
        let mut seen = BTreeSet::new();
        let twice: Vec<i32> = brokers.iter().copied().filter(|id| !seen.insert(*id)).collect();
        if !twice.is_empty() {
            let text = format!("Partition replica lists may not contain duplicate entries: {}", commas(&twice));
            return Err(Failure::Input(text));
        }
        if partitions.first().is_some_and(|first| first.len() != brokers.len()) {
            let text = format!("Partition {index} has different replication factor: {brokers:?}");
            return Err(Failure::Input(text));
        }
        partitions.push(brokers);
    }
    Ok(Some(partitions))
}

/// The topics that `--topic` and `--exclude-internal` choose, by name.
async fn chosen(cluster: &Cluster, parsed: &Parsed) -> Result<Vec<TopicName>, Failure> {
    let pattern = parsed.value("topic")?.map(Pattern::new).transpose()?;
    let excludes_internal = parsed.has("exclude-internal");
    let mut all = topics::list(cluster).await?;
    all.retain(|topic| pattern.as_ref().is_none_or(|pattern| pattern.matches(&topic.name)));
    all.retain(|topic| !(excludes_internal && topic.is_internal));
    Ok(all)
}

/// # Errors
/// When a topic was named, there is none, and nobody said that this is fine.
fn check_found<T>(found: &[T], kind: &str, asked: Option<&str>, parsed: &Parsed) -> Outcome {
    match asked.filter(|asked| !asked.is_empty() && found.is_empty() && !parsed.has("if-exists")) {
        Some(asked) => Err(Failure::Input(format!("{kind} '{asked}' does not exist as expected"))),
        None => Ok(()),
    }
}

async fn list(cluster: &Cluster, parsed: &Parsed) -> Outcome {
    let names: Vec<String> = chosen(cluster, parsed).await?.into_iter().map(|topic| topic.name).collect();
    say(&format!("{}\n", names.join("\n")))
}

async fn alter(cluster: &Cluster, parsed: &Parsed) -> Outcome {
    let count: i32 = parsed.number("partitions")?.unwrap_or_default();
    let assignment = assignment(parsed)?;
    let found = chosen(cluster, parsed).await?;
    check_found(&found, "Topic", parsed.value("topic")?, parsed)?;
    for topic in found {
        let present = cluster.topic(&topic.name).await?.partitions.len();
        let replicas = assignment.as_ref().map(|all| all.iter().skip(present).cloned().collect());
        topics::grow(cluster, &topic.name, count, replicas, false).await?;
    }
    Ok(())
}

async fn delete(cluster: &Cluster, parsed: &Parsed) -> Outcome {
    let mut found = chosen(cluster, parsed).await?;
    let pattern = Pattern::new(parsed.required("topic")?)?;
    let is_kept = |topic: &TopicName| {
        let is_own = topic.is_internal || topic.name.starts_with("__") || topic.name == "_schemas";
        is_own && !pattern.names_outright(&topic.name)
    };
    for topic in found.iter().filter(|topic| is_kept(topic)) {
        eprintln!("{} is kept: the cluster's own topics are deleted only by their full names", topic.name);
    }
    let count = found.len();
    found.retain(|topic| !is_kept(topic));
    if count == found.len() {
        check_found(&found, "Topic", parsed.value("topic")?, parsed)?;
    }
    let names: Vec<String> = found.into_iter().map(|topic| topic.name).collect();
    if names.is_empty() {
        return Ok(());
    }
    for (_, result) in topics::delete(cluster, &names).await? {
        result?;
    }
    Ok(())
}

async fn describe(cluster: &Cluster, parsed: &Parsed) -> Outcome {
    let mut parsed_id = parsed.value("topic-id")?;
    if parsed_id.is_some_and(|id| id.bytes().all(|byte| byte == b'A')) {
        parsed_id = None;
    }
    let found = match parsed_id {
        Some(id) => {
            let mut all = topics::list(cluster).await?;
            all.retain(|topic| topic.id.to_string() == id);
            check_found(&all, "TopicId", Some(id), parsed)?;
            all
        }
        None => {
            let found = chosen(cluster, parsed).await?;
            check_found(&found, "Topic", parsed.value("topic")?, parsed)?;
            found
        }
    };
    let names: Vec<String> = found.into_iter().map(|topic| topic.name).collect();
    let live: BTreeSet<i32> = nodes::describe(cluster).await?.brokers.iter().map(|broker| broker.broker_id).collect();
    let reports: Vec<&str> = REPORTS.into_iter().filter(|report| parsed.has(report)).collect();
    let mut text = String::new();
    for topic in topics::describe(cluster, &names).await? {
        let name = topic.name.clone().unwrap_or_default();
        let settings = configs::describe(cluster, configs::Kind::Topic, &name).await?;
        if reports.is_empty() {
            write_topic(&mut text, &topic, &settings, parsed.has("topics-with-overrides"));
        }
        if parsed.has("topics-with-overrides") {
            continue;
        }
        let in_sync = settings.configs.iter().find(|config| config.name == "min.insync.replicas");
        let in_sync = in_sync.and_then(|config| config.value.as_deref()?.parse().ok()).unwrap_or(1);
        for partition in &topic.partitions {
            if reports.is_empty() || reports.iter().any(|report| is_reported(report, partition, in_sync, &live)) {
                write_partition(&mut text, &name, partition);
            }
        }
    }
    say(&text)
}

fn is_reported(report: &str, partition: &Partition, in_sync: usize, live: &BTreeSet<i32>) -> bool {
    let isr = partition.isr_nodes.len();
    match report {
        "under-replicated-partitions" => partition.replica_nodes.len() > isr,
        "unavailable-partitions" => !live.contains(&partition.leader_id),
        "under-min-isr-partitions" => partition.leader_id < 0 || isr < in_sync,
        _ => isr == in_sync,
    }
}

fn write_topic(text: &mut String, topic: &Topic, settings: &DescribeConfigsResult, only_with_settings: bool) {
    let own = settings.configs.iter().filter(|config| config.config_source != configs::source::DEFAULT);
    let own: Vec<String> =
        own.map(|config| format!("{}={}", config.name, config.value.as_deref().unwrap_or("null"))).collect();
    if only_with_settings && own.is_empty() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = write!(text, "Topic: {}", topic.name.as_deref().unwrap_or_default());
    if !topic.topic_id.is_zero() {
        let _ = write!(text, "\tTopicId: {}", topic.topic_id);
    }
    let replicas = topic.partitions.first().map_or(0, |partition| partition.replica_nodes.len());
    let _ = writeln!(
        text,
        "\tPartitionCount: {}\tReplicationFactor: {replicas}\tConfigs: {}",
        topic.partitions.len(),
        own.join(",")
    );
}

fn write_partition(text: &mut String, name: &str, partition: &Partition) {
    let leader = if partition.leader_id >= 0 { partition.leader_id.to_string() } else { "none".into() };
    let listed = |list: &Option<Vec<i32>>| list.as_deref().map_or_else(String::new, commas);
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "\tTopic: {name}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}\tElr: {}\tLastKnownElr: {}",
        partition.partition_index,
        commas(&partition.replica_nodes),
        commas(&partition.isr_nodes),
        listed(&partition.eligible_leader_replicas),
        listed(&partition.last_known_elr),
    );
}

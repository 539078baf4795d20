//! `ottla topic`: create, list, describe and delete topics.

use std::collections::BTreeMap;
use std::fmt::Write;

use client::{ClientError, Cluster, PartitionMetadata, StartOffset, TopicMetadata, TopicPartition, list_offsets};
use protocol::ErrorCode;
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use serde::Serialize;

use crate::admin;
use crate::admin::configs::{Kind, source};
use crate::admin::topics::{self, BROKERS_DEFAULT};
use crate::arguments::{TopicCreateArgs, TopicDeleteArgs, TopicDescribeArgs, TopicListArgs, TopicVerb};
use crate::failure::Outcome;
use crate::output::{commas, or_nothing, print_as, say};
use crate::table::Table;
use crate::topic_apply;

pub(crate) async fn run(cluster: &Cluster, verb: &TopicVerb) -> Outcome {
    match verb {
        TopicVerb::Create(args) => create(cluster, args).await,
        TopicVerb::List(args) => list(cluster, args).await,
        TopicVerb::Describe(args) => describe(cluster, args).await,
        TopicVerb::Delete(args) => delete(cluster, args).await,
        TopicVerb::Apply(args) => topic_apply::run(cluster, args).await,
    }
}

async fn create(cluster: &Cluster, args: &TopicCreateArgs) -> Outcome {
    let config = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        CreatableTopicConfig { name: name.trim().into(), value: Some(value.into()) }
    };
    let topic = CreatableTopic {
        name: args.name.clone(),
        num_partitions: args.partitions.unwrap_or(BROKERS_DEFAULT.into()),
        replication_factor: args.replication_factor.unwrap_or(BROKERS_DEFAULT),
        configs: args.config.iter().map(config).collect(),
        ..Default::default()
    };
    let topic = match topics::create(cluster, topic, false).await {
        Err(error) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) && args.if_not_exists => {
            return say(&format!("topic {} exists already\n", args.name));
        }
        created => created?,
    };
    let mut line = format!("created topic {}", topic.name);
    if topic.num_partitions > 0 {
        let (partitions, replicas) = (topic.num_partitions, topic.replication_factor);
        let plural = |count: i32| if count == 1 { "" } else { "s" };
        line.push_str(&format!(
            " with {partitions} partition{} and {replicas} replica{}",
            plural(partitions),
            plural(replicas.into())
        ));
    }
    say(&format!("{line}\n"))
}

#[derive(Serialize)]
struct ListedTopic {
    name: String,
    partitions: usize,
    replication_factor: usize,
    internal: bool,
}

async fn list(cluster: &Cluster, args: &TopicListArgs) -> Outcome {
    let mut topics = Vec::new();
    for topic in cluster.topics(None).await? {
        let topic = topic?;
        if !topic.is_internal || args.internal {
            topics.push(ListedTopic {
                name: topic.name.to_string(),
                partitions: topic.partitions.len(),
                replication_factor: replication_factor(&topic),
                internal: topic.is_internal,
            });
        }
    }
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    print_as(args.output, &topics, |topics| {
        let mut table = Table::new(&["NAME", "PARTITIONS", "REPLICAS"]);
        for topic in topics {
            table.row([topic.name.clone(), topic.partitions.to_string(), topic.replication_factor.to_string()]);
        }
        table.to_string()
    })
}

fn replication_factor(topic: &TopicMetadata) -> usize {
    topic.partitions.first().map_or(0, |partition| partition.replicas.len())
}

#[derive(Serialize)]
struct DescribedTopic {
    name: String,
    topic_id: Option<String>,
    internal: bool,
    replication_factor: usize,
    /// What was set for this topic alone.
    configs: BTreeMap<String, Option<String>>,
    partitions: Vec<DescribedPartition>,
}

#[derive(Serialize)]
struct DescribedPartition {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    first_offset: Option<i64>,
    next_offset: Option<i64>,
}

async fn describe(cluster: &Cluster, args: &TopicDescribeArgs) -> Outcome {
    let mut topics = Vec::new();
    for name in &args.names {
        topics.push(describe_one(cluster, name).await?);
    }
    print_as(args.output, &topics, |topics| topics.iter().map(show).collect::<Vec<_>>().join("\n"))
}

async fn describe_one(cluster: &Cluster, name: &str) -> Result<DescribedTopic, ClientError> {
    let topic = cluster.topic(name).await?;
    let with_leader = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    let places: Vec<_> =
        with_leader.map(|partition| TopicPartition::new(topic.name.clone(), partition.index)).collect();
    let first = list_offsets(cluster, &places, StartOffset::Earliest).await?;
    let next = list_offsets(cluster, &places, StartOffset::Latest).await?;
    let partition = |partition: &PartitionMetadata| {
        let place = TopicPartition::new(topic.name.clone(), partition.index);
        DescribedPartition {
            partition: partition.index,
            leader: partition.leader,
            leader_epoch: partition.leader_epoch,
            replicas: partition.replicas.clone(),
            isr: partition.isr.clone(),
            first_offset: first.get(&place).copied(),
            next_offset: next.get(&place).copied(),
        }
    };
    Ok(DescribedTopic {
        name: topic.name.to_string(),
        topic_id: (!topic.id.is_zero()).then(|| topic.id.to_string()),
        internal: topic.is_internal,
        replication_factor: replication_factor(&topic),
        configs: configs(cluster, name).await?,
        partitions: topic.partitions.iter().map(partition).collect(),
    })
}

/// The settings made for this topic alone.
pub(crate) async fn configs(cluster: &Cluster, name: &str) -> Result<BTreeMap<String, Option<String>>, ClientError> {
    let described = admin::configs::describe(cluster, Kind::Topic, name).await?;
    let set = described.configs.into_iter().filter(|config| config.config_source == source::TOPIC);
    Ok(set.map(|config| (config.name, config.value)).collect())
}

fn show(topic: &DescribedTopic) -> String {
    let mut text = format!("topic {}", topic.name);
    let configs: Vec<String> =
        topic.configs.iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("?"))).collect();
    let id = topic.topic_id.as_ref().map(|id| format!("id {id}"));
    let internal = topic.internal.then(|| "internal".to_string());
    for part in id.into_iter().chain(internal).chain(configs) {
        // Writing to a string cannot fail.
        let _ = write!(text, "  {part}");
    }
    let mut table = Table::new(&["PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "FIRST", "NEXT"]);
    for partition in &topic.partitions {
        table.row([
            partition.partition.to_string(),
            or_nothing(partition.leader),
            or_nothing(Some(partition.leader_epoch).filter(|epoch| *epoch >= 0)),
            commas(&partition.replicas),
            commas(&partition.isr),
            or_nothing(partition.first_offset),
            or_nothing(partition.next_offset),
        ]);
    }
    format!("{text}\n{table}")
}

async fn delete(cluster: &Cluster, args: &TopicDeleteArgs) -> Outcome {
    let mut failure = Ok(());
    for (name, result) in topics::delete(cluster, &args.names).await? {
        match result {
            Ok(()) => say(&format!("deleted topic {name}\n"))?,
            Err(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) && args.if_exists => {
                say(&format!("topic {name} does not exist\n"))?;
            }
            Err(error) => failure = failure.and(Err(error)),
        }
    }
    Ok(failure?)
}

//! The topics of a run: found or made, and gone again afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{ClientError, Cluster, StartOffset, TopicMetadata, list_offsets};
use protocol::ErrorCode;
use protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};

use crate::routes::has_moved;
use crate::workload::{LoadError, NewTopic, Topics};

const TIMEOUT_MS: i32 = 30_000;
/// How long a new topic may take until every partition has a leader.
const LEADERS_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The topics as they are, and which of them this run has made.
#[derive(Default)]
pub(crate) struct Prepared {
    pub(crate) topics: Vec<Arc<TopicMetadata>>,
    pub(crate) made: Vec<String>,
}

/// Finds the topics of a run, and makes those that are not there if it is to; `None` when it was stopped meanwhile. What
/// was made is gone again then, and after an error.
pub(crate) async fn prepare(
    cluster: &Cluster,
    wanted: &Topics,
    stop: impl Future<Output = ()>,
) -> Result<Option<Prepared>, LoadError> {
    let mut prepared = Prepared::default();
    let result = tokio::select! {
        result = find_all(cluster, wanted, &mut prepared) => result.map(|()| true),
        () = stop => Ok(false),
    };
    match result {
        Ok(true) => Ok(Some(prepared)),
        Ok(false) => cleaned(cluster, &prepared.made, Ok(None)).await,
        Err(failure) => cleaned(cluster, &prepared.made, Err(failure)).await,
    }
}

/// Deletes the topics that a run has made. Of two failures the run's is told: the other often only follows from it.
pub(crate) async fn cleaned<T>(
    cluster: &Cluster,
    made: &[String],
    result: Result<T, LoadError>,
) -> Result<T, LoadError> {
    let deleted = delete(cluster, made).await;
    let value = result?;
    deleted?;
    Ok(value)
}

async fn find_all(cluster: &Cluster, wanted: &Topics, prepared: &mut Prepared) -> Result<(), LoadError> {
    for name in &wanted.names {
        let is_unknown = match cluster.topic(name).await {
            Ok(_) => false,
            Err(failure) if failure.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => true,
            Err(failure) => return Err(failure.into()),
        };
        if is_unknown {
            let new = wanted.create.as_ref().ok_or_else(|| {
                LoadError::Workload(format!(
                    "there is no topic {name}; `ottla perf produce --topic {name} --keep` makes one and fills it, and \
                     without --topic a topic is made and filled for the occasion"
                ))
            })?;
            // Who is stopped now does not hear whether it was made.
            prepared.made.push(name.clone());
            if let Err(failure) = create(cluster, name, new).await {
                prepared.made.pop();
                return Err(failure.into());
            }
        }
        let topic = with_leaders(cluster, name).await?;
        until_led(cluster, &topic).await?;
        prepared.topics.push(topic);
    }
    Ok(())
}

/// Deletes topics; one that is not there is as good as deleted.
pub(crate) async fn delete(cluster: &Cluster, names: &[String]) -> Result<(), LoadError> {
    if names.is_empty() {
        return Ok(());
    }
    let state = |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    let request = DeleteTopicsRequest {
        topics: names.iter().map(state).collect(),
        topic_names: names.to_vec(),
        timeout_ms: TIMEOUT_MS,
    };
    let code =
        |answer: &DeleteTopicsResponse| answer.responses.first().map_or(ErrorCode::NONE, |topic| topic.error_code);
    for topic in cluster.admin(&request, code).await?.responses {
        let name = topic.name.unwrap_or_default();
        if topic.error_code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
            continue;
        }
        ClientError::check(format!("deleting topic {name}"), topic.error_code, topic.error_message)?;
    }
    Ok(())
}

async fn create(cluster: &Cluster, name: &str, new: &NewTopic) -> Result<(), ClientError> {
    let setting =
        |(name, value): &(String, String)| CreatableTopicConfig { name: name.clone(), value: Some(value.clone()) };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: new.partitions,
        replication_factor: new.replication_factor,
        configs: new.settings.iter().map(setting).collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, ..Default::default() };
    let code = |answer: &CreateTopicsResponse| answer.topics.first().map_or(ErrorCode::NONE, |topic| topic.error_code);
    for topic in cluster.admin(&request, code).await?.topics {
        ClientError::check(format!("topic {}", topic.name), topic.error_code, topic.error_message)?;
    }
    Ok(())
}

/// A new topic is not led everywhere at once.
async fn with_leaders(cluster: &Cluster, name: &str) -> Result<Arc<TopicMetadata>, LoadError> {
    let begun = Instant::now();
    loop {
        let failure = match cluster.topic(name).await {
            Ok(topic) if topic.partitions.iter().all(|partition| partition.leader.is_some()) => return Ok(topic),
            Ok(_) => LoadError::Workload(format!("a partition of topic {name} has no leader")),
            Err(failure) => failure.into(),
        };
        if begun.elapsed() > LEADERS_PATIENCE {
            return Err(failure);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// The metadata may name leaders before they know, which with thousands of partitions takes longer than a client's own
/// retries; who answers this knows.
async fn until_led(cluster: &Cluster, topic: &TopicMetadata) -> Result<(), LoadError> {
    let places: Vec<_> = topic.all_partitions().collect();
    let begun = Instant::now();
    loop {
        match list_offsets(cluster, &places, StartOffset::Latest).await {
            Ok(_) => return Ok(()),
            Err(failure) if begun.elapsed() > LEADERS_PATIENCE || !failure.code().is_some_and(has_moved) => {
                return Err(failure.into());
            }
            Err(_) => tokio::time::sleep(LOOK_INTERVAL).await,
        }
    }
}

/// The partitions of a topic by the broker that leads them.
pub(crate) fn by_leader(topic: &TopicMetadata) -> BTreeMap<i32, Vec<i32>> {
    let mut leaders: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for partition in &topic.partitions {
        if let Some(leader) = partition.leader {
            leaders.entry(leader).or_default().push(partition.index);
        }
    }
    leaders
}

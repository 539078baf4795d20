//! Asking the cluster what is there, and making it what it shall be.

use client::{ClientError, Cluster};
use declared::{Change, Declared, Existing, PARTITIONS};
use protocol::ErrorCode;
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};

use crate::admin::configs::{self, Kind};
use crate::admin::topics::{self, BROKERS_DEFAULT};
use crate::topic;

/// The topic as it is, if it is there.
pub(super) async fn existing(cluster: &Cluster, name: &str) -> Result<Option<Existing>, ClientError> {
    let topic = match cluster.topic(name).await {
        Ok(topic) => topic,
        Err(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => return Ok(None),
        Err(error) => return Err(error),
    };
    let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    let config = topic::configs(cluster, name).await?;
    Ok(Some(Existing { partitions: topic.partition_count(), replicas: i16::try_from(replicas).unwrap_or(0), config }))
}

/// Creates the topic; with `validate_only` the broker only says whether it would.
pub(super) async fn create(cluster: &Cluster, declared: &Declared, validate_only: bool) -> Result<(), ClientError> {
    let config =
        |(name, value): (&String, &String)| CreatableTopicConfig { name: name.clone(), value: Some(value.clone()) };
    let topic = CreatableTopic {
        name: declared.name.clone(),
        num_partitions: declared.partitions.unwrap_or(BROKERS_DEFAULT.into()),
        replication_factor: declared.replicas.unwrap_or(BROKERS_DEFAULT),
        configs: declared.config.iter().map(config).collect(),
        ..Default::default()
    };
    topics::create(cluster, topic, validate_only).await.map(|_| ())
}

/// Makes the changes; with `validate_only` the broker only says whether it would.
pub(super) async fn change(
    cluster: &Cluster,
    name: &str,
    changes: &[Change],
    validate_only: bool,
) -> Result<(), ClientError> {
    let (partitions, settings): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| change.what == PARTITIONS);
    let settings: Vec<configs::Change> =
        settings.into_iter().map(|change| (change.what.clone(), change.to.clone())).collect();
    for change in partitions {
        if let Some(count) = change.to.as_deref().and_then(|count| count.parse().ok()) {
            topics::grow(cluster, name, count, None, validate_only).await?;
        }
    }
    if !settings.is_empty() {
        configs::alter(cluster, Kind::Topic, name, settings, validate_only).await?;
    }
    Ok(())
}

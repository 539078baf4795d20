//! `ottla.topics.file`: topics as a mounted file declares them, made before clients are served.
//!
//! A mistake in the file is told in the log and does not make the broker unready: it serves every other topic, and a probe
//! that took it out of service would take those away too.

use std::path::Path;
use std::sync::Arc;

use declared::{Change, Declared, Existing, Found, Plan};
use protocol::ErrorCode;
use state::cluster::{ConfigAlteration, ConfigChange, ConfigOperation, ConfigResource, Refusal};
use tracing::{error, info};

use crate::broker::Broker;
use crate::controller;

/// The most that the files may have together, bytes: what a ConfigMap may hold.
const BYTES_MAX: u64 = 1 << 20;
/// Leaves the number to the broker (KIP-464).
const BROKERS_DEFAULT: i16 = -1;

/// Makes topics what `path`, a file or a directory, declares. What cannot be done is told, and the rest is done.
pub(crate) async fn apply(broker: &Arc<Broker>, path: &str) {
    let found = match read(path.to_owned()).await {
        Ok(found) => found,
        Err(problem) => {
            error!("no topic of ottla.topics.file was made: {problem}");
            return;
        }
    };
    let (mut unchanged, mut failed) = (0, 0);
    for found in found {
        match found {
            Found::Topic(topic) => match make(broker, &topic).await {
                Ok(changed) => unchanged += usize::from(!changed),
                Err(problem) => {
                    failed += 1;
                    error!(topic = topic.name, "{}: {problem}", topic.place);
                }
            },
            Found::Bad { what, place, reason } => {
                failed += 1;
                error!("{place}: {what}: {reason}");
            }
            Found::Skipped { what, place } => info!("{place}: left alone: {what}"),
        }
    }
    info!(path, unchanged, failed, "topics are as ottla.topics.file declares them, but for those that failed");
}

async fn read(path: String) -> Result<Vec<Found>, String> {
    let read = move || declared::read_path(Path::new(&path), BYTES_MAX).map(|sources| declared::read(&sources));
    match tokio::task::spawn_blocking(read).await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Makes one topic as declared. Answers whether anything had to change.
async fn make(broker: &Arc<Broker>, topic: &Declared) -> Result<bool, String> {
    match declared::plan(topic, existing(broker, &topic.name).as_ref()) {
        Plan::Nothing => Ok(false),
        Plan::Refuse(reason) => Err(reason),
        Plan::Create => {
            let (partitions, replicas) =
                (topic.partitions.unwrap_or(BROKERS_DEFAULT.into()), topic.replicas.unwrap_or(BROKERS_DEFAULT));
            let created = controller::create(broker, &topic.name, partitions, replicas, topic.config.clone()).await;
            created.map(|()| true).map_err(text)
        }
        Plan::Change(changes) => {
            let said: Vec<String> = changes.iter().map(ToString::to_string).collect();
            change(broker, &topic.name, &changes).await.map_err(text)?;
            info!(topic = topic.name, "{}: changed: {}", topic.place, said.join(", "));
            Ok(true)
        }
    }
}

fn existing(broker: &Arc<Broker>, name: &str) -> Option<Existing> {
    let image = broker.image();
    let topic = image.topic(name)?;
    let replicas = topic.partition(0).map_or(0, |partition| partition.replicas.len());
    let config = image.topic_configs(name).map(|configs| (**configs).clone()).unwrap_or_default();
    Some(Existing {
        partitions: topic.partition_count(),
        replicas: i16::try_from(replicas).unwrap_or(i16::MAX),
        config: config.into_iter().map(|(name, value)| (name, Some(value))).collect(),
    })
}

async fn change(broker: &Arc<Broker>, name: &str, changes: &[Change]) -> Result<(), Refusal> {
    let operation = |to: &Option<String>| to.clone().map_or(ConfigOperation::Delete, ConfigOperation::Set);
    let settings = changes.iter().filter(|change| change.what != declared::PARTITIONS);
    let operations: std::collections::BTreeMap<_, _> =
        settings.map(|change| (change.what.clone(), operation(&change.to))).collect();
    let alteration = (!operations.is_empty()).then(|| ConfigAlteration {
        resource: ConfigResource::Topic(name.to_owned()),
        change: ConfigChange::Update(operations),
    });
    // A setting that is refused leaves the topic alone whole.
    if let Some(alteration) = &alteration {
        controller::alter_configs(broker, alteration.clone(), true).await?;
    }
    let count = changes.iter().find(|change| change.what == declared::PARTITIONS).and_then(|change| change.to.as_ref());
    if let Some(count) = count {
        let not_a_number = || Refusal::new(ErrorCode::INVALID_PARTITIONS, format!("{count} is no number"));
        controller::grow(broker, name, count.parse().map_err(|_| not_a_number())?, None, false).await?;
    }
    match alteration {
        Some(alteration) => controller::alter_configs(broker, alteration, false).await,
        None => Ok(()),
    }
}

fn text(refusal: Refusal) -> String {
    format!("{} ({})", refusal.message, refusal.error)
}

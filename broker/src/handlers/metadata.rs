//! Metadata: brokers, topics, leaders; and the creation of topics on first use.
//!
//! v0 an empty list means all topics, later null does. v4 allow_auto_topic_creation. v8-10 authorized operations.
//! v10 topic ids, v12 requests by id (KIP-516). v13 top-level error (KIP-1102).
//!
//! A topic that is created here is in the same answer, with its leaders: clients need not ask again.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::messages::MetadataRequest;
use protocol::messages::metadata::*;
use protocol::{ErrorCode, Uuid};
use state::cluster::{Image, Topic};

use crate::authorized::{self, ANY_CLUSTER, ANY_TOPIC};
use crate::context::Context;
use crate::controller;

/// Below this version there is no auto-creation flag, and every request for a topic creates it.
const FIRST_FLAG_VERSION: i16 = 4;
const FIRST_ID_VERSION: i16 = 12;

/// Describes the cluster and the topics asked for.
pub(crate) async fn handle(context: Context, request: MetadataRequest) -> MetadataResponse {
    if context.version < FIRST_ID_VERSION
        && let Some(topics) =
            request.topics.as_ref().filter(|topics| topics.iter().any(|topic| !topic.topic_id.is_zero()))
    {
        return by_id_too_early(topics);
    }
    let may_create = request.allow_auto_topic_creation || context.version < FIRST_FLAG_VERSION;
    let mut names = BTreeSet::new();
    let wanted = match request.topics {
        Some(topics) if !(context.version == 0 && topics.is_empty()) => Some(without_duplicates(topics)),
        _ => None,
    };
    if let Some(topics) = &wanted
        && may_create
        && context.broker.config().auto_create_topics_enable
    {
        names.extend(topics.iter().filter(|topic| topic.topic_id.is_zero()).filter_map(|topic| topic.name.clone()));
    }
    let refused = controller::auto_create(&context.broker, &names).await;

    let image = context.broker.image();
    let authorized = |asked: bool| authorized::operations(asked, ANY_TOPIC);
    let operations = authorized(request.include_topic_authorized_operations);
    let mut topics: Vec<_> = match &wanted {
        None => image.topics().map(|topic| describe(topic, operations)).collect(),
        Some(wanted) => wanted
            .iter()
            .map(|wanted| match find(&image, wanted) {
                Ok(topic) => describe(topic, operations),
                Err(error_code) => {
                    let refusal = wanted.name.as_ref().and_then(|name| refused.get(name)).copied();
                    unknown(wanted, refusal.unwrap_or(error_code), operations)
                }
            })
            .collect(),
    };
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    MetadataResponse {
        brokers: brokers(&context, &image),
        cluster_id: image.cluster_id().map(str::to_string),
        controller_id: context.broker.node_id(),
        topics,
        cluster_authorized_operations: authorized::operations(
            request.include_cluster_authorized_operations,
            ANY_CLUSTER,
        ),
        ..Default::default()
    }
}

fn brokers(context: &Context, image: &Image) -> Vec<MetadataResponseBroker> {
    image
        .brokers()
        .filter_map(|broker| {
            let (host, port) = context.broker.endpoint_of(broker.broker_id, &context.connection)?;
            Some(MetadataResponseBroker {
                node_id: broker.broker_id,
                host,
                port: i32::from(port),
                rack: broker.rack.clone(),
            })
        })
        .collect()
}

/// Versions 10 and 11 have the field, but no meaning for it: nothing of such a request is answered.
fn by_id_too_early(topics: &[MetadataRequestTopic]) -> MetadataResponse {
    let refused = |topic: &MetadataRequestTopic| MetadataResponseTopic {
        error_code: ErrorCode::INVALID_REQUEST,
        name: Some(topic.name.clone().unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    };
    MetadataResponse { topics: topics.iter().map(refused).collect(), ..Default::default() }
}

/// A topic asked for twice is described once.
fn without_duplicates(mut topics: Vec<MetadataRequestTopic>) -> Vec<MetadataRequestTopic> {
    let mut seen = BTreeSet::new();
    topics.retain(|topic| seen.insert((topic.topic_id.0, topic.name.clone())));
    topics
}

fn find<'a>(image: &'a Image, wanted: &MetadataRequestTopic) -> Result<&'a Arc<Topic>, ErrorCode> {
    match &wanted.name {
        _ if !wanted.topic_id.is_zero() => image.topic_by_id(wanted.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
        Some(name) => match image.topic(name) {
            Some(topic) => Ok(topic),
            None if state::cluster::check_topic_name(name).is_err() => Err(ErrorCode::INVALID_TOPIC_EXCEPTION),
            None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        },
        None => Err(ErrorCode::INVALID_REQUEST),
    }
}

fn unknown(wanted: &MetadataRequestTopic, error_code: ErrorCode, operations: i32) -> MetadataResponseTopic {
    let by_id = !wanted.topic_id.is_zero();
    MetadataResponseTopic {
        error_code,
        name: if by_id { None } else { wanted.name.clone() },
        topic_id: if by_id { wanted.topic_id } else { Uuid::ZERO },
        is_internal: wanted.name.as_deref().is_some_and(state::cluster::is_internal),
        // What a client may do with a name does not depend on whether there is such a topic; an id names nothing.
        topic_authorized_operations: if by_id { i32::MIN } else { operations },
        ..Default::default()
    }
}

fn describe(topic: &Arc<Topic>, topic_authorized_operations: i32) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().enumerate();
    MetadataResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: state::cluster::is_internal(&topic.name),
        partitions: partitions
            .map(|(index, partition)| MetadataResponsePartition {
                partition_index: index as i32,
                leader_id: partition.leader,
                leader_epoch: partition.leader_epoch,
                replica_nodes: partition.replicas.to_vec(),
                isr_nodes: partition.isr.to_vec(),
                ..Default::default()
            })
            .collect(),
        topic_authorized_operations,
        ..Default::default()
    }
}

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
    let may_create = request.allow_auto_topic_creation || context.version < FIRST_FLAG_VERSION;
    let mut names = BTreeSet::new();
    let wanted = match request.topics {
        Some(topics) if !(context.version == 0 && topics.is_empty()) => Some(topics),
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
            .map(|wanted| match find(&context, &image, wanted) {
                Ok(topic) => describe(topic, operations),
                Err(error_code) => {
                    let refusal = wanted.name.as_ref().and_then(|name| refused.get(name)).copied();
                    unknown(wanted, refusal.unwrap_or(error_code))
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

fn find<'a>(context: &Context, image: &'a Image, wanted: &MetadataRequestTopic) -> Result<&'a Arc<Topic>, ErrorCode> {
    if context.version < FIRST_ID_VERSION && !wanted.topic_id.is_zero() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
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

fn unknown(wanted: &MetadataRequestTopic, error_code: ErrorCode) -> MetadataResponseTopic {
    let by_id = !wanted.topic_id.is_zero();
    MetadataResponseTopic {
        error_code,
        name: if by_id { None } else { wanted.name.clone() },
        topic_id: if by_id { wanted.topic_id } else { Uuid::ZERO },
        is_internal: wanted.name.as_deref().is_some_and(state::cluster::is_internal),
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

//! CreateTopics.
//!
//! v1 validate_only and messages. v4 defaults by −1 (KIP-464). v5 the created topic's configuration in the answer
//! (KIP-525). v6 THROTTLING_QUOTA_EXCEEDED (KIP-599). v7 topic ids.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use protocol::messages::CreateTopicsRequest;
use protocol::messages::create_topics::*;
use state::cluster::{Command, NewTopic, PartitionCounts, Refusal, TopicShape, check_topic_name, place_topic};
use tracing::info;

use crate::config::{self, DescribedConfig};
use crate::context::Context;
use crate::controller::{self, placement_seed};
use crate::quota::Mutations;

const FIRST_THROTTLED_VERSION: i16 = 6;

/// Creates each topic that is valid; the others get their own error.
pub(crate) async fn handle(context: Context, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<String> =
        request.topics.iter().filter(|topic| !seen.insert(&topic.name)).map(|topic| topic.name.clone()).collect();
    let mut results = Vec::with_capacity(request.topics.len());
    let mut valid = Vec::new();
    let mut answered = BTreeSet::new();
    let mut mutations = Mutations::of(&context, FIRST_THROTTLED_VERSION);
    for topic in request.topics {
        let name = topic.name.clone();
        if twice.contains(&name) {
            if answered.insert(name.clone()) {
                results.push(refused(name, Refusal::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name.")));
            }
            continue;
        }
        let validated = validate(&context, topic).and_then(|new| {
            mutations.record(new.assignments.len())?;
            Ok(new)
        });
        match validated {
            Ok(new) => valid.push(new),
            Err(refusal) => results.push(refused(name, refusal)),
        }
    }
    if request.validate_only {
        results.extend(valid.into_iter().map(|new| accepted(&context, &new)));
    } else {
        results.extend(create(&context, valid).await);
    }
    CreateTopicsResponse { throttle_time_ms: mutations.throttle_ms(), topics: results }
}

fn refused(name: String, refusal: Refusal) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: refusal.error,
        error_message: Some(refusal.message),
        num_partitions: -1,
        replication_factor: -1,
        configs: Some(Vec::new()),
        ..Default::default()
    }
}

fn validate(context: &Context, topic: CreatableTopic) -> Result<NewTopic, Refusal> {
    let image = context.broker.image();
    // The name first: it is what a person got wrong most often.
    check_topic_name(&topic.name)?;
    let mut configs = BTreeMap::new();
    for entry in topic.configs {
        let Some(value) = entry.value else {
            let message = format!("Null value not supported for topic configs: {}", entry.name);
            return Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
        };
        configs.insert(entry.name, value);
    }
    let assignments: Vec<_> = topic.assignments.into_iter().map(|a| (a.partition_index, a.broker_ids)).collect();
    let shape = TopicShape {
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: &assignments,
    };
    let config = context.broker.config();
    let defaults =
        PartitionCounts { partitions: config.num_partitions, replication_factor: config.default_replication_factor };
    let assignments = place_topic(&image, &shape, defaults, placement_seed(&image));
    let id = controller::new_id().map_err(|code| Refusal::new(code, "no random bytes for a topic id"))?;
    // A topic that exists is told so even when its shape or configuration would be wrong too.
    if image.topic(&topic.name).is_some() {
        return Err(Refusal::new(ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{}' already exists.", topic.name)));
    }
    let new = NewTopic { name: topic.name, id, assignments: assignments?, configs };
    image.check_new_topic(&new)?;
    config::validate_topic_configs(&context.broker.config(), &new.configs)?;
    Ok(new)
}

async fn create(context: &Context, valid: Vec<NewTopic>) -> Vec<CreatableTopicResult> {
    if valid.is_empty() {
        return Vec::new();
    }
    let results = match controller::propose(&context.broker, Command::CreateTopics(valid.clone())).await {
        Ok(applied) => applied.into_items(),
        Err(code) => {
            let refusal = Refusal::new(code, "the metadata log did not take the topic");
            return valid.into_iter().map(|new| refused(new.name, refusal.clone())).collect();
        }
    };
    let mut answers = Vec::with_capacity(valid.len());
    for (new, result) in valid.into_iter().zip(results) {
        match result {
            Ok(()) => {
                let (topic, partitions, client_id) = (&new.name, new.assignments.len(), &*context.client_id);
                info!(topic, partitions, client_id, "topic created");
                answers.push(accepted(context, &new));
            }
            Err(refusal) => answers.push(refused(new.name, refusal)),
        }
    }
    answers
}

fn accepted(context: &Context, new: &NewTopic) -> CreatableTopicResult {
    let described = config::describe_topic(&context.broker.config(), &new.configs);
    CreatableTopicResult {
        name: new.name.clone(),
        topic_id: new.id,
        num_partitions: new.assignments.len() as i32,
        replication_factor: new.assignments.first().map_or(0, Vec::len) as i16,
        configs: Some(described.into_iter().map(config_row).collect()),
        ..Default::default()
    }
}

fn config_row(described: DescribedConfig) -> CreatableTopicConfigs {
    CreatableTopicConfigs {
        name: described.name.to_string(),
        value: described.value,
        read_only: described.read_only,
        config_source: described.source as i8,
        is_sensitive: described.is_sensitive,
    }
}

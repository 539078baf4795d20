//! DeleteTopics.
//!
//! v5 messages and THROTTLING_QUOTA_EXCEEDED (KIP-599). v6 by id.

use std::collections::{BTreeMap, BTreeSet};

use protocol::messages::DeleteTopicsRequest;
use protocol::messages::delete_topics::*;
use protocol::{ErrorCode, Uuid};
use state::cluster::{Command, Image};
use tracing::info;

use crate::context::Context;
use crate::controller;
use crate::quota::Mutations;

/// Below this version topics come as a plain list of names.
const FIRST_ID_VERSION: i16 = 6;
const FIRST_THROTTLED_VERSION: i16 = 5;
/// Below this version a client does not know TOPIC_DELETION_DISABLED.
const FIRST_DISABLED_VERSION: i16 = 3;

/// Deletes each topic that exists. When the answer leaves, it is gone for the next request.
pub(crate) async fn handle(context: Context, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let wanted: Vec<DeleteTopicState> = if context.version < FIRST_ID_VERSION {
        let named = |name| DeleteTopicState { name: Some(name), ..Default::default() };
        request.topic_names.into_iter().map(named).collect()
    } else {
        request.topics
    };
    let (wanted, mut results) = without_duplicates(wanted);
    let mut doomed: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut twice = Vec::new();
    let image = context.broker.image();
    let mut mutations = Mutations::of(&context, FIRST_THROTTLED_VERSION);
    for topic in wanted {
        let answer = DeletableTopicResult { name: topic.name.clone(), topic_id: topic.topic_id, ..Default::default() };
        let found = find(&context, &image, &topic).and_then(|(name, id)| {
            let partitions = image.topic_by_id(id).map_or(0, |topic| topic.partitions.len());
            mutations.record(partitions).map_err(|refusal| (refusal.error, refusal.message))?;
            Ok((name, id))
        });
        match found {
            Ok((name, id)) if !doomed.contains_key(&id) => {
                doomed.insert(id, results.len());
                results.push(DeletableTopicResult { name: Some(name), topic_id: id, ..answer });
            }
            Ok((_, id)) => twice.push(id),
            Err((error_code, message)) => {
                results.push(DeletableTopicResult { error_code, error_message: Some(message), ..answer });
            }
        }
    }
    // Named once by its name and once by its id.
    for id in twice {
        if let Some(place) = doomed.remove(&id) {
            results[place].error_code = ErrorCode::INVALID_REQUEST;
            results[place].error_message = Some("Duplicate topic in the request.".into());
        }
    }
    delete(&context, &mut results, &doomed).await;
    DeleteTopicsResponse { throttle_time_ms: mutations.throttle_ms(), responses: results }
}

/// A name that stands twice is refused once, and nothing is deleted for it.
fn without_duplicates(mut wanted: Vec<DeleteTopicState>) -> (Vec<DeleteTopicState>, Vec<DeletableTopicResult>) {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<String> =
        wanted.iter().filter_map(|topic| topic.name.as_ref()).filter(|name| !seen.insert(*name)).cloned().collect();
    wanted.retain(|topic| topic.name.as_ref().is_none_or(|name| !twice.contains(name)));
    let refused = |name| DeletableTopicResult {
        name: Some(name),
        error_code: ErrorCode::INVALID_REQUEST,
        error_message: Some("Duplicate topic name.".into()),
        ..Default::default()
    };
    (wanted, twice.into_iter().map(refused).collect())
}

fn find(context: &Context, image: &Image, topic: &DeleteTopicState) -> Result<(String, Uuid), (ErrorCode, String)> {
    if !context.broker.config().delete_topic_enable {
        let code = if context.version < FIRST_DISABLED_VERSION {
            ErrorCode::INVALID_REQUEST
        } else {
            ErrorCode::TOPIC_DELETION_DISABLED
        };
        return Err((code, "Topic deletion is disabled (delete.topic.enable=false).".into()));
    }
    let unknown = |code: ErrorCode| (code, "This server does not host this topic.".to_string());
    match &topic.name {
        Some(_) if !topic.topic_id.is_zero() => {
            Err((ErrorCode::INVALID_REQUEST, "You may not specify both topic name and topic id.".into()))
        }
        Some(name) => {
            let found = image.topic(name).ok_or_else(|| unknown(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
            Ok((found.name.to_string(), found.id))
        }
        None if topic.topic_id.is_zero() => {
            Err((ErrorCode::INVALID_REQUEST, "Neither topic name nor id were specified.".into()))
        }
        None => {
            let found = image.topic_by_id(topic.topic_id).ok_or_else(|| unknown(ErrorCode::UNKNOWN_TOPIC_ID))?;
            Ok((found.name.to_string(), found.id))
        }
    }
}

async fn delete(context: &Context, results: &mut [DeletableTopicResult], doomed: &BTreeMap<Uuid, usize>) {
    if doomed.is_empty() {
        return;
    }
    let ids: Vec<Uuid> = doomed.keys().copied().collect();
    match controller::propose(&context.broker, Command::DeleteTopics(ids.clone())).await {
        Ok(applied) => {
            for (id, outcome) in ids.iter().zip(applied.into_items()) {
                if let Err(refusal) = outcome {
                    let result = &mut results[doomed[id]];
                    result.error_code = refusal.error;
                    result.error_message = Some(refusal.message);
                }
            }
            // Of one that somebody else deleted first, the name may be another topic's by now.
            let deleted = doomed.values().map(|place| &results[*place]).filter(|result| !result.error_code.is_error());
            let names: Vec<String> = deleted.filter_map(|result| result.name.clone()).collect();
            info!(topics = ?names, client_id = &*context.client_id, "topics deleted");
            context.broker.groups().topics_deleted(&context.broker, names).await;
        }
        Err(code) => {
            for place in doomed.values() {
                results[*place].error_code = code;
            }
        }
    }
}

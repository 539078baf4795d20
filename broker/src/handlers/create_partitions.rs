//! CreatePartitions: a topic gets more partitions.
//!
//! v3 THROTTLING_QUOTA_EXCEEDED (KIP-599).

use std::collections::BTreeSet;

use protocol::ErrorCode;
use protocol::messages::CreatePartitionsRequest;
use protocol::messages::create_partitions::*;
use state::cluster::Refusal;
use tracing::info;

use crate::context::Context;
use crate::controller;
use crate::quota::Mutations;

const FIRST_THROTTLED_VERSION: i16 = 3;

/// Adds partitions to each topic, or only says whether it would (`validate_only`).
pub(crate) async fn handle(context: Context, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<String> =
        request.topics.iter().filter(|topic| !seen.insert(&topic.name)).map(|topic| topic.name.clone()).collect();
    let mut results = Vec::with_capacity(request.topics.len());
    let mut answered = BTreeSet::new();
    let mut mutations = Mutations::of(&context, FIRST_THROTTLED_VERSION);
    for topic in request.topics {
        let name = topic.name.clone();
        let outcome = if twice.contains(&name) {
            if !answered.insert(name.clone()) {
                continue;
            }
            Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
        } else {
            create(&context, topic, request.validate_only, &mut mutations).await
        };
        let (error_code, error_message) = match outcome {
            Ok(()) => (ErrorCode::NONE, None),
            Err(refusal) => (refusal.error, Some(refusal.message)),
        };
        results.push(CreatePartitionsTopicResult { name, error_code, error_message });
    }
    CreatePartitionsResponse { throttle_time_ms: mutations.throttle_ms(), results }
}

async fn create(
    context: &Context,
    wanted: CreatePartitionsTopic,
    validate_only: bool,
    mutations: &mut Mutations,
) -> Result<(), Refusal> {
    let chosen: Option<Vec<Vec<i32>>> =
        wanted.assignments.map(|assignments| assignments.into_iter().map(|a| a.broker_ids).collect());
    let grow = async |validate_only| {
        controller::grow(&context.broker, &wanted.name, wanted.count, chosen.as_deref(), validate_only).await
    };
    grow(true).await?;
    let existing = context.broker.image().topic(&wanted.name).map_or(0, |topic| topic.partition_count());
    mutations.record(usize::try_from(wanted.count - existing).unwrap_or(0))?;
    if !validate_only {
        grow(false).await?;
        info!(topic = wanted.name, partitions = wanted.count, client_id = &*context.client_id, "partitions added");
    }
    Ok(())
}

//! ConsumerGroupHeartbeat: join, stay in and leave a group of the consumer protocol (KIP-848).
//!
//! v1 the client makes its member id (KIP-1082), and may subscribe to a regular expression.

use protocol::ErrorCode;
use protocol::messages::consumer_group_heartbeat::*;
use state::group::{
    Assignor, ConsumerHeartbeatRequest, ConsumerHeartbeatResponse, GroupRequest, GroupResponse, Topics,
};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

const FIRST_OWN_MEMBER_ID_VERSION: i16 = 1;
const JOIN_EPOCH: i32 = 0;
const LEAVE_EPOCH: i32 = -1;
const LEAVE_STATIC_EPOCH: i32 = -2;

/// Answers at once, or when what it changed is durable.
pub(crate) async fn handle(
    context: Context,
    request: ConsumerGroupHeartbeatRequest,
) -> Later<ConsumerGroupHeartbeatResponse> {
    let offered = &context.broker.config().group.consumer_assignors;
    if let Err((code, message)) = validate(context.version, &request, offered) {
        return Later::Now(failed(code, Some(message)));
    }
    let heartbeat = match translate(&context, request) {
        Ok(heartbeat) => heartbeat,
        Err(code) => return Later::Now(failed(code, None)),
    };
    let group_id = heartbeat.group_id.clone();
    match coordinator::submit(&context, &group_id, GroupRequest::ConsumerHeartbeat(Box::new(heartbeat))).await {
        Err(code) => Later::Now(failed(code, None)),
        Ok(receiver) => Later::wait(async move {
            match coordinator::answer(receiver).await {
                Ok(GroupResponse::ConsumerHeartbeat(answer)) => response(answer),
                Ok(_) => failed(ErrorCode::UNKNOWN_SERVER_ERROR, None),
                Err(code) => failed(code, None),
            }
        }),
    }
}

/// What can be said about a heartbeat without looking at its group.
fn validate(
    version: i16,
    request: &ConsumerGroupHeartbeatRequest,
    offered: &[Assignor],
) -> Result<(), (ErrorCode, String)> {
    let invalid = |message: &str| Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
    let is_empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
    let joins = request.member_epoch == JOIN_EPOCH;
    if (version >= FIRST_OWN_MEMBER_ID_VERSION || !joins) && request.member_id.is_empty() {
        return invalid("MemberId can't be empty.");
    }
    if request.group_id.is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if is_empty(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if is_empty(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    if joins {
        if request.rebalance_timeout_ms == -1 {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
            return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
        }
    } else if request.member_epoch == LEAVE_STATIC_EPOCH && request.instance_id.is_none() {
        return invalid("InstanceId can't be null.");
    } else if request.member_epoch < LEAVE_STATIC_EPOCH {
        return invalid("MemberEpoch is invalid.");
    }
    match request.server_assignor.as_deref() {
        Some(name) if !offered.iter().any(|assignor| assignor.name() == name) => {
            let offered: Vec<&str> = offered.iter().map(|assignor| assignor.name()).collect();
            let message =
                format!("ServerAssignor {name} is not supported. Supported assignors: {}.", offered.join(", "));
            Err((ErrorCode::UNSUPPORTED_ASSIGNOR, message))
        }
        _ => Ok(()),
    }
}

fn translate(context: &Context, request: ConsumerGroupHeartbeatRequest) -> Result<ConsumerHeartbeatRequest, ErrorCode> {
    let leaves = matches!(request.member_epoch, LEAVE_EPOCH | LEAVE_STATIC_EPOCH);
    let needs_id = request.member_id.is_empty() && !leaves;
    let owned = |owned: Vec<RequestedTopicPartitions>| {
        owned.into_iter().map(|topic| (topic.topic_id, topic.partitions)).collect()
    };
    Ok(ConsumerHeartbeatRequest {
        fresh_member_id: if needs_id { crate::controller::random_uuid()? } else { String::new() },
        client_id: context.client_id.to_string(),
        client_host: context.client_host(),
        topics: Topics::new(context.broker.image()),
        group_id: request.group_id,
        member_id: request.member_id,
        member_epoch: request.member_epoch,
        instance_id: request.instance_id,
        rack_id: request.rack_id,
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|timeout_ms| *timeout_ms != -1),
        subscribed_topic_names: request.subscribed_topic_names,
        subscribed_topic_regex: request.subscribed_topic_regex,
        server_assignor: request.server_assignor,
        owned_partitions: request.topic_partitions.map(owned),
    })
}

fn failed(error_code: ErrorCode, error_message: Option<String>) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse { error_code, error_message, ..Default::default() }
}

fn response(answer: ConsumerHeartbeatResponse) -> ConsumerGroupHeartbeatResponse {
    let topic = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
    ConsumerGroupHeartbeatResponse {
        error_code: answer.error,
        error_message: answer.error_message,
        member_id: answer.member_id,
        member_epoch: answer.member_epoch,
        heartbeat_interval_ms: answer.heartbeat_interval_ms,
        assignment: answer
            .assignment
            .map(|assignment| Assignment { topic_partitions: assignment.into_iter().map(topic).collect() }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joining() -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: "m".into(),
            rebalance_timeout_ms: 1_000,
            subscribed_topic_names: Some(vec!["t".into()]),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        }
    }

    fn said(version: i16, change: impl FnOnce(&mut ConsumerGroupHeartbeatRequest)) -> (ErrorCode, String) {
        let mut request = joining();
        change(&mut request);
        validate(version, &request, &Assignor::ALL).err().unwrap_or((ErrorCode::NONE, String::new()))
    }

    #[test]
    fn who_joins_says_everything() {
        assert_eq!(said(1, |_| {}).0, ErrorCode::NONE);
        assert_eq!(said(0, |request| request.member_id.clear()).0, ErrorCode::NONE, "the broker draws one");
        for (expected, change) in [
            ("MemberId", (|request| request.member_id.clear()) as fn(&mut ConsumerGroupHeartbeatRequest)),
            ("GroupId", |request| request.group_id.clear()),
            ("InstanceId", |request| request.instance_id = Some(String::new())),
            ("RackId", |request| request.rack_id = Some(String::new())),
            ("RebalanceTimeoutMs", |request| request.rebalance_timeout_ms = -1),
            ("TopicPartitions", |request| request.topic_partitions = None),
            ("Either SubscribedTopicNames", |request| request.subscribed_topic_names = None),
            ("InstanceId can't be null", |request| request.member_epoch = LEAVE_STATIC_EPOCH),
            ("MemberEpoch", |request| request.member_epoch = -3),
        ] {
            let (code, message) = said(1, change);
            assert_eq!(code, ErrorCode::INVALID_REQUEST, "{message}");
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn an_assignor_must_be_one_that_is_offered() {
        let (code, message) = said(1, |request| request.server_assignor = Some("sticky".into()));
        assert_eq!(code, ErrorCode::UNSUPPORTED_ASSIGNOR);
        assert_eq!(message, "ServerAssignor sticky is not supported. Supported assignors: uniform, range.");
        assert_eq!(said(1, |request| request.server_assignor = Some("range".into())).0, ErrorCode::NONE);
    }
}

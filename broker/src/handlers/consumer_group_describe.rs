//! ConsumerGroupDescribe: state, epochs, members and assignments of groups of the consumer protocol (KIP-848).
//!
//! v1 member types, for groups on their way from the classic protocol (KIP-1099).

use protocol::ErrorCode;
use protocol::messages::consumer_group_describe::*;
use state::cluster::Image;
use state::group::{DescribedConsumer, DescribedConsumerGroup, GroupRequest, GroupResponse};

use crate::authorized::{self, ANY_GROUP};
use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

/// What a member speaks.
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

/// Describes each group.
pub(crate) async fn handle(
    context: Context,
    request: ConsumerGroupDescribeRequest,
) -> Later<ConsumerGroupDescribeResponse> {
    let operations = authorized::operations(request.include_authorized_operations, ANY_GROUP);
    let mut asked = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        let describe = GroupRequest::ConsumerDescribe(vec![group_id.clone()]);
        let receiver = coordinator::submit(&context, &group_id, describe).await;
        asked.push((group_id, receiver));
    }
    Later::wait(async move {
        let image = context.broker.image();
        let mut groups = Vec::with_capacity(asked.len());
        for (group_id, receiver) in asked {
            let answer = match receiver {
                _ if group_id.is_empty() => Err(ErrorCode::INVALID_GROUP_ID),
                Ok(receiver) => coordinator::answer(receiver).await,
                Err(code) => Err(code),
            };
            groups.push(match answer {
                Ok(GroupResponse::ConsumerDescribe(described)) => match described.into_iter().next().flatten() {
                    Some(group) => describe(&image, group, operations),
                    None => {
                        let message = format!("Group {group_id} is not a consumer group.");
                        failed(group_id, ErrorCode::GROUP_ID_NOT_FOUND, Some(message))
                    }
                },
                Ok(_) => failed(group_id, ErrorCode::UNKNOWN_SERVER_ERROR, None),
                Err(code) => failed(group_id, code, None),
            });
        }
        ConsumerGroupDescribeResponse { groups, ..Default::default() }
    })
}

fn failed(group_id: String, error_code: ErrorCode, error_message: Option<String>) -> DescribedGroup {
    DescribedGroup { error_code, error_message, group_id, ..Default::default() }
}

fn describe(image: &Image, group: DescribedConsumerGroup, authorized_operations: i32) -> DescribedGroup {
    DescribedGroup {
        group_id: group.group_id,
        group_state: group.state.to_string(),
        group_epoch: group.epoch,
        assignment_epoch: group.assignment_epoch,
        assignor_name: group.assignor.name().to_owned(),
        members: group.members.into_iter().map(|described| member(image, described)).collect(),
        authorized_operations,
        ..Default::default()
    }
}

fn member(image: &Image, member: DescribedConsumer) -> Member {
    Member {
        member_id: member.member_id,
        instance_id: member.metadata.instance_id,
        rack_id: member.metadata.rack_id,
        member_epoch: member.member_epoch,
        client_id: member.metadata.client_id,
        client_host: member.metadata.client_host,
        subscribed_topic_names: member.metadata.subscribed_topic_names,
        // Empty for none, though it may be null.
        subscribed_topic_regex: Some(member.metadata.subscribed_topic_regex.unwrap_or_default()),
        assignment: assignment(image, member.assignment),
        target_assignment: assignment(image, member.target_assignment),
        member_type: if member.metadata.classic.is_some() { CLASSIC } else { CONSUMER },
    }
}

/// Topics that are gone have no name, and nobody reads them.
fn assignment(image: &Image, assignment: state::group::Assignment) -> Assignment {
    let topic = |(topic_id, partitions)| {
        let topic_name = image.topic_by_id(topic_id)?.name.to_string();
        Some(TopicPartitions { topic_id, topic_name, partitions })
    };
    Assignment { topic_partitions: assignment.into_iter().filter_map(topic).collect() }
}

//! DescribeGroups: state, members and assignments.
//!
//! v3 authorized operations. v4 static members. v6 GROUP_ID_NOT_FOUND for a group that does not exist (KIP-1043).

use protocol::ErrorCode;
use protocol::messages::DescribeGroupsRequest;
use protocol::messages::describe_groups::*;
use state::group::{ClassicGroupState, GroupRequest, GroupResponse};

use crate::authorized::{self, ANY_GROUP};
use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

const FIRST_NOT_FOUND_VERSION: i16 = 6;

/// Describes each group; one that does not exist is Dead.
pub(crate) async fn handle(context: Context, request: DescribeGroupsRequest) -> Later<DescribeGroupsResponse> {
    let operations = authorized::operations(request.include_authorized_operations, ANY_GROUP);
    let mut asked = Vec::with_capacity(request.groups.len());
    for group_id in request.groups {
        let describe = GroupRequest::Describe(vec![group_id.clone()]);
        let receiver = coordinator::submit(&context, &group_id, describe).await;
        asked.push((group_id, receiver));
    }
    let version = context.version;
    Later::wait(async move {
        let mut groups = Vec::with_capacity(asked.len());
        for (group_id, receiver) in asked {
            let answer = match receiver {
                Ok(receiver) => coordinator::answer(receiver).await,
                Err(code) => Err(code),
            };
            groups.push(match answer {
                Ok(GroupResponse::Describe(described)) => match described.into_iter().next() {
                    Some(group) => describe(version, group, operations),
                    None => failed(group_id, ErrorCode::UNKNOWN_SERVER_ERROR),
                },
                Ok(_) => failed(group_id, ErrorCode::UNKNOWN_SERVER_ERROR),
                Err(code) => failed(group_id, code),
            });
        }
        DescribeGroupsResponse { groups, ..Default::default() }
    })
}

fn failed(group_id: String, error_code: ErrorCode) -> DescribedGroup {
    DescribedGroup { error_code, group_id, ..Default::default() }
}

fn describe(version: i16, group: state::group::DescribedGroup, authorized_operations: i32) -> DescribedGroup {
    let missing = group.state == ClassicGroupState::Dead && version >= FIRST_NOT_FOUND_VERSION;
    let members = group.members.into_iter().map(|member| DescribedGroupMember {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    });
    DescribedGroup {
        error_code: if missing { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::NONE },
        error_message: missing.then(|| format!("Group {} not found.", group.group_id)),
        group_id: group.group_id,
        group_state: group.state.to_string(),
        protocol_type: group.protocol_type,
        protocol_data: group.protocol_data,
        members: members.collect(),
        authorized_operations: if missing { i32::MIN } else { authorized_operations },
    }
}

//! LeaveGroup: members go, by themselves or removed by an administrator.
//!
//! v3 several members at once, static ones by instance id (KIP-345). v5 reason (KIP-800).

use protocol::ErrorCode;
use protocol::messages::LeaveGroupRequest;
use protocol::messages::leave_group::*;
use state::group::{GroupRequest, GroupResponse, LeaveRequest, LeaveResponse, LeavingMember};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

/// Below this version one member leaves, and its error is the answer's.
const FIRST_BATCHED_VERSION: i16 = 3;

/// Removes the members; the answer leaves when that is durable.
pub(crate) async fn handle(context: Context, request: LeaveGroupRequest) -> Later<LeaveGroupResponse> {
    let version = context.version;
    let group_id = request.group_id.clone();
    let members = if version < FIRST_BATCHED_VERSION {
        vec![LeavingMember { member_id: request.member_id, group_instance_id: None, reason: None }]
    } else {
        let member = |member: MemberIdentity| LeavingMember {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
            reason: member.reason,
        };
        request.members.into_iter().map(member).collect()
    };
    let leave = LeaveRequest { group_id: request.group_id, members };
    match coordinator::submit(&context, &group_id, GroupRequest::Leave(leave)).await {
        Err(code) => Later::Now(failed(code)),
        Ok(receiver) => Later::wait(async move {
            match coordinator::answer(receiver).await {
                Ok(GroupResponse::Leave(left)) => response(version, left),
                Ok(_) => failed(ErrorCode::UNKNOWN_SERVER_ERROR),
                Err(code) => failed(code),
            }
        }),
    }
}

fn failed(error_code: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code, ..Default::default() }
}

fn response(version: i16, left: LeaveResponse) -> LeaveGroupResponse {
    if version < FIRST_BATCHED_VERSION && left.error.is_none() {
        return failed(left.members.first().map_or(ErrorCode::NONE, |member| member.error));
    }
    let members = left.members.into_iter().map(|member| MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code: member.error,
    });
    LeaveGroupResponse { error_code: left.error, members: members.collect(), ..Default::default() }
}

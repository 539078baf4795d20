//! JoinGroup: become a member, and wait for the generation to form.
//!
//! v1 rebalance time-out (KIP-62). v4 known member ids (KIP-394). v5 static members (KIP-345). v7 protocol type.
//! v8 reason (KIP-800). v9 skip_assignment (KIP-814).

use protocol::ErrorCode;
use protocol::messages::JoinGroupRequest;
use protocol::messages::join_group::*;
use state::group::{GroupRequest, GroupResponse, JoinRequest, JoinResponse, Topics};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

const FIRST_REBALANCE_TIMEOUT_VERSION: i16 = 1;
const FIRST_KNOWN_MEMBER_VERSION: i16 = 4;
/// From here on the chosen strategy may be null.
const FIRST_NULL_PROTOCOL_VERSION: i16 = 7;
const FIRST_SKIP_ASSIGNMENT_VERSION: i16 = 9;

/// Joins; the answer leaves when the rebalance completes.
pub(crate) async fn handle(context: Context, request: JoinGroupRequest) -> Later<JoinGroupResponse> {
    let version = context.version;
    let member_id = request.member_id.clone();
    let group_id = request.group_id.clone();
    let join = match translate(&context, request) {
        Ok(join) => join,
        Err(code) => return Later::Now(failed(version, member_id, code)),
    };
    match coordinator::submit(&context, &group_id, GroupRequest::Join(join)).await {
        Err(code) => Later::Now(failed(version, member_id, code)),
        Ok(receiver) => Later::wait(async move {
            match coordinator::answer(receiver).await {
                Ok(GroupResponse::Join(joined)) => response(version, joined),
                Ok(_) => failed(version, member_id, ErrorCode::UNKNOWN_SERVER_ERROR),
                Err(code) => failed(version, member_id, code),
            }
        }),
    }
}

fn translate(context: &Context, request: JoinGroupRequest) -> Result<JoinRequest, ErrorCode> {
    let named = request.group_instance_id.as_deref().unwrap_or(&context.client_id);
    let unique = crate::controller::random_uuid()?;
    Ok(JoinRequest {
        fresh_member_id: format!("{named}-{unique}"),
        client_id: context.client_id.to_string(),
        client_host: context.client_host(),
        group_id: request.group_id,
        member_id: request.member_id,
        group_instance_id: request.group_instance_id,
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if context.version < FIRST_REBALANCE_TIMEOUT_VERSION {
            request.session_timeout_ms
        } else {
            request.rebalance_timeout_ms
        },
        protocol_type: request.protocol_type,
        protocols: request.protocols.into_iter().map(|protocol| (protocol.name, protocol.metadata)).collect(),
        require_known_member_id: context.version >= FIRST_KNOWN_MEMBER_VERSION,
        supports_skipping_assignment: context.version >= FIRST_SKIP_ASSIGNMENT_VERSION,
        reason: request.reason,
        topics: Topics::new(context.broker.image()),
    })
}

fn failed(version: i16, member_id: String, error_code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code,
        generation_id: -1,
        protocol_name: no_protocol(version),
        member_id,
        ..Default::default()
    }
}

fn no_protocol(version: i16) -> Option<String> {
    (version < FIRST_NULL_PROTOCOL_VERSION).then(String::new)
}

fn response(version: i16, joined: JoinResponse) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: joined.error,
        generation_id: joined.generation_id,
        protocol_type: joined.protocol_type,
        protocol_name: joined.protocol_name.or_else(|| no_protocol(version)),
        leader: joined.leader,
        skip_assignment: joined.skip_assignment,
        member_id: joined.member_id,
        members: joined
            .members
            .into_iter()
            .map(|member| JoinGroupResponseMember {
                member_id: member.member_id,
                group_instance_id: member.group_instance_id,
                metadata: member.metadata,
            })
            .collect(),
        ..Default::default()
    }
}

//! SyncGroup: the leader hands out assignments, and everybody gets theirs.
//!
//! v3 static members (KIP-345). v5 protocol type and name (KIP-559).

use protocol::ErrorCode;
use protocol::messages::SyncGroupRequest;
use protocol::messages::sync_group::*;
use state::group::{GroupRequest, GroupResponse, SyncRequest, Topics};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

const FIRST_PROTOCOL_VERSION: i16 = 5;

/// Syncs; a follower's answer leaves when the leader has synced.
pub(crate) async fn handle(context: Context, request: SyncGroupRequest) -> Later<SyncGroupResponse> {
    // Version 5 made the protocol mandatory, so that a member of another protocol is found out.
    let missing = request.protocol_type.is_none() || request.protocol_name.is_none();
    if context.version >= FIRST_PROTOCOL_VERSION && missing {
        return Later::Now(failed(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
    }
    let group_id = request.group_id.clone();
    let sync = SyncRequest {
        group_id: request.group_id,
        generation_id: request.generation_id,
        member_id: request.member_id,
        group_instance_id: request.group_instance_id,
        protocol_type: request.protocol_type,
        protocol_name: request.protocol_name,
        assignments: request.assignments.into_iter().map(|a| (a.member_id, a.assignment)).collect(),
        topics: Topics::new(context.broker.image()),
    };
    match coordinator::submit(&context, &group_id, GroupRequest::Sync(sync)).await {
        Err(code) => Later::Now(failed(code)),
        Ok(receiver) => Later::wait(async move {
            match coordinator::answer(receiver).await {
                Ok(GroupResponse::Sync(synced)) => SyncGroupResponse {
                    error_code: synced.error,
                    protocol_type: synced.protocol_type,
                    protocol_name: synced.protocol_name,
                    assignment: synced.assignment,
                    ..Default::default()
                },
                Ok(_) => failed(ErrorCode::UNKNOWN_SERVER_ERROR),
                Err(code) => failed(code),
            }
        }),
    }
}

fn failed(error_code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code, ..Default::default() }
}

//! Heartbeat: keeps a member's session alive and tells it when its group is rebalancing.
//!
//! v3 static members (KIP-345).

use protocol::ErrorCode;
use protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use state::group::{GroupRequest, GroupResponse};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

/// Answers at once.
pub(crate) async fn handle(context: Context, request: HeartbeatRequest) -> Later<HeartbeatResponse> {
    let group_id = request.group_id.clone();
    let heartbeat = state::group::HeartbeatRequest {
        group_id: request.group_id,
        generation_id: request.generation_id,
        member_id: request.member_id,
        group_instance_id: request.group_instance_id,
    };
    match coordinator::submit(&context, &group_id, GroupRequest::Heartbeat(heartbeat)).await {
        Err(code) => Later::Now(response(code)),
        Ok(receiver) => Later::wait(async move {
            match coordinator::answer(receiver).await {
                Ok(GroupResponse::Heartbeat(code)) | Err(code) => response(code),
                Ok(_) => response(ErrorCode::UNKNOWN_SERVER_ERROR),
            }
        }),
    }
}

fn response(error_code: ErrorCode) -> HeartbeatResponse {
    HeartbeatResponse { error_code, ..Default::default() }
}

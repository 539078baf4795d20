//! DeleteGroups: empty groups and their offsets go (KIP-229).

use std::collections::BTreeSet;

use protocol::ErrorCode;
use protocol::messages::DeleteGroupsRequest;
use protocol::messages::delete_groups::*;
use state::group::{GroupRequest, GroupResponse};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

/// Deletes each group that is empty; the answer leaves when that is durable.
pub(crate) async fn handle(context: Context, request: DeleteGroupsRequest) -> Later<DeleteGroupsResponse> {
    let mut asked = Vec::with_capacity(request.groups_names.len());
    // A group that is named twice is deleted and answered once.
    let mut seen = BTreeSet::new();
    for group_id in request.groups_names.into_iter().filter(|group_id| seen.insert(group_id.clone())) {
        let delete = GroupRequest::DeleteGroups(vec![group_id.clone()]);
        let receiver = coordinator::submit(&context, &group_id, delete).await;
        asked.push((group_id, receiver));
    }
    Later::wait(async move {
        let mut results = Vec::with_capacity(asked.len());
        for (group_id, receiver) in asked {
            let answer = match receiver {
                Ok(receiver) => coordinator::answer(receiver).await,
                Err(code) => Err(code),
            };
            let error_code = match answer {
                Ok(GroupResponse::DeleteGroups(deleted)) => {
                    deleted.first().map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |(_, code)| *code)
                }
                Ok(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
                Err(code) => code,
            };
            results.push(DeletableGroupResult { group_id, error_code });
        }
        DeleteGroupsResponse { results, ..Default::default() }
    })
}

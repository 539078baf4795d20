//! ListGroups: the groups this broker coordinates.
//!
//! v4 states (KIP-518). v5 types (KIP-848).

use protocol::messages::ListGroupsRequest;
use protocol::messages::list_groups::*;
use state::group::{GroupRequest, GroupResponse, ListRequest};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

/// Lists the groups of every coordinator here.
pub(crate) async fn handle(context: Context, request: ListGroupsRequest) -> Later<ListGroupsResponse> {
    let list = ListRequest { states_filter: request.states_filter, types_filter: request.types_filter };
    let groups = context.broker.groups();
    let receivers = groups.submit_to_all(&context.broker, || GroupRequest::List(list.clone())).await;
    Later::wait(async move {
        let mut response = ListGroupsResponse::default();
        for receiver in receivers {
            match coordinator::answer(receiver).await {
                Ok(GroupResponse::List(listed)) => {
                    response.groups.extend(listed.into_iter().map(|group| ListedGroup {
                        group_id: group.group_id,
                        protocol_type: group.protocol_type,
                        group_state: group.state.to_owned(),
                        group_type: group.group_type.to_owned(),
                    }))
                }
                Ok(_) => {}
                Err(code) => response.error_code = code,
            }
        }
        response
    })
}

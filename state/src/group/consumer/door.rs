//! Where a ConsumerGroupHeartbeat comes in: which group it is about, and whether that is one of consumers.

use protocol::ErrorCode;

use super::topics::PatternCompiler;
use super::{ConsumerGroup, JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, Refused};
use crate::group::registry::Registry;
use crate::group::turn::Turn;
use crate::group::{ConsumerHeartbeatRequest, ConsumerHeartbeatResponse, GroupRecord};

/// Answers a heartbeat. Whoever joins a group that does not exist, or is empty, makes it one of consumers.
///
/// # Errors
/// GROUP_ID_NOT_FOUND if there is no such group, or it is one of classic members; POLICY_VIOLATION if there are too many
/// groups; and what the group says.
pub(crate) fn consumer_heartbeat(
    groups: &mut Registry,
    request: &ConsumerHeartbeatRequest,
    compile: PatternCompiler,
    turn: &mut Turn<'_>,
) -> Result<ConsumerHeartbeatResponse, Refused> {
    let group_id = request.group_id.as_str();
    if matches!(request.member_epoch, LEAVE_EPOCH | LEAVE_STATIC_EPOCH) {
        let group = groups.get_mut(group_id).and_then(|entry| entry.consumer.as_deref_mut());
        return group.ok_or_else(|| not_found(group_id))?.leave(request, turn);
    }
    let is_member = groups.consumer(group_id).is_some_and(|group| group.member(&request.member_id).is_some());
    if !is_member && request.member_epoch == JOIN_EPOCH {
        check_room(groups, group_id, turn)?;
    }
    if let Some(group) = groups.get_mut(group_id).and_then(|entry| entry.consumer.as_deref_mut()) {
        return group.heartbeat(request, compile, turn);
    }
    if request.member_epoch != JOIN_EPOCH {
        return Err(not_found(group_id));
    }
    let is_taken = groups.get(group_id).is_some_and(|entry| !entry.classic.is_deserted());
    if is_taken {
        return Err(Refused::new(ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group_id} is not a consumer group.")));
    }
    let mut group = ConsumerGroup::new(group_id.into());
    let response = group.heartbeat(request, compile, turn)?;
    let entry = groups.get_or_create(group_id);
    if entry.classic.is_logged() {
        turn.log(GroupRecord::GroupMetadata { group_id: group_id.to_owned(), value: None });
    }
    entry.consumer = Some(Box::new(group));
    Ok(response)
}

fn check_room(groups: &Registry, group_id: &str, turn: &Turn<'_>) -> Result<(), Refused> {
    if !groups.has_room_for(group_id, turn.config) {
        let message = format!("The coordinator keeps {} groups already.", turn.config.max_groups);
        return Err(Refused::new(ErrorCode::POLICY_VIOLATION, message));
    }
    if groups.member_count() >= turn.config.max_members {
        let message = format!("The coordinator keeps {} members already.", turn.config.max_members);
        return Err(Refused::new(ErrorCode::GROUP_MAX_SIZE_REACHED, message));
    }
    Ok(())
}

fn not_found(group_id: &str) -> Refused {
    Refused::new(ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group_id} not found."))
}

/// The answer to a heartbeat that is refused.
pub(crate) fn heartbeat_refused(refused: Refused) -> ConsumerHeartbeatResponse {
    ConsumerHeartbeatResponse {
        error: refused.error,
        error_message: Some(refused.message),
        member_id: None,
        member_epoch: 0,
        heartbeat_interval_ms: 0,
        assignment: None,
    }
}

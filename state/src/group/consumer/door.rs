//! Where a ConsumerGroupHeartbeat comes in: which group it is about, and whether that is one of consumers.

use protocol::ErrorCode;

use super::migration::upgrade;
use super::topics::PatternCompiler;
use super::{ConsumerGroup, JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, Refused};
use crate::group::classic::{ClassicGroup, ClassicGroupState};
use crate::group::registry::Registry;
use crate::group::turn::Turn;
use crate::group::{ConsumerHeartbeatRequest, ConsumerHeartbeatResponse, GroupRecord};

/// Answers a heartbeat. Whoever joins a group that does not exist, or is empty, makes it one of the consumer protocol;
/// so does whoever joins a classic group of consumers, if that may be upgraded.
///
/// # Errors
/// GROUP_ID_NOT_FOUND if there is no such group, or it is one of classic members that is not upgraded; POLICY_VIOLATION
/// if there are too many groups; and what the group says.
pub(crate) fn consumer_heartbeat(
    groups: &mut Registry,
    request: &ConsumerHeartbeatRequest,
    compile: PatternCompiler,
    turn: &mut Turn<'_>,
) -> Result<ConsumerHeartbeatResponse, Refused> {
    let group_id = request.group_id.as_str();
    if matches!(request.member_epoch, LEAVE_EPOCH | LEAVE_STATIC_EPOCH) {
        return leave(groups, request, turn);
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
    let (mut group, records) = new_group(groups, request, turn)?;
    // What the group comes from stands in the log before what becomes of it, as Kafka needs it to load it.
    let start = turn.out.records.len();
    records.into_iter().for_each(|record| turn.log(record));
    let response = group.heartbeat(request, compile, turn).inspect_err(|_| turn.out.records.truncate(start))?;
    let entry = groups.get_or_create(group_id);
    entry.classic.abandon(turn);
    entry.classic = ClassicGroup::new(group_id.into());
    entry.consumer = Some(Box::new(group));
    Ok(response)
}

fn leave(
    groups: &mut Registry,
    request: &ConsumerHeartbeatRequest,
    turn: &mut Turn<'_>,
) -> Result<ConsumerHeartbeatResponse, Refused> {
    let entry = groups.get_mut(&request.group_id).ok_or_else(|| not_found(&request.group_id))?;
    let group = entry.consumer.as_deref_mut().ok_or_else(|| not_found(&request.group_id))?;
    let (response, downgraded) = group.leave(request, turn)?;
    if let Some(classic) = downgraded {
        entry.classic = classic;
    }
    Ok(response)
}

/// A group of the consumer protocol where there is none, with the records that end what was there.
fn new_group(
    groups: &Registry,
    request: &ConsumerHeartbeatRequest,
    turn: &Turn<'_>,
) -> Result<(ConsumerGroup, Vec<GroupRecord>), Refused> {
    let group_id = request.group_id.as_str();
    let classic = groups.get(group_id).map(|entry| &entry.classic);
    match classic.filter(|classic| classic.state() != ClassicGroupState::Empty) {
        Some(classic) => upgrade(group_id, classic, &request.topics, turn),
        None => {
            let is_logged = classic.is_some_and(ClassicGroup::is_logged);
            let tombstone = GroupRecord::GroupMetadata { group_id: group_id.to_owned(), value: None };
            Ok((ConsumerGroup::new(group_id.into()), is_logged.then_some(tombstone).into_iter().collect()))
        }
    }
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

//! Staying in and going: sync, heartbeats, silence, leaving, descriptions.

use super::*;

#[test]
fn followers_wait_for_the_leaders_assignment() {
    let mut shell = Shell::new();
    let (a, b) = (shell.join(old_join("a")), shell.join(old_join("b")));
    shell.pass_ms(6_000);
    assert_eq!((shell.joined(a).leader, shell.joined(b).leader), ("a".to_owned(), "a".to_owned()));
    let follower = shell.sync("b", 1, &[]);
    assert!(shell.is_parked(follower) && shell.log.is_empty());
    let leader = shell.sync("a", 1, &[("b", "yours"), ("stranger", "nobody's")]);
    assert_eq!(shell.log.len(), 1, "the generation is logged as a whole");
    assert_eq!(shell.synced(follower), (ErrorCode::NONE, Bytes::from_static(b"yours")));
    assert_eq!(shell.synced(leader), (ErrorCode::NONE, Bytes::new()));
    let again = shell.sync("b", 1, &[]);
    assert_eq!(shell.synced(again), (ErrorCode::NONE, Bytes::from_static(b"yours")), "a lost answer is repeated");
}

#[test]
fn sync_is_checked() {
    let mut shell = Shell::new();
    let asked = shell.sync("a", 1, &[]);
    assert_eq!(shell.synced(asked).0, ErrorCode::UNKNOWN_MEMBER_ID, "no such group");
    let ids = shell.stable(2);
    let member = ids[1].as_str();
    let with = |name: &str, type_: &str| SyncRequest {
        protocol_name: Some(name.into()),
        protocol_type: Some(type_.into()),
        ..sync(member, 1, &[])
    };
    let cases = [
        (SyncRequest { group_id: String::new(), ..sync(member, 1, &[]) }, ErrorCode::INVALID_GROUP_ID),
        (sync("stranger", 1, &[]), ErrorCode::UNKNOWN_MEMBER_ID),
        (sync(member, 2, &[]), ErrorCode::ILLEGAL_GENERATION),
        (with("sticky", "consumer"), ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
        (with("range", "connect"), ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
        (with("range", "consumer"), ErrorCode::NONE),
    ];
    for (request, error) in cases {
        let asked = shell.send(GroupRequest::Sync(request));
        assert_eq!(shell.synced(asked).0, error);
    }
    shell.join(rejoin(&ids[0]));
    let asked = shell.sync(member, 1, &[]);
    assert_eq!(shell.synced(asked).0, ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_member_that_never_syncs_is_removed() {
    let mut shell = Shell::new();
    let (a, b) = (shell.join(old_join("a")), shell.join(old_join("b")));
    shell.pass_ms(6_000);
    shell.all_joined([a, b]);
    let leader = shell.sync("a", 1, &[]);
    assert_eq!(shell.synced(leader).0, ErrorCode::NONE);
    // Both send heartbeats, but b does not ask for its assignment.
    for _ in 0..6 {
        shell.pass_ms(9_000);
        assert_eq!((shell.heartbeat("a", 1), shell.heartbeat("b", 1)), (ErrorCode::NONE, ErrorCode::NONE));
    }
    shell.pass_ms(7_000);
    assert_eq!(shell.heartbeat("a", 1), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(shell.heartbeat("b", 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_leader_that_never_syncs_frees_the_others() {
    let mut shell = Shell::new();
    let (a, b) = (shell.join(old_join("a")), shell.join(old_join("b")));
    shell.pass_ms(6_000);
    shell.all_joined([a, b]);
    let follower = shell.sync("b", 1, &[]);
    shell.pass_ms(10_000);
    assert_eq!(shell.synced(follower).0, ErrorCode::REBALANCE_IN_PROGRESS, "the leader's session ended");
    let asked = shell.join(rejoin("b"));
    assert_eq!((shell.joined(asked).leader.as_str(), shell.group().members.len()), ("b", 1));
}

#[test]
fn heartbeats_are_checked() {
    let mut shell = Shell::new();
    assert_eq!(shell.heartbeat("a", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let ids = shell.stable(1);
    assert_eq!(shell.heartbeat(&ids[0], 1), ErrorCode::NONE);
    assert_eq!(shell.heartbeat(&ids[0], 0), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(shell.heartbeat("stranger", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shell.heartbeat_as(&ids[0], 1, Some("i")), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn silence_ends_a_session_and_heartbeats_keep_it() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    for _ in 0..4 {
        shell.pass_ms(5_000);
        shell.heartbeat(&ids[0], 1);
    }
    assert_eq!(shell.group().members.len(), 1);
    assert_eq!(shell.state(), ClassicGroupState::PreparingRebalance);
    assert_eq!(shell.machine.totals().expired_members, 1);
}

#[test]
fn when_all_fall_silent_the_group_is_empty_and_logged_as_such() {
    let mut shell = Shell::new();
    shell.stable(2);
    shell.pass_ms(10_000);
    assert_eq!(shell.state(), ClassicGroupState::Empty);
    let Some(GroupRecord::GroupMetadata { value: Some(value), .. }) = shell.log.last() else { panic!() };
    assert_eq!((value.generation_id, value.members.len(), value.protocol_type.as_str()), (2, 0, "consumer"));
    assert_eq!(value.current_state_timestamp_ms, Some(shell.now.wall_ms));
}

#[test]
fn leaving_starts_a_rebalance_and_the_last_one_empties_the_group() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    assert_eq!(shell.leave(&[(&ids[0], None)]), [ErrorCode::NONE]);
    assert_eq!(shell.state(), ClassicGroupState::PreparingRebalance);
    assert_eq!(shell.leave(&[(&ids[0], None)]), [ErrorCode::UNKNOWN_MEMBER_ID]);
    assert_eq!(shell.leave(&[(&ids[1], None)]), [ErrorCode::NONE]);
    assert_eq!(shell.state(), ClassicGroupState::Empty);
    assert_eq!(shell.log.len(), 2);
}

#[test]
fn a_member_removed_while_parked_is_told() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    let asked = shell.join(rejoin(&ids[0]));
    assert_eq!(shell.leave(&[(&ids[0], None)]), [ErrorCode::NONE]);
    assert_eq!(shell.joined(asked).error, ErrorCode::UNKNOWN_MEMBER_ID);

    let asked = shell.join(rejoin(&ids[1]));
    assert_eq!(shell.joined(asked).generation_id, 2);
    let newcomer = shell.join(old_join("c"));
    let again = shell.join(rejoin(&ids[1]));
    shell.all_joined([newcomer, again]);
    let sync = shell.sync("c", 3, &[]);
    assert!(shell.is_parked(sync));
    assert_eq!(shell.leave(&[("c", None)]), [ErrorCode::NONE]);
    assert_eq!(shell.synced(sync).0, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_batch_of_leavers_causes_one_rebalance() {
    let mut shell = Shell::new();
    let ids = shell.stable(3);
    let errors = shell.leave(&[(&ids[1], None), ("stranger", None), (&ids[2], None)]);
    assert_eq!(errors, [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::NONE]);
    let asked = shell.join(rejoin(&ids[0]));
    assert_eq!(shell.joined(asked).generation_id, 2);
}

#[test]
fn a_pending_member_may_leave() {
    let mut shell = Shell::new();
    let ids = shell.stable(1);
    shell.join(JoinRequest { require_known_member_id: true, ..old_join("p") });
    let leader = shell.join(rejoin(&ids[0]));
    assert!(shell.is_parked(leader));
    assert_eq!(shell.leave(&[("p", None)]), [ErrorCode::NONE]);
    assert_eq!(shell.joined(leader).generation_id, 2, "nobody else is waited for");
}

#[test]
fn descriptions_show_what_is_settled() {
    let mut shell = Shell::new();
    let dead = shell.group();
    assert_eq!((dead.state, dead.state.name(), dead.members.len()), (ClassicGroupState::Dead, "Dead", 0));
    let ids = shell.stable(1);
    let stable = shell.group();
    assert_eq!((stable.protocol_type.as_str(), stable.protocol_data.as_str()), ("consumer", "range"));
    assert_eq!(stable.members[0].metadata, subscription(&["t"]));
    assert_eq!((stable.members[0].client_id.as_str(), &stable.members[0].assignment[..]), ("client", &b"some"[..]));
    shell.join(old_join("new"));
    let preparing = shell.group();
    assert_eq!((preparing.protocol_data.as_str(), preparing.members[0].metadata.len()), ("", 0));
    shell.leave(&[(&ids[0], None), ("new", None)]);
    assert_eq!((shell.state(), shell.group().protocol_type.as_str()), (ClassicGroupState::Empty, "consumer"));
}

#[test]
fn lists_are_filtered_in_any_case() {
    let mut shell = Shell::new();
    shell.stable(1);
    shell.commit(commit("simple", "t", 0, 1));
    let list = |states: &[&str], types: &[&str]| {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let request = ListRequest { states_filter: own(states), types_filter: own(types) };
        shell.machine.list(&request).into_iter().map(|group| group.group_id).collect::<Vec<_>>()
    };
    assert_eq!(list(&[], &[]), ["g", "simple"]);
    assert_eq!(list(&["stable"], &["CLASSIC"]), ["g"]);
    assert_eq!(list(&["EMPTY", "Dead"], &[]), ["simple"]);
    assert!(list(&[], &["consumer"]).is_empty() && list(&["nonsense"], &[]).is_empty());
}

#[test]
fn a_session_that_ended_while_parked_begins_anew_with_the_answer() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    let parked = shell.join(rejoin(&ids[0]));
    for _ in 0..4 {
        shell.pass_ms(9_000);
        shell.heartbeat(&ids[1], 1);
    }
    let other = shell.join(rejoin(&ids[1]));
    shell.all_joined([parked, other]);
    let follower = shell.sync(&ids[1], 2, &[]);
    shell.pass_ms(9_999);
    assert_eq!((shell.group().members.len(), shell.is_parked(follower)), (2, true));
    shell.pass_ms(1);
    assert_eq!(shell.group().members.len(), 1, "the other one waits for us, this one is gone");
    assert_eq!(shell.synced(follower).0, ErrorCode::REBALANCE_IN_PROGRESS);
}

//! Coming in: ids, the first rebalance, protocols, and joining again.

use super::*;

#[test]
fn a_new_member_is_told_its_id_first() {
    let mut shell = Shell::new();
    let asked = shell.join(JoinRequest { require_known_member_id: true, ..old_join("m") });
    let response = shell.joined(asked);
    assert_eq!((response.error, response.member_id.as_str()), (ErrorCode::MEMBER_ID_REQUIRED, "m"));
    assert_eq!(shell.machine.counts().pending_members, 1);

    let asked = shell.join(rejoin("m"));
    shell.pass_ms(3_000);
    let response = shell.joined(asked);
    assert_eq!((response.error, response.generation_id, response.member_id.as_str()), (ErrorCode::NONE, 1, "m"));
    assert_eq!((response.leader.as_str(), response.protocol_name.as_deref()), ("m", Some("range")));
    assert_eq!(response.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(response.members.len(), 1);
}

#[test]
fn an_unused_id_expires_and_the_group_with_it() {
    let mut shell = Shell::new();
    shell.join(JoinRequest { require_known_member_id: true, ..old_join("m") });
    assert_eq!(shell.state(), ClassicGroupState::Empty);
    shell.pass_ms(10_000);
    assert_eq!(shell.state(), ClassicGroupState::Dead);
    assert_eq!(shell.machine.counts(), GroupCounts::default());
    let asked = shell.join(rejoin("m"));
    assert_eq!(shell.joined(asked).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert!(shell.log.is_empty());
}

#[test]
fn a_rebalance_waits_for_those_who_were_told_their_id() {
    let mut shell = Shell::new();
    let ids = shell.stable(1);
    shell.join(JoinRequest { require_known_member_id: true, ..old_join("new") });
    assert_eq!(shell.state(), ClassicGroupState::Stable, "it is not in yet");
    let leader = shell.join(rejoin(&ids[0]));
    assert!(shell.is_parked(leader));
    let new = shell.join(rejoin("new"));
    assert_eq!(shell.joined(leader).members.len(), 2);
    assert_eq!(shell.joined(new).members.len(), 0, "only the leader learns who is in");
}

#[test]
fn the_first_rebalance_waits_while_members_keep_coming() {
    let mut shell = Shell::new();
    let first = shell.join(JoinRequest { rebalance_timeout_ms: 7_000, ..old_join("a") });
    shell.pass_ms(2_900);
    let second = shell.join(JoinRequest { rebalance_timeout_ms: 7_000, ..old_join("b") });
    shell.pass_ms(200);
    assert!(shell.is_parked(first), "b extended the wait");
    shell.pass_ms(2_000);
    let third = shell.join(JoinRequest { rebalance_timeout_ms: 7_000, ..old_join("c") });
    shell.pass_ms(900);
    assert!(shell.is_parked(first), "c extended it again, by the rest of the rebalance timeout");
    shell.join(JoinRequest { rebalance_timeout_ms: 7_000, ..old_join("d") });
    shell.pass_ms(1_000);
    for asked in [first, second, third] {
        assert_eq!(shell.joined(asked).generation_id, 1);
    }
    assert_eq!(shell.group().members.len(), 4);
}

#[test]
fn without_a_delay_the_first_join_is_answered_at_once() {
    let mut shell = Shell::with(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() });
    let asked = shell.join(old_join("a"));
    assert_eq!(shell.machine.next_deadline_ms(), Some(shell.now.monotonic_ms));
    shell.pass_ms(0);
    assert_eq!(shell.joined(asked).error, ErrorCode::NONE);
}

#[test]
fn what_cannot_work_is_refused() {
    let base = || JoinRequest { require_known_member_id: true, ..old_join("m") };
    let cases = [
        (JoinRequest { group_id: String::new(), ..base() }, ErrorCode::INVALID_GROUP_ID),
        (JoinRequest { session_timeout_ms: 5_999, ..base() }, ErrorCode::INVALID_SESSION_TIMEOUT),
        (JoinRequest { session_timeout_ms: 1_800_001, ..base() }, ErrorCode::INVALID_SESSION_TIMEOUT),
        (JoinRequest { member_id: "who".into(), ..base() }, ErrorCode::UNKNOWN_MEMBER_ID),
        (JoinRequest { protocols: vec![], ..base() }, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
        (JoinRequest { protocol_type: String::new(), ..base() }, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
    ];
    for (request, error) in cases {
        let mut shell = Shell::new();
        let asked = shell.join(request);
        assert_eq!(shell.joined(asked).error, error);
        assert_eq!(shell.machine.counts(), GroupCounts::default(), "nothing is left behind");
    }
}

#[test]
fn a_member_must_share_a_protocol_with_all_others() {
    let mut shell = Shell::new();
    shell.stable(2);
    let sticky = vec![("sticky".into(), Bytes::new())];
    let asked = shell.join(JoinRequest { protocols: sticky, ..old_join("x") });
    assert_eq!(shell.joined(asked).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let asked = shell.join(JoinRequest { protocol_type: "connect".into(), ..old_join("x") });
    assert_eq!(shell.joined(asked).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(shell.state(), ClassicGroupState::Stable);
}

#[test]
fn members_vote_for_the_protocol() {
    let mut shell = Shell::new();
    let protocols = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Bytes::new())).collect::<Vec<_>>();
    let asked = [
        shell.join(JoinRequest { protocols: protocols(&["a", "b", "c"]), ..old_join("m1") }),
        shell.join(JoinRequest { protocols: protocols(&["x", "c", "b"]), ..old_join("m2") }),
        shell.join(JoinRequest { protocols: protocols(&["c", "b"]), ..old_join("m3") }),
    ];
    shell.pass_ms(6_000);
    for asked in asked {
        assert_eq!(shell.joined(asked).protocol_name.as_deref(), Some("c"), "a and x are not known to all");
    }
}

#[test]
fn equal_votes_are_decided_by_the_leader() {
    let mut shell = Shell::new();
    let protocols = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Bytes::new())).collect::<Vec<_>>();
    let asked = shell.join(JoinRequest { protocols: protocols(&["z", "a"]), ..old_join("m1") });
    shell.join(JoinRequest { protocols: protocols(&["a", "z"]), ..old_join("m2") });
    shell.pass_ms(6_000);
    assert_eq!(shell.joined(asked).protocol_name.as_deref(), Some("z"));
}

#[test]
fn a_follower_that_joins_again_unchanged_is_told_where_things_stand() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    let asked = shell.join(rejoin(&ids[1]));
    let response = shell.joined(asked);
    assert_eq!((response.error, response.generation_id), (ErrorCode::NONE, 1));
    assert_eq!((response.leader.as_str(), response.members.len()), ("member-0", 0));
    assert_eq!(shell.state(), ClassicGroupState::Stable);
}

#[test]
fn a_leader_that_joins_again_starts_a_rebalance() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    let leader = shell.join(rejoin(&ids[0]));
    assert_eq!(shell.state(), ClassicGroupState::PreparingRebalance);
    assert_eq!(shell.heartbeat(&ids[1], 1), ErrorCode::REBALANCE_IN_PROGRESS);
    let follower = shell.join(rejoin(&ids[1]));
    assert_eq!(shell.joined(leader).generation_id, 2);
    assert_eq!(shell.joined(follower).generation_id, 2);
}

#[test]
fn a_longer_topic_list_starts_a_rebalance() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    let changed = vec![("range".into(), subscription(&["t", "u"]))];
    let follower = shell.join(JoinRequest { protocols: changed.clone(), ..rejoin(&ids[1]) });
    assert_eq!(shell.state(), ClassicGroupState::PreparingRebalance);
    let leader = shell.join(rejoin(&ids[0]));
    assert_eq!(shell.joined(follower).generation_id, 2);
    let members = shell.joined(leader).members;
    assert_eq!(members[1].metadata, changed[0].1, "the leader sees the new list");
}

#[test]
fn a_lost_join_answer_is_repeated_before_the_assignment() {
    let mut shell = Shell::new();
    let asked = shell.join(old_join("m"));
    shell.pass_ms(3_000);
    let lost = shell.joined(asked);
    let asked = shell.join(rejoin("m"));
    assert_eq!(shell.joined(asked), lost);
}

#[test]
fn joining_twice_answers_the_first_request_too() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    let first = shell.join(rejoin(&ids[0]));
    let second = shell.join(rejoin(&ids[0]));
    assert_eq!(shell.joined(first).error, ErrorCode::REBALANCE_IN_PROGRESS);
    let other = shell.join(rejoin(&ids[1]));
    assert_eq!(shell.joined(second).error, ErrorCode::NONE);
    assert_eq!(shell.joined(other).error, ErrorCode::NONE);
}

#[test]
fn whoever_does_not_rejoin_in_time_is_out() {
    let mut shell = Shell::new();
    let ids = shell.stable(3);
    let asked = shell.join(rejoin(&ids[0]));
    // Both others are alive, but one never joins.
    for _ in 0..5 {
        shell.pass_ms(9_000);
        assert_eq!(shell.heartbeat(&ids[1], 1), ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(shell.heartbeat(&ids[2], 1), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    let second = shell.join(rejoin(&ids[1]));
    shell.pass_ms(9_000);
    assert_eq!(shell.heartbeat(&ids[2], 1), ErrorCode::REBALANCE_IN_PROGRESS);
    shell.pass_ms(6_000);
    assert_eq!(shell.joined(asked).members.len(), 2);
    assert_eq!(shell.joined(second).generation_id, 2);
    assert_eq!(shell.heartbeat(&ids[2], 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_leader_that_does_not_rejoin_is_replaced() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    let changed = vec![("range".into(), subscription(&["u"]))];
    let asked = shell.join(JoinRequest { protocols: changed, ..rejoin(&ids[1]) });
    for _ in 0..7 {
        shell.pass_ms(8_900);
        shell.heartbeat(&ids[0], 1);
    }
    let response = shell.joined(asked);
    assert_eq!((response.leader.as_str(), response.members.len()), (ids[1].as_str(), 1));
}

#[test]
fn a_new_member_may_not_stay_parked_forever() {
    let mut shell = Shell::new();
    let ids = shell.stable(1);
    // The rebalance waits an hour for a leader that lives and does not join.
    let slow = JoinRequest { rebalance_timeout_ms: 3_600_000, ..old_join("new") };
    let asked = shell.join(slow);
    for _ in 0..34 {
        shell.pass_ms(9_000);
        shell.heartbeat(&ids[0], 1);
    }
    assert_eq!(shell.joined(asked).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shell.group().members.len(), 1);
}

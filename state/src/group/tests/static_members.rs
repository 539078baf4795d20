//! Static members: coming back under the same name (KIP-345).

use super::*;

/// A stable group of two static members, `a` (the leader, instance `A`) and `b` (instance `B`), in generation 1.
fn stable_static(shell: &mut Shell) {
    let (a, b) = (shell.join(static_join("a", "A")), shell.join(static_join("b", "B")));
    shell.pass_ms(6_000);
    assert_eq!((shell.joined(a).error, shell.joined(b).error), (ErrorCode::NONE, ErrorCode::NONE));
    let asked = [shell.sync("b", 1, &[]), shell.sync("a", 1, &[("a", "for A"), ("b", "for B")])];
    for asked in asked {
        assert_eq!(shell.synced(asked).0, ErrorCode::NONE);
    }
}

#[test]
fn a_returning_follower_keeps_its_place_without_a_rebalance() {
    let mut shell = Shell::new();
    stable_static(&mut shell);
    let asked = shell.join(static_join("b2", "B"));
    let response = shell.joined(asked);
    assert_eq!((response.error, response.generation_id, response.leader.as_str()), (ErrorCode::NONE, 1, "a"));
    assert_eq!(response.member_id, "b2");
    let asked = shell.sync("b2", 1, &[]);
    assert_eq!(shell.synced(asked), (ErrorCode::NONE, Bytes::from_static(b"for B")));
    assert_eq!(shell.state(), ClassicGroupState::Stable);
    assert_eq!(shell.heartbeat_as("b", 1, Some("B")), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(shell.log.len(), 2, "a new coordinator fences the old one too");
    shell.reload();
    assert_eq!(shell.heartbeat_as("b", 1, Some("B")), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(shell.heartbeat_as("b2", 1, Some("B")), ErrorCode::NONE);
}

#[test]
fn a_returning_leader_does_not_assign_again() {
    let mut shell = Shell::new();
    stable_static(&mut shell);
    let asked = shell.join(static_join("a2", "A"));
    let old_client = shell.joined(asked);
    assert_eq!((old_client.leader.as_str(), old_client.members.len()), ("a", 0), "it takes itself for a follower");
    assert!(!old_client.skip_assignment);

    let asked = shell.join(JoinRequest { supports_skipping_assignment: true, ..static_join("a3", "A") });
    let new_client = shell.joined(asked);
    assert_eq!((new_client.leader.as_str(), new_client.members.len()), ("a3", 2));
    assert!(new_client.skip_assignment);
    let asked = shell.sync("a3", 1, &[]);
    assert_eq!(shell.synced(asked).1, Bytes::from_static(b"for A"));
}

#[test]
fn a_change_of_the_chosen_protocol_does_rebalance() {
    let mut shell = Shell::new();
    let both = |names: [&str; 2]| names.map(|name| (name.to_owned(), subscription(&["t"]))).to_vec();
    let asked = shell.join(JoinRequest { protocols: both(["range", "sticky"]), ..static_join("a", "A") });
    shell.pass_ms(3_000);
    assert_eq!(shell.joined(asked).protocol_name.as_deref(), Some("range"));
    let asked = shell.sync("a", 1, &[]);
    assert_eq!(shell.synced(asked).0, ErrorCode::NONE);
    let asked = shell.join(JoinRequest { protocols: both(["sticky", "range"]), ..static_join("a2", "A") });
    let response = shell.joined(asked);
    assert_eq!((response.generation_id, response.protocol_name.as_deref()), (2, Some("sticky")));
}

#[test]
fn a_change_of_topics_does_rebalance() {
    let mut shell = Shell::new();
    stable_static(&mut shell);
    let owning = |topics| {
        let mut metadata = subscription(topics).to_vec();
        metadata.extend(b"and what it owned");
        vec![("range".to_owned(), Bytes::from(metadata))]
    };
    let asked = shell.join(JoinRequest { protocols: owning(&["t"]), ..static_join("b2", "B") });
    assert_eq!(shell.joined(asked).generation_id, 1);
    let asked = shell.join(JoinRequest { protocols: owning(&["t", "u"]), ..static_join("b3", "B") });
    assert!(shell.is_parked(asked));
    assert_eq!(shell.heartbeat_as("a", 1, Some("A")), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn coming_back_before_the_assignment_rebalances() {
    let mut shell = Shell::new();
    let (a, b) = (shell.join(static_join("a", "A")), shell.join(static_join("b", "B")));
    shell.pass_ms(6_000);
    shell.all_joined([a, b]);
    let fenced = shell.sync("b", 1, &[]);
    let b2 = shell.join(static_join("b2", "B"));
    assert_eq!(shell.synced(fenced).0, ErrorCode::FENCED_INSTANCE_ID);
    assert!(shell.is_parked(b2), "the leader has been told of b and must join again");
    let a = shell.join(JoinRequest { group_instance_id: Some("A".into()), ..rejoin("a") });
    assert_eq!((shell.joined(a).generation_id, shell.joined(b2).generation_id), (2, 2));
}

#[test]
fn the_parked_join_of_the_old_one_is_fenced() {
    let mut shell = Shell::new();
    let old = shell.join(static_join("a", "A"));
    let new = shell.join(static_join("a2", "A"));
    let fenced = shell.joined(old);
    assert_eq!((fenced.error, fenced.member_id.as_str()), (ErrorCode::FENCED_INSTANCE_ID, "a"));
    shell.pass_ms(6_000);
    assert_eq!(shell.joined(new).generation_id, 1);
    assert_eq!(shell.group().members.len(), 1);
}

#[test]
fn requests_with_a_foreign_id_are_fenced() {
    let mut shell = Shell::new();
    stable_static(&mut shell);
    let asked = shell.join(JoinRequest { group_instance_id: Some("A".into()), ..rejoin("b") });
    assert_eq!(shell.joined(asked).error, ErrorCode::FENCED_INSTANCE_ID);
    let asked =
        shell.send(GroupRequest::Sync(SyncRequest { group_instance_id: Some("A".into()), ..sync("b", 1, &[]) }));
    assert_eq!(shell.synced(asked).0, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(shell.leave(&[("b", Some("A"))]), [ErrorCode::FENCED_INSTANCE_ID]);
    let mut request = commit("g", "t", 0, 1);
    request.committer = Committer { generation_id: 1, member_id: "b".into(), group_instance_id: Some("A".into()) };
    assert_eq!(shell.commit(request), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn an_administrator_removes_by_instance_alone() {
    let mut shell = Shell::new();
    stable_static(&mut shell);
    let errors = shell.leave(&[("", Some("B")), ("", Some("C")), ("", None)]);
    assert_eq!(errors, [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::UNKNOWN_MEMBER_ID]);
    assert_eq!(shell.group().members.len(), 1);
}

#[test]
fn a_static_member_that_is_late_stays_in_until_its_session_ends() {
    let mut shell = Shell::new();
    let a = JoinRequest { session_timeout_ms: 300_000, ..static_join("a", "A") };
    let (a, b) = (shell.join(a), shell.join(static_join("b", "B")));
    shell.pass_ms(6_000);
    shell.all_joined([a, b]);
    let asked = [shell.sync("b", 1, &[]), shell.sync("a", 1, &[])];
    for asked in asked {
        assert_eq!(shell.synced(asked).0, ErrorCode::NONE);
    }
    // b changes its subscription; a is away, within its session.
    let changed = vec![("range".into(), subscription(&["u"]))];
    let b = JoinRequest { protocols: changed, group_instance_id: Some("B".into()), ..rejoin("b") };
    let asked = shell.join(b);
    shell.pass_ms(60_000);
    let response = shell.joined(asked);
    assert_eq!((response.generation_id, response.leader.as_str(), response.members.len()), (2, "b", 2));
}

#[test]
fn when_only_late_static_members_are_left_the_group_waits_for_them() {
    let mut shell = Shell::new();
    let a = JoinRequest { session_timeout_ms: 1_800_000, rebalance_timeout_ms: 500, ..static_join("a", "A") };
    let b = JoinRequest { session_timeout_ms: 1_800_000, rebalance_timeout_ms: 500, ..static_join("b", "B") };
    let (a, b) = (shell.join(a), shell.join(b));
    shell.pass_ms(3_000);
    assert_eq!((shell.joined(a).generation_id, shell.joined(b).generation_id), (1, 1));
    let asked = [shell.sync("a", 1, &[]), shell.sync("b", 1, &[])];
    for asked in asked {
        assert_eq!(shell.synced(asked).0, ErrorCode::NONE);
    }
    assert_eq!(shell.leave(&[("", Some("A"))]), [ErrorCode::NONE]);
    shell.pass_ms(60_000);
    assert_eq!((shell.state(), shell.group().members.len()), (ClassicGroupState::PreparingRebalance, 1));
    let back = shell.join(static_join("b2", "B"));
    assert_eq!(shell.joined(back).generation_id, 2);
}

//! Everything has a limit, and past it an answer.

use super::*;

fn small() -> GroupConfig {
    GroupConfig {
        max_size: 2,
        max_groups: 3,
        max_pending_members: 2,
        max_offsets_per_group: 2,
        max_members: 5,
        max_record_bytes: 1_000,
        ..GroupConfig::default()
    }
}

#[test]
fn a_group_has_a_size() {
    let mut shell = Shell::with(small());
    let ids = shell.stable(2);
    let asked = shell.join(old_join("third"));
    assert_eq!(shell.joined(asked).error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(shell.state(), ClassicGroupState::Stable);
    let asked = shell.join(rejoin(&ids[1]));
    assert_eq!(shell.joined(asked).error, ErrorCode::NONE, "whoever is in may join again");
}

#[test]
fn a_lowered_size_keeps_the_first_to_come_back() {
    let mut shell = Shell::with(GroupConfig { max_size: 3, ..small() });
    let ids = shell.stable(3);
    shell.config.max_size = 2;
    shell.reload();
    assert_eq!(shell.state(), ClassicGroupState::PreparingRebalance);
    let asked: Vec<u64> = ids.iter().map(|id| shell.join(rejoin(id))).collect();
    let errors: Vec<ErrorCode> = asked.into_iter().map(|asked| shell.joined(asked).error).collect();
    assert_eq!(errors, [ErrorCode::NONE, ErrorCode::NONE, ErrorCode::GROUP_MAX_SIZE_REACHED]);
}

#[test]
fn ids_handed_out_have_a_limit() {
    let mut shell = Shell::with(small());
    let errors = ["a", "b", "c"].map(|id| {
        let asked = shell.join(JoinRequest { require_known_member_id: true, ..old_join(id) });
        shell.joined(asked).error
    });
    let required = ErrorCode::MEMBER_ID_REQUIRED;
    assert_eq!(errors, [required, required, ErrorCode::GROUP_MAX_SIZE_REACHED]);
}

#[test]
fn members_of_all_groups_have_a_limit() {
    let mut shell = Shell::with(GroupConfig { max_groups: 100, ..small() });
    for group in 0..5 {
        let asked = shell.join(JoinRequest { group_id: format!("g{group}"), ..old_join("m") });
        assert!(shell.is_parked(asked));
    }
    let asked = shell.join(JoinRequest { group_id: "g9".into(), ..old_join("m") });
    assert_eq!(shell.joined(asked).error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    shell.pass_ms(3_000 + 10_000);
    let asked = shell.join(JoinRequest { group_id: "g9".into(), ..old_join("m") });
    assert!(shell.is_parked(asked), "there is room again");
}

#[test]
fn groups_have_a_limit() {
    let mut shell = Shell::with(small());
    for group in 0..3 {
        assert_eq!(shell.commit(commit(&format!("s{group}"), "t", 0, 1)), ErrorCode::NONE);
    }
    assert_eq!(shell.commit(commit("s3", "t", 0, 1)), ErrorCode::POLICY_VIOLATION);
    assert_eq!(shell.commit(commit("s0", "t", 0, 2)), ErrorCode::NONE);
    let asked = shell.join(old_join("m"));
    assert_eq!(shell.joined(asked).error, ErrorCode::POLICY_VIOLATION);
    assert_eq!(shell.machine.counts().groups, 3);
}

#[test]
fn offsets_have_a_limit() {
    let mut shell = Shell::with(small());
    assert_eq!(shell.commit(commit("s", "t", 0, 1)), ErrorCode::NONE);
    let mut request = commit("s", "t", 1, 1);
    request.topics.push(commit_topic("t", 2, 1));
    let GroupResponse::OffsetCommit(topics) = shell.ask(GroupRequest::OffsetCommit(request)) else { panic!() };
    assert_eq!(topics[0].partitions, [(1, ErrorCode::NONE)]);
    assert_eq!(topics[1].partitions, [(2, ErrorCode::POLICY_VIOLATION)]);
    assert_eq!(shell.commit(commit("s", "t", 0, 2)), ErrorCode::NONE, "an old one may move");
}

#[test]
fn what_the_log_would_refuse_is_refused_before() {
    let mut shell = Shell::with(small());
    let asked = shell.join(JoinRequest { protocols: vec![("range".into(), vec![0; 1_000].into())], ..old_join("m") });
    assert_eq!(shell.joined(asked).error, ErrorCode::INVALID_REQUEST);

    let (a, b) = (shell.join(old_join("a")), shell.join(old_join("b")));
    shell.pass_ms(6_000);
    shell.all_joined([a, b]);
    let follower = shell.sync("b", 1, &[]);
    let mut request = sync("a", 1, &[]);
    request.assignments.push(("b".into(), vec![0; 1_000].into()));
    let leader = shell.send(GroupRequest::Sync(request));
    for asked in [leader, follower] {
        assert_eq!(shell.synced(asked).0, ErrorCode::UNKNOWN_SERVER_ERROR);
    }
    assert_eq!((shell.state(), shell.log.len()), (ClassicGroupState::PreparingRebalance, 0));
}

#[test]
fn an_id_that_is_taken_is_not_given_twice() {
    let mut shell = Shell::new();
    shell.stable(1);
    let asked = shell.join(old_join("member-0"));
    let response = shell.joined(asked);
    assert_eq!((response.error, response.member_id.as_str()), (ErrorCode::UNKNOWN_MEMBER_ID, ""));
    assert_eq!(shell.state(), ClassicGroupState::Stable);
}

/// What one group logs is not to be torn, so no call has more than a batch takes.
#[test]
fn groups_whose_moment_comes_together_are_dealt_with_one_after_the_other() {
    let topics = consumers::topics(&[2]);
    let mut shell = Shell::consumers();
    let long_id = "m".repeat(12_000);
    for group in 0..4 {
        let request = consumers::joining(&long_id, &["a"], &topics);
        shell.beat(ConsumerHeartbeatRequest { group_id: format!("g{group}"), ..request });
    }
    shell.now.monotonic_ms += 3_600_000;
    for group in 0..4 {
        assert!(shell.machine.next_deadline_ms() <= Some(shell.now.monotonic_ms), "group {group} is due");
        let out = shell.machine.expire(shell.now);
        let of_group = |record: &GroupRecord| match record {
            GroupRecord::Consumer { group_id, .. } => group_id.clone(),
            other => panic!("{other:?}"),
        };
        let groups: BTreeSet<String> = out.records.iter().map(of_group).collect();
        assert_eq!(groups.len(), 1, "{groups:?}");
        shell.take(out);
    }
    assert_eq!(shell.machine.expire(shell.now).records, []);
}

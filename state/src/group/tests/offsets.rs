//! Committing, fetching, and deleting offsets.

use super::*;

#[test]
fn a_member_commits_in_its_generation() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    assert_eq!(shell.commit_as(&ids[1], 1, 42), ErrorCode::NONE);
    assert_eq!(shell.fetch("g", "t", 0, false), (42, ErrorCode::NONE));
    assert_eq!(shell.commit_as(&ids[1], 0, 43), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(shell.commit_as(&ids[1], 2, 43), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(shell.commit_as("stranger", 1, 43), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shell.commit_as("", -1, 43), ErrorCode::UNKNOWN_MEMBER_ID, "the group has members");
    assert_eq!(shell.fetch("g", "t", 0, false), (42, ErrorCode::NONE));
}

#[test]
fn committing_is_allowed_while_preparing_and_not_while_completing() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    let leader = shell.join(rejoin(&ids[0]));
    assert_eq!(shell.commit_as(&ids[1], 1, 42), ErrorCode::NONE, "a consumer commits before it joins again");
    let follower = shell.join(rejoin(&ids[1]));
    shell.all_joined([leader, follower]);
    assert_eq!(shell.commit_as(&ids[1], 2, 43), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(shell.commit_as(&ids[1], 1, 43), ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut shell = Shell::new();
    let ids = shell.stable(1);
    for _ in 0..5 {
        shell.pass_ms(8_000);
        assert_eq!(shell.commit_as(&ids[0], 1, 1), ErrorCode::NONE);
    }
}

#[test]
fn without_a_group_anybody_may_commit() {
    let mut shell = Shell::new();
    for group_id in ["simple", ""] {
        assert_eq!(shell.commit(commit(group_id, "t", 0, 7)), ErrorCode::NONE);
        assert_eq!(shell.fetch(group_id, "t", 0, true), (7, ErrorCode::NONE));
    }
    let group = shell.machine.describe(&["simple".into()]).remove(0);
    assert_eq!((group.state, group.protocol_type.as_str()), (ClassicGroupState::Empty, ""));
}

#[test]
fn a_member_of_an_unknown_group_is_told_in_words_it_knows() {
    let mut shell = Shell::new();
    let mut request = commit("g", "t", 0, 1);
    request.committer = Committer { generation_id: 3, member_id: "m".into(), group_instance_id: None };
    assert_eq!(shell.commit(request.clone()), ErrorCode::ILLEGAL_GENERATION);
    request.knows_group_id_not_found = true;
    assert_eq!(shell.commit(request), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(shell.machine.counts(), GroupCounts::default());
}

#[test]
fn each_partition_is_judged_by_itself() {
    let mut shell = Shell::new();
    let mut request = commit("s", "t", 0, 1);
    let mut long = request.topics[0].partitions[0].clone();
    (long.partition_index, long.committed_metadata) = (1, Some("x".repeat(4097)));
    request.topics[0].partitions.push(long);
    let GroupResponse::OffsetCommit(topics) = shell.ask(GroupRequest::OffsetCommit(request)) else { panic!() };
    assert_eq!(topics[0].partitions, [(0, ErrorCode::NONE), (1, ErrorCode::OFFSET_METADATA_TOO_LARGE)]);
    assert_eq!(shell.log.len(), 1);
}

#[test]
fn all_or_some_offsets_are_fetched() {
    let mut shell = Shell::new();
    shell.commit(commit("s", "t", 3, 30));
    shell.commit(commit("s", "u", 0, 7));
    let fetch = |group_id: &str, topics| OffsetFetchGroup {
        group_id: group_id.into(),
        member_id: None,
        member_epoch: -1,
        topics,
    };
    let groups = vec![fetch("s", None), fetch("s", Some(vec![partitions("t", &[3, 4])])), fetch("none", None)];
    let request = OffsetFetchRequest { groups, require_stable: true };
    let GroupResponse::OffsetFetch(groups) = shell.ask(GroupRequest::OffsetFetch(request)) else { panic!() };
    let all: Vec<_> = groups[0].topics.iter().map(|t| (t.name.as_str(), t.partitions[0].committed_offset)).collect();
    assert_eq!(all, [("t", 30), ("u", 7)]);
    let some = &groups[1].topics[0].partitions;
    assert_eq!((some[0].committed_leader_epoch, some[0].metadata.as_str()), (5, "note"));
    let missing = FetchedPartition {
        partition_index: 4,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: String::new(),
        error: ErrorCode::NONE,
    };
    assert_eq!(some[1], missing, "nothing committed is no error");
    assert_eq!((groups[2].topics.len(), groups[2].error), (0, ErrorCode::NONE));
}

#[test]
fn offsets_of_topics_in_use_are_not_deleted() {
    let mut shell = Shell::new();
    let delete = |shell: &mut Shell, group_id: &str, topic: &str| {
        let request = OffsetDeleteRequest { group_id: group_id.into(), topics: vec![partitions(topic, &[0, 9])] };
        match shell.ask(GroupRequest::OffsetDelete(request)) {
            GroupResponse::OffsetDelete(response) => {
                (response.error, response.topics.first().map(|(_, partitions)| partitions[0].1))
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(delete(&mut shell, "", "t"), (ErrorCode::INVALID_GROUP_ID, None));
    assert_eq!(delete(&mut shell, "g", "t"), (ErrorCode::GROUP_ID_NOT_FOUND, None));
    shell.commit(commit("g", "t", 0, 1));
    shell.commit(commit("g", "old", 0, 1));
    let ids = shell.stable(1);
    assert_eq!(delete(&mut shell, "g", "t"), (ErrorCode::NONE, Some(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC)));
    assert_eq!(delete(&mut shell, "g", "old"), (ErrorCode::NONE, Some(ErrorCode::NONE)));
    assert_eq!(shell.fetch("g", "old", 0, false).0, -1);
    shell.leave(&[(&ids[0], None)]);
    assert_eq!(delete(&mut shell, "g", "t"), (ErrorCode::NONE, Some(ErrorCode::NONE)));
    assert_eq!(shell.fetch("g", "t", 0, false).0, -1);
    assert_eq!(shell.machine.totals().offset_deletions, 2);
}

#[test]
fn offsets_of_opaque_groups_are_deleted_only_when_empty() {
    let mut shell = Shell::new();
    let asked = shell.join(JoinRequest { protocol_type: "connect".into(), ..old_join("w") });
    shell.pass_ms(3_000);
    shell.joined(asked);
    let request = OffsetDeleteRequest { group_id: "g".into(), topics: vec![partitions("t", &[0])] };
    let GroupResponse::OffsetDelete(response) = shell.ask(GroupRequest::OffsetDelete(request)) else { panic!() };
    assert_eq!(response.error, ErrorCode::NON_EMPTY_GROUP);
}

#[test]
fn an_unreadable_subscription_protects_every_topic() {
    let mut shell = Shell::new();
    shell.commit(commit("g", "other", 0, 1));
    let asked =
        shell.join(JoinRequest { protocols: vec![("range".into(), Bytes::from_static(b"?"))], ..old_join("m") });
    shell.pass_ms(3_000);
    shell.joined(asked);
    let request = OffsetDeleteRequest { group_id: "g".into(), topics: vec![partitions("other", &[0])] };
    let GroupResponse::OffsetDelete(response) = shell.ask(GroupRequest::OffsetDelete(request)) else { panic!() };
    assert_eq!(response.topics[0].1, [(0, ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC)]);
}

#[test]
fn deleting_a_topic_forgets_its_offsets_everywhere() {
    let mut shell = Shell::new();
    shell.commit(commit("s1", "t", 0, 1));
    shell.commit(commit("s2", "t", 5, 1));
    shell.commit(commit("s2", "u", 0, 9));
    assert_eq!(shell.ask(GroupRequest::TopicsDeleted(vec!["t".into()])), GroupResponse::TopicsDeleted);
    assert_eq!((shell.fetch("s2", "t", 5, false).0, shell.fetch("s2", "u", 0, false).0), (-1, 9));
    assert_eq!(shell.machine.describe(&["s1".into()])[0].state, ClassicGroupState::Dead);
    shell.reload();
    assert_eq!((shell.fetch("s2", "t", 5, false).0, shell.machine.counts().offsets), (-1, 1));
}

#[test]
fn only_empty_groups_are_deleted() {
    let mut shell = Shell::new();
    assert_eq!(shell.delete_group("g"), ErrorCode::GROUP_ID_NOT_FOUND);
    let ids = shell.stable(1);
    shell.commit_as(&ids[0], 1, 5);
    assert_eq!(shell.delete_group("g"), ErrorCode::NON_EMPTY_GROUP);
    shell.leave(&[(&ids[0], None)]);
    assert_eq!(shell.delete_group("g"), ErrorCode::NONE);
    assert_eq!(shell.machine.counts(), GroupCounts::default());
    shell.reload();
    assert_eq!(shell.machine.counts(), GroupCounts::default());
}

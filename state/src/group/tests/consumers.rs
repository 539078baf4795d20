//! Groups of the consumer protocol: epochs, reconciliation, fencing, and what else is asked about them.

use std::sync::Arc;

use super::*;
use crate::cluster::{Command, Image, NewTopic, RegisterBroker};

const SESSION_MS: u64 = 45_000;

pub(super) fn id(topic: u8) -> Uuid {
    Uuid([topic; 16])
}

/// Topics by the first letters of the alphabet, with so many partitions each.
pub(super) fn topics(partitions: &[usize]) -> Topics {
    let mut image = Image::default();
    image.apply(&Command::RegisterBroker(RegisterBroker {
        broker_id: 0,
        incarnation_id: id(200),
        directory_id: id(201),
        listeners: Vec::new(),
        rack: None,
        fenced: false,
        replaces_epoch: -1,
    }));
    let topic = |(index, partitions): (u8, &usize)| NewTopic {
        name: char::from(b'a' + index).to_string(),
        id: id(index + 1),
        assignments: vec![vec![0]; *partitions],
        configs: BTreeMap::new(),
    };
    image.apply(&Command::CreateTopics((0..).zip(partitions).map(topic).collect()));
    Topics::new(Arc::new(image))
}

/// A pattern that begins with the given text; `(` is broken.
pub(super) fn prefix(pattern: &str) -> Result<TopicMatcher, String> {
    let pattern = pattern.to_owned();
    if pattern == "(" { Err("unclosed group".into()) } else { Ok(Box::new(move |name| name.starts_with(&pattern))) }
}

pub(super) fn joining(member_id: &str, names: &[&str], topics: &Topics) -> ConsumerHeartbeatRequest {
    ConsumerHeartbeatRequest {
        group_id: "g".into(),
        member_id: member_id.into(),
        fresh_member_id: "fresh".into(),
        member_epoch: 0,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: Some(60_000),
        subscribed_topic_names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        subscribed_topic_regex: None,
        server_assignor: None,
        owned_partitions: Some(Vec::new()),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        topics: topics.clone(),
    }
}

pub(super) fn alive(member_id: &str, member_epoch: i32, topics: &Topics) -> ConsumerHeartbeatRequest {
    ConsumerHeartbeatRequest {
        member_epoch,
        rebalance_timeout_ms: None,
        subscribed_topic_names: None,
        owned_partitions: None,
        ..joining(member_id, &[], topics)
    }
}

pub(super) fn owning(
    member_id: &str,
    member_epoch: i32,
    owned: &[(u8, &[i32])],
    topics: &Topics,
) -> ConsumerHeartbeatRequest {
    let owned = owned.iter().map(|(topic, partitions)| (id(*topic), partitions.to_vec())).collect();
    ConsumerHeartbeatRequest { owned_partitions: Some(owned), ..alive(member_id, member_epoch, topics) }
}

impl Shell {
    pub(super) fn consumers() -> Shell {
        let mut shell = Shell::new();
        shell.machine = GroupCoordinator::new(shell.config.clone()).with_patterns(prefix);
        shell
    }

    pub(super) fn beat(&mut self, request: ConsumerHeartbeatRequest) -> ConsumerHeartbeatResponse {
        match self.ask(GroupRequest::ConsumerHeartbeat(Box::new(request))) {
            GroupResponse::ConsumerHeartbeat(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn refused(&mut self, request: ConsumerHeartbeatRequest) -> ErrorCode {
        self.beat(request).error
    }

    pub(super) fn consumer_group(&mut self) -> Option<DescribedConsumerGroup> {
        match self.ask(GroupRequest::ConsumerDescribe(vec!["g".into()])) {
            GroupResponse::ConsumerDescribe(groups) => groups.into_iter().next().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn consumer_state(&mut self) -> ConsumerGroupState {
        self.consumer_group().unwrap().state
    }
}

pub(super) fn assigned(response: &ConsumerHeartbeatResponse) -> Vec<(u8, Vec<i32>)> {
    assert_eq!((response.error, &response.error_message), (ErrorCode::NONE, &None));
    let assignment = response.assignment.as_ref().expect("the member is told");
    assignment.iter().map(|(topic, partitions)| (topic.0[0], partitions.clone())).collect()
}

#[test]
fn the_first_member_gets_everything_at_once() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2, 1]));
    let joined = shell.beat(joining("m1", &["a", "b", "missing"], &topics));
    assert_eq!((joined.member_epoch, joined.heartbeat_interval_ms), (2, 5_000));
    assert_eq!(joined.member_id.as_deref(), Some("m1"));
    assert_eq!(assigned(&joined), [(1, vec![0, 1]), (2, vec![0])]);
    assert_eq!(shell.consumer_state(), ConsumerGroupState::Stable);
    let again = shell.beat(alive("m1", 2, &topics));
    assert_eq!((again.member_epoch, again.assignment), (2, None), "nothing new");
    let old = shell.beat(ConsumerHeartbeatRequest { member_id: String::new(), ..joining("", &["a"], &topics) });
    assert_eq!(old.member_id.as_deref(), Some("fresh"), "version 0 lets the broker draw the id");
}

#[test]
fn a_partition_is_given_only_after_it_was_given_back() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    shell.beat(joining("m1", &["a"], &topics));
    let second = shell.beat(joining("m2", &["a"], &topics));
    assert_eq!((second.member_epoch, assigned(&second)), (3, vec![]));
    assert!(second.heartbeat_interval_ms < 200, "it waits, and comes back soon");
    assert_eq!(shell.consumer_state(), ConsumerGroupState::Reconciling);

    let first = shell.beat(alive("m1", 2, &topics));
    assert_eq!((first.member_epoch, assigned(&first)), (2, vec![(1, vec![0])]), "it stays until it has given back");
    assert_eq!(shell.beat(alive("m2", 3, &topics)).assignment, None, "partition 1 is not free");
    assert_eq!(shell.beat(owning("m1", 2, &[(1, &[0, 1])], &topics)).member_epoch, 2, "still reading it");
    let group = shell.consumer_group().unwrap();
    let read = |member: usize| group.members[member].assignment.get(&id(1)).cloned().unwrap_or_default();
    assert_eq!((read(0), read(1)), (vec![0, 1], vec![]), "what is to be given back is told too");

    let first = shell.beat(owning("m1", 2, &[(1, &[0])], &topics));
    assert_eq!((first.member_epoch, first.heartbeat_interval_ms), (3, 5_000));
    let second = shell.beat(alive("m2", 3, &topics));
    assert_eq!((assigned(&second), second.heartbeat_interval_ms), (vec![(1, vec![1])], 5_000));
    assert_eq!(shell.consumer_state(), ConsumerGroupState::Stable);
    let group = shell.consumer_group().unwrap();
    let read: Vec<_> = group.members.iter().map(|member| member.assignment[&id(1)].clone()).collect();
    assert_eq!(read, [[0], [1]]);
}

#[test]
fn epochs_fence() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    assert_eq!(shell.refused(alive("m1", 2, &topics)), ErrorCode::GROUP_ID_NOT_FOUND);
    shell.beat(joining("m1", &["a"], &topics));
    assert_eq!(shell.refused(alive("m2", 2, &topics)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shell.refused(alive("m1", 3, &topics)), ErrorCode::FENCED_MEMBER_EPOCH, "from the future");
    shell.beat(joining("m1", &["b"], &topics));
    let moved = shell.beat(owning("m1", 2, &[], &topics));
    assert_eq!(moved.member_epoch, 3);
    assert_eq!(shell.beat(owning("m1", 2, &[], &topics)).member_epoch, 3, "the answer was lost");
    assert_eq!(shell.refused(alive("m1", 2, &topics)), ErrorCode::FENCED_MEMBER_EPOCH, "it does not say what it reads");
    assert_eq!(shell.refused(owning("m1", 2, &[(1, &[0])], &topics)), ErrorCode::FENCED_MEMBER_EPOCH);
    let back = shell.beat(joining("m1", &["b"], &topics));
    assert_eq!((back.error, back.member_epoch), (ErrorCode::NONE, 3), "who joins anew has nothing");
}

#[test]
fn silence_and_slowness_end_memberships() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    shell.beat(joining("m1", &["a"], &topics));
    shell.beat(ConsumerHeartbeatRequest { rebalance_timeout_ms: Some(1_000), ..joining("m2", &["a"], &topics) });
    shell.beat(ConsumerHeartbeatRequest { rebalance_timeout_ms: Some(1_000), ..alive("m1", 2, &topics) });
    shell.pass_ms(999);
    assert_eq!(shell.consumer_group().unwrap().members.len(), 2);
    shell.pass_ms(1);
    let group = shell.consumer_group().unwrap();
    assert_eq!((group.members.len(), group.members[0].member_id.as_str()), (1, "m2"), "m1 did not give back in time");
    assert_eq!((group.state, group.epoch), (ConsumerGroupState::Assigning, 4));
    let second = shell.beat(alive("m2", 3, &topics));
    assert_eq!((second.member_epoch, assigned(&second)), (4, vec![(1, vec![0, 1])]));

    shell.pass_ms(SESSION_MS - 1);
    assert_eq!(shell.consumer_state(), ConsumerGroupState::Stable);
    shell.pass_ms(1);
    assert_eq!(shell.consumer_state(), ConsumerGroupState::Empty);
    assert_eq!(shell.machine.totals().expired_members, 2);
    assert_eq!(shell.machine.counts().members, 0);
}

#[test]
fn leaving_frees_partitions_and_the_last_leaves_an_empty_group() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    shell.beat(joining("m1", &["a"], &topics));
    shell.beat(joining("m2", &["a"], &topics));
    let left = shell.beat(alive("m1", -1, &topics));
    assert_eq!((left.error, left.member_epoch, left.assignment), (ErrorCode::NONE, -1, None));
    assert_eq!(assigned(&shell.beat(alive("m2", 3, &topics))), [(1, vec![0, 1])]);
    assert_eq!(shell.refused(alive("m1", -1, &topics)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shell.delete_group("g"), ErrorCode::NON_EMPTY_GROUP);
    shell.beat(alive("m2", -1, &topics));
    assert_eq!(shell.consumer_state(), ConsumerGroupState::Empty);
    assert_eq!(shell.delete_group("g"), ErrorCode::NONE);
    assert_eq!(shell.consumer_group(), None);
    shell.reload();
    assert_eq!((shell.consumer_group(), shell.machine.counts().groups), (None, 0));
}

#[test]
fn a_static_member_keeps_its_partitions_while_it_is_away() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    let as_static = |request| ConsumerHeartbeatRequest { instance_id: Some("i".into()), ..request };
    let joined = shell.beat(as_static(joining("m1", &["a"], &topics)));
    assert_eq!(joined.member_epoch, 2);
    assert_eq!(shell.refused(as_static(joining("m2", &["a"], &topics))), ErrorCode::UNRELEASED_INSTANCE_ID);
    assert_eq!(shell.refused(as_static(alive("m2", 2, &topics))), ErrorCode::FENCED_INSTANCE_ID);
    let left = shell.beat(as_static(alive("m1", -2, &topics)));
    assert_eq!((left.error, left.member_epoch), (ErrorCode::NONE, -2));
    let back = shell.beat(as_static(joining("m2", &["a"], &topics)));
    assert_eq!((back.member_epoch, assigned(&back)), (2, vec![(1, vec![0, 1])]), "no rebalance");
    let group = shell.consumer_group().unwrap();
    assert_eq!((group.members.len(), group.members[0].member_id.as_str()), (1, "m2"));
    assert_eq!(shell.refused(as_static(alive("m1", 2, &topics))), ErrorCode::FENCED_INSTANCE_ID);
    shell.beat(as_static(alive("m2", -2, &topics)));
    shell.pass_ms(SESSION_MS);
    assert_eq!(shell.consumer_state(), ConsumerGroupState::Empty, "it did not come back");
}

#[test]
fn topics_that_grow_appear_or_go_are_noticed_by_the_next_heartbeat() {
    let mut shell = Shell::consumers();
    let request =
        ConsumerHeartbeatRequest { subscribed_topic_regex: Some("b".into()), ..joining("m1", &["a"], &topics(&[1])) };
    assert_eq!(assigned(&shell.beat(request)), [(1, vec![0])]);
    let grown = shell.beat(alive("m1", 2, &topics(&[2])));
    assert_eq!((grown.member_epoch, assigned(&grown)), (3, vec![(1, vec![0, 1])]));
    let same = shell.beat(alive("m1", 3, &topics(&[2])));
    assert_eq!((same.member_epoch, same.assignment), (3, None), "another image, the same topics");
    let matched = shell.beat(alive("m1", 3, &topics(&[2, 1, 9])));
    assert_eq!((matched.member_epoch, assigned(&matched)), (4, vec![(1, vec![0, 1]), (2, vec![0])]));
    shell.reload();
    assert_eq!(shell.beat(alive("m1", 4, &topics(&[2, 1, 9]))).member_epoch, 4, "the log knows the hash");
    let broken = ConsumerHeartbeatRequest { subscribed_topic_regex: Some("(".into()), ..alive("m1", 4, &topics(&[2])) };
    assert_eq!(shell.refused(broken), ErrorCode::INVALID_REGULAR_EXPRESSION);
}

#[test]
fn a_full_group_takes_nobody_else() {
    let mut shell = Shell::with(GroupConfig { consumer_max_size: 1, ..GroupConfig::default() });
    let topics = topics(&[1]);
    shell.beat(joining("m1", &["a"], &topics));
    assert_eq!(shell.refused(joining("m2", &["a"], &topics)), ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(shell.refused(joining("m1", &["a"], &topics)), ErrorCode::NONE);
}

#[test]
fn a_record_that_the_log_would_not_take_is_not_decided() {
    let mut shell = Shell::with(GroupConfig { max_record_bytes: 300, ..GroupConfig::default() });
    assert_eq!(shell.refused(joining("m1", &["a"], &topics(&[100]))), ErrorCode::INVALID_REQUEST);
    assert!(shell.log.is_empty());
    assert_eq!(shell.machine.counts().groups, 0);
}

#[test]
fn commits_need_the_epoch_at_which_a_partition_was_assigned_or_a_later_one() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    shell.beat(joining("m1", &["a"], &topics));
    let commit_at = |shell: &mut Shell, member_id: &str, epoch, partition, knows_stale_member_epoch| {
        let mut request = commit("g", "a", partition, 7);
        request.committer.member_id = member_id.into();
        request.committer.generation_id = epoch;
        request.knows_group_id_not_found = knows_stale_member_epoch;
        shell.commit(request)
    };
    assert_eq!(commit_at(&mut shell, "m1", 2, 0, true), ErrorCode::NONE);
    assert_eq!(commit_at(&mut shell, "m1", 2, 0, false), ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(commit_at(&mut shell, "m1", 3, 0, true), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(commit_at(&mut shell, "m2", 2, 0, true), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(commit_at(&mut shell, "", -1, 0, true), ErrorCode::UNKNOWN_MEMBER_ID);
    shell.beat(joining("m2", &["a"], &topics));
    shell.beat(alive("m1", 2, &topics));
    assert_eq!(commit_at(&mut shell, "m1", 2, 1, true), ErrorCode::NONE, "what it is giving back");
    shell.beat(owning("m1", 2, &[(1, &[0])], &topics));
    assert_eq!(commit_at(&mut shell, "m1", 2, 0, true), ErrorCode::NONE, "it has had it since epoch 2");
    assert_eq!(commit_at(&mut shell, "m1", 2, 1, true), ErrorCode::STALE_MEMBER_EPOCH, "it has it no more");

    let in_transaction = |shell: &mut Shell, epoch, partition| {
        let committer = Committer { generation_id: epoch, member_id: "m1".into(), group_instance_id: None };
        let topics = vec![commit_topic("a", partition, 7)];
        let request =
            TxnOffsetCommitRequest { group_id: "g".into(), producer_id: 7, producer_epoch: 0, committer, topics };
        match shell.ask(GroupRequest::TxnOffsetCommit(request)) {
            GroupResponse::TxnOffsetCommit(topics) => topics[0].partitions[0].1,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(in_transaction(&mut shell, 2, 0), ErrorCode::NONE);
    // Producers take the other name of it for the end of everything.
    assert_eq!(in_transaction(&mut shell, 2, 1), ErrorCode::ILLEGAL_GENERATION, "it has it no more");
    assert_eq!(in_transaction(&mut shell, 4, 0), ErrorCode::ILLEGAL_GENERATION);

    let fetch_at = |shell: &mut Shell, member_id: Option<&str>, member_epoch| {
        let topics = Some(vec![partitions("a", &[0])]);
        let member_id = member_id.map(str::to_owned);
        let groups = vec![OffsetFetchGroup { group_id: "g".into(), member_id, member_epoch, topics }];
        match shell.ask(GroupRequest::OffsetFetch(OffsetFetchRequest { groups, require_stable: false })) {
            GroupResponse::OffsetFetch(groups) => groups[0].error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fetch_at(&mut shell, Some("m1"), 3), ErrorCode::NONE);
    assert_eq!(fetch_at(&mut shell, Some("m1"), 2), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(fetch_at(&mut shell, Some("m3"), 3), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(fetch_at(&mut shell, None, -1), ErrorCode::NONE, "an administrator");
}

#[test]
fn a_group_is_of_one_protocol_and_changes_it_only_when_empty() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[1]));
    shell.beat(joining("m1", &["a"], &topics));
    let asked = shell.join(old_join("member-1"));
    assert_eq!(shell.joined(asked).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(shell.heartbeat("m1", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shell.state(), ClassicGroupState::Dead, "there is no classic group of that name");
    let list = |shell: &mut Shell, types: &str| match shell
        .ask(GroupRequest::List(ListRequest { types_filter: vec![types.into()], ..Default::default() }))
    {
        GroupResponse::List(groups) => {
            groups.into_iter().map(|group| (group.state, group.group_type)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(list(&mut shell, "Consumer"), [("Stable", "consumer")]);
    assert_eq!(list(&mut shell, "classic"), []);

    shell.beat(alive("m1", -1, &topics));
    shell.stable(1);
    assert_eq!(shell.consumer_group(), None);
    shell.reload();
    assert_eq!((shell.state(), shell.consumer_group()), (ClassicGroupState::Stable, None));
    assert_eq!(shell.refused(joining("m1", &["a"], &topics)), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(shell.leave(&[("member-0", None)]), [ErrorCode::NONE]);
    assert_eq!(shell.refused(joining("m1", &["a"], &topics)), ErrorCode::NONE);
    shell.reload();
    assert_eq!(shell.consumer_state(), ConsumerGroupState::Stable);
}

#[test]
fn offsets_expire_when_nobody_reads_the_topic_and_the_empty_group_with_them() {
    let config =
        GroupConfig { offsets_retention_ms: 1_000, offsets_retention_check_interval_ms: 500, ..GroupConfig::default() };
    let (mut shell, topics) = (Shell::with(config), topics(&[1, 1]));
    shell.beat(joining("m1", &["a"], &topics));
    for topic in ["a", "b"] {
        let mut request = commit("g", topic, 0, 7);
        (request.committer.member_id, request.committer.generation_id) = ("m1".into(), 2);
        request.knows_group_id_not_found = true;
        assert_eq!(shell.commit(request), ErrorCode::NONE);
    }
    shell.pass_ms(2_000);
    assert_eq!(shell.machine.counts().offsets, 1, "a is read, b is not");
    shell.beat(alive("m1", -1, &topics));
    shell.pass_ms(2_000);
    assert_eq!(shell.machine.counts().groups, 0);
    shell.reload();
    assert_eq!(shell.machine.counts().groups, 0);
}

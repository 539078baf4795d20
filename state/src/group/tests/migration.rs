//! Groups that change their protocol while members are in: upgrade, classic members among consumers, downgrade.

use protocol::internal::{self, ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition};

use super::consumers::{alive, assigned, joining, owning, topics};
use super::*;

const OLD: &str = "member-0";
const OTHER: &str = "member-1";

fn named(partitions: &[i32]) -> Vec<TopicPartition> {
    match partitions {
        [] => Vec::new(),
        _ => vec![TopicPartition { topic: "a".into(), partitions: partitions.to_vec() }],
    }
}

fn wanting(owned: &[i32]) -> Bytes {
    let owned_partitions = named(owned);
    internal::encode(
        &ConsumerProtocolSubscription { topics: vec!["a".into()], owned_partitions, ..Default::default() },
        1,
    )
}

fn given(partitions: &[i32]) -> Bytes {
    let value = ConsumerProtocolAssignment { assigned_partitions: named(partitions), ..Default::default() };
    internal::encode(&value, 1)
}

/// A JoinGroup of a member that still reads some partitions.
fn classic_join(member_id: &str, owned: &[i32], topics: &Topics) -> JoinRequest {
    JoinRequest {
        protocols: vec![("cooperative".into(), wanting(owned)), ("range".into(), wanting(owned))],
        topics: topics.clone(),
        ..rejoin(member_id)
    }
}

impl Shell {
    /// Classic members of one generation, each with these partitions of topic `a`.
    fn classic(&mut self, shares: &[&[i32]], topics: &Topics) -> Vec<String> {
        let first = |i| JoinRequest {
            member_id: String::new(),
            fresh_member_id: format!("member-{i}"),
            ..classic_join("", &[], topics)
        };
        let asked: Vec<u64> = (0..shares.len()).map(|i| self.join(first(i))).collect();
        self.pass_ms(2 * 3_000);
        let ids: Vec<String> = asked.into_iter().map(|asked| self.joined(asked).member_id).collect();
        let assignments = ids.iter().cloned().zip(shares.iter().map(|share| given(share))).collect();
        let leader = SyncRequest { assignments, ..sync(&ids[0], 1, &[]) };
        self.send(GroupRequest::Sync(leader));
        for id in &ids[1..] {
            self.sync(id, 1, &[]);
        }
        assert_eq!(self.state(), ClassicGroupState::Stable);
        self.replies.clear();
        ids
    }

    /// Joins at once: generation, or why not.
    fn rejoined(&mut self, request: JoinRequest) -> Result<i32, ErrorCode> {
        let asked = self.join(request);
        let answer = self.joined(asked);
        if answer.error.is_error() { Err(answer.error) } else { Ok(answer.generation_id) }
    }

    /// Another generation: the first member still has all partitions.
    fn all_joined_again(&mut self, topics: &Topics) {
        let asked = [self.join(classic_join(OLD, &[0, 1, 2], topics)), self.join(classic_join(OTHER, &[], topics))];
        self.all_joined(asked);
    }

    /// What the member is told in SyncGroup.
    fn told(&mut self, member_id: &str, generation_id: i32, topics: &Topics) -> Result<Vec<i32>, ErrorCode> {
        let request = SyncRequest { topics: topics.clone(), ..sync(member_id, generation_id, &[]) };
        let asked = self.send(GroupRequest::Sync(request));
        let (error, bytes) = self.synced(asked);
        if error.is_error() {
            return Err(error);
        }
        let read: ConsumerProtocolAssignment = internal::decode(bytes).unwrap();
        Ok(read.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect())
    }

    /// A group of a consumer, `new`, and two classic members, settled: partitions 0 to 5 of topic `a`.
    fn mixed(topics: &Topics) -> Shell {
        let mut shell = Shell::consumers();
        shell.classic(&[&[0, 1, 2], &[3, 4, 5]], topics);
        assert_eq!(assigned(&shell.beat(joining("new", &["a"], topics))), [], "they have everything");
        for id in [OLD, OTHER] {
            assert_eq!(shell.heartbeat(id, 1), ErrorCode::REBALANCE_IN_PROGRESS);
            assert_eq!(shell.rejoined(classic_join(id, &[], topics)), Ok(2));
            assert_eq!(shell.told(id, 2, topics).unwrap().len(), 2);
            assert_eq!(shell.heartbeat(id, 2), ErrorCode::NONE);
        }
        let told = shell.beat(alive("new", 2, topics));
        assert_eq!(assigned(&told)[0].1.len(), 2, "and have given back what it shall have");
        assert_eq!(shell.consumer_state(), ConsumerGroupState::Stable);
        shell
    }

    fn has_group_type(&mut self, group_type: &str) {
        let listed = self.machine.list(&ListRequest::default());
        assert_eq!(listed.iter().map(|group| group.group_type).collect::<Vec<_>>(), [group_type]);
    }

    /// What a new coordinator has is what this one has.
    fn reload_changes_nothing(&mut self) {
        let before = (self.consumer_group(), self.group(), self.machine.list(&ListRequest::default()));
        self.reload();
        assert_eq!((self.consumer_group(), self.group(), self.machine.list(&ListRequest::default())), before);
    }
}

fn with_policy(policy: MigrationPolicy) -> Shell {
    let mut shell = Shell::consumers();
    shell.config.consumer_migration_policy = policy;
    shell.machine.set_config(shell.config.clone());
    shell
}

#[test]
fn a_living_classic_group_is_upgraded_and_its_members_follow() {
    let topics = topics(&[6]);
    let mut shell = Shell::mixed(&topics);
    shell.has_group_type("consumer");
    assert_eq!(shell.state(), ClassicGroupState::Dead, "DescribeGroups knows no such group any more");
    let group = shell.consumer_group().unwrap();
    let classic: Vec<bool> = group.members.iter().map(|member| member.metadata.classic.is_some()).collect();
    assert_eq!(classic, [true, true, false]);
    shell.reload_changes_nothing();
    assert_eq!(shell.heartbeat(OLD, 2), ErrorCode::NONE, "a new coordinator knows the generation");
}

#[test]
fn what_is_logged_is_what_kafka_logs() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    shell.classic(&[&[0, 1]], &topics);
    let logged = shell.log.len();
    shell.beat(joining("new", &["a"], &topics));
    let kind = |record: &GroupRecord| match record {
        GroupRecord::GroupMetadata { value: None, .. } => "end of classic",
        GroupRecord::Consumer { record, .. } => match record {
            ConsumerRecord::Member { .. } => "member",
            ConsumerRecord::Epoch(_) => "epoch",
            ConsumerRecord::Target { .. } => "target",
            ConsumerRecord::TargetEpoch(_) => "target epoch",
            ConsumerRecord::Current { .. } => "current",
            ConsumerRecord::Pattern { .. } => "pattern",
        },
        other => panic!("{other:?}"),
    };
    let kinds: Vec<&str> = shell.log[logged..].iter().map(kind).collect();
    let upgrade = ["end of classic", "member", "epoch", "target", "target epoch", "current"];
    let join = ["epoch", "member", "target", "target", "target epoch", "current"];
    assert_eq!(kinds, [upgrade, join].concat());
}

#[test]
fn a_cooperative_member_gives_back_before_it_moves_on() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    shell.classic(&[&[0, 1]], &topics);
    shell.beat(joining("new", &["a"], &topics));
    assert_eq!(shell.rejoined(classic_join(OLD, &[0, 1], &topics)), Ok(1), "it still has all");
    let kept = shell.told(OLD, 1, &topics).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(shell.beat(owning("new", 2, &[], &topics)).assignment, None, "not given back yet");
    assert_eq!(shell.heartbeat(OLD, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(shell.rejoined(classic_join(OLD, &kept, &topics)), Ok(2));
    assert_eq!(shell.told(OLD, 2, &topics), Ok(kept.clone()));
    assert_eq!(assigned(&shell.beat(alive("new", 2, &topics))), [(1, vec![1 - kept[0]])]);
}

#[test]
fn what_a_cooperative_member_may_still_read_is_not_given_away() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[3]));
    shell.classic(&[&[0, 1, 2], &[]], &topics);
    shell.all_joined_again(&topics);
    // The leader takes two partitions from it. Whether it has heard of that nobody knows when the group is upgraded.
    let assignments = vec![(OLD.to_owned(), given(&[0])), (OTHER.to_owned(), given(&[]))];
    shell.send(GroupRequest::Sync(SyncRequest { assignments, ..sync(OLD, 2, &[]) }));
    assert_eq!(assigned(&shell.beat(joining("new", &["a"], &topics))), []);
    assert_eq!(shell.rejoined(classic_join(OLD, &[0], &topics)), Ok(3));
    assert_eq!(assigned(&shell.beat(alive("new", 3, &topics)))[0].1.len(), 1, "it has given them back");
}

#[test]
fn a_classic_member_waits_for_a_consumer_to_give_back() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    shell.beat(joining("new", &["a"], &topics));
    let first = JoinRequest { require_known_member_id: true, ..classic_join("", &[], &topics) };
    let asked = shell.join(JoinRequest { fresh_member_id: "old".into(), ..first });
    let answer = shell.joined(asked);
    assert_eq!((answer.error, answer.member_id.as_str()), (ErrorCode::MEMBER_ID_REQUIRED, "old"));
    assert_eq!(shell.rejoined(classic_join("old", &[], &topics)), Ok(3));
    assert_eq!(shell.told("old", 3, &topics), Ok(vec![]));
    assert_eq!(shell.heartbeat("old", 3), ErrorCode::NONE, "there is nothing for it yet");
    let kept = assigned(&shell.beat(alive("new", 2, &topics)));
    shell.beat(owning("new", 2, &[(1, &kept[0].1)], &topics));
    assert_eq!(shell.heartbeat("old", 3), ErrorCode::REBALANCE_IN_PROGRESS, "now there is");
    assert_eq!(shell.rejoined(classic_join("old", &[], &topics)), Ok(3));
    assert_eq!(shell.told("old", 3, &topics).unwrap().len(), 1);
}

#[test]
fn requests_that_are_parked_are_answered_when_the_group_is_upgraded() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    shell.classic(&[&[0], &[1]], &topics);
    let again = shell.join(classic_join(OLD, &[], &topics));
    let fresh = shell.join(JoinRequest { fresh_member_id: "m".into(), ..classic_join("", &[], &topics) });
    shell.beat(joining("new", &["a"], &topics));
    let (again, fresh) = (shell.joined(again), shell.joined(fresh));
    assert_eq!((again.error, again.member_id.as_str()), (ErrorCode::REBALANCE_IN_PROGRESS, OLD));
    assert_eq!((fresh.error, fresh.member_id.as_str()), (ErrorCode::REBALANCE_IN_PROGRESS, ""));
    assert_eq!(shell.consumer_group().unwrap().members.len(), 3, "who does not know its id is not in");
    assert_eq!(shell.rejoined(classic_join(OLD, &[], &topics)), Ok(2));

    let mut shell = Shell::consumers();
    shell.classic(&[&[0], &[1]], &topics);
    let joins = [OLD, OTHER].map(|id| shell.join(classic_join(id, &[], &topics)));
    shell.all_joined(joins);
    let follower = shell.sync(OTHER, 2, &[]);
    shell.beat(joining("new", &["a"], &topics));
    assert_eq!(shell.synced(follower).0, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(shell.rejoined(classic_join(OTHER, &[], &topics)), Ok(3));
}

#[test]
fn the_policy_decides_which_way_a_group_may_go() {
    let topics = topics(&[2]);
    for (policy, up, down) in [
        (MigrationPolicy::Bidirectional, true, true),
        (MigrationPolicy::Upgrade, true, false),
        (MigrationPolicy::Downgrade, false, true),
        (MigrationPolicy::Disabled, false, false),
    ] {
        let mut shell = with_policy(policy);
        shell.classic(&[&[0, 1]], &topics);
        let expected = if up { ErrorCode::NONE } else { ErrorCode::GROUP_ID_NOT_FOUND };
        assert_eq!(shell.refused(joining("new", &["a"], &topics)), expected, "{policy:?}");
        shell.has_group_type(if up { "consumer" } else { "classic" });

        let mut shell = with_policy(policy);
        shell.beat(joining("new", &["a"], &topics));
        assert_eq!(
            shell.rejoined(classic_join("old", &[], &topics)),
            Ok(3),
            "classic members are let in by any policy"
        );
        shell.beat(alive("new", -1, &topics));
        shell.has_group_type(if down { "classic" } else { "consumer" });
    }
}

#[test]
fn only_a_group_of_consumers_that_can_be_understood_is_upgraded() {
    let topics = topics(&[2]);
    let mut shell = Shell::consumers();
    shell.stable(1);
    let refused = shell.beat(joining("new", &["a"], &topics));
    assert_eq!(refused.error, ErrorCode::GROUP_ID_NOT_FOUND, "its assignment is something else");
    assert_eq!(shell.heartbeat(OLD, 1), ErrorCode::NONE, "and nothing has happened to it");
    shell.reload_changes_nothing();

    let mut shell = Shell::consumers();
    let asked = shell.join(JoinRequest { protocol_type: "connect".into(), ..classic_join("", &[], &topics) });
    shell.pass_ms(3_000);
    assert!(!shell.is_parked(asked));
    assert_eq!(shell.refused(joining("new", &["a"], &topics)), ErrorCode::GROUP_ID_NOT_FOUND);
}

#[test]
fn a_group_is_upgraded_within_its_limits() {
    let topics = topics(&[2]);
    for (size, record_bytes) in [(1, 1_000_000), (100, 1_000)] {
        let mut shell = Shell::consumers();
        shell.classic(&[&[0], &[1]], &topics);
        shell.config.consumer_max_size = size;
        shell.config.max_record_bytes = record_bytes;
        shell.machine.set_config(shell.config.clone());
        assert_eq!(shell.refused(joining("new", &["a"], &topics)), ErrorCode::GROUP_ID_NOT_FOUND);
        assert_eq!(shell.heartbeat(OLD, 1), ErrorCode::NONE);
    }
}

#[test]
fn a_classic_member_finds_out_what_is_wrong() {
    let topics = topics(&[6]);
    let mut shell = Shell::mixed(&topics);
    assert_eq!(shell.heartbeat("nobody", 2), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shell.heartbeat("new", 2), ErrorCode::UNKNOWN_MEMBER_ID, "it speaks the consumer protocol");
    assert_eq!(shell.heartbeat(OLD, 1), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(shell.heartbeat_as(OLD, 2, Some("x")), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shell.told(OLD, 1, &topics), Err(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(shell.told("new", 2, &topics), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    let asked = shell.send(GroupRequest::Sync(SyncRequest { protocol_name: Some("x".into()), ..sync(OLD, 2, &[]) }));
    assert_eq!(shell.synced(asked).0, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let other_type = JoinRequest { protocol_type: "connect".into(), ..classic_join(OLD, &[], &topics) };
    let other_strategy =
        JoinRequest { protocols: vec![("mine".into(), wanting(&[]))], ..classic_join(OLD, &[], &topics) };
    let garbage =
        JoinRequest { protocols: vec![("range".into(), Bytes::from_static(b"?"))], ..classic_join(OLD, &[], &topics) };
    for request in [other_type, other_strategy, garbage] {
        assert_eq!(shell.rejoined(request), Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
    }
    // A member of the consumer protocol joins: whoever syncs late has to join again.
    assert_eq!(shell.rejoined(classic_join(OLD, &[], &topics)), Ok(2));
    shell.beat(joining("newer", &["a"], &topics));
    assert_eq!(shell.told(OLD, 2, &topics), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    assert_eq!(shell.leave(&[("nobody", None), ("", None)]), [ErrorCode::UNKNOWN_MEMBER_ID; 2]);
    assert_eq!(shell.leave(&[(OLD, None), (OLD, None)]), [ErrorCode::NONE; 2]);
    assert_eq!(shell.consumer_group().unwrap().members.len(), 3);
}

#[test]
fn an_administrator_removes_members_of_either_protocol() {
    let topics = topics(&[6]);
    let mut shell = Shell::mixed(&topics);
    assert_eq!(shell.leave(&[("new", None), ("nobody", None)]), [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID]);
    shell.has_group_type("classic");
    shell.reload();
    shell.has_group_type("classic");

    let mut shell = Shell::consumers();
    shell.beat(ConsumerHeartbeatRequest { instance_id: Some("i".into()), ..joining("m1", &["a"], &topics) });
    shell.beat(joining("m2", &["a"], &topics));
    let refused = shell.leave(&[("", Some("other")), ("m2", Some("i"))]);
    assert_eq!(refused, [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::FENCED_INSTANCE_ID]);
    assert_eq!(shell.leave(&[("", Some("i"))]), [ErrorCode::NONE]);
    assert_eq!(shell.refused(alive("m1", 2, &topics)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(assigned(&shell.beat(alive("m2", 3, &topics))), [(1, vec![0, 1, 2, 3, 4, 5])]);
    shell.reload_changes_nothing();
}

#[test]
fn classic_members_commit_with_their_generation() {
    let topics = topics(&[6]);
    let mut shell = Shell::mixed(&topics);
    assert_eq!(shell.commit_as(OLD, 2, 5), ErrorCode::NONE);
    assert_eq!(shell.commit_as(OLD, 1, 6), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(shell.commit_as("nobody", 2, 6), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_classic_member_that_is_silent_or_late_is_removed() {
    let topics = topics(&[6]);
    let mut shell = Shell::mixed(&topics);
    let mut epoch = 2;
    shell.pass_ms(9_000);
    assert_eq!(shell.heartbeat(OLD, 2), ErrorCode::NONE);
    shell.pass_ms(1_000);
    assert_eq!(shell.heartbeat(OTHER, 2), ErrorCode::UNKNOWN_MEMBER_ID, "silent for a session of ten seconds");
    // Told to join again, it only says that it is alive: it has a minute for that.
    for _ in 0..60 {
        assert_eq!(shell.heartbeat(OLD, 2), ErrorCode::REBALANCE_IN_PROGRESS);
        epoch = shell.beat(alive("new", epoch, &topics)).member_epoch;
        shell.pass_ms(1_000);
    }
    assert_eq!(shell.heartbeat(OLD, 2), ErrorCode::UNKNOWN_MEMBER_ID);

    let mut shell = Shell::mixed(&topics);
    assert_eq!(shell.rejoined(classic_join(OLD, &[], &topics)), Ok(2));
    for _ in 0..60 {
        assert_eq!(shell.heartbeat(OLD, 2), ErrorCode::NONE, "it never asks what it has");
        shell.heartbeat(OTHER, 2);
        shell.beat(alive("new", 2, &topics));
        shell.pass_ms(1_000);
    }
    assert_eq!(shell.heartbeat(OLD, 2), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn without_its_last_consumer_the_group_is_classic_again_and_rebalances() {
    let topics = topics(&[6]);
    for reloads in [false, true] {
        for dies in [false, true] {
            let mut shell = Shell::mixed(&topics);
            shell.commit_as(OLD, 2, 5);
            if dies {
                for _ in 0..45 {
                    shell.pass_ms(1_000);
                    for id in [OLD, OTHER] {
                        let error = shell.heartbeat(id, 2);
                        assert!(matches!(error, ErrorCode::NONE | ErrorCode::REBALANCE_IN_PROGRESS), "{error:?}");
                    }
                }
            } else {
                shell.beat(alive("new", -1, &topics));
            }
            if reloads {
                shell.reload();
            }
            shell.pass_ms(0);
            shell.has_group_type("classic");
            assert_eq!(shell.state(), ClassicGroupState::PreparingRebalance);
            assert_eq!(shell.group().members.len(), 2);
            assert_eq!(shell.consumer_group(), None);
            assert_eq!(shell.fetch("g", "t", 0, false), (5, ErrorCode::NONE), "offsets are the group's");
            for id in [OLD, OTHER] {
                assert_eq!(shell.heartbeat(id, 2), ErrorCode::REBALANCE_IN_PROGRESS);
            }
            let joins = [OLD, OTHER].map(|id| shell.join(classic_join(id, &[], &topics)));
            let answers = joins.map(|asked| shell.joined(asked));
            assert!(answers.iter().all(|answer| (answer.error, answer.generation_id) == (ErrorCode::NONE, 3)));
            assert_eq!(answers.iter().filter(|answer| answer.members.len() == 2).count(), 1, "one of them leads");
            let leader = answers[0].leader.clone();
            shell.sync(&leader, 3, &[]);
            assert_eq!(shell.state(), ClassicGroupState::Stable);
            shell.reload_changes_nothing();
        }
    }
}

#[test]
fn a_downgraded_group_is_logged_with_what_its_members_have() {
    let topics = topics(&[6]);
    let mut shell = Shell::mixed(&topics);
    shell.beat(alive("new", -1, &topics));
    let Some(GroupRecord::GroupMetadata { value: Some(group), .. }) = shell.log.last() else { panic!("not classic") };
    assert_eq!((group.generation_id, group.protocol.as_deref(), &group.leader), (2, Some("cooperative"), &None));
    for member in &group.members {
        let read: ConsumerProtocolAssignment = internal::decode(member.assignment.clone()).unwrap();
        assert_eq!(read.assigned_partitions[0].partitions.len(), 2);
        assert_eq!(member.session_timeout_ms, 10_000);
    }
}

#[test]
fn what_others_have_is_not_given_out_when_the_group_is_downgraded() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[2]));
    shell.classic(&[&[0, 1]], &topics);
    shell.beat(joining("new", &["a"], &topics));
    assert_eq!(shell.rejoined(classic_join("late", &[], &topics)), Ok(3));
    shell.beat(alive("new", -1, &topics));
    assert_eq!(shell.told("late", 3, &topics), Err(ErrorCode::REBALANCE_IN_PROGRESS), "the other still reads both");
    let Some(GroupRecord::GroupMetadata { value: Some(group), .. }) = shell.log.last() else { panic!("not classic") };
    let assignments: Vec<&Bytes> = group.members.iter().map(|member| &member.assignment).collect();
    assert_eq!(assignments, [&given(&[]), &given(&[0, 1])]);
}

#[test]
fn a_static_classic_member_that_replaces_the_last_consumer_downgrades_the_group() {
    let topics = topics(&[2]);
    let mut shell = Shell::consumers();
    shell.beat(ConsumerHeartbeatRequest { instance_id: Some("I".into()), ..joining("new", &["a"], &topics) });
    let instance = |member_id: &str| JoinRequest {
        group_instance_id: Some("I".into()),
        fresh_member_id: "fresh".into(),
        ..classic_join(member_id, &[], &topics)
    };
    assert_eq!(shell.rejoined(instance("stranger")), Err(ErrorCode::FENCED_INSTANCE_ID));
    assert_eq!(shell.rejoined(instance("")), Ok(2));
    shell.has_group_type("classic");
    assert_eq!(shell.state(), ClassicGroupState::Stable, "nobody has to move");
    assert_eq!(shell.group().members[0].member_id, "fresh");
    assert_eq!(shell.told("fresh", 2, &topics), Ok(vec![0, 1]));
    shell.reload_changes_nothing();

    // And the other way: a consumer takes the place of the only classic member.
    let back = ConsumerHeartbeatRequest { instance_id: Some("I".into()), ..joining("newer", &["a"], &topics) };
    assert_eq!(assigned(&shell.beat(back)), [(1, vec![0, 1])]);
    shell.has_group_type("consumer");
    shell.reload_changes_nothing();
    assert_eq!(shell.heartbeat_as("fresh", 1, Some("I")), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn a_group_that_goes_to_and_fro_leaves_nothing_behind() {
    let topics = topics(&[2]);
    let mut shell = Shell::consumers();
    shell.classic(&[&[0, 1]], &topics);
    for _ in 0..3 {
        shell.beat(joining("new", &["a"], &topics));
        shell.beat(alive("new", -1, &topics));
        shell.pass_ms(0);
        let generation_id = shell.rejoined(classic_join(OLD, &[], &topics)).unwrap();
        shell.sync(OLD, generation_id, &[]);
        shell.replies.clear();
    }
    assert_eq!(shell.leave(&[(OLD, None)]), [ErrorCode::NONE]);
    assert_eq!(shell.delete_group("g"), ErrorCode::NONE);
    assert_eq!(shell.machine.counts(), GroupCounts::default());
    shell.reload();
    assert_eq!(shell.machine.counts(), GroupCounts::default());
}

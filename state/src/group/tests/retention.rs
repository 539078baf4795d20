//! Offsets and groups that nobody needs any more (KIP-211).

use super::*;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

#[test]
fn a_simple_group_expires_after_its_last_commit() {
    let mut shell = Shell::new();
    shell.commit(commit("s", "t", 0, 1));
    shell.pass_ms(5 * DAY_MS);
    shell.commit(commit("s", "t", 1, 1));
    shell.pass_ms(2 * DAY_MS + 10 * MINUTE_MS);
    assert_eq!((shell.fetch("s", "t", 0, false).0, shell.fetch("s", "t", 1, false).0), (-1, 1));
    shell.pass_ms(5 * DAY_MS);
    assert_eq!(shell.machine.counts(), GroupCounts::default());
    assert_eq!(shell.machine.totals().offset_expirations, 2);
}

#[test]
fn a_groups_offsets_expire_once_it_was_empty_for_long_enough() {
    let mut shell = Shell::new();
    let ids = shell.stable(1);
    shell.commit_as(&ids[0], 1, 1);
    for _ in 0..10 * 24 * 60 * 6 {
        shell.pass_ms(10_000 - 1);
        assert_eq!(shell.heartbeat(&ids[0], 1), ErrorCode::NONE);
    }
    assert_eq!(shell.fetch("g", "t", 0, false).0, 1, "the group is alive");
    shell.leave(&[(&ids[0], None)]);
    shell.pass_ms(7 * DAY_MS - 10 * MINUTE_MS);
    assert_eq!(shell.fetch("g", "t", 0, false).0, 1, "it has not been empty for seven days yet");
    shell.pass_ms(20 * MINUTE_MS);
    assert_eq!(shell.state(), ClassicGroupState::Dead);
    assert!(matches!(shell.log.last(), Some(GroupRecord::GroupMetadata { value: None, .. })));
    shell.reload();
    assert_eq!(shell.machine.counts(), GroupCounts::default());
}

#[test]
fn an_empty_group_without_offsets_dies_at_the_next_check() {
    let mut shell = Shell::new();
    let ids = shell.stable(1);
    shell.leave(&[(&ids[0], None)]);
    assert_eq!(shell.state(), ClassicGroupState::Empty);
    shell.pass_ms(10 * MINUTE_MS);
    assert_eq!(shell.state(), ClassicGroupState::Dead);
}

#[test]
fn topics_that_a_living_group_left_expire() {
    let mut shell = Shell::with(GroupConfig { offsets_retention_ms: 60_000, ..GroupConfig::default() });
    shell.commit(commit("g", "left", 0, 1));
    shell.commit(commit("g", "t", 0, 1));
    let ids = shell.stable(1);
    for _ in 0..130 {
        shell.pass_ms(5_000);
        shell.heartbeat(&ids[0], 1);
    }
    assert_eq!((shell.fetch("g", "left", 0, false).0, shell.fetch("g", "t", 0, false).0), (-1, 1));
}

#[test]
fn offsets_of_living_opaque_groups_never_expire() {
    let mut shell = Shell::with(GroupConfig { offsets_retention_ms: 60_000, ..GroupConfig::default() });
    shell.commit(commit("g", "t", 0, 1));
    let asked = shell.join(JoinRequest { protocol_type: "connect".into(), ..old_join("w") });
    shell.pass_ms(3_000);
    shell.joined(asked);
    let asked = shell.sync("w", 1, &[]);
    shell.synced(asked);
    for _ in 0..130 {
        shell.pass_ms(5_000);
        shell.heartbeat("w", 1);
    }
    assert_eq!(shell.fetch("g", "t", 0, false).0, 1);
}

#[test]
fn old_clients_choose_their_own_retention() {
    let mut shell = Shell::new();
    let with = |partition, retention_time_ms| OffsetCommitRequest {
        retention_time_ms: Some(retention_time_ms),
        ..commit("s", "t", partition, 1)
    };
    shell.commit(with(0, 60_000));
    shell.commit(with(1, -1));
    shell.commit(with(2, 0));
    shell.pass_ms(20 * MINUTE_MS);
    let fetched: Vec<i64> = (0..3).map(|partition| shell.fetch("s", "t", partition, false).0).collect();
    assert_eq!(fetched, [-1, 1, 1]);
}

#[test]
fn a_wall_clock_that_goes_back_expires_nothing() {
    let mut shell = Shell::new();
    shell.commit(commit("s", "t", 0, 1));
    let month_ms = 30 * 24 * 3_600_000;
    shell.now.wall_ms -= month_ms;
    shell.pass_ms(DAY_MS);
    assert_eq!(shell.fetch("s", "t", 0, false).0, 1);
    shell.now.wall_ms += month_ms;
    shell.pass_ms(DAY_MS);
    assert_eq!(shell.fetch("s", "t", 0, false).0, 1);
}

#[test]
fn a_check_of_many_groups_goes_in_steps() {
    let mut shell = Shell::new();
    for group in 0..1_500 {
        shell.commit(commit(&format!("s{group}"), "t", 0, 1));
    }
    let mut large = commit("large", "t", 0, 1);
    let partition = large.topics[0].partitions[0].clone();
    large.topics[0].partitions =
        (0..2_500).map(|partition_index| CommitPartition { partition_index, ..partition.clone() }).collect();
    shell.commit(large);
    shell.now.wall_ms += i64::try_from(8 * DAY_MS).unwrap();
    shell.now.monotonic_ms += 8 * DAY_MS;
    let mut steps = 0;
    while shell.machine.counts().offsets > 0 {
        assert!(shell.machine.next_deadline_ms() <= Some(shell.now.monotonic_ms), "it goes on at once");
        let out = shell.machine.expire(shell.now);
        assert!(!out.records.is_empty() && out.records.len() <= 1_000);
        shell.take(out);
        steps += 1;
    }
    assert!((5..20).contains(&steps), "{steps}");
    assert_eq!(shell.machine.counts(), GroupCounts::default());
}

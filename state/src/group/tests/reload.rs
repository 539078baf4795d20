//! A new coordinator knows what the log knows.

use super::*;

#[test]
fn members_of_a_stable_group_go_on_as_if_nothing_happened() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    shell.commit_as(&ids[0], 1, 42);
    let before = shell.group();
    shell.reload();
    assert_eq!(shell.group(), before);
    assert_eq!((shell.heartbeat(&ids[0], 1), shell.heartbeat(&ids[1], 1)), (ErrorCode::NONE, ErrorCode::NONE));
    assert_eq!(shell.fetch("g", "t", 0, false), (42, ErrorCode::NONE));
    let asked = shell.sync(&ids[1], 1, &[]);
    assert_eq!(shell.synced(asked), (ErrorCode::NONE, Bytes::from_static(b"some")));
}

#[test]
fn members_have_a_full_session_after_loading() {
    let mut shell = Shell::new();
    shell.stable(2);
    shell.now.monotonic_ms += 100_000;
    shell.reload();
    shell.pass_ms(9_999);
    assert_eq!(shell.state(), ClassicGroupState::Stable);
    shell.pass_ms(1);
    assert_eq!(shell.state(), ClassicGroupState::Empty);
}

#[test]
fn a_rebalance_that_was_not_completed_is_forgotten() {
    let mut shell = Shell::new();
    let ids = shell.stable(2);
    let asked = [shell.join(rejoin(&ids[0])), shell.join(rejoin(&ids[1]))];
    for asked in asked {
        assert_eq!(shell.joined(asked).generation_id, 2);
    }
    shell.reload();
    assert_eq!(shell.state(), ClassicGroupState::Stable);
    assert_eq!(shell.heartbeat(&ids[1], 2), ErrorCode::ILLEGAL_GENERATION, "it joins again");
    assert_eq!(shell.heartbeat(&ids[1], 1), ErrorCode::NONE);
}

#[test]
fn a_member_that_joined_and_was_not_logged_starts_anew() {
    let mut shell = Shell::new();
    shell.join(old_join("m"));
    shell.pass_ms(3_000);
    shell.reload();
    assert_eq!(shell.heartbeat("m", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(shell.machine.counts(), GroupCounts::default());
}

#[test]
fn a_tombstone_forgets_members_but_not_later_offsets() {
    let mut shell = Shell::new();
    let ids = shell.stable(1);
    shell.leave(&[(&ids[0], None)]);
    shell.delete_group("g");
    shell.commit(commit("g", "t", 0, 5));
    shell.reload();
    assert_eq!((shell.state(), shell.group().protocol_type.as_str()), (ClassicGroupState::Empty, ""));
    assert_eq!(shell.fetch("g", "t", 0, false).0, 5);
}

#[test]
fn the_last_generation_is_the_one_that_counts() {
    let mut shell = Shell::new();
    let ids = shell.stable(1);
    for (generation_id, protocol, topics) in [(2, "range", ["u"]), (3, "sticky", ["v"])] {
        let known = if protocol == "range" { vec!["range"] } else { vec!["range", "sticky"] };
        let protocols = known.iter().map(|name| ((*name).to_owned(), subscription(&topics))).rev().collect();
        let asked = shell.join(JoinRequest { protocols, ..rejoin(&ids[0]) });
        assert_eq!(shell.joined(asked).protocol_name.as_deref(), Some(protocol));
        let asked = shell.sync(&ids[0], generation_id, &[(&ids[0], "more")]);
        assert_eq!(shell.synced(asked).0, ErrorCode::NONE);
        let before = shell.group();
        assert_eq!(before.members[0].metadata, subscription(&topics));
        shell.reload();
        assert_eq!(shell.group(), before);
        // The log has the chosen protocol only; the member brings the others again.
        let asked = shell.join(JoinRequest { protocols: chosen_protocol(&before), ..rejoin(&ids[0]) });
        assert_eq!(shell.joined(asked).error, ErrorCode::NONE);
        shell.reload();
    }
}

fn chosen_protocol(group: &DescribedGroup) -> Vec<(String, Bytes)> {
    vec![(group.protocol_data.clone(), group.members[0].metadata.clone())]
}

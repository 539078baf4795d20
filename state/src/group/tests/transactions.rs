//! Offsets that are committed with a transaction (KIP-98, KIP-447).

use super::*;

fn in_transaction(shell: &mut Shell, committer: Committer, offset: i64) -> ErrorCode {
    in_transaction_of(7, shell, committer, offset)
}

fn in_transaction_of(producer_id: i64, shell: &mut Shell, committer: Committer, offset: i64) -> ErrorCode {
    let request = TxnOffsetCommitRequest {
        group_id: "g".into(),
        producer_id,
        producer_epoch: 2,
        committer,
        topics: vec![commit_topic("t", 0, offset)],
    };
    match shell.ask(GroupRequest::TxnOffsetCommit(request)) {
        GroupResponse::TxnOffsetCommit(topics) => topics[0].partitions[0].1,
        other => panic!("{other:?}"),
    }
}

fn nobody() -> Committer {
    Committer { generation_id: -1, member_id: String::new(), group_instance_id: None }
}

fn end(shell: &mut Shell, committed: bool) {
    let record = GroupRecord::TxnEnd { producer_id: 7, committed };
    shell.machine.apply(&record);
    shell.log.push(record);
}

#[test]
fn an_open_transaction_makes_offsets_unstable() {
    let mut shell = Shell::new();
    shell.commit(commit("g", "t", 0, 1));
    assert_eq!(in_transaction(&mut shell, nobody(), 2), ErrorCode::NONE);
    assert_eq!(shell.log.last().and_then(GroupRecord::producer), Some((7, 2)));
    assert_eq!(shell.fetch("g", "t", 0, false), (1, ErrorCode::NONE));
    assert_eq!(shell.fetch("g", "t", 0, true), (-1, ErrorCode::UNSTABLE_OFFSET_COMMIT));
    shell.reload();
    assert_eq!(shell.fetch("g", "t", 0, true), (-1, ErrorCode::UNSTABLE_OFFSET_COMMIT));
    end(&mut shell, true);
    assert_eq!(shell.fetch("g", "t", 0, true), (2, ErrorCode::NONE));
    shell.reload();
    assert_eq!(shell.fetch("g", "t", 0, true), (2, ErrorCode::NONE));
}

#[test]
fn an_aborted_transaction_leaves_no_group_behind() {
    let mut shell = Shell::new();
    in_transaction(&mut shell, nobody(), 2);
    assert_eq!(shell.state(), ClassicGroupState::Empty);
    shell.pass_ms(30 * 24 * 3_600_000);
    assert_eq!(shell.machine.counts().pending_transactional_offsets, 1, "an open transaction keeps the group");
    end(&mut shell, false);
    assert_eq!(shell.machine.counts(), GroupCounts::default());
}

#[test]
fn a_member_is_checked_in_a_transaction_too() {
    let mut shell = Shell::new();
    let member = |id: &str, generation_id| Committer { generation_id, member_id: id.into(), group_instance_id: None };
    assert_eq!(in_transaction(&mut shell, member("m", 1), 1), ErrorCode::ILLEGAL_GENERATION);
    let ids = shell.stable(1);
    assert_eq!(in_transaction(&mut shell, member(&ids[0], 1), 1), ErrorCode::NONE);
    assert_eq!(in_transaction(&mut shell, member(&ids[0], 0), 1), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(in_transaction(&mut shell, member("stranger", 1), 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(in_transaction(&mut shell, nobody(), 1), ErrorCode::NONE, "old versions name no member");
}

#[test]
fn deleting_the_group_ends_what_was_pending() {
    let mut shell = Shell::new();
    in_transaction(&mut shell, nobody(), 2);
    assert_eq!(shell.delete_group("g"), ErrorCode::NONE);
    end(&mut shell, true);
    assert_eq!(shell.fetch("g", "t", 0, true), (-1, ErrorCode::NONE));
    assert_eq!(shell.machine.counts(), GroupCounts::default());
}

#[test]
fn transactions_together_have_a_limit_even_for_one_offset() {
    let mut shell = Shell::with(GroupConfig { max_offsets_per_group: 2, ..GroupConfig::default() });
    shell.commit(commit("g", "t", 0, 1));
    let errors = [7, 8, 9].map(|producer_id| in_transaction_of(producer_id, &mut shell, nobody(), 2));
    assert_eq!(errors, [ErrorCode::NONE, ErrorCode::NONE, ErrorCode::POLICY_VIOLATION]);
    assert_eq!(in_transaction_of(8, &mut shell, nobody(), 3), ErrorCode::NONE, "it has this one already");
    end(&mut shell, true);
    assert_eq!(in_transaction_of(9, &mut shell, nobody(), 4), ErrorCode::NONE, "another has ended");
}

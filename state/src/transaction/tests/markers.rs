//! Partitions are told until all know, and by nobody who has no right to.

use super::*;

const V0: TransactionVersion = TransactionVersion::V0;
const V2: TransactionVersion = TransactionVersion::V2;

/// A transaction over three partitions that is to be committed.
fn committing(shell: &mut Shell, version: TransactionVersion) -> (ProducerResponse, Markers) {
    let producer = shell.init();
    (0..3).for_each(|partition| assert_eq!(shell.add(producer, version, partition), ErrorCode::NONE));
    let next = shell.end(producer, version, true);
    (next, shell.order())
}

fn result(partition: i32, result: MarkerResult) -> (String, i32, MarkerResult) {
    ("t".to_owned(), partition, result)
}

#[test]
fn it_is_over_when_every_partition_knows() {
    let mut shell = Shell::new();
    let (_, order) = committing(&mut shell, V2);
    assert_eq!(order.coordinator_epoch, COORDINATOR_EPOCH);
    assert_eq!(order.partitions, Partitions::from([("t".to_owned(), BTreeSet::from([0, 1, 2]))]));
    let not_leader = MarkerResult::Answered(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    shell.answer_each(&order, vec![result(0, WRITTEN), result(2, not_leader)]);
    assert_eq!(shell.state(), TransactionState::PrepareCommit);
    assert!(shell.orders().is_empty(), "after a pause");
    shell.pass_ms(100);
    let again = shell.order();
    assert_eq!(again.partitions, Partitions::from([("t".to_owned(), BTreeSet::from([1, 2]))]));
    assert!(again.attempt > order.attempt);
    shell.answer(&again, WRITTEN);
    assert_eq!(shell.state(), TransactionState::CompleteCommit);
    assert_eq!((shell.machine.totals().marker_orders, shell.machine.totals().marker_retries), (2, 1));
}

#[test]
fn an_order_without_an_answer_is_not_repeated() {
    let mut shell = Shell::new();
    committing(&mut shell, V0);
    shell.pass_ms(3_600_000);
    assert!(shell.orders().is_empty(), "it may still arrive");
}

#[test]
fn pauses_grow_up_to_a_limit() {
    let mut shell = Shell::new();
    let (_, mut order) = committing(&mut shell, V2);
    for pause_ms in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        shell.answer(&order, MarkerResult::Answered(ErrorCode::NOT_ENOUGH_REPLICAS));
        shell.pass_ms(pause_ms - 1);
        assert!(shell.orders().is_empty(), "{pause_ms}");
        shell.pass_ms(1);
        order = shell.order();
    }
    shell.answer(&order, WRITTEN);
    assert_eq!(shell.state(), TransactionState::CompleteCommit);
}

#[test]
fn an_answer_to_an_older_order_says_nothing() {
    let mut shell = Shell::new();
    let (producer, first) = committing(&mut shell, V0);
    shell.answer(&first, WRITTEN);
    shell.add(producer, V0, 0);
    shell.end(producer, V0, true);
    let second = shell.order();
    shell.answer(&first, WRITTEN);
    assert_eq!(shell.state(), TransactionState::PrepareCommit, "same producer, same epoch, another transaction");
    shell.answer(&second, WRITTEN);
    assert_eq!(shell.state(), TransactionState::CompleteCommit);
    let logged = shell.log.len();
    shell.answer(&second, WRITTEN);
    assert_eq!(shell.log.len(), logged, "answered twice");
}

#[test]
fn an_answer_to_the_machine_before_says_nothing() {
    let mut shell = Shell::new();
    let (_, before) = committing(&mut shell, V0);
    shell.reload();
    shell.pass_ms(0);
    let order = shell.order();
    assert_eq!(order.partitions, before.partitions, "who knew of it is not in the log");
    shell.answer(&before, WRITTEN);
    assert_eq!(shell.state(), TransactionState::PrepareCommit);
    shell.answer(&order, WRITTEN);
    assert_eq!(shell.state(), TransactionState::CompleteCommit);
}

#[test]
fn partitions_that_need_no_marker_hold_nobody_up() {
    let mut shell = Shell::new();
    let (_, order) = committing(&mut shell, V2);
    shell.answer_each(
        &order,
        vec![
            result(0, MarkerResult::PartitionDeleted),
            result(1, MarkerResult::Answered(ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT)),
            result(2, MarkerResult::Answered(ErrorCode::INVALID_PRODUCER_EPOCH)),
        ],
    );
    assert_eq!(shell.state(), TransactionState::CompleteCommit);
}

#[test]
fn a_coordinator_that_is_replaced_stops() {
    let mut shell = Shell::new();
    let (_, order) = committing(&mut shell, V2);
    shell.answer(&order, MarkerResult::Answered(ErrorCode::TRANSACTION_COORDINATOR_FENCED));
    shell.pass_ms(3_600_000);
    assert!(shell.orders().is_empty());
    assert_eq!(shell.state(), TransactionState::PrepareCommit, "the other one completes it");
}

#[test]
fn an_unknown_partition_may_only_be_unknown_there() {
    let mut shell = Shell::new();
    let (_, order) = committing(&mut shell, V2);
    shell.answer(&order, MarkerResult::Answered(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    shell.pass_ms(100);
    assert_eq!(shell.order().partitions, order.partitions);
}

#[test]
fn an_abort_without_partitions_is_completed_after_a_crash_in_its_middle() {
    let mut shell = Shell::new();
    let producer = shell.init();
    let next = shell.end(producer, V2, false);
    assert_eq!((next.error, shell.state()), (ErrorCode::NONE, TransactionState::CompleteAbort));
    shell.log.pop();
    shell.reload();
    assert_eq!(shell.state(), TransactionState::PrepareAbort);
    shell.pass_ms(0);
    assert_eq!(shell.state(), TransactionState::CompleteAbort);
    assert!(shell.orders().is_empty());
}

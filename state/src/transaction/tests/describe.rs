//! DescribeTransactions and ListTransactions.

use super::*;

const V2: TransactionVersion = TransactionVersion::V2;

fn described(shell: &mut Shell, transactional_id: &str) -> DescribedTransaction {
    match shell.ask(TransactionRequest::Describe(vec![transactional_id.to_owned()])) {
        TransactionResponse::Describe(mut described) => described.remove(0),
        other => panic!("{other:?}"),
    }
}

fn listed(shell: &mut Shell, request: ListRequest) -> usize {
    match shell.ask(TransactionRequest::List(request)) {
        TransactionResponse::List(listed) => listed.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transaction_is_described_with_what_it_waits_for() {
    let mut shell = Shell::new();
    let producer = shell.init();
    let before = described(&mut shell, "id").transaction.unwrap();
    assert_eq!((before.state, before.start_timestamp_ms), (TransactionState::Empty, -1));
    shell.add(producer, V2, 0);
    shell.add(producer, V2, 1);
    let begun_ms = shell.now.wall_ms;
    shell.end(producer, V2, true);
    let order = shell.order();
    shell.answer_each(&order, vec![("t".to_owned(), 0, WRITTEN)]);
    let ending = described(&mut shell, "id");
    let expected = DescribedState {
        state: TransactionState::PrepareCommit,
        timeout_ms: TIMEOUT_MS,
        start_timestamp_ms: begun_ms,
        producer_id: 100,
        producer_epoch: 1,
        partitions: one_partition(1),
    };
    assert_eq!((ending.error, ending.transaction), (ErrorCode::NONE, Some(expected)));
    assert_eq!(described(&mut shell, "other").error, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);
    assert_eq!(described(&mut shell, "").error, ErrorCode::INVALID_REQUEST);
}

#[test]
fn lists_are_filtered() {
    let mut shell = Shell::new();
    let all = ListRequest { min_duration_ms: -1, ..ListRequest::default() };
    assert_eq!(listed(&mut shell, all.clone()), 0);
    let producer = shell.init();
    shell.add(producer, V2, 0);
    shell.pass_ms(5_000);
    assert_eq!(listed(&mut shell, all.clone()), 1);
    let in_state = |state| ListRequest { states: vec![state], ..all.clone() };
    assert_eq!(listed(&mut shell, in_state(TransactionState::Ongoing)), 1);
    assert_eq!(listed(&mut shell, in_state(TransactionState::Empty)), 0);
    let of_producer = |producer_id| ListRequest { producer_ids: vec![producer_id], ..all.clone() };
    assert_eq!(listed(&mut shell, of_producer(100)), 1);
    assert_eq!(listed(&mut shell, of_producer(101)), 0);
    let longer_than = |min_duration_ms| ListRequest { min_duration_ms, ..all.clone() };
    assert_eq!(listed(&mut shell, longer_than(4_999)), 1);
    assert_eq!(listed(&mut shell, longer_than(5_000)), 0);
}

#[test]
fn counts_follow() {
    let mut shell = Shell::new();
    let counts = |ongoing, prepared| TransactionCounts { transactional_ids: 1, ongoing, prepared };
    let producer = shell.init();
    assert_eq!(shell.machine.counts(), counts(0, 0));
    shell.add(producer, V2, 0);
    assert_eq!(shell.machine.counts(), counts(1, 0));
    shell.end(producer, V2, true);
    assert_eq!(shell.machine.counts(), counts(0, 1));
    shell.reload();
    assert_eq!(shell.machine.counts(), counts(0, 1));
    shell.pass_ms(0);
    shell.write_markers();
    assert_eq!(shell.machine.counts(), counts(0, 0));
}

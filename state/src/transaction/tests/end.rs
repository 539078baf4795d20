//! EndTxn: Kafka's table of states, outcomes and repetitions, for clients before and after KIP-890.

use super::*;

const V0: TransactionVersion = TransactionVersion::V0;
const V2: TransactionVersion = TransactionVersion::V2;

#[test]
fn an_old_client_keeps_its_epoch() {
    let mut shell = Shell::new();
    let first = shell.init();
    for committed in [true, false] {
        shell.add(first, V0, 0);
        assert_eq!(shell.end(first, V0, committed), first);
        assert_eq!(shell.end(first, V0, committed), refused(ErrorCode::CONCURRENT_TRANSACTIONS));
        let order = shell.write_markers();
        assert_eq!((order.producer_epoch, order.committed, order.transaction_version), (0, committed, V0));
        assert_eq!(shell.end(first, V0, committed), first, "a repetition");
        assert_eq!(shell.end(first, V0, !committed), refused(ErrorCode::INVALID_TXN_STATE));
    }
}

#[test]
fn an_old_client_ends_what_it_began() {
    let mut shell = Shell::new();
    assert_eq!(shell.end(producer(1, 0), V0, true), refused(ErrorCode::INVALID_PRODUCER_ID_MAPPING), "not known");
    let first = shell.init();
    for committed in [true, false] {
        assert_eq!(shell.end(first, V0, committed), refused(ErrorCode::INVALID_TXN_STATE), "nothing began");
    }
    shell.add(first, V0, 0);
    assert_eq!(shell.end(producer(100, 1), V0, true), refused(ErrorCode::PRODUCER_FENCED));
    assert_eq!(shell.end(producer(99, 0), V0, true), refused(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    let nameless = EndTxnRequest { transactional_id: String::new(), ..end_request(first, V0, true) };
    let response = shell.ask(TransactionRequest::EndTxn(nameless));
    assert_eq!(response, TransactionResponse::EndTxn(refused(ErrorCode::INVALID_REQUEST)));
    assert_eq!(shell.state(), TransactionState::Ongoing);
}

#[test]
fn each_end_gives_a_new_epoch() {
    let mut shell = Shell::new();
    let mut current = shell.init();
    for (epoch, committed) in [(1, true), (2, false), (3, true)] {
        shell.add(current, V2, 0);
        let next = shell.end(current, V2, committed);
        assert_eq!(next, producer(100, epoch));
        let order = shell.write_markers();
        assert_eq!((order.producer_epoch, order.committed, order.transaction_version), (epoch, committed, V2));
        assert_eq!(shell.end(current, V2, committed), next, "a repetition");
        assert_eq!(shell.end(current, V2, !committed), refused(ErrorCode::INVALID_TXN_STATE));
        assert_eq!(shell.add(current, V2, 0), ErrorCode::PRODUCER_FENCED, "what was sent before cannot count after");
        current = next;
    }
}

/// The table in Kafka's TransactionCoordinator for transactions that are over, or never began.
#[test]
fn ending_what_is_not_running() {
    let again = refused(ErrorCode::INVALID_TXN_STATE);
    let fenced = refused(ErrorCode::PRODUCER_FENCED);
    // State, committed, the epoch before or the current one, answer.
    let cases = [
        (None, false, -1, fenced),
        (None, true, -1, fenced),
        (None, false, 0, producer(100, 2)),
        (None, true, 0, again),
        (Some(false), false, -1, producer(100, 2)),
        (Some(false), true, -1, again),
        (Some(false), false, 0, producer(100, 3)),
        (Some(false), true, 0, again),
        (Some(true), true, -1, producer(100, 2)),
        (Some(true), false, -1, again),
        (Some(true), false, 0, producer(100, 3)),
        (Some(true), true, 0, again),
        (Some(true), true, -2, fenced),
        (Some(true), false, 1, fenced),
    ];
    for (ended, committed, epoch_back, expected) in cases {
        let mut shell = Shell::new();
        shell.init();
        let mut current = shell.init();
        if let Some(committed) = ended {
            current = shell.transact(current, V2, committed);
        }
        let asked = producer(100, current.producer_epoch + epoch_back);
        assert_eq!(shell.end(asked, V2, committed), expected, "{ended:?} {committed} {epoch_back}");
        assert!(shell.orders().is_empty(), "nobody is to be told");
        assert!(!shell.state().is_open(), "with no partitions it is over at once");
    }
}

#[test]
fn while_partitions_are_told_everybody_waits() {
    let mut shell = Shell::new();
    let first = shell.init();
    shell.add(first, V2, 0);
    let next = shell.end(first, V2, true);
    for (asking, committed) in [(first, true), (first, false), (next, true), (next, false)] {
        assert_eq!(shell.end(asking, V2, committed), refused(ErrorCode::CONCURRENT_TRANSACTIONS));
    }
}

#[test]
fn after_the_last_epoch_comes_another_id() {
    let mut shell = Shell::new();
    shell.init();
    let last = shell.skip_to_epoch(i16::MAX - 1);
    shell.add(last, V2, 0);
    let next = shell.end(last, V2, true);
    assert_eq!(next, producer(101, 0));
    shell.reload();
    assert_eq!(shell.add(next, V2, 0), ErrorCode::CONCURRENT_TRANSACTIONS);
    shell.pass_ms(0);
    let order = shell.write_markers();
    assert_eq!((order.producer_id, order.producer_epoch, order.committed), (100, i16::MAX, true));
    assert_eq!(shell.end(last, V2, true), next, "a repetition");
    assert_eq!(shell.end(last, V2, false), refused(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(shell.end(producer(100, i16::MAX), V2, true), refused(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    assert_eq!(shell.add(next, V2, 0), ErrorCode::NONE);
}

#[test]
fn a_late_end_does_not_undo_a_time_out() {
    let mut shell = Shell::new();
    let first = shell.init();
    shell.add(first, V2, 0);
    shell.pass_ms(u64::from(TIMEOUT_MS.unsigned_abs()) + 10_000);
    shell.write_markers();
    assert_eq!(shell.end(first, V2, true), refused(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(shell.end(first, V2, false), producer(100, 1), "that is what happened");
}

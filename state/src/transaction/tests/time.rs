//! Transactions that run too long, and ids that nobody uses.

use super::*;

const V0: TransactionVersion = TransactionVersion::V0;
const V2: TransactionVersion = TransactionVersion::V2;
const DAY_MS: u64 = 24 * 3_600_000;

#[test]
fn a_transaction_that_runs_too_long_is_aborted() {
    for version in [V0, V2] {
        let mut shell = Shell::with_version(version);
        let producer = shell.init();
        shell.add(producer, version, 0);
        shell.pass_ms(59_999);
        shell.add(producer, version, 1);
        assert_eq!(shell.state(), TransactionState::Ongoing, "more partitions do not give it more time");
        shell.pass_ms(10_001);
        assert_eq!(shell.state(), TransactionState::PrepareAbort);
        let order = shell.write_markers();
        assert_eq!((order.committed, order.producer_epoch), (false, 1), "its producer is fenced");
        assert_eq!(shell.machine.totals().timeouts, 1);
        assert_eq!(shell.add(producer, version, 0), ErrorCode::PRODUCER_FENCED);
        assert!(shell.end(producer, version, true).error.is_error());
    }
}

#[test]
fn time_goes_on_while_the_coordinator_is_away() {
    let mut shell = Shell::new();
    let producer = shell.init();
    shell.add(producer, V2, 0);
    shell.pass_ms(30_000);
    shell.reload();
    shell.pass_ms(29_000);
    assert_eq!(shell.state(), TransactionState::Ongoing);
    shell.pass_ms(11_001);
    assert_eq!(shell.state(), TransactionState::PrepareAbort);
}

#[test]
fn a_wall_clock_that_goes_back_gives_no_more_time_than_at_first() {
    let mut shell = Shell::new();
    let producer = shell.init();
    shell.add(producer, V2, 0);
    shell.now.wall_ms -= 3_600_000;
    shell.reload();
    shell.pass_ms(u64::from(TIMEOUT_MS.unsigned_abs()) + 10_000);
    assert_eq!(shell.state(), TransactionState::PrepareAbort);
}

#[test]
fn a_time_out_at_the_last_epoch_waits_for_another_id() {
    let mut shell = Shell::new();
    shell.init();
    let last = shell.skip_to_epoch(i16::MAX - 1);
    shell.add(last, V2, 0);
    shell.pass_ms(70_000);
    assert_eq!((shell.state(), shell.effects.len()), (TransactionState::Ongoing, 1));
    assert_eq!(shell.effects.pop(), Some(TransactionEffect::ProducerIdNeeded));
    shell.pass_ms(10_000);
    assert_eq!(shell.effects.pop(), Some(TransactionEffect::ProducerIdNeeded), "asked for again");
    assert_eq!(shell.ask(TransactionRequest::ProducerId(555)), TransactionResponse::Taken);
    shell.pass_ms(10_000);
    assert_eq!(shell.write_markers().producer_epoch, i16::MAX);
    assert_eq!((shell.metadata().producer_id, shell.metadata().producer_epoch), (555, 0));
}

#[test]
fn many_time_outs_are_taken_in_steps() {
    let mut shell = Shell::new();
    for number in 0..200 {
        let transactional_id = format!("id-{number}");
        let request = InitProducerIdRequest {
            transactional_id: transactional_id.clone(),
            fresh_producer_id: Some(number),
            ..init_request()
        };
        shell.ask(TransactionRequest::InitProducerId(request));
        let request = AddPartitionsRequest { transactional_id, ..add_request(producer(number, 0), V2, 0) };
        assert_eq!(
            shell.ask(TransactionRequest::AddPartitions(request)),
            TransactionResponse::AddPartitions(ErrorCode::NONE)
        );
    }
    shell.now.monotonic_ms += 70_000;
    shell.expire();
    assert_eq!(shell.machine.counts().prepared, config::DUE_PER_STEP);
    shell.pass_ms(0);
    assert_eq!((shell.machine.counts().prepared, shell.orders().len()), (200, 200));
}

#[test]
fn an_id_that_nobody_uses_is_forgotten() {
    let mut shell = Shell::new();
    shell.init();
    shell.pass_ms(7 * DAY_MS - 2 * 3_600_000);
    assert_eq!(shell.machine.counts().transactional_ids, 1);
    let producer = shell.init();
    shell.transact(producer, V2, true);
    shell.pass_ms(7 * DAY_MS - 2 * 3_600_000);
    assert_eq!(shell.machine.counts().transactional_ids, 1, "it was used");
    shell.pass_ms(3 * 3_600_000);
    assert_eq!(shell.machine.counts().transactional_ids, 0);
    assert_eq!(shell.log.last().map(|record| record.value.is_none()), Some(true), "a tombstone");
    assert_eq!(shell.machine.totals().expirations, 1);
    shell.reload();
    assert_eq!(shell.init_after(100, 2), super::producer(101, 0));
}

#[test]
fn an_open_transaction_is_not_forgotten() {
    let mut shell = Shell::new();
    let producer = shell.init();
    shell.add(producer, V2, 0);
    shell.end(producer, V2, true);
    shell.pass_ms(30 * DAY_MS);
    assert_eq!(shell.state(), TransactionState::PrepareCommit);
}

#[test]
fn a_wall_clock_that_goes_back_forgets_nothing() {
    let mut shell = Shell::new();
    shell.init();
    shell.now.wall_ms -= i64::try_from(30 * DAY_MS).unwrap();
    shell.pass_ms(3 * 3_600_000);
    assert_eq!(shell.machine.counts().transactional_ids, 1);
}

//! InitProducerId: who gets which epoch, and who is fenced.

use super::*;

const V0: TransactionVersion = TransactionVersion::V0;
const V2: TransactionVersion = TransactionVersion::V2;

#[test]
fn each_instance_of_a_producer_gets_a_newer_epoch() {
    let mut shell = Shell::new();
    assert_eq!(shell.init(), producer(100, 0));
    assert_eq!(shell.init(), producer(100, 1));
    shell.reload();
    assert_eq!(shell.init(), producer(100, 2));
    assert_eq!(shell.metadata().last_producer_epoch, -1, "nobody may repeat another's request");
}

#[test]
fn requests_are_checked_before_the_id_is_looked_at() {
    let mut shell = Shell::new();
    let cases = [
        (InitProducerIdRequest { transactional_id: String::new(), ..init_request() }, ErrorCode::INVALID_REQUEST),
        (InitProducerIdRequest { transactional_id: "i".repeat(32_768), ..init_request() }, ErrorCode::INVALID_REQUEST),
        (InitProducerIdRequest { producer_id: 5, ..init_request() }, ErrorCode::INVALID_REQUEST),
        (InitProducerIdRequest { producer_epoch: 5, ..init_request() }, ErrorCode::INVALID_REQUEST),
        (InitProducerIdRequest { timeout_ms: 0, ..init_request() }, ErrorCode::INVALID_TRANSACTION_TIMEOUT),
        (InitProducerIdRequest { timeout_ms: 900_001, ..init_request() }, ErrorCode::INVALID_TRANSACTION_TIMEOUT),
    ];
    for (request, error) in cases {
        let response = shell.ask(TransactionRequest::InitProducerId(request));
        assert_eq!(response, TransactionResponse::InitProducerId(refused(error)));
    }
    let longest = InitProducerIdRequest { timeout_ms: 900_000, ..init_request() };
    assert_eq!(shell.ask(TransactionRequest::InitProducerId(longest)), TransactionResponse::ProducerIdNeeded);
    assert!(shell.log.is_empty());
}

#[test]
fn a_producer_goes_on_from_what_it_had() {
    let mut shell = Shell::new();
    shell.init();
    assert_eq!(shell.init_after(100, 0), producer(100, 1));
    assert_eq!(shell.init_after(100, 0), producer(100, 1), "its answer was lost");
    assert_eq!(shell.init_after(100, 1), producer(100, 2));
    assert_eq!(shell.init_after(100, 0), refused(ErrorCode::PRODUCER_FENCED));
    assert_eq!(shell.init_after(7, 2), refused(ErrorCode::PRODUCER_FENCED), "another producer");
}

#[test]
fn another_instance_ends_the_right_to_repeat() {
    let mut shell = Shell::new();
    shell.init();
    assert_eq!(shell.init_after(100, 0), producer(100, 1));
    assert_eq!(shell.init(), producer(100, 2));
    assert_eq!(shell.init_after(100, 0), refused(ErrorCode::PRODUCER_FENCED));
    assert_eq!(shell.init_after(100, 1), refused(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_producer_that_was_forgotten_begins_anew() {
    let mut shell = Shell::new();
    assert_eq!(shell.init_after(7, 3), producer(100, 0));
}

#[test]
fn after_the_last_epoch_comes_another_id() {
    let mut shell = Shell::new();
    shell.init();
    shell.skip_to_epoch(i16::MAX - 1);
    assert_eq!(shell.init_after(100, i16::MAX - 1), producer(101, 0));
    assert_eq!(shell.init_after(100, i16::MAX - 1), producer(101, 0), "its answer was lost");
    assert_eq!(shell.init_after(100, i16::MAX - 2), refused(ErrorCode::PRODUCER_FENCED));
    shell.skip_to_epoch(i16::MAX - 1);
    assert_eq!(shell.init(), producer(102, 0));
    assert_eq!(shell.init_after(101, i16::MAX - 1), refused(ErrorCode::PRODUCER_FENCED), "another instance has come");
}

#[test]
fn the_last_epoch_may_be_asked_for_twice() {
    let mut shell = Shell::new();
    shell.init();
    shell.skip_to_epoch(i16::MAX - 2);
    assert_eq!(shell.init_after(100, i16::MAX - 2), producer(100, i16::MAX - 1));
    assert_eq!(shell.init_after(100, i16::MAX - 2), producer(100, i16::MAX - 1));
    assert_eq!(shell.init_after(100, 3), refused(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_running_transaction_is_aborted_first() {
    for (version, epochs) in [(V2, 1), (V0, 1)] {
        let mut shell = Shell::with_version(version);
        let old = shell.init();
        assert_eq!(shell.add(old, version, 0), ErrorCode::NONE);
        assert_eq!(shell.init(), refused(ErrorCode::CONCURRENT_TRANSACTIONS));
        assert_eq!(shell.state(), TransactionState::PrepareAbort);
        assert_eq!(shell.init(), refused(ErrorCode::CONCURRENT_TRANSACTIONS), "partitions do not know yet");
        let order = shell.write_markers();
        assert_eq!((order.producer_epoch, order.committed), (epochs, false));
        assert_eq!(shell.init(), producer(100, epochs + 1));
        assert_eq!(shell.end(old, V0, true), refused(ErrorCode::PRODUCER_FENCED));
        assert_eq!(shell.add(old, version, 0), ErrorCode::PRODUCER_FENCED);
    }
}

#[test]
fn fencing_at_the_last_epoch_leads_to_another_id() {
    let mut shell = Shell::new();
    shell.init();
    let last = shell.skip_to_epoch(i16::MAX - 1);
    shell.add(last, V2, 0);
    assert_eq!(shell.init(), refused(ErrorCode::CONCURRENT_TRANSACTIONS));
    let order = shell.write_markers();
    assert_eq!((order.producer_id, order.producer_epoch), (100, i16::MAX));
    assert_eq!(shell.init(), producer(101, 1));

    let mut shell = Shell::with_version(V0);
    shell.init();
    let last = shell.skip_to_epoch(i16::MAX - 1);
    shell.add(last, V0, 0);
    assert_eq!(shell.init(), refused(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!(shell.write_markers().producer_epoch, i16::MAX);
    assert_eq!(shell.init(), producer(101, 0));
}

#[test]
fn old_clients_hear_of_fencing_in_their_words() {
    let mut shell = Shell::new();
    shell.init();
    shell.init();
    let request =
        InitProducerIdRequest { producer_id: 100, producer_epoch: 0, knows_producer_fenced: false, ..init_request() };
    let response = shell.ask(TransactionRequest::InitProducerId(request));
    assert_eq!(response, TransactionResponse::InitProducerId(refused(ErrorCode::INVALID_PRODUCER_EPOCH)));
    let request = EndTxnRequest { knows_producer_fenced: false, ..end_request(producer(100, 0), V0, true) };
    let response = shell.ask(TransactionRequest::EndTxn(request));
    assert_eq!(response, TransactionResponse::EndTxn(refused(ErrorCode::INVALID_PRODUCER_EPOCH)));
    let request = AddPartitionsRequest { knows_producer_fenced: false, ..add_request(producer(100, 0), V0, 0) };
    let response = shell.ask(TransactionRequest::AddPartitions(request));
    assert_eq!(response, TransactionResponse::AddPartitions(ErrorCode::INVALID_PRODUCER_EPOCH));
}

#[test]
fn there_is_a_limit_to_ids() {
    let mut shell = Shell::with(TransactionConfig { max_transactional_ids: 1, ..TransactionConfig::default() });
    shell.init();
    let other = InitProducerIdRequest { transactional_id: "other".into(), ..init_request() };
    let response = shell.ask(TransactionRequest::InitProducerId(other));
    assert_eq!(response, TransactionResponse::InitProducerId(refused(ErrorCode::POLICY_VIOLATION)));
    assert_eq!(shell.init(), producer(100, 1), "the one that is in stays");
}

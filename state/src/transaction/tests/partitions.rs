//! AddPartitionsToTxn: what joins a transaction, and what is in it.

use super::*;

const V0: TransactionVersion = TransactionVersion::V0;
const V2: TransactionVersion = TransactionVersion::V2;

fn verify(shell: &mut Shell, producer: ProducerResponse, partition: i32) -> ErrorCode {
    let request = add_request(producer, V0, partition);
    match shell.ask(TransactionRequest::VerifyPartitions(request)) {
        TransactionResponse::VerifyPartitions(topics) => {
            assert_eq!((topics[0].0.as_str(), topics[0].1[0].0), ("t", partition));
            topics[0].1[0].1
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn partitions_gather_and_what_is_in_is_not_logged_again() {
    let mut shell = Shell::new();
    let producer = shell.init();
    assert_eq!(shell.add(producer, V0, 1), ErrorCode::NONE);
    assert_eq!(shell.add(producer, V0, 2), ErrorCode::NONE);
    let logged = shell.log.len();
    assert_eq!(shell.add(producer, V0, 1), ErrorCode::NONE);
    assert_eq!(shell.log.len(), logged);
    shell.reload();
    assert_eq!(shell.metadata().partitions, Partitions::from([("t".to_owned(), BTreeSet::from([1, 2]))]));
}

#[test]
fn only_the_newest_instance_adds() {
    let mut shell = Shell::new();
    assert_eq!(shell.add(producer(100, 0), V0, 0), ErrorCode::INVALID_PRODUCER_ID_MAPPING, "not known");
    let old = shell.init();
    let new = shell.init();
    assert_eq!(shell.add(old, V0, 0), ErrorCode::PRODUCER_FENCED);
    assert_eq!(shell.add(producer(7, 1), V0, 0), ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    assert_eq!(shell.add(producer(100, 2), V0, 0), ErrorCode::PRODUCER_FENCED, "an epoch that was never given");
    let nameless = AddPartitionsRequest { transactional_id: String::new(), ..add_request(new, V0, 0) };
    let response = shell.ask(TransactionRequest::AddPartitions(nameless));
    assert_eq!(response, TransactionResponse::AddPartitions(ErrorCode::INVALID_REQUEST));
    assert_eq!(shell.state(), TransactionState::Empty);
}

#[test]
fn nothing_joins_a_transaction_that_is_ending() {
    for version in [V0, V2] {
        let mut shell = Shell::new();
        let producer = shell.init();
        shell.add(producer, version, 0);
        let next = shell.end(producer, version, true);
        let next = if version == V0 { producer } else { next };
        assert_eq!(shell.add(next, version, 1), ErrorCode::CONCURRENT_TRANSACTIONS);
        shell.write_markers();
        assert_eq!(shell.add(next, version, 1), ErrorCode::NONE);
        assert_eq!(shell.metadata().partitions, one_partition(1), "the next transaction");
    }
}

#[test]
fn verification_tells_what_is_in() {
    let mut shell = Shell::new();
    assert_eq!(verify(&mut shell, producer(100, 0), 0), ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    let producer = shell.init();
    assert_eq!(verify(&mut shell, producer, 0), ErrorCode::TRANSACTION_ABORTABLE, "no transaction");
    shell.add(producer, V0, 0);
    assert_eq!(verify(&mut shell, producer, 0), ErrorCode::NONE);
    assert_eq!(verify(&mut shell, producer, 1), ErrorCode::TRANSACTION_ABORTABLE);
    assert_eq!(verify(&mut shell, super::producer(100, 1), 0), ErrorCode::PRODUCER_FENCED);
    assert_eq!(verify(&mut shell, super::producer(99, 0), 0), ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    let logged = shell.log.len();
    shell.end(producer, V0, true);
    assert_eq!(shell.log.len(), logged + 1, "verification logs nothing");
    assert_eq!(verify(&mut shell, producer, 0), ErrorCode::CONCURRENT_TRANSACTIONS);
    shell.write_markers();
    assert_eq!(verify(&mut shell, producer, 0), ErrorCode::TRANSACTION_ABORTABLE, "it is over");
}

#[test]
fn a_record_that_the_log_would_refuse_is_not_made() {
    let mut shell = Shell::with(TransactionConfig { max_record_bytes: 400, ..TransactionConfig::default() });
    let producer = shell.init();
    let mut results = (0..100).map(|partition| shell.add(producer, V0, partition));
    let refused = results.find(|error| error.is_error());
    assert_eq!(refused, Some(ErrorCode::UNKNOWN_SERVER_ERROR));
    assert!(shell.log.iter().all(|record| record.encode(V2).1.unwrap().len() <= 400));
    assert_eq!(shell.end(producer, V0, true).error, ErrorCode::NONE, "what is in can be committed");
}

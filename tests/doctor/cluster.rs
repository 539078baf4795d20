//! Clusters of several brokers, each of which may be ill in its own way.

use std::net::TcpListener;

use protocol::ErrorCode;

use crate::fake::{Kafka, log_dir, nobody, tls, topic};
use crate::{LIMIT_MS, doctor};

/// Brokers 1 and so on, each with what it says of its own disk; those of them that are told of elsewhere follow.
fn serve(cluster: &Kafka, disks: Vec<Kafka>, elsewhere: &[(i32, String)]) -> String {
    let listeners: Vec<TcpListener> = disks.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let own = (1..).zip(&listeners).map(|(id, listener)| (id, listener.local_addr().unwrap().to_string()));
    let brokers: Vec<(i32, String)> = own.chain(elsewhere.iter().cloned()).collect();
    let mut addresses = Vec::new();
    for (disk, listener) in disks.into_iter().zip(listeners) {
        let broker = Kafka { brokers: brokers.clone(), topics: cluster.topics.clone(), ..disk };
        addresses.push(broker.serve_on(listener));
    }
    addresses.remove(0)
}

fn disk(free_gib: i64, error_code: ErrorCode) -> Kafka {
    Kafka { log_dirs: vec![log_dir("/data", free_gib, error_code)], ..Kafka::default() }
}

/// The lines of the report that begin so.
fn lines<'a>(printed: &'a str, start: &str) -> Vec<&'a str> {
    printed.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn every_broker_of_the_metadata_is_visited() {
    let two = || vec![disk(50, ErrorCode::NONE), disk(60, ErrorCode::NONE)];
    let address = serve(&Kafka::default(), two(), &[]);
    let (code, printed, complaint) = doctor(&address, &["--read-only"]);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{printed}");
    for broker in 1..=2 {
        assert_eq!(lines(&printed, &format!("ok    advertised  broker {broker} is reached at")).len(), 1, "{printed}");
        assert_eq!(lines(&printed, &format!("ok    disk        broker {broker}: /data has")).len(), 1, "{printed}");
    }

    let elsewhere = [(3, nobody()), (4, tls()), (5, address_of_nothing()), (6, "0.0.0.0:9092".into())];
    let address = serve(&Kafka::default(), two(), &elsewhere);
    let (code, printed, _) = doctor(&address, &["--timeout-ms", LIMIT_MS]);
    assert_eq!(code, Some(1), "{printed}");
    assert_eq!(lines(&printed, "ok    advertised").len(), 2, "those that are well are told of too: {printed}");
    for (broker, words) in [
        (3, "Connection refused"),
        (4, "speaks TLS, and this tool does not"),
        (5, "only inside a Kubernetes cluster"),
        (6, "which is no address to connect to"),
    ] {
        let start = format!("FAIL  advertised  broker {broker} sends clients to");
        let found = lines(&printed, &start);
        assert!(found.len() == 1 && found[0].contains(words) && found[0].contains("; cure: "), "{broker}: {printed}");
    }
    let tls = lines(&printed, "FAIL  advertised  broker 4");
    assert!(tls[0].contains("authType: none") && tls[0].contains("KAFKA_ADVERTISED_LISTENERS"), "{}", tls[0]);
    // A client needs all of them.
    assert!(!printed.contains("roundtrip") && !printed.contains("groups"), "{printed}");
}

fn address_of_nothing() -> String {
    "kafka-2.kafka-headless.ns.svc:9092".into()
}

#[test]
fn two_brokers_at_one_address_are_one_too_few() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().to_string();
    let brokers = vec![(1, own.clone()), (2, own.clone())];
    Kafka { brokers, ..disk(50, ErrorCode::NONE) }.serve_on(listener);
    let (code, printed, _) = doctor(&own, &["--timeout-ms", LIMIT_MS]);
    let found = lines(&printed, "FAIL  advertised  broker 2");
    assert!(code == Some(1) && found[0].contains("where another broker is too"), "{printed}");
}

#[test]
fn a_cluster_without_brokers_is_no_cluster() {
    let address = Kafka::default().serve();
    let (code, printed, _) = doctor(&address, &["--timeout-ms", LIMIT_MS]);
    let found = lines(&printed, "FAIL  advertised");
    assert!(code == Some(1) && found[0].contains("the cluster names no broker"), "{printed}");
}

#[test]
fn disks_are_told_of_broker_by_broker() {
    let silent = Kafka { log_dirs_error: ErrorCode::CLUSTER_AUTHORIZATION_FAILED, ..Kafka::default() };
    let disks = vec![
        disk(50, ErrorCode::NONE),
        disk(10, ErrorCode::NONE),
        disk(1, ErrorCode::NONE),
        disk(50, ErrorCode::KAFKA_STORAGE_ERROR),
        silent,
    ];
    let address = serve(&Kafka::default(), disks, &[]);
    let (code, printed, _) = doctor(&address, &["--read-only"]);
    assert_eq!(code, Some(1), "{printed}");
    for (line, words) in [
        ("ok    disk        broker 1: ", "50.0 GiB free of 100.0 GiB, 50 %"),
        ("warn  disk        broker 2: ", "retention.bytes"),
        ("FAIL  disk        broker 3: ", "1.0 GiB free of 100.0 GiB, 1 %"),
        ("FAIL  disk        broker 4: ", "offline (KAFKA_STORAGE_ERROR)"),
        ("warn  disk        broker 5: ", "CLUSTER_AUTHORIZATION_FAILED"),
    ] {
        let found = lines(&printed, line);
        assert!(found.len() == 1 && found[0].contains(words), "{line}: {printed}");
        assert!(line.starts_with("ok") || found[0].contains("; cure: "), "{}", found[0]);
    }
}

#[test]
fn partitions_out_of_sync_warn_and_those_without_a_leader_fail() {
    let one = || vec![disk(50, ErrorCode::NONE)];
    let behind = Kafka { topics: vec![topic("orders", &[(1, 3), (1, 2)])], ..Kafka::default() };
    let (code, printed, _) = doctor(&serve(&behind, one(), &[]), &["--read-only"]);
    let found = lines(&printed, "warn  partitions");
    assert!(
        code == Some(0) && found.len() == 1 && found[0].contains("in sync than they should: orders-1"),
        "{printed}"
    );

    let headless = Kafka { topics: vec![topic("orders", &[(1, 3), (-1, 1)])], ..Kafka::default() };
    let (code, printed, _) = doctor(&serve(&headless, one(), &[]), &["--read-only"]);
    let found = lines(&printed, "FAIL  partitions");
    assert!(code == Some(1) && found.len() == 1 && found[0].contains("orders-1"), "{printed}");
}

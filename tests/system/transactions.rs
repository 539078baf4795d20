//! Transactions as programs see them: all of it or nothing, whoever dies when.

use std::time::{Duration, Instant};

use client::{Cluster, Isolation};
use protocol::ErrorCode;
use protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};

use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::restart::create;
use crate::transactional::{BOTH, Transactional, Understanding, committed_become, read, stable_offset};

/// Longer than any test.
const LONG_MS: i32 = 600_000;

async fn start(settings: &[&str]) -> (BrokerProcess, Cluster) {
    let broker = BrokerProcess::start(settings);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "a", 2, &[]).await;
    create(&cluster, "b", 1, &[]).await;
    (broker, cluster)
}

async fn connect(broker: &BrokerProcess) -> Cluster {
    Cluster::connect(&broker.address, "test").await.unwrap()
}

/// Readers of committed records see a transaction when it has committed, everywhere, and never one that was aborted.
#[tokio::test]
async fn all_of_it_or_nothing() {
    let (_broker, cluster) = start(&[]).await;
    for understanding in BOTH {
        let topic = format!("all-{understanding:?}");
        create(&cluster, &topic, 2, &[]).await;
        let mut producer = Transactional::init(&cluster, &topic, understanding, LONG_MS).await;
        let committed = async |partition| read(&cluster, &topic, partition, Isolation::ReadCommitted).await;
        assert_eq!(producer.send(&topic, 0, &["1", "2"]).await, ErrorCode::NONE);
        assert_eq!(producer.send(&topic, 1, &["3"]).await, ErrorCode::NONE);
        assert_eq!(producer.send(&topic, 0, &["4"]).await, ErrorCode::NONE);
        assert!(committed(0).await.is_empty() && committed(1).await.is_empty(), "before it is decided");
        assert_eq!(read(&cluster, &topic, 0, Isolation::ReadUncommitted).await, ["1", "2", "4"]);
        assert_eq!(producer.end(true).await, ErrorCode::NONE);
        committed_become(&cluster, &topic, 0, &["1", "2", "4"]).await;
        committed_become(&cluster, &topic, 1, &["3"]).await;

        assert_eq!(producer.send(&topic, 0, &["no"]).await, ErrorCode::NONE);
        assert_eq!(producer.end(false).await, ErrorCode::NONE);
        assert_eq!(producer.send(&topic, 0, &["5"]).await, ErrorCode::NONE);
        assert_eq!(producer.end(true).await, ErrorCode::NONE);
        committed_become(&cluster, &topic, 0, &["1", "2", "4", "5"]).await;
        assert_eq!(read(&cluster, &topic, 0, Isolation::ReadUncommitted).await, ["1", "2", "4", "no", "5"]);
    }
}

/// A second instance aborts what the first has begun, and the first can do nothing any more.
#[tokio::test]
async fn a_second_instance_takes_over() {
    let (_broker, cluster) = start(&[]).await;
    for (understanding, topic, partition) in [(Understanding::Old, "a", 0), (Understanding::New, "a", 1)] {
        let id = format!("taken-{understanding:?}");
        let mut first = Transactional::init(&cluster, &id, understanding, LONG_MS).await;
        assert_eq!(first.send(topic, partition, &["lost"]).await, ErrorCode::NONE);
        let mut second = Transactional::init(&cluster, &id, understanding, LONG_MS).await;
        assert_eq!(second.producer_id, first.producer_id);
        assert!(second.epoch > first.epoch, "{} after {}", second.epoch, first.epoch);
        assert_eq!(first.produce(topic, partition, &["late"]).await, ErrorCode::INVALID_PRODUCER_EPOCH);
        assert_eq!(first.end(true).await, ErrorCode::PRODUCER_FENCED);
        assert_eq!(second.send(topic, partition, &["kept"]).await, ErrorCode::NONE);
        assert_eq!(second.end(true).await, ErrorCode::NONE);
        committed_become(&cluster, topic, partition, &["kept"]).await;
    }
}

/// What a transaction's coordinator was never told of is not written: nobody would ever end it.
#[tokio::test]
async fn what_was_not_added_is_refused() {
    let (_broker, cluster) = start(&[]).await;
    let mut hasty = Transactional::init(&cluster, "hasty", Understanding::Old, LONG_MS).await;
    assert_eq!(hasty.produce("a", 0, &["before"]).await, ErrorCode::TRANSACTION_ABORTABLE);
    assert_eq!(hasty.send("a", 1, &["kept"]).await, ErrorCode::NONE);
    assert_eq!(hasty.produce("a", 0, &["beside"]).await, ErrorCode::TRANSACTION_ABORTABLE);
    assert_eq!(hasty.end(true).await, ErrorCode::NONE);
    // Until the marker is there, the partition knows of a transaction that goes on.
    committed_become(&cluster, "a", 1, &["kept"]).await;
    assert_eq!(hasty.produce("a", 1, &["after"]).await, ErrorCode::TRANSACTION_ABORTABLE);
    committed_become(&cluster, "a", 1, &["kept"]).await;
    assert!(read(&cluster, "a", 0, Isolation::ReadUncommitted).await.is_empty());
}

/// A producer that does not come back holds readers up for as long as it said, and no longer.
#[tokio::test]
async fn what_runs_too_long_is_aborted() {
    let interval = "transaction.abort.timed.out.transaction.cleanup.interval.ms=50";
    let (_broker, cluster) = start(&[interval]).await;
    for (understanding, topic) in [(Understanding::Old, "a"), (Understanding::New, "b")] {
        let mut slow = Transactional::init(&cluster, &format!("slow-{topic}"), understanding, 300).await;
        assert_eq!(slow.send(topic, 0, &["lost"]).await, ErrorCode::NONE);
        let mut other = Transactional::init(&cluster, &format!("other-{topic}"), understanding, LONG_MS).await;
        assert_eq!(other.send(topic, 0, &["kept"]).await, ErrorCode::NONE);
        assert_eq!(other.end(true).await, ErrorCode::NONE);
        committed_become(&cluster, topic, 0, &["kept"]).await;
        // Of its new epoch it was not told; for newer clients the old one is that of a repeated end, which was another.
        let told = match understanding {
            Understanding::Old => ErrorCode::PRODUCER_FENCED,
            Understanding::New => ErrorCode::INVALID_TXN_STATE,
        };
        assert_eq!(slow.end(true).await, told);
    }
}

/// An open transaction goes on after a crash of the broker, and one that was decided becomes visible everywhere.
#[tokio::test]
async fn a_crash_takes_nothing_back() {
    for understanding in BOTH {
        let (mut broker, mut cluster) = start(&[]).await;
        let mut producer = Transactional::init(&cluster, "steady", understanding, LONG_MS).await;
        let mut expected: Vec<String> = Vec::new();
        for round in 0..4 {
            let (before, after) = (format!("{round} before"), format!("{round} after"));
            assert_eq!(producer.send("a", 0, &[&before]).await, ErrorCode::NONE);
            assert_eq!(producer.send_offset("readers", "b", 0, round).await, ErrorCode::NONE);
            broker.crash();
            broker = broker.restart();
            cluster = connect(&broker).await;
            producer = producer.reconnected(&cluster);
            assert_eq!(stable_offset(&cluster, "readers", "b").await, Err(ErrorCode::UNSTABLE_OFFSET_COMMIT));
            let visible: Vec<&str> = expected.iter().map(String::as_str).collect();
            assert_eq!(read(&cluster, "a", 0, Isolation::ReadCommitted).await, visible);
            assert_eq!(producer.send("a", 0, &[&after]).await, ErrorCode::NONE);
            assert_eq!(producer.send("b", 0, &[&after]).await, ErrorCode::NONE);
            assert_eq!(producer.end(true).await, ErrorCode::NONE);
            // It was told: the markers may be written or not.
            broker.crash();
            broker = broker.restart();
            cluster = connect(&broker).await;
            producer = producer.reconnected(&cluster);
            expected.extend([before, after]);
            let visible: Vec<&str> = expected.iter().map(String::as_str).collect();
            committed_become(&cluster, "a", 0, &visible).await;
            let of_b: Vec<&str> = visible.iter().copied().filter(|value| value.ends_with("after")).collect();
            committed_become(&cluster, "b", 0, &of_b).await;
            offset_becomes(&cluster, Ok(round)).await;
        }
    }
}

async fn offset_becomes(cluster: &Cluster, expected: Result<i64, ErrorCode>) {
    let begun = Instant::now();
    loop {
        let found = stable_offset(cluster, "readers", "b").await;
        if found == expected {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{found:?} instead of {expected:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A crash while a commit is on its way leaves it undone or done, everywhere alike, and the producer can ask again.
#[tokio::test]
async fn a_commit_under_way_ends_one_way_or_the_other() {
    let (mut broker, mut cluster) = start(&[]).await;
    let mut producer = Transactional::init(&cluster, "hurried", Understanding::New, LONG_MS).await;
    let mut expected: Vec<String> = Vec::new();
    for round in 0..6 {
        let value = format!("{round}");
        for (topic, partition) in [("a", 0), ("a", 1), ("b", 0)] {
            assert_eq!(producer.send(topic, partition, &[&value]).await, ErrorCode::NONE);
        }
        let (request, version) = (producer.end_request(true), producer.end_version());
        let connection = cluster.any().await.unwrap();
        let sent = tokio::spawn(async move { connection.send_version(&request, version).await });
        // Between nothing and long enough for all of it.
        tokio::time::sleep(Duration::from_millis(round * 2)).await;
        broker.crash();
        let _ = sent.await.unwrap();
        broker = broker.restart();
        cluster = connect(&broker).await;
        producer = producer.reconnected(&cluster);
        assert_eq!(producer.end(true).await, ErrorCode::NONE, "round {round}");
        expected.push(value);
        let visible: Vec<&str> = expected.iter().map(String::as_str).collect();
        for (topic, partition) in [("a", 0), ("a", 1), ("b", 0)] {
            committed_become(&cluster, topic, partition, &visible).await;
        }
    }
}

/// A topic that goes while a transaction is open in it takes its records along. The transaction ends for the others, now
/// and after a crash, and a new topic of the name has none of it.
#[tokio::test]
async fn a_deleted_topic_holds_no_transaction_up() {
    let (mut broker, mut cluster) = start(&[]).await;
    for (understanding, committed) in
        [(Understanding::Old, true), (Understanding::New, true), (Understanding::New, false)]
    {
        let name = format!("{understanding:?}-{committed}");
        let (gone, again) = (format!("gone-{name}"), format!("again-{name}"));
        create(&cluster, &name, 1, &[]).await;
        create(&cluster, &gone, 1, &[]).await;
        create(&cluster, &again, 1, &[]).await;
        let mut producer = Transactional::init(&cluster, &name, understanding, LONG_MS).await;
        for topic in [&name, &gone, &again] {
            assert_eq!(producer.send(topic, 0, &["1"]).await, ErrorCode::NONE);
        }
        delete(&cluster, &[&gone, &again]).await;
        create(&cluster, &again, 1, &[]).await;
        broker.crash();
        broker = broker.restart();
        cluster = connect(&broker).await;
        producer = producer.reconnected(&cluster);
        assert_eq!(producer.end(committed).await, ErrorCode::NONE, "{name}");
        let first: &[&str] = if committed { &["1"] } else { &[] };
        committed_become(&cluster, &name, 0, first).await;
        assert!(read(&cluster, &again, 0, Isolation::ReadUncommitted).await.is_empty(), "{name}");

        assert_eq!(producer.send(&name, 0, &["2"]).await, ErrorCode::NONE, "{name}");
        assert_eq!(producer.end(true).await, ErrorCode::NONE, "{name}");
        committed_become(&cluster, &name, 0, &[first, &["2"]].concat()).await;
    }
}

async fn delete(cluster: &Cluster, names: &[&str]) {
    let state = |name: &&str| DeleteTopicState { name: Some(name.to_string()), ..Default::default() };
    let topics = names.iter().map(state).collect();
    let request = DeleteTopicsRequest { topics, timeout_ms: 10_000, ..Default::default() };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert!(answer.responses.iter().all(|topic| topic.error_code == ErrorCode::NONE), "{answer:?}");
}

/// Offsets in a transaction count when it commits, and what was committed before counts when it is aborted.
#[tokio::test]
async fn offsets_count_with_their_transaction() {
    let (_broker, cluster) = start(&[]).await;
    for (understanding, base) in [(Understanding::Old, 10), (Understanding::New, 20)] {
        let mut producer = Transactional::init(&cluster, &format!("offsets-{base}"), understanding, LONG_MS).await;
        assert_eq!(producer.send_offset("readers", "b", 0, base).await, ErrorCode::NONE);
        assert_eq!(stable_offset(&cluster, "readers", "b").await, Err(ErrorCode::UNSTABLE_OFFSET_COMMIT));
        assert_eq!(producer.end(true).await, ErrorCode::NONE);
        offset_becomes(&cluster, Ok(base)).await;
        assert_eq!(producer.send_offset("readers", "b", 0, base + 1).await, ErrorCode::NONE);
        assert_eq!(producer.end(false).await, ErrorCode::NONE);
        offset_becomes(&cluster, Ok(base)).await;
    }
    let mut first = Transactional::init(&cluster, "fenced", Understanding::New, LONG_MS).await;
    assert_eq!(first.send_offset("readers", "b", 0, 30).await, ErrorCode::NONE);
    let _second = Transactional::init(&cluster, "fenced", Understanding::New, LONG_MS).await;
    offset_becomes(&cluster, Ok(20)).await;
    assert_eq!(first.send_offset("readers", "b", 0, 31).await, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(first.end(true).await, ErrorCode::PRODUCER_FENCED);
}

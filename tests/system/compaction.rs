//! Old values of a compacted topic vanish while somebody reads, and so do old commits.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use client::{
    Cluster, Consumer, FetchedRecord, GroupConfig, GroupConsumer, OutgoingRecord, Producer, StartOffset,
    TopicPartition, fetch_committed,
};
use protocol::ErrorCode;
use protocol::records::Codec;

use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::restart::create;
use crate::total_retention::alter;

const KEYS: i64 = 10;
const ROUNDS: i64 = 150;
const TOPIC: &str = "latest";

/// Segments of a moment, and no patience with old records.
const SETTINGS: [&str; 4] = [
    "log.cleaner.backoff.ms=20",
    "log.cleaner.min.cleanable.ratio=0.01",
    "log.roll.ms=100",
    "offsets.topic.num.partitions=1",
];

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn place() -> TopicPartition {
    TopicPartition { topic: TOPIC.into(), partition: 0 }
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

/// Each round writes every key once, a second after the round before.
async fn write(cluster: &Cluster, begin_ms: i64) {
    let mut producer = Producer::idempotent(cluster, Codec::Zstd).await.unwrap();
    for round in 0..ROUNDS {
        let record = |key: i64| OutgoingRecord {
            key: Some(format!("key {key}").into()),
            value: Some(format!("{round}").into()),
            timestamp_ms: begin_ms + round * 1000,
            ..Default::default()
        };
        let records: Vec<_> = (0..KEYS).map(record).collect();
        producer.send(TOPIC, 0, &records).await.unwrap();
    }
}

/// Reads until the last round is there; answers how many records came.
async fn read(cluster: &Cluster) -> usize {
    let mut consumer = Consumer::new(cluster);
    consumer.assign(&[place()], StartOffset::Earliest).await.unwrap();
    let mut latest: BTreeMap<String, i64> = BTreeMap::new();
    let (mut count, mut next_offset) = (0, 0);
    while latest.len() < KEYS as usize || latest.values().any(|round| *round < ROUNDS - 1) {
        let FetchedRecord { offset, key, value, .. } =
            consumer.next(DEADLINE).await.unwrap().expect("the last rounds stay");
        let round: i64 = text(value.as_deref()).parse().unwrap();
        assert!(offset >= next_offset, "{offset} after {next_offset}");
        assert_eq!(offset, round * KEYS + offset % KEYS, "a record is not where it was written");
        let before = latest.insert(text(key.as_deref()), round);
        assert!(before.is_none_or(|before| before < round), "a value came after a later one");
        (count, next_offset) = (count + 1, offset + 1);
    }
    count
}

#[tokio::test]
async fn old_values_vanish_while_a_consumer_reads() {
    let mut broker = BrokerProcess::start(&SETTINGS);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, TOPIC, 1, &[("cleanup.policy", "compact"), ("segment.ms", "100")]).await;
    let begin_ms = now_ms() - ROUNDS * 1000;
    let (reading, ()) = tokio::join!(read(&cluster), write(&cluster, begin_ms));
    assert!(reading >= KEYS as usize);

    let begun = Instant::now();
    // The last round may be in the active segment, and one before it in a segment of its own.
    while read(&cluster).await as i64 > 2 * KEYS {
        assert!(begun.elapsed() < DEADLINE, "old values are still there:\n{}", broker.log());
    }
    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert!(read(&cluster).await as i64 <= 2 * KEYS);
}

#[tokio::test]
async fn a_rate_of_the_cleaner_holds_until_it_is_changed() {
    let slow = [&SETTINGS[..], &["log.cleaner.io.max.bytes.per.second=1"]].concat();
    let broker = BrokerProcess::start(&slow);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, TOPIC, 1, &[("cleanup.policy", "compact"), ("segment.ms", "100")]).await;
    write(&cluster, now_ms() - ROUNDS * 1000).await;
    // A byte each second: a pass would take hours.
    assert_eq!(read(&cluster).await as i64, ROUNDS * KEYS);
    assert!(!broker.log().contains("compacted"), "{}", broker.log());

    let fast = ("log.cleaner.io.max.bytes.per.second", "1.0E9");
    assert_eq!(alter(&cluster, 4, "", fast).await, ErrorCode::NONE);
    broker.await_line(&["INFO", "compacted", TOPIC]);
}

#[tokio::test]
async fn a_coordinator_loads_what_compaction_left_of_its_commits() {
    let mut broker = BrokerProcess::start(&SETTINGS);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, TOPIC, 1, &[]).await;
    write(&cluster, now_ms() - ROUNDS * 1000).await;
    let config =
        GroupConfig { start: StartOffset::Earliest, commit_interval: None, ..GroupConfig::new("readers", &[TOPIC]) };
    let mut member = GroupConsumer::new(&cluster, config);
    let begun = Instant::now();
    let compacted = |log: String| {
        log.lines().filter(|line| line.contains("compacted") && line.contains("__consumer_offsets-0")).count()
    };
    let mut taken = 0;
    while compacted(broker.log()) < 3 {
        if taken < ROUNDS * KEYS {
            member.next(DEADLINE).await.unwrap().unwrap();
            taken += 1;
        }
        member.commit().await.unwrap();
        assert!(begun.elapsed() < DEADLINE, "nothing is compacted:\n{}", broker.log());
    }
    let before = fetch_committed(&cluster, "readers", None).await.unwrap();
    assert_eq!(before[&place()].offset, taken);
    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let after = fetch_committed(&cluster, "readers", None).await.unwrap();
    assert_eq!(after[&place()].offset, taken);
}

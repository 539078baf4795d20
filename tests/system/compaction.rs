//! Old values of a compacted topic vanish while somebody reads, and so do old commits.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::{
    Acks, Cluster, Consumer, FetchedRecord, GroupConfig, GroupConsumer, OutgoingRecord, Producer, StartOffset,
    TopicPartition, fetch_committed,
};
use protocol::ErrorCode;
use protocol::records::Codec;

use tempfile::TempDir;

use crate::broker_process::{BrokerProcess, DEADLINE, OTTLA};
use crate::restart::create;
use crate::total_retention::{alter, read_on};

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

/// A broker on a directory that is there already.
fn start_on(directory: &Arc<TempDir>, settings: &[&str]) -> BrokerProcess {
    let mut command = Command::new(OTTLA);
    for setting in SETTINGS.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    BrokerProcess::start_through(command, Arc::clone(directory))
}

/// The number of keys of each pass over the topic.
fn passes(broker: &BrokerProcess) -> Vec<usize> {
    let line = |line: &str| {
        let (_, keys) = line.split_once("keys=").filter(|_| line.contains(" compacted ") && line.contains(TOPIC))?;
        Some(keys.split_whitespace().next().unwrap().parse().unwrap())
    };
    broker.log().lines().filter_map(line).collect()
}

#[tokio::test]
async fn the_cleaner_rests_while_it_is_disabled_and_keeps_to_its_memory() {
    const MANY: usize = 70_000;
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let mut broker = start_on(&directory, &["log.cleaner.enable=false"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, TOPIC, 1, &[("cleanup.policy", "compact"), ("segment.bytes", "1048576")]).await;
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    let timestamp_ms = now_ms();
    let keys: Vec<usize> = (0..MANY).collect();
    for some in keys.chunks(5_000) {
        let record = |key: &usize| OutgoingRecord {
            key: Some(format!("key {key}").into()),
            value: Some("value of thirty and some bytes".into()),
            timestamp_ms,
            ..Default::default()
        };
        producer.send(TOPIC, 0, &some.iter().map(record).collect::<Vec<_>>()).await.unwrap();
    }
    broker.stop();
    assert_eq!(passes(&broker), Vec::<usize>::new(), "it is disabled");
    drop(broker);

    let memory_bytes = 1 << 20;
    let broker = start_on(&directory, &[&format!("log.cleaner.dedupe.buffer.size={memory_bytes}")]);
    let begun = Instant::now();
    while passes(&broker).len() < 2 {
        assert!(begun.elapsed() < DEADLINE, "fewer than two passes:\n{}", broker.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A key takes 24 bytes.
    assert!(passes(&broker).iter().all(|keys| keys * 24 <= memory_bytes), "{:?}", passes(&broker));
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_eq!(read_on(&cluster, TOPIC, 0, MANY as i64).await.len(), MANY, "they are all different");
}

/// Appends one record.
async fn put(producer: &mut Producer, topic: &str, key: &str, value: Option<&str>, timestamp_ms: i64) {
    let value = value.map(|value| value.to_owned().into());
    let record = OutgoingRecord { key: Some(key.to_owned().into()), value, timestamp_ms, ..Default::default() };
    producer.send(topic, 0, &[record]).await.unwrap();
}

/// Keys and values, null for none, in order.
async fn pairs(cluster: &Cluster, topic: &str, end: i64) -> Vec<(String, Option<String>)> {
    let mut consumer = Consumer::new(cluster);
    consumer.assign(&[TopicPartition::new(topic.to_owned(), 0)], StartOffset::Earliest).await.unwrap();
    let mut pairs = Vec::new();
    loop {
        let record = consumer.next(DEADLINE).await.unwrap().expect("the last record stays");
        let value = record.value.map(|value| text(Some(&value)));
        pairs.push((text(record.key.as_deref()), value));
        if record.offset == end - 1 {
            return pairs;
        }
    }
}

#[tokio::test]
async fn lags_say_when_at_the_latest_and_when_not_yet_and_tombstones_go_after_their_time() {
    let broker = BrokerProcess::start(&["log.cleaner.backoff.ms=20"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let (compact, short) = (("cleanup.policy", "compact"), ("segment.ms", "100"));
    // By its dirty share it would never be compacted, the other one always.
    let never =
        [("min.cleanable.dirty.ratio", "1.0"), ("max.compaction.lag.ms", "200"), ("delete.retention.ms", "100")];
    let always = [("min.cleanable.dirty.ratio", "0.0"), ("min.compaction.lag.ms", "3600000")];
    create(&cluster, "overdue", 1, &[&[compact, short], &never[..]].concat()).await;
    create(&cluster, "young", 1, &[&[compact, short], &always[..]].concat()).await;
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    let begin_ms = now_ms() - 10_000;
    let written = [("a", Some("1")), ("b", Some("1")), ("a", None), ("b", Some("2"))];
    for topic in ["overdue", "young"] {
        for (i, (key, value)) in written.into_iter().enumerate() {
            put(&mut producer, topic, key, value, begin_ms + i as i64 * 1_000).await;
        }
    }
    let (begun, mut end) = (Instant::now(), 4);
    loop {
        put(&mut producer, "overdue", "last", Some("x"), now_ms()).await;
        end += 1;
        let left = pairs(&cluster, "overdue", end).await;
        let of_a: Vec<_> = left.iter().filter(|(key, _)| key == "a").collect();
        let of_b: Vec<_> = left.iter().filter(|(key, _)| key == "b").map(|(_, value)| value.as_deref()).collect();
        assert_eq!(of_b.last(), Some(&Some("2")));
        if of_a.is_empty() && of_b.len() == 1 {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "{left:?} is left:\n{}", broker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all = written.map(|(key, value)| (key.to_owned(), value.map(str::to_owned)));
    assert_eq!(pairs(&cluster, "young", 4).await, all, "it must not be compacted yet");
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

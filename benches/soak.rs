//! Whether memory stays flat under steady work: `cargo bench --bench soak`, for ten minutes (`-- SECONDS`).
//!
//! Idempotent producers write to a compacted topic, with more updates than keys so that the cleaner never rests, and to
//! one that deletes old segments; a group reads both. After a minute of warm-up, resident memory is sampled.

#[allow(dead_code, reason = "tests use the rest of it")]
#[path = "../tests/system/broker_process.rs"]
mod broker_process;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use broker_process::BrokerProcess;
use client::{Cluster, GroupConfig, GroupConsumer, OutgoingRecord, Producer};
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::records::Codec;

const PARTITIONS: i32 = 4;
const KEYS: u64 = 50_000;
const VALUE_BYTES: usize = 500;
const BATCH_RECORDS: usize = 100;
/// Bytes a second in all, so that ten minutes fit on any disk.
const RATE: f64 = 20e6;
const WARM_UP: Duration = Duration::from_secs(60);
const SAMPLE: Duration = Duration::from_secs(5);
const COMPACTED: &str = "compacted";
const DELETED: &str = "deleted";

#[derive(Default)]
struct Progress {
    over: AtomicBool,
    sent: AtomicU64,
    read: AtomicU64,
}

fn main() {
    let seconds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(600);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(soak(Duration::from_secs(seconds)));
}

async fn soak(length: Duration) {
    let broker = BrokerProcess::start(&["log.cleaner.backoff.ms=1000", "log.retention.check.interval.ms=1000"]);
    let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
    let segments = ("segment.bytes", "4194304");
    create(&cluster, COMPACTED, &[("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.1"), segments]).await;
    create(&cluster, DELETED, &[("retention.bytes", "33554432"), segments]).await;
    let progress = Arc::new(Progress::default());
    let mut tasks = Vec::new();
    for partition in 0..PARTITIONS {
        for topic in [COMPACTED, DELETED] {
            tasks.push(tokio::spawn(produce(cluster.clone(), topic, partition, Arc::clone(&progress))));
        }
    }
    tasks.push(tokio::spawn(consume(cluster.clone(), Arc::clone(&progress))));
    let mut samples = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < length {
        tokio::time::sleep(SAMPLE).await;
        let (all, anonymous) = (broker.resident_bytes(), anonymous_bytes(broker.id()));
        let disk = size_of(&broker.data_dir());
        println!(
            "{:>5.0} s  RSS {:>6.1} MB, anonymous {:>6.1} MB; on disk {:>5} MB; sent {} MB, read {} records",
            begun.elapsed().as_secs_f64(),
            all as f64 / 1e6,
            anonymous as f64 / 1e6,
            disk / 1_000_000,
            progress.sent.load(Ordering::Relaxed) / 1_000_000,
            progress.read.load(Ordering::Relaxed),
        );
        if begun.elapsed() > WARM_UP {
            samples.push((all as f64 / 1e6, anonymous as f64 / 1e6));
        }
    }
    progress.over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("no panic");
    }
    report("RSS", samples.iter().map(|sample| sample.0).collect());
    report("anonymous RSS", samples.iter().map(|sample| sample.1).collect());
}

/// The first and the last third, because a leak shows between them, and the spread.
fn report(name: &str, values: Vec<f64>) {
    let Some(third) = Some(values.len() / 3).filter(|third| *third > 0) else { return };
    let median = |part: &[f64]| {
        let mut part = part.to_vec();
        part.sort_by(f64::total_cmp);
        part[part.len() / 2]
    };
    let (first, last) = (median(&values[..third]), median(&values[values.len() - third..]));
    let (least, most) = values.iter().fold((f64::MAX, 0_f64), |(least, most), v| (least.min(*v), most.max(*v)));
    println!("{name}: first third {first:.1} MB, last third {last:.1} MB, min {least:.1}, max {most:.1}; bar ± 5 MB");
}

async fn create(cluster: &Cluster, name: &str, configs: &[(&str, &str)]) {
    let config =
        |(name, value): &(&str, &str)| CreatableTopicConfig { name: (*name).into(), value: Some((*value).into()) };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: PARTITIONS,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = cluster.any().await.expect("a broker").send(&request).await.expect("an answer");
    assert!(answer.topics.iter().all(|topic| !topic.error_code.is_error()), "{answer:?}");
}

async fn produce(cluster: Cluster, topic: &str, partition: i32, progress: Arc<Progress>) {
    let mut producer = Producer::idempotent(&cluster, Codec::None).await.expect("a producer id");
    let mut random = fastrand::Rng::with_seed(partition as u64);
    let (begun, mut sent) = (Instant::now(), 0);
    while !progress.over.load(Ordering::Relaxed) {
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as i64;
        let records: Vec<OutgoingRecord> = (0..BATCH_RECORDS)
            .map(|_| OutgoingRecord {
                key: Some(random.u64(..KEYS).to_be_bytes().to_vec().into()),
                value: Some(vec![random.u8(..); VALUE_BYTES].into()),
                timestamp_ms: now,
                ..Default::default()
            })
            .collect();
        producer.send(topic, partition, &records).await.expect("acknowledged");
        sent += BATCH_RECORDS * VALUE_BYTES;
        progress.sent.fetch_add((BATCH_RECORDS * VALUE_BYTES) as u64, Ordering::Relaxed);
        let due = Duration::from_secs_f64(sent as f64 / (RATE / f64::from(2 * PARTITIONS)));
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
    }
}

async fn consume(cluster: Cluster, progress: Arc<Progress>) {
    let mut consumer = GroupConsumer::new(&cluster, GroupConfig::new("readers", &[COMPACTED, DELETED]));
    while !progress.over.load(Ordering::Relaxed) {
        if consumer.next(Duration::from_millis(100)).await.expect("it reads").is_some() {
            let read = progress.read.fetch_add(1, Ordering::Relaxed);
            if read.is_multiple_of(10_000) {
                consumer.commit().await.expect("committed");
            }
        }
    }
}

fn anonymous_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

fn size_of(dir: &std::path::Path) -> u64 {
    // What is deleted while we look has no size.
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| if e.path().is_dir() { size_of(&e.path()) } else { e.metadata().map_or(0, |m| m.len()) }).sum()
}

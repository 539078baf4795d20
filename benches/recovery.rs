//! How long a broker that was killed takes until it acknowledges again: `cargo bench --bench recovery`.
//!
//! Each line is a measurement of the binary over data that was written through it, with the bar it is held to.
//! `-- WORDS` picks those whose name has one.

#[allow(dead_code, reason = "tests use the rest of it")]
#[path = "../tests/system/broker_process.rs"]
mod broker_process;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use broker_process::BrokerProcess;
use client::{Acks, Cluster, OutgoingRecord, Producer};
use protocol::messages::CreateTopicsRequest;
use protocol::messages::create_topics::CreatableTopic;
use protocol::records::Codec;

const MIB: f64 = (1 << 20) as f64;
const TOPIC: &str = "measured";
/// Kills over the same data. The first finds it as the load has left it.
const ROUNDS: usize = 5;
const BATCH_RECORDS: usize = 900;
const RECORD_BYTES: usize = 1000;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(async {
        if is_wanted("large") {
            measure("1 GB in 10 partitions", 10, 114, BATCH_RECORDS, "300").await;
        }
        if is_wanted("many") {
            measure("1,000 partitions with 100 kB each", 1000, 10, 10, "2000").await;
        }
    });
}

/// Fills partitions with so many batches of so many records each, kills the broker, and starts it again.
async fn measure(name: &str, partitions: i32, batches: usize, records: usize, bar: &str) {
    let mut broker = BrokerProcess::start(&[]);
    fill(&broker.address, partitions, batches, records).await;
    let kinds = [
        ("killed", false, false),
        ("killed, idempotent producer", true, false),
        ("killed, files not in memory", false, true),
    ];
    for (kind, idempotent, cold) in kinds {
        let (mut acknowledged, mut ready, mut resident, mut anonymous) = (vec![], vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            broker.crash();
            if cold {
                drop_from_cache(&broker.data_dir());
            }
            let begun = Instant::now();
            broker = broker.restart();
            ready.push(ms(broker.ready_after));
            let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
            let mut producer = match idempotent {
                true => Producer::idempotent(&cluster, Codec::None).await.expect("an id"),
                false => Producer::new(&cluster, Acks::All, Codec::None),
            };
            producer.send(TOPIC, partitions - 1, &[record(100)]).await.expect("acknowledged");
            acknowledged.push(ms(begun.elapsed()));
            resident.push(status_mib(&broker, "VmHWM:"));
            anonymous.push(status_mib(&broker, "RssAnon:"));
        }
        report(&format!("{name}, {kind}: first produce"), acknowledged, "ms", bar);
        report(&format!("{name}, {kind}: ready"), ready, "ms", "-");
        report(&format!("{name}, {kind}: peak RSS, maps included"), resident, "MiB", "-");
        report(&format!("{name}, {kind}: RSS without maps"), anonymous, "MiB", "-");
    }
    broker.stop();
    let broker = broker.restart();
    report(&format!("{name}, stopped: ready"), vec![ms(broker.ready_after)], "ms", "-");
}

fn report(name: &str, mut values: Vec<f64>, unit: &str, bar: &str) {
    let first = values[0];
    values.sort_by(f64::total_cmp);
    let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    println!("{name:<74} {median:>8.1} {unit:<4} (first {first:.1}, min {least:.1}, max {most:.1}; bar {bar})");
}

/// Writes back what the page cache has of the files below a directory, and drops it: they are read from the disk then.
fn drop_from_cache(directory: &Path) {
    for entry in fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("a name")) {
        if entry.file_type().expect("a type").is_dir() {
            drop_from_cache(&entry.path());
        } else {
            let file = fs::File::open(entry.path()).expect("it can be read");
            file.sync_all().expect("the disk works");
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("a hint is taken");
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A line of the process's status, which is in kB, in MiB.
fn status_mib(broker: &BrokerProcess, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", broker.id())).expect("it runs");
    let value = status.lines().find_map(|line| line.strip_prefix(key)).expect("Linux says so");
    value.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0 / MIB
}

fn record(bytes: usize) -> OutgoingRecord {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let value = Some(vec![b'x'; bytes].into());
    OutgoingRecord { value, timestamp_ms: now.as_millis() as i64, ..Default::default() }
}

async fn fill(address: &str, partitions: i32, batches: usize, records: usize) {
    let cluster = Cluster::connect(address, "bench").await.expect("it listens");
    let topic =
        CreatableTopic { name: TOPIC.into(), num_partitions: partitions, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = cluster.any().await.expect("a broker").send(&request).await.expect("an answer");
    assert!(answer.topics.iter().all(|topic| !topic.error_code.is_error()), "{answer:?}");
    let batch = vec![record(RECORD_BYTES); records];
    let mut producer = Producer::new(&cluster, Acks::Leader, Codec::None);
    for _ in 0..batches {
        for partition in 0..partitions {
            producer.send(TOPIC, partition, &batch).await.expect("acknowledged");
        }
    }
}

//! What one node costs and how fast it answers: `cargo bench --bench node`.
//!
//! Each line is a measurement of the release binary, with the bar it is held to. `-- WORDS` picks those whose name has one.

#[allow(dead_code, reason = "tests use the rest of it")]
#[path = "../tests/system/broker_process.rs"]
mod broker_process;
#[allow(dead_code, reason = "tests use the rest of it")]
#[path = "../tests/system/http_client.rs"]
mod http_client;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use broker_process::BrokerProcess;
use client::{Acks, Cluster, GroupConfig, GroupConsumer, OutgoingRecord, Producer};
use protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use protocol::records::Codec;

const MIB: f64 = (1 << 20) as f64;
const ROUNDS: usize = 11;
const TOPIC: &str = "measured";

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(async {
        if is_wanted("start") {
            start().await;
        }
        if is_wanted("idle") {
            idle().await;
        }
        if is_wanted("partitions") {
            partitions().await;
        }
        if is_wanted("scrape") {
            scrape().await;
        }
        if is_wanted("connections") {
            connections().await;
        }
        if is_wanted("topic") {
            topics().await;
        }
        if is_wanted("group") {
            groups().await;
        }
        if is_wanted("load") {
            load().await;
        }
    });
}

fn report(name: &str, mut values: Vec<f64>, unit: &str, bar: &str) {
    values.sort_by(f64::total_cmp);
    let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    println!("{name:<44} {median:>9.2} {unit:<4} (min {least:.2}, max {most:.2}; bar {bar})");
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn record(bytes: usize) -> OutgoingRecord {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let value = Some(vec![b'x'; bytes].into());
    OutgoingRecord { value, timestamp_ms: now.as_millis() as i64, ..Default::default() }
}

async fn create(cluster: &Cluster, name: &str, partitions: i32) {
    let topic =
        CreatableTopic { name: name.into(), num_partitions: partitions, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = cluster.any().await.expect("a broker").send(&request).await.expect("an answer");
    assert!(answer.topics.iter().all(|topic| !topic.error_code.is_error()), "{answer:?}");
}

/// Process start to the first record acknowledged with acks=all, which creates its topic.
async fn start() {
    let mut first_produce = Vec::new();
    let mut restart = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut broker = BrokerProcess::start(&[]);
        let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
        cluster.topic_or_create(TOPIC).await.expect("created on first use");
        let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
        producer.send(TOPIC, 0, &[record(100)]).await.expect("acknowledged");
        first_produce.push(ms(begun.elapsed()));
        broker.stop();
        let broker = broker.restart();
        restart.push(ms(broker.ready_after));
    }
    report("start to first acknowledged produce", first_produce, "ms", "100, goal 50");
    report("restart to ready", restart, "ms", "-");
}

async fn idle() {
    let mut resident = Vec::new();
    for _ in 0..ROUNDS {
        let broker = BrokerProcess::start(&[]);
        let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
        cluster.topic_or_create(TOPIC).await.expect("created on first use");
        resident.push(broker.resident_bytes() as f64 / MIB);
    }
    report("idle RSS with one topic", resident, "MiB", "20, goal 16");
}

async fn partitions() {
    let mut broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
    create(&cluster, TOPIC, 1).await;
    let before = broker.resident_bytes();
    for topic in 0..1000 {
        create(&cluster, &format!("{TOPIC}-{topic}"), 1).await;
    }
    let grown = (broker.resident_bytes() as f64 - before as f64) / MIB;
    report("RSS of 1,000 empty partitions, each a topic", vec![grown], "MiB", "8");
    broker.stop();
    let broker = broker.restart();
    report("start with 1,000 partitions", vec![ms(broker.ready_after)], "ms", "1000");
}

/// Everything that /metrics tells of 1,000 partitions, to the last byte.
async fn scrape() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
    for topic in 0..10 {
        create(&cluster, &format!("{TOPIC}-{topic}"), 100).await;
    }
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    for topic in 0..10 {
        for partition in 0..100 {
            producer.send(&format!("{TOPIC}-{topic}"), partition, &[record(100)]).await.expect("acknowledged");
        }
    }
    let address = broker.http_address();
    let request = b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
    http_client::exchange(&address, request);
    let before = broker.resident_bytes();
    let mut times = Vec::new();
    for _ in 0..101 {
        let begun = Instant::now();
        http_client::exchange(&address, request);
        times.push(ms(begun.elapsed()));
    }
    report("scrape of 1,000 partitions with records", times, "ms", "20");
    let grown = (broker.resident_bytes() as f64 - before as f64).max(0.0) / MIB;
    report("RSS that 101 scrapes left behind", vec![grown], "MiB", "1");
}

async fn connections() {
    const COUNT: usize = 1000;
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
    create(&cluster, TOPIC, 1).await;
    let before = broker.resident_bytes();
    let connections: Vec<TcpStream> =
        (0..COUNT).map(|_| TcpStream::connect(&broker.address).expect("accepted")).collect();
    for mut connection in &connections {
        use std::io::{Read, Write};
        connection.write_all(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff").expect("sent");
        let mut size = [0; 4];
        connection.read_exact(&mut size).expect("answered");
        connection.read_exact(&mut vec![0; u32::from_be_bytes(size) as usize]).expect("answered");
    }
    let each = (broker.resident_bytes() as f64 - before as f64) / COUNT as f64 / 1024.0;
    report("RSS of an idle connection, of 1,000", vec![each], "KiB", "16");
}

async fn topics() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
    let mut times = Vec::new();
    for round in 0..101 {
        let begun = Instant::now();
        create(&cluster, &format!("{TOPIC}-{round}"), 3).await;
        times.push(ms(begun.elapsed()));
    }
    report("topic creation, 3 partitions", times, "ms", "20");
}

/// From the moment the third member starts to join until all three have their assignment.
async fn groups() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
    create(&cluster, TOPIC, 3).await;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let (sender, mut stable) = tokio::sync::mpsc::unbounded_channel();
        let begun = Instant::now();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (cluster, sender) = (cluster.clone(), sender.clone());
                let config = GroupConfig {
                    heartbeat_interval: Duration::from_millis(10),
                    ..GroupConfig::new(&format!("g{round}"), &[TOPIC])
                };
                tokio::spawn(async move {
                    let mut member = GroupConsumer::new(&cluster, config);
                    loop {
                        let _ = member.next(Duration::from_millis(5)).await.expect("it reads");
                        if sender.send((member.generation_id(), member.assignment().count())).is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        // Three partitions among three: a member with one in a generation of three is in the last generation.
        let mut ready = 0;
        let mut last = -1;
        while let Some((generation, partitions)) = stable.recv().await {
            if partitions == 1 && generation >= last {
                ready = if generation > last { 1 } else { ready + 1 };
                last = generation;
            }
            if ready >= 3 {
                break;
            }
        }
        times.push(ms(begun.elapsed()));
        drop(stable);
        for task in tasks {
            task.abort();
        }
    }
    report("3 members from the first join to stable", times, "ms", "100");
}

/// 50 MB/s in batches of 64 KiB for ten seconds, acks=1, and the largest RSS on the way.
async fn load() {
    const SECONDS: u64 = 10;
    const BATCH: usize = 64;
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
    create(&cluster, TOPIC, 4).await;
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for partition in 0..4 {
        let cluster = cluster.clone();
        tasks.push(tokio::spawn(async move {
            let mut producer = Producer::new(&cluster, Acks::Leader, Codec::None);
            let records = vec![record(1024); BATCH];
            let mut sent = 0_u64;
            while begun.elapsed().as_secs() < SECONDS {
                producer.send(TOPIC, partition, &records).await.expect("acknowledged");
                sent += (BATCH * 1024) as u64;
                let due = Duration::from_secs_f64(sent as f64 / (50e6 / 4.0));
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
            }
            sent
        }));
    }
    let mut peak = 0;
    while tasks.iter().any(|task| !task.is_finished()) {
        peak = peak.max(broker.resident_bytes());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut sent = 0;
    for task in tasks {
        sent += task.await.expect("no panic");
    }
    let rate = sent as f64 / begun.elapsed().as_secs_f64() / 1e6;
    report("peak RSS under 50 MB/s", vec![peak as f64 / MIB], "MiB", "64");
    report("  rate reached", vec![rate], "MB/s", "50");
}

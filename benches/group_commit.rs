//! What durability costs: `cargo bench --bench group_commit`.
//!
//! Sixteen producers send as fast as they are answered, some requests of each on the way, as real producers do; rounds
//! of acks=1 (the page cache has it) and acks=all (the disk has it) alternate on one broker. `-- WORDS` picks shapes.

#[allow(dead_code, reason = "tests use the rest of it")]
#[path = "../tests/system/broker_process.rs"]
mod broker_process;

use std::time::{Duration, Instant};

use broker_process::BrokerProcess;
use bytes::Bytes;
use client::{Acks, Cluster, Producer};
use protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use protocol::records::{BatchBuilder, Codec};

const PRODUCERS: usize = 16;
/// Requests of one producer that are on the way at once: `max.in.flight.requests.per.connection` of most clients.
const IN_FLIGHT: usize = 5;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);

struct Shape {
    name: &'static str,
    partitions: i32,
    batch_bytes: usize,
}

const SHAPES: &[Shape] = &[
    Shape { name: "16 partitions, 16 KiB batches", partitions: 16, batch_bytes: 16 << 10 },
    Shape { name: "16 partitions, 64 KiB batches", partitions: 16, batch_bytes: 64 << 10 },
    Shape { name: "1 partition, 16 KiB batches", partitions: 1, batch_bytes: 16 << 10 },
    Shape { name: "1 partition, 1 KiB batches", partitions: 1, batch_bytes: 1 << 10 },
    Shape { name: "16 partitions, 1 KiB batches", partitions: 16, batch_bytes: 1 << 10 },
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    for shape in SHAPES {
        if wanted.is_empty() || wanted.iter().any(|word| shape.name.contains(word.as_str())) {
            runtime.block_on(measure(shape));
        }
    }
}

async fn measure(shape: &Shape) {
    let broker = BrokerProcess::start(&["log.segment.bytes=67108864"]);
    let batch = batch(shape.batch_bytes);
    // The first touch of memory and disk costs more than every later one.
    round(&broker, shape, &batch, Acks::Leader).await;
    let (mut cached, mut durable, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..ROUNDS {
        let order = if turn % 2 == 0 { [Acks::Leader, Acks::All] } else { [Acks::All, Acks::Leader] };
        let mut rates = [0.0; 2];
        for acks in order {
            rates[usize::from(acks == Acks::All)] = round(&broker, shape, &batch, acks).await;
        }
        cached.push(rates[0]);
        durable.push(rates[1]);
        ratios.push(100.0 * rates[1] / rates[0]);
    }
    report(shape.name, "acks=1", cached, "MB/s");
    report(shape.name, "acks=all", durable, "MB/s");
    report(shape.name, "acks=all of acks=1", ratios, "%");
}

fn report(shape: &str, name: &str, mut values: Vec<f64>, unit: &str) {
    values.sort_by(f64::total_cmp);
    let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    println!("{shape:<32} {name:<20} {median:>8.1} {unit:<4} (min {least:.1}, max {most:.1})");
}

fn batch(bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    let (now, value) = (std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as i64, vec![b'x'; 1000]);
    for _ in 0..bytes.div_ceil(1024) {
        builder.append(now, None, Some(&value), &[]);
    }
    builder.build().freeze()
}

/// Bytes a second that were acknowledged, in a topic of the round's own.
async fn round(broker: &BrokerProcess, shape: &Shape, batch: &Bytes, acks: Acks) -> f64 {
    const TOPIC: &str = "measured";
    let admin = Cluster::connect(&broker.address, "bench").await.expect("it listens");
    let topic = CreatableTopic {
        name: TOPIC.into(),
        num_partitions: shape.partitions,
        replication_factor: 1,
        ..Default::default()
    };
    let create = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = admin.any().await.expect("a broker").send(&create).await.expect("an answer");
    assert!(answer.topics.iter().all(|topic| !topic.error_code.is_error()), "{answer:?}");
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for producer in 0..PRODUCERS {
        let cluster = Cluster::connect(&broker.address, "bench").await.expect("it listens");
        let partition = producer as i32 % shape.partitions;
        for _ in 0..IN_FLIGHT {
            let (cluster, batch) = (cluster.clone(), batch.clone());
            tasks.push(tokio::spawn(async move {
                let producer = Producer::new(&cluster, acks, Codec::None);
                let mut sent = 0;
                while begun.elapsed() < ROUND {
                    producer.send_batch(TOPIC, partition, batch.clone()).await.expect("acknowledged");
                    sent += batch.len();
                }
                sent
            }));
        }
    }
    let mut sent = 0;
    for task in tasks {
        sent += task.await.expect("no panic");
    }
    let rate = sent as f64 / begun.elapsed().as_secs_f64() / 1e6;
    let topic = DeleteTopicState { name: Some(TOPIC.into()), ..Default::default() };
    let delete = DeleteTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    admin.any().await.expect("a broker").send(&delete).await.expect("an answer");
    rate
}

//! A disk whose every fsync takes two seconds: what needs no disk is as fast as ever, and reading goes on.
//!
//! A test binary of its own: it measures latencies, and tests beside it would too.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "system/broker_process.rs"]
mod broker_process;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "crash/faulty.rs"]
mod faulty;

use std::time::{Duration, Instant};

use client::{
    Acks, Cluster, Connection, GroupConfig, GroupConsumer, Producer, StartOffset, TopicPartition, list_offsets,
};
use protocol::messages::delete_topics::DeleteTopicState;
use protocol::messages::fetch::{FetchPartition, FetchTopic};
use protocol::messages::metadata::MetadataRequestTopic;
use protocol::messages::{ApiVersionsRequest, DeleteTopicsRequest, FetchRequest, HeartbeatRequest, MetadataRequest};
use protocol::records::Codec;
use tokio::task::JoinSet;

use crate::broker_process::BrokerProcess;
use crate::faulty::{Fault, create, record};

const STALL: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(7);
/// How long the same is measured before, to know what this machine adds.
const UNDISTURBED: Duration = Duration::from_secs(1);
const BETWEEN: Duration = Duration::from_millis(5);
/// Above what it was undisturbed.
const P99_MAX: Duration = Duration::from_millis(50);
/// More than the threads that may block in the broker.
const PRODUCERS: i32 = 40;
/// Partitions whose segments they fill.
const ROLLING: i32 = 8;
/// Partitions that begin empty.
const FRESH: i32 = 4000;
/// Clients that use them for the first time, more than the broker has workers.
const OPENERS: i32 = 8;
/// Topics that are deleted.
const DOOMED: i32 = 3;
const GROUP: &str = "steady";

/// Latencies of one kind of request.
struct Probe {
    name: &'static str,
    latencies: Vec<Duration>,
}

impl Probe {
    /// Asks again and again.
    async fn run<F: Future<Output = ()>>(name: &'static str, length: Duration, ask: impl Fn() -> F) -> Probe {
        let begun = Instant::now();
        let mut latencies = Vec::new();
        while begun.elapsed() < length {
            let asked = Instant::now();
            ask().await;
            latencies.push(asked.elapsed());
            tokio::time::sleep(BETWEEN).await;
        }
        latencies.sort();
        Probe { name, latencies }
    }

    fn p99(&self) -> Duration {
        self.latencies[self.latencies.len() * 99 / 100]
    }

    fn check(&self, undisturbed: &Probe) {
        let (count, p99, before) = (self.latencies.len(), self.p99(), undisturbed.p99());
        let worst = self.latencies[count - 1];
        eprintln!("{:<12} {count} answers, p99 {p99:.1?} (undisturbed {before:.1?}), worst {worst:.1?}", self.name);
        let told =
            || format!("{}: p99 of {count} answers is {p99:?}, before {before:?}, the worst {worst:?}", self.name);
        assert!(p99 < P99_MAX + before, "{}", told());
        // One that waits for a flush waits for two seconds, however rare it is.
        assert!(worst < STALL / 2, "{}", told());
    }
}

/// A member that has the partitions of `calm` and stays.
async fn steady_member(cluster: &Cluster) -> GroupConsumer {
    let config = GroupConfig {
        start: StartOffset::Earliest,
        commit_interval: None,
        heartbeat_interval: Duration::from_secs(60),
        session_timeout: Duration::from_secs(300),
        ..GroupConfig::new(GROUP, &["calm"])
    };
    let mut member = GroupConsumer::new(cluster, config);
    member.next(Duration::from_secs(10)).await.unwrap().unwrap();
    member
}

/// Everything that waits for the disk, more of it than the broker has threads.
fn press(address: &str, tasks: &mut JoinSet<()>) {
    for index in 0..PRODUCERS {
        let address = address.to_string();
        tasks.spawn(async move {
            let cluster = Cluster::connect(&address, "press").await.unwrap();
            let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
            loop {
                // Every second batch begins a segment, which flushes the last one.
                let _ = producer.send("rolling", index % ROLLING, &[record(600_000)]).await;
                let _ = producer.send("fresh", index, &[record(10)]).await;
            }
        });
    }
    // Deleting a topic flushes the directory; a partition's first use must not wait for that.
    let deleting = address.to_string();
    tasks.spawn(async move {
        let cluster = Cluster::connect(&deleting, "press").await.unwrap();
        let doomed: Vec<String> = (0..DOOMED).map(|index| format!("doomed-{index}")).collect();
        for name in doomed {
            let topics = vec![DeleteTopicState { name: Some(name.clone()), ..Default::default() }];
            let request = DeleteTopicsRequest { topics, topic_names: vec![name], timeout_ms: 10_000 };
            let _ = cluster.any().await.unwrap().send(&request).await;
        }
    });
    for opener in 0..OPENERS {
        let address = address.to_string();
        tasks.spawn(async move {
            let cluster = Cluster::connect(&address, "press").await.unwrap();
            for partition in (PRODUCERS + opener..FRESH).step_by(OPENERS as usize) {
                let place = TopicPartition::new("fresh", partition);
                let _ = list_offsets(&cluster, &[place], StartOffset::Earliest).await;
                tokio::time::sleep(4 * BETWEEN).await;
            }
        });
    }
    let address = address.to_string();
    tasks.spawn(async move {
        let cluster = Cluster::connect(&address, "press").await.unwrap();
        let config = GroupConfig {
            start: StartOffset::Earliest,
            commit_interval: Some(Duration::ZERO),
            ..GroupConfig::new("committing", &["calm"])
        };
        let mut member = GroupConsumer::new(&cluster, config);
        loop {
            let _ = member.next(Duration::from_millis(100)).await;
        }
    });
}

async fn fetch(connection: &Connection, partition: &FetchPartition, topic: &FetchTopic) {
    let topics = vec![FetchTopic { partitions: vec![partition.clone()], ..topic.clone() }];
    let request = FetchRequest { max_wait_ms: 0, min_bytes: 0, max_bytes: 1 << 20, topics, ..Default::default() };
    let answer = connection.send_version(&request, 12).await.unwrap();
    let found = &answer.responses[0].partitions[0];
    assert!(!found.error_code.is_error() && found.records.is_some(), "{:?}", found.error_code);
}

/// A broker that has just been started on what the test needs, so that nothing of it is in memory.
async fn prepared() -> BrokerProcess {
    let mut broker = BrokerProcess::start(&["log.segment.bytes=1048576", "offsets.topic.num.partitions=1"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    for (name, partitions) in [("calm", 2), ("rolling", ROLLING), ("fresh", FRESH)] {
        create(&cluster, name, partitions, &[]).await;
    }
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    for partition in 0..2 {
        producer.send("calm", partition, &[record(1000)]).await.unwrap();
    }
    for index in 0..DOOMED {
        let name = format!("doomed-{index}");
        create(&cluster, &name, 1, &[]).await;
        producer.send(&name, 0, &[record(1000)]).await.unwrap();
    }
    broker.stop();
    broker.restart()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_fsync_delays_only_who_needs_it() {
    let broker = prepared().await;
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let member = steady_member(&cluster).await;
    let connect = || Connection::connect(&broker.address, "probe");
    let (versions, metadata, heartbeats, fetches) =
        (connect().await.unwrap(), connect().await.unwrap(), connect().await.unwrap(), connect().await.unwrap());

    let heartbeat = HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id: member.generation_id(),
        member_id: member.member_id().into(),
        group_instance_id: None,
    };
    let wanted = FetchPartition { partition: 1, partition_max_bytes: 1 << 20, ..Default::default() };
    let calm = FetchTopic { topic: "calm".into(), ..Default::default() };
    let named = MetadataRequestTopic { name: Some("calm".into()), ..Default::default() };
    let topics = MetadataRequest { topics: Some(vec![named]), ..Default::default() };
    let probe = async |length: Duration| {
        let probes = tokio::join!(
            Probe::run("ApiVersions", length, || async {
                versions.send_version(&ApiVersionsRequest::default(), 0).await.unwrap();
            }),
            Probe::run("Metadata", length, || async {
                metadata.send(&topics).await.unwrap();
            }),
            Probe::run("Heartbeat", length, || async {
                let answer = heartbeats.send(&heartbeat).await.unwrap();
                assert!(!answer.error_code.is_error(), "{}", answer.error_code);
            }),
            Probe::run("Fetch", length, || fetch(&fetches, &wanted, &calm)),
        );
        <[Probe; 4]>::from(probes)
    };
    let undisturbed = probe(UNDISTURBED).await;
    let Some(fault) = Fault::begin(&broker, &format!("fdatasync,fsync:delay_enter={}", STALL.as_micros()), None) else {
        return;
    };
    let mut pressing = JoinSet::new();
    press(&broker.address, &mut pressing);
    let (mut producer, begun) = (Producer::new(&cluster, Acks::All, Codec::None), Instant::now());
    producer.send("calm", 0, &[record(1000)]).await.unwrap();
    assert!(begun.elapsed() >= STALL, "the disk is not slow: {:?}", begun.elapsed());
    let stalled = probe(MEASURED).await;
    fault.end();
    pressing.shutdown().await;
    stalled.iter().zip(&undisturbed).for_each(|(stalled, undisturbed)| stalled.check(undisturbed));
}

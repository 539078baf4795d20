//! What an acknowledgement waits for, seen on a disk whose every fdatasync is slow.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Acks, Cluster, GroupConfig, GroupConsumer, Producer, StartOffset};
use protocol::records::Codec;

use crate::broker_process::{BrokerProcess, OTTLA};
use crate::restart::{create, record};

const SLOW: Duration = Duration::from_millis(700);

/// A broker whose fdatasync takes [`SLOW`], or nothing where strace is missing.
fn start_slow() -> Option<BrokerProcess> {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "strace is missing");
        eprintln!("skipped: strace is missing");
        return None;
    }
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let mut command = Command::new("strace");
    let inject = format!("inject=fdatasync:delay_enter={}", SLOW.as_micros());
    // -D: the broker stays our child, to be killed.
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &inject, OTTLA]);
    Some(BrokerProcess::start_through(command, directory))
}

async fn time_to_produce(cluster: &Cluster, topic: &str, acks: Acks) -> Duration {
    let mut producer = Producer::new(cluster, acks, Codec::None);
    // The first batch makes the files, whose names are flushed once.
    producer.send(topic, 0, &[record("first")]).await.unwrap();
    let begun = Instant::now();
    producer.send(topic, 0, &[record("second")]).await.unwrap();
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_all_waits_for_the_disk_unless_the_topic_says_otherwise() {
    let Some(broker) = start_slow() else { return };
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "safe", 1, &[]).await;
    create(&cluster, "fast", 1, &[("ottla.durability", "kafka")]).await;
    create(&cluster, "counted", 1, &[("flush.messages", "1")]).await;
    assert!(time_to_produce(&cluster, "safe", Acks::All).await >= SLOW);
    assert!(time_to_produce(&cluster, "safe", Acks::Leader).await < SLOW);
    assert!(time_to_produce(&cluster, "fast", Acks::All).await < SLOW);
    assert!(time_to_produce(&cluster, "counted", Acks::Leader).await >= SLOW);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_waits_for_the_disk() {
    let Some(broker) = start_slow() else { return };
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "read", 1, &[("ottla.durability", "kafka")]).await;
    Producer::new(&cluster, Acks::All, Codec::None).send("read", 0, &[record("a")]).await.unwrap();
    let config =
        GroupConfig { start: StartOffset::Earliest, commit_interval: None, ..GroupConfig::new("slow", &["read"]) };
    let mut member = GroupConsumer::new(&cluster, config);
    member.next(Duration::from_secs(30)).await.unwrap().unwrap();
    let begun = Instant::now();
    member.commit().await.unwrap();
    assert!(begun.elapsed() >= SLOW);
}

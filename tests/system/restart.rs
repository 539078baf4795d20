//! What was acknowledged is there after the broker has ended, however it ended.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use client::{
    Acks, Cluster, Consumer, GroupConfig, GroupConsumer, OutgoingRecord, Producer, StartOffset, TopicPartition,
    fetch_committed,
};
use protocol::messages::DeleteRecordsRequest;
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::records::Codec;

use crate::broker_process::{BrokerProcess, OTTLA};

pub(crate) fn record(value: &str) -> OutgoingRecord {
    OutgoingRecord { value: Some(value.to_string().into()), timestamp_ms: 1, ..Default::default() }
}

pub(crate) async fn create(cluster: &Cluster, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let configs = configs
        .iter()
        .map(|(name, value)| CreatableTopicConfig { name: name.to_string(), value: Some(value.to_string()) });
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert!(answer.topics.iter().all(|topic| !topic.error_code.is_error()), "{answer:?}");
}

/// Values in the partition, from the first to the last.
pub(crate) async fn values(cluster: &Cluster, topic: &str, partition: i32) -> Vec<String> {
    let mut consumer = Consumer::new(cluster);
    let partition = TopicPartition { topic: topic.into(), partition };
    consumer.assign(&[partition], StartOffset::Earliest).await.unwrap();
    let (mut values, mut expected) = (Vec::new(), None);
    while let Some(record) = consumer.next(Duration::from_secs(10)).await.unwrap() {
        assert_eq!(record.offset, expected.unwrap_or(record.offset), "records are missing");
        expected = Some(record.offset + 1);
        values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        if consumer.is_caught_up() {
            break;
        }
    }
    values
}

async fn fill(cluster: &Cluster) {
    create(
        cluster,
        "kept",
        2,
        &[("retention.ms", "86400000"), ("message.timestamp.before.max.ms", "9223372036854775807")],
    )
    .await;
    let mut producer = Producer::idempotent(cluster, Codec::Lz4).await.unwrap();
    for round in 0..20 {
        let records: Vec<_> = (0..5).map(|i| record(&format!("{}", round * 5 + i))).collect();
        producer.send("kept", 0, &records).await.unwrap();
    }
    let config =
        GroupConfig { start: StartOffset::Earliest, commit_interval: None, ..GroupConfig::new("readers", &["kept"]) };
    let mut member = GroupConsumer::new(cluster, config);
    for _ in 0..40 {
        member.next(Duration::from_secs(10)).await.unwrap().unwrap();
    }
    member.commit().await.unwrap();
    member.leave().await.unwrap();
}

async fn check(cluster: &Cluster) {
    let expected: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    assert_eq!(values(cluster, "kept", 0).await, expected);
    let committed = fetch_committed(cluster, "readers", None).await.unwrap();
    let offsets: BTreeMap<_, _> =
        committed.into_iter().map(|(partition, committed)| (partition, committed.offset)).collect();
    assert_eq!(offsets[&TopicPartition { topic: "kept".into(), partition: 0 }], 40);
    let resource = DescribeConfigsResource {
        resource_type: 2,
        resource_name: "kept".into(),
        configuration_keys: Some(vec!["retention.ms".into()]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert_eq!(answer.results[0].configs[0].value.as_deref(), Some("86400000"));
}

#[tokio::test]
async fn a_clean_stop_keeps_everything_and_says_so() {
    let mut broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    fill(&cluster).await;
    let topic_id = cluster.topic("kept").await.unwrap().id;
    assert_eq!(broker.stop().code(), Some(0));
    assert!(broker.data_dir().join(".kafka_cleanshutdown").exists());

    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_eq!(cluster.topic("kept").await.unwrap().id, topic_id);
    check(&cluster).await;
}

#[tokio::test]
async fn a_crash_keeps_everything_that_was_acknowledged() {
    let mut broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    fill(&cluster).await;
    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    check(&cluster).await;
    // And it goes on where it stopped.
    let written = Producer::new(&cluster, Acks::All, Codec::None).send("kept", 0, &[record("100")]).await.unwrap();
    assert_eq!(written.base_offset, 100);
}

#[tokio::test]
async fn deleted_topics_and_records_do_not_come_back() {
    let mut broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "doomed", 1, &[]).await;
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    producer.send("doomed", 0, &[record("a")]).await.unwrap();
    let ottla = |words: &[&str]| {
        let output = Command::new(OTTLA).args(words).args(["-b", &broker.address]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    ottla(&["topic", "delete", "doomed"]);
    create(&cluster, "doomed", 1, &[]).await;
    create(&cluster, "cut", 1, &[]).await;
    producer.send("cut", 0, &["a", "b", "c", "d", "e"].map(record)).await.unwrap();
    let cut = DeleteRecordsPartition { partition_index: 0, offset: 3 };
    let topics = vec![DeleteRecordsTopic { name: "cut".into(), partitions: vec![cut] }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 10_000 };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert_eq!(answer.topics[0].partitions[0].low_watermark, 3);
    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    let written = producer.send("doomed", 0, &[record("b")]).await.unwrap();
    assert_eq!(written.base_offset, 0, "the new topic began empty");
    assert_eq!(values(&cluster, "doomed", 0).await, ["b"]);
    assert_eq!(values(&cluster, "cut", 0).await, ["d", "e"]);
}

#[test]
fn two_brokers_do_not_share_a_directory() {
    let broker = BrokerProcess::start(&[]);
    let output = Command::new(OTTLA)
        .args(["--set", "listeners=PLAINTEXT://127.0.0.1:0"])
        .args(["--set", &format!("log.dirs={}", broker.data_dir().display())])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("in use"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_port_in_use_is_told_with_the_cure() {
    let broker = BrokerProcess::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(OTTLA)
        .args(["--set", &format!("listeners=PLAINTEXT://{}", broker.address)])
        .args(["--set", &format!("log.dirs={}", directory.path().join("data").display())])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains(&broker.address) && log.contains("is another broker running?"), "{log}");
}

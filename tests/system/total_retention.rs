//! One budget for all logs: what is oldest goes first, wherever it is, and readers of it are told.

use std::collections::BTreeMap;
use std::time::Instant;

use client::{
    Acks, Cluster, Consumer, FetchedRecord, OutgoingRecord, Producer, StartOffset, TopicPartition, list_offsets,
};
use protocol::ErrorCode;
use protocol::messages::DescribeLogDirsRequest;
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::records::Codec;

use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::compaction::now_ms;
use crate::full_disk;
use crate::restart::create;

const MIB: u64 = 1 << 20;
const KEY: &str = "ottla.log.retention.total.bytes";
/// Two of them fill the smallest segment there is.
const VALUE_BYTES: usize = 500_000;
/// Segments of two records each.
const SMALL: (&str, &str) = ("segment.bytes", "1048576");

fn place(topic: &str) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition: 0 }
}

/// Appends `count` records, each with a key of its own and a second younger than the one before.
pub(crate) async fn write(cluster: &Cluster, topic: &str, count: i64, first_ms: i64) {
    let mut producer = Producer::new(cluster, Acks::All, Codec::None);
    for i in 0..count {
        let record = OutgoingRecord {
            key: Some(format!("key {i}").into()),
            value: Some(vec![b'x'; VALUE_BYTES].into()),
            timestamp_ms: first_ms + i * 1000,
            ..Default::default()
        };
        producer.send(topic, 0, &[record]).await.unwrap();
    }
}

async fn start_of(cluster: &Cluster, topic: &str) -> i64 {
    list_offsets(cluster, &[place(topic)], StartOffset::Earliest).await.unwrap()[&place(topic)]
}

/// Bytes of each topic, as an operator sees them.
async fn sizes(cluster: &Cluster) -> BTreeMap<String, u64> {
    let request = DescribeLogDirsRequest { topics: None };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    let sizes = answer.results[0].topics.iter().map(|topic| {
        let bytes = topic.partitions.iter().map(|partition| partition.partition_size as u64).sum();
        (topic.name.clone(), bytes)
    });
    sizes.collect()
}

/// Waits until all logs together have at most `limit` bytes.
async fn await_total(broker: &BrokerProcess, cluster: &Cluster, limit: u64) {
    let begun = Instant::now();
    loop {
        let sizes = sizes(cluster).await;
        if sizes.values().sum::<u64>() <= limit {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{sizes:?} is more than {limit}:\n{}", broker.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn complaints(broker: &BrokerProcess) -> usize {
    broker.log().lines().filter(|line| line.contains("WARN") && line.contains(KEY)).count()
}

/// Sets one key of a topic (resource type 2) or broker (4).
pub(crate) async fn alter(cluster: &Cluster, resource_type: i8, name: &str, (key, value): (&str, &str)) -> ErrorCode {
    let config = AlterableConfig { name: key.into(), config_operation: 0, value: Some(value.into()) };
    let resource = AlterConfigsResource { resource_type, resource_name: name.into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    cluster.any().await.unwrap().send(&request).await.unwrap().responses[0].error_code
}

/// What a fetch of this offset is answered with.
pub(crate) async fn fetch_error(cluster: &Cluster, topic: &str, fetch_offset: i64) -> ErrorCode {
    let partition = FetchPartition { fetch_offset, partition_max_bytes: 1000, ..Default::default() };
    let topic = FetchTopic { topic: topic.into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { max_wait_ms: 100, min_bytes: 1, topics: vec![topic], ..Default::default() };
    let answer = cluster.any().await.unwrap().send_version(&request, 11).await.unwrap();
    answer.responses[0].partitions[0].error_code
}

/// Reads to the end, from where the reader was; answers the offsets that came.
pub(crate) async fn read_on(cluster: &Cluster, topic: &str, from: i64, end: i64) -> Vec<i64> {
    let mut consumer = Consumer::new(cluster);
    consumer.assign_at(BTreeMap::from([(place(topic), from)]), Some(StartOffset::Earliest));
    let mut offsets = Vec::new();
    while offsets.last() != Some(&(end - 1)) {
        let FetchedRecord { offset, .. } = consumer.next(DEADLINE).await.unwrap().expect("there is more");
        offsets.push(offset);
    }
    offsets
}

#[tokio::test]
async fn the_oldest_segments_of_all_topics_go_first() {
    let limit = 7 * MIB;
    let mut broker = BrokerProcess::start(&[&format!("{KEY}={limit}"), "offsets.topic.num.partitions=1"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    for topic in ["new", "old", "middle"] {
        create(&cluster, topic, 1, &[SMALL]).await;
    }
    create(&cluster, "compact", 1, &[SMALL, ("cleanup.policy", "compact")]).await;
    // Whatever was written last: what is old is said by the records.
    let hour_ms = 3_600_000;
    write(&cluster, "compact", 4, now_ms() - 100 * hour_ms).await;
    write(&cluster, "new", 6, now_ms() - hour_ms).await;
    write(&cluster, "old", 6, now_ms() - 9 * hour_ms).await;
    write(&cluster, "middle", 6, now_ms() - 5 * hour_ms).await;

    await_total(&broker, &cluster, limit).await;
    broker.await_line(&["INFO", "too large", "oldest segments are deleted"]);
    assert_eq!(start_of(&cluster, "compact").await, 0, "the oldest of all, and not to be deleted");
    assert_eq!(start_of(&cluster, "new").await, 0);
    assert_eq!(start_of(&cluster, "old").await, 4, "all but the active segment");
    assert_eq!(start_of(&cluster, "middle").await, 4, "as much as was too much");

    assert_eq!(fetch_error(&cluster, "old", 0).await, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(fetch_error(&cluster, "old", 4).await, ErrorCode::NONE);
    assert_eq!(read_on(&cluster, "old", 1, 6).await, [4, 5], "a reader that was behind goes on");
    assert_eq!(read_on(&cluster, "new", 0, 6).await, [0, 1, 2, 3, 4, 5]);

    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_eq!(start_of(&cluster, "old").await, 4, "what is deleted stays deleted");
    assert_eq!(read_on(&cluster, "middle", 0, 6).await, [4, 5]);
}

#[tokio::test]
async fn a_budget_set_while_running_is_kept_at_once_as_far_as_it_can_be() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "log", 1, &[SMALL]).await;
    write(&cluster, "log", 9, now_ms() - 60_000).await;
    assert_eq!(start_of(&cluster, "log").await, 0);
    assert_eq!(alter(&cluster, 4, "1", (KEY, "0%")).await, ErrorCode::INVALID_CONFIG);
    assert_eq!(alter(&cluster, 4, "1", (KEY, "3MiB")).await, ErrorCode::NONE);
    await_total(&broker, &cluster, 3 * MIB).await;
    assert_eq!(start_of(&cluster, "log").await, 4);
    assert_eq!(complaints(&broker), 0, "{}", broker.log());

    assert_eq!(alter(&cluster, 4, "1", (KEY, "1000")).await, ErrorCode::NONE);
    broker.await_line(&["WARN", KEY, "segment.bytes", "raise the limit"]);
    assert_eq!(start_of(&cluster, "log").await, 8, "the active segment stays");
    assert_eq!(read_on(&cluster, "log", 0, 9).await, [8]);
    write(&cluster, "log", 8, now_ms()).await;
    await_total(&broker, &cluster, MIB).await;
    assert_eq!(complaints(&broker), 1, "said once:\n{}", broker.log());
}

#[tokio::test]
async fn a_share_of_a_small_volume_keeps_producers_going() {
    let broker = full_disk::start(&format!("--set {KEY}=50%"));
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "log", 1, &[SMALL]).await;
    write(&cluster, "log", 40, now_ms() - 60_000).await;
    // Half of 8 MB.
    await_total(&broker, &cluster, 4 * MIB).await;
    assert!(start_of(&cluster, "log").await >= 32);
    let newest = read_on(&cluster, "log", 0, 40).await;
    assert!(newest.len() >= 6, "no more than needed is deleted: {newest:?}");
}

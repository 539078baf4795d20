//! Our own client against the broker: what the tools do not show.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::time::{Duration, Instant};

use client::{
    Acks, Cluster, Consumer, GroupConfig, GroupConsumer, OutgoingRecord, Producer, StartOffset, TopicPartition,
    fetch_committed, list_offsets,
};
use process::{Broker, DEADLINE};
use protocol::ErrorCode;
use protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use protocol::records::Codec;

const SHORT: Duration = Duration::from_millis(50);

fn record(timestamp_ms: i64, value: impl ToString) -> OutgoingRecord {
    OutgoingRecord { value: Some(value.to_string().into()), timestamp_ms, ..Default::default() }
}

/// A cluster with topic `t`.
async fn cluster_with_topic(broker: &Broker, partitions: i32) -> Cluster {
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let topic =
        CreatableTopic { name: "t".into(), num_partitions: partitions, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let answer = cluster.admin(&request, |answer| answer.topics[0].error_code).await.unwrap();
    assert_eq!(answer.topics[0].error_code, ErrorCode::NONE);
    cluster
}

async fn read(consumer: &mut Consumer, count: usize) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    while found.len() < count {
        let record = consumer.next(DEADLINE).await.unwrap().expect("a record within the deadline");
        found.push((record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
    }
    found
}

fn pairs(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(offset, value)| (*offset, value.to_string())).collect()
}

#[tokio::test]
async fn a_restart_is_survived_by_everybody() {
    let mut broker = Broker::start(&[]);
    let cluster = cluster_with_topic(&broker, 1).await;
    let mut producer = Producer::idempotent(&cluster, Codec::Zstd).await.unwrap();
    let mut consumer = Consumer::new(&cluster);
    consumer.assign(&[TopicPartition::new("t", 0)], StartOffset::Earliest).await.unwrap();
    producer.send("t", 0, &[record(1, "a"), record(1, "b")]).await.unwrap();
    assert_eq!(read(&mut consumer, 2).await, pairs(&[(0, "a"), (1, "b")]));

    broker.restart();
    let written = producer.send("t", 0, &[record(2, "c")]).await.unwrap();
    assert_eq!(written.base_offset, 2, "the sequence goes on where it was");
    assert_eq!(read(&mut consumer, 1).await, pairs(&[(2, "c")]));
}

#[tokio::test]
async fn offsets_are_found_by_time_and_reading_goes_on_where_records_are() {
    let broker = Broker::start(&[]);
    let cluster = cluster_with_topic(&broker, 1).await;
    let place = TopicPartition::new("t", 0);
    let places = std::slice::from_ref(&place);
    let mut producer = Producer::new(&cluster, Acks::All, Codec::Lz4);
    for value in 0..6 {
        producer.send("t", 0, &[record(1000 + 100 * value, value)]).await.unwrap();
    }
    for (start, offset) in [
        (StartOffset::Earliest, 0),
        (StartOffset::Time(0), 0),
        (StartOffset::Time(1150), 2),
        (StartOffset::Time(1500), 5),
        (StartOffset::Time(9999), 6),
        (StartOffset::Latest, 6),
    ] {
        assert_eq!(list_offsets(&cluster, places, start).await.unwrap()[&place], offset, "{start:?}");
    }

    let partition = DeleteRecordsPartition { partition_index: 0, offset: 4 };
    let topic = DeleteRecordsTopic { name: "t".into(), partitions: vec![partition] };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 10_000 };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::NONE);
    let mut consumer = Consumer::new(&cluster);
    consumer.assign_at([(place.clone(), 1)].into(), Some(StartOffset::Earliest));
    assert_eq!(read(&mut consumer, 2).await, pairs(&[(4, "4"), (5, "5")]));
    assert!(consumer.is_caught_up());
    consumer.assign(places, StartOffset::At(1)).await.unwrap();
    let failed = consumer.next(DEADLINE).await.unwrap_err();
    assert_eq!(failed.code(), Some(ErrorCode::OFFSET_OUT_OF_RANGE));
}

#[tokio::test]
async fn a_group_notices_that_its_topic_has_grown_and_commits_what_it_gave_out() {
    let broker = Broker::start(&[]);
    let cluster = cluster_with_topic(&broker, 1).await;
    let config = GroupConfig {
        start: StartOffset::Earliest,
        heartbeat_interval: SHORT,
        metadata_interval: SHORT,
        commit_interval: None,
        ..GroupConfig::new("g", &["t"])
    };
    let mut member = GroupConsumer::new(&cluster, config);
    assert_eq!(member.next(SHORT).await.unwrap(), None);
    assert_eq!(member.assignment().count(), 1);
    let generation = member.generation_id();

    let topic = CreatePartitionsTopic { name: "t".into(), count: 3, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = cluster.admin(&request, |answer| answer.results[0].error_code).await.unwrap();
    assert_eq!(answer.results[0].error_code, ErrorCode::NONE);
    let begun = Instant::now();
    while member.assignment().count() < 3 {
        assert_eq!(member.next(SHORT).await.unwrap(), None);
        assert!(begun.elapsed() < DEADLINE, "still {} partitions", member.assignment().count());
    }
    assert!(member.generation_id() > generation);

    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    producer.send("t", 2, &[record(1, "a"), record(1, "b")]).await.unwrap();
    let record = member.next(DEADLINE).await.unwrap().unwrap();
    assert_eq!((record.partition, record.offset), (2, 0));
    member.commit().await.unwrap();
    let committed = fetch_committed(&cluster, "g", None).await.unwrap();
    assert_eq!(committed[&TopicPartition::new("t", 2)].offset, 1, "the second record has not been given out");
    member.leave().await.unwrap();
    let committed = fetch_committed(&cluster, "g", Some(&[TopicPartition::new("t", 2)])).await.unwrap();
    assert_eq!(committed.values().map(|committed| committed.offset).collect::<Vec<_>>(), [1], "it was told not to");
}

#[tokio::test]
async fn a_static_member_comes_back_without_a_rebalance() {
    let broker = Broker::start(&[]);
    let cluster = cluster_with_topic(&broker, 2).await;
    let config = GroupConfig { group_instance_id: Some("one".into()), ..GroupConfig::new("g", &["t"]) };
    let mut member = GroupConsumer::new(&cluster, config.clone());
    assert_eq!(member.next(SHORT).await.unwrap(), None);
    let (generation, first_id) = (member.generation_id(), member.member_id().to_string());
    member.leave().await.unwrap();

    let mut member = GroupConsumer::new(&cluster, config);
    assert_eq!(member.next(SHORT).await.unwrap(), None);
    assert_eq!((member.generation_id(), member.assignment().count()), (generation, 2));
    assert_ne!(member.member_id(), first_id);
}

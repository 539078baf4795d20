//! Quotas as clients meet them: what they are told, for how long nobody listens to them, and what stays after a crash.

use std::time::{Duration, Instant};

use client::{Cluster, Connection};
use protocol::ErrorCode;
use protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, OpData, RequestedEntityData, RequestedEntryData,
};
use protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use protocol::messages::describe_client_quotas::{ComponentData, DescribeClientQuotasRequest};
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use protocol::messages::metadata::MetadataRequest;
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use protocol::records::BatchBuilder;
use protocol::wire::Records;

use crate::broker_process::BrokerProcess;
use crate::metrics::scrape;
use crate::restart::create;

/// The windows of the default configuration: ten that are over, and one that is not.
const FULL_WINDOWS_MS: f64 = 10_000.0;
const ALL_WINDOWS_MS: f64 = 11_000.0;
/// Produce and Fetch by topic names.
const BY_NAME: i16 = 12;
const ANY_MATCH: i8 = 2;

type Entity = [(&'static str, Option<&'static str>)];

async fn set(cluster: &Cluster, entity: &Entity, key: &str, limit: f64) {
    let part = |(kind, name): &(&str, Option<&str>)| RequestedEntityData {
        entity_type: (*kind).into(),
        entity_name: name.map(str::to_owned),
    };
    let ops = vec![OpData { key: key.into(), value: limit, remove: false }];
    let entries = vec![RequestedEntryData { entity: entity.iter().map(part).collect(), ops }];
    let request = AlterClientQuotasRequest { entries, validate_only: false };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert_eq!(answer.entries[0].error_code, ErrorCode::NONE, "{:?}", answer.entries[0].error_message);
}

async fn connect(broker: &BrokerProcess, client_id: &str) -> Connection {
    Connection::connect(&broker.address, client_id).await.unwrap()
}

fn produce_request(topic: &str, bytes: usize, acks: i16) -> ProduceRequest {
    let mut batch = BatchBuilder::new(0);
    batch.append(1, None, Some(&vec![b'x'; bytes]), &[]);
    let partition = PartitionProduceData { index: 0, records: Some(Records::from(batch.build().freeze())) };
    let topic = TopicProduceData { name: topic.into(), partition_data: vec![partition], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
}

async fn produce(connection: &Connection, topic: &str, bytes: usize) -> ProduceResponse {
    let answer = connection.send_version(&produce_request(topic, bytes, 1), BY_NAME).await.unwrap();
    assert_eq!(answer.responses[0].partition_responses[0].error_code, ErrorCode::NONE);
    answer
}

async fn fetch(connection: &Connection, topic: &str, offset: i64) -> FetchResponse {
    let partition = FetchPartition { fetch_offset: offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: topic.into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { min_bytes: 1, max_bytes: 1 << 20, topics: vec![topic], ..Default::default() };
    connection.send_version(&request, BY_NAME).await.unwrap()
}

/// Sends a request that has nothing to do, to somebody who was told at some time after `since` to be silent for so long.
async fn is_silent(connection: &Connection, since: Instant, throttle_time_ms: i32) -> Duration {
    let told = Duration::from_millis(u64::try_from(throttle_time_ms).unwrap());
    connection.send(&MetadataRequest { topics: Some(Vec::new()), ..Default::default() }).await.unwrap();
    let after = since.elapsed();
    assert!(after >= told, "told to be silent for {told:?}, listened to after {after:?}");
    told
}

/// `/metrics` has the usage of a client, above 0.
fn assert_told(broker: &BrokerProcess, resource: &str, what: &[&str], user: &str, client_id: &str) {
    let samples = scrape(broker);
    for what in what {
        let sample = format!("kafka_server_{resource}_{what}{{user=\"{user}\",client_id=\"{client_id}\"}}");
        assert!(samples.0.get(&sample).is_some_and(|value| *value > 0.0), "{sample}: {:?}", samples.0.get(&sample));
    }
}

/// The delays are those that bring the rate back to the limit, whatever the machine's speed.
#[tokio::test]
async fn a_producer_is_slowed_down_to_its_quota() {
    const LIMIT: f64 = 200_000.0;
    const BYTES: usize = 400_000;
    let broker = BrokerProcess::start(&["connections.max.idle.ms=500"]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    create(&cluster, "t", 1, &[]).await;
    set(&cluster, &[("client-id", Some("slow"))], "producer_byte_rate", LIMIT).await;
    let slow = connect(&broker, "slow").await;
    let begun = Instant::now();
    let (mut sent, mut delays) = (0.0, Vec::new());
    while delays.len() < 2 {
        let since = Instant::now();
        let answer = produce(&slow, "t", BYTES).await;
        sent += BYTES as f64;
        let told_ms = f64::from(answer.throttle_time_ms);
        // What is not in the batch is a header of less than 1 KB in each request.
        let owed_ms = sent / LIMIT * 1000.0;
        assert!(told_ms >= owed_ms - ALL_WINDOWS_MS - begun.elapsed().as_millis() as f64, "{told_ms} of {owed_ms}");
        assert!(told_ms <= (owed_ms * 1.01 - FULL_WINDOWS_MS).max(0.0), "{told_ms} of {owed_ms}");
        if answer.throttle_time_ms > 0 {
            let told = is_silent(&slow, since, answer.throttle_time_ms).await;
            assert!(told > Duration::from_millis(500), "longer than an idle connection lives: {told:?}");
            delays.push(told);
        }
    }
    assert_eq!(produce(&connect(&broker, "free").await, "t", BYTES).await.throttle_time_ms, 0);
    let samples = scrape(&broker);
    let labels = "{user=\"\",client_id=\"slow\"}";
    assert_told(&broker, "produce", &["byte_rate"], "", "slow");
    let mean_ms = delays.iter().sum::<Duration>().as_secs_f64() * 1000.0 / delays.len() as f64;
    assert!((samples.0[&format!("kafka_server_produce_throttle_time{labels}")] - mean_ms).abs() < 1.0);
}

/// Who asks for no answer cannot be told, and is not listened to all the same.
#[tokio::test]
async fn a_producer_without_acks_waits_too() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    create(&cluster, "t", 1, &[]).await;
    set(&cluster, &[("user", None)], "producer_byte_rate", 10_000.0).await;
    let slow = connect(&broker, "any").await;
    let since = Instant::now();
    slow.send_silent(&produce_request("t", 110_000, 0), BY_NAME).await.unwrap();
    // 110 KB at 10 KB/s, of which 100 KB may come at once.
    is_silent(&slow, since, 1_000).await;
}

/// A consumer above its quota gets nothing, and later all of it.
#[tokio::test]
async fn a_consumer_is_slowed_down_to_its_quota() {
    const LIMIT: f64 = 50_000.0;
    const BYTES: usize = 240_000;
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    create(&cluster, "t", 1, &[]).await;
    for _ in 0..3 {
        produce(&connect(&broker, "producer").await, "t", BYTES).await;
    }
    set(&cluster, &[("client-id", None)], "consumer_byte_rate", LIMIT).await;
    let slow = connect(&broker, "slow").await;
    let (mut offset, mut read, mut withheld) = (0, 0.0, 0);
    while offset < 3 {
        let since = Instant::now();
        let answer = fetch(&slow, "t", offset).await;
        assert_eq!(answer.error_code, ErrorCode::NONE);
        let Some(topic) = answer.responses.first() else {
            assert!(answer.throttle_time_ms > 0, "an empty answer says why");
            let told = is_silent(&slow, since, answer.throttle_time_ms).await;
            // Had it been sent, there would be as much too much.
            let owed_ms = (read + BYTES as f64) / LIMIT * 1000.0;
            assert!(told.as_millis() as f64 <= owed_ms * 1.01 - FULL_WINDOWS_MS, "{told:?} of {owed_ms}");
            withheld += 1;
            continue;
        };
        let bytes = topic.partitions[0].records.as_ref().map_or(0, |records| records.len());
        assert!(bytes >= BYTES, "{bytes} bytes from {offset}");
        read += bytes as f64;
        offset += (bytes / BYTES) as i64;
    }
    assert!(withheld > 0, "three times {BYTES} bytes are more than 10 s of {LIMIT}");
    assert_told(&broker, "fetch", &["byte_rate", "throttle_time"], "", "slow");
    assert_eq!(fetch(&connect(&broker, "").await, "t", 0).await.throttle_time_ms, 0, "no client id, no quota by it");
}

/// A batch that is larger than all the quota gives is read all the same.
#[tokio::test]
async fn a_batch_above_every_quota_is_read_in_the_end() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    create(&cluster, "t", 1, &[]).await;
    produce(&connect(&broker, "producer").await, "t", 30_000).await;
    set(&cluster, &[("client-id", Some("slow"))], "consumer_byte_rate", 1_000.0).await;
    let answer = fetch(&connect(&broker, "slow").await, "t", 0).await;
    assert!(answer.responses[0].partitions[0].records.as_ref().is_some_and(|records| records.len() > 30_000));
    assert!(answer.throttle_time_ms > 15_000, "{}", answer.throttle_time_ms);
}

/// KIP-599: newer clients are refused and know that they may try again, older ones are served and silent then.
#[tokio::test]
async fn partitions_are_created_and_deleted_at_a_rate() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    let topics = |name: &str, partitions| CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        }],
        timeout_ms: 10_000,
        validate_only: false,
    };
    set(&cluster, &[("client-id", Some("maker"))], "controller_mutation_rate", 2.0).await;
    // A bucket of 11 windows, of which more may be taken than there is.
    let answer = connect(&broker, "maker").await.send_version(&topics("first", 32), 7).await.unwrap();
    assert_eq!((answer.topics[0].error_code, answer.throttle_time_ms), (ErrorCode::NONE, 0));
    let answer = connect(&broker, "maker").await.send_version(&topics("second", 1), 7).await.unwrap();
    assert_eq!(answer.topics[0].error_code, ErrorCode::THROTTLING_QUOTA_EXCEEDED);
    assert!((1..=5_000).contains(&answer.throttle_time_ms), "10 too many at 2/s: {}", answer.throttle_time_ms);

    let more = CreatePartitionsTopic { name: "first".into(), count: 33, assignments: None };
    let more = CreatePartitionsRequest { topics: vec![more], timeout_ms: 10_000, validate_only: false };
    let answer = connect(&broker, "maker").await.send_version(&more, 3).await.unwrap();
    assert_eq!(answer.results[0].error_code, ErrorCode::THROTTLING_QUOTA_EXCEEDED);
    let gone = DeleteTopicState { name: Some("first".into()), ..Default::default() };
    let gone = DeleteTopicsRequest { topics: vec![gone], timeout_ms: 10_000, ..Default::default() };
    let answer = connect(&broker, "maker").await.send_version(&gone, 6).await.unwrap();
    assert_eq!(answer.responses[0].error_code, ErrorCode::THROTTLING_QUOTA_EXCEEDED);
    assert!(answer.throttle_time_ms > 0);

    let answer = connect(&broker, "maker").await.send_version(&topics("second", 10), 5).await.unwrap();
    assert_eq!(answer.topics[0].error_code, ErrorCode::NONE, "version 5 knows no such error");
    assert!(answer.throttle_time_ms > 5_000, "{}", answer.throttle_time_ms);
    let answer = connect(&broker, "other").await.send_version(&gone, 6).await.unwrap();
    assert_eq!(answer.responses[0].error_code, ErrorCode::NONE);
    assert_told(&broker, "controllermutation", &["mutation_rate", "throttle_time"], "", "maker");
    assert!(scrape(&broker).0["kafka_server_controllermutation_tokens{user=\"\",client_id=\"maker\"}"] < 0.0);
}

/// Of time a client is told at most one window at once.
#[tokio::test]
async fn time_is_limited_too() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    set(&cluster, &[("user", Some("ANONYMOUS")), ("client-id", Some("busy"))], "request_percentage", 0.000_01).await;
    let busy = connect(&broker, "busy").await;
    let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    let since = Instant::now();
    let answer = busy.send(&request).await.unwrap();
    assert_eq!(answer.throttle_time_ms, 1_000);
    is_silent(&busy, since, answer.throttle_time_ms).await;
    assert_told(&broker, "request", &["request_time", "throttle_time"], "ANONYMOUS", "busy");
    let answer = connect(&broker, "idle").await.send(&request).await.unwrap();
    assert_eq!(answer.throttle_time_ms, 0);
}

#[tokio::test]
async fn an_address_opens_connections_at_a_rate() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    cluster.any().await.unwrap();
    set(&cluster, &[("ip", None)], "connection_creation_rate", 1.0).await;
    let mut refused = 0;
    // Ten at once are one per second.
    for _ in 0..13 {
        refused += i32::from(Connection::connect(&broker.address, "many").await.is_err());
    }
    assert!((1..=3).contains(&refused), "{refused} of 13 refused");
    broker.await_line(&["WARN", "connection refused", "connection_creation_rate"]);
    assert_eq!(scrape(&broker).0["ottla_connections_throttled_total"], f64::from(refused));
}

/// What was set is in force after a crash, from the log and from a snapshot of it.
#[tokio::test]
async fn quotas_survive_a_crash() {
    let mut broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    create(&cluster, "t", 1, &[]).await;
    set(&cluster, &[("client-id", Some("slow"))], "producer_byte_rate", 1_000.0).await;
    set(&cluster, &[("user", Some("ANONYMOUS")), ("client-id", None)], "request_percentage", 12.345_678_9).await;
    let described = async |cluster: &Cluster| {
        let component = ComponentData { entity_type: "client-id".into(), match_type: ANY_MATCH, ..Default::default() };
        let request = DescribeClientQuotasRequest { components: vec![component], strict: false };
        cluster.any().await.unwrap().send(&request).await.unwrap().entries.unwrap()
    };
    let before = described(&cluster).await;
    assert_eq!(before.len(), 2);
    for ending in ["crash", "stop"] {
        match ending {
            "crash" => broker.crash(),
            _ => assert!(broker.stop().success()),
        }
        broker = broker.restart();
        let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
        assert_eq!(described(&cluster).await, before, "after a {ending}");
        let answer = produce(&connect(&broker, "slow").await, "t", 20_000).await;
        assert!(answer.throttle_time_ms > 0, "after a {ending}");
    }
}

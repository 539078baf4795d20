//! What clients measure of themselves, from the subscription to `/metrics` (KIP-714).

use std::time::{Duration, Instant};

use client::{Cluster, Connection};
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::get_telemetry_subscriptions::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
};
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::messages::list_config_resources::ListConfigResourcesRequest;
use protocol::messages::push_telemetry::PushTelemetryRequest;
use protocol::records::{Codec, compress};
use protocol::{ErrorCode, Uuid};

use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::metrics::scrape;

const CLIENT_METRICS: i8 = 16;
const SET: i8 = 0;
const DELETE: i8 = 1;
const COUNTER: &str = "org.apache.kafka.producer.record.send.total";

async fn alter(cluster: &Cluster, name: &str, settings: &[(&str, Option<&str>)]) -> ErrorCode {
    let config = |(key, value): &(&str, Option<&str>)| AlterableConfig {
        name: (*key).into(),
        config_operation: if value.is_some() { SET } else { DELETE },
        value: value.map(str::to_owned),
    };
    let configs = settings.iter().map(config).collect();
    let resource = AlterConfigsResource { resource_type: CLIENT_METRICS, resource_name: name.into(), configs };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    cluster.any().await.unwrap().send(&request).await.unwrap().responses[0].error_code
}

async fn list(cluster: &Cluster) -> Vec<String> {
    let request = ListConfigResourcesRequest { resource_types: vec![CLIENT_METRICS] };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    answer.config_resources.into_iter().map(|resource| resource.resource_name).collect()
}

async fn described(cluster: &Cluster, name: &str) -> Vec<(String, String, i8)> {
    let resource =
        DescribeConfigsResource { resource_type: CLIENT_METRICS, resource_name: name.into(), configuration_keys: None };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let mut answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    let configs = answer.results.remove(0).configs.into_iter();
    configs.map(|row| (row.name, row.value.unwrap_or_default(), row.config_source)).collect()
}

async fn connect(broker: &BrokerProcess, client_id: &str) -> Connection {
    Connection::connect(&broker.address, client_id).await.unwrap()
}

async fn ask(connection: &Connection, client_instance_id: Uuid) -> GetTelemetrySubscriptionsResponse {
    connection.send(&GetTelemetrySubscriptionsRequest { client_instance_id }).await.unwrap()
}

async fn push(connection: &Connection, push: &PushTelemetryRequest) -> ErrorCode {
    connection.send(push).await.unwrap().error_code
}

/// A protobuf field of bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    [&field[..], content].concat()
}

/// A counter that has grown by `value`.
fn counter(metric: &str, attributes: &[(&str, &str)], value: f64) -> Vec<u8> {
    let text = |number, text: &str| field(number, text.as_bytes());
    let pair = |(key, value): &(&str, &str)| field(7, &[text(1, key), field(2, &text(1, value))].concat());
    let attributes: Vec<u8> = attributes.iter().flat_map(pair).collect();
    let point = [&attributes[..], &[4 << 3 | 1], &value.to_le_bytes()].concat();
    let delta_and_monotonic = [2 << 3, 1, 3 << 3, 1];
    let sum = [field(1, &point), delta_and_monotonic.to_vec()].concat();
    field(2, &[text(1, metric), field(7, &sum)].concat())
}

/// What a client pushes whose counter has grown by `value`.
fn payload(metric: &str, value: f64) -> Vec<u8> {
    field(1, &field(2, &counter(metric, &[], value)))
}

fn of(granted: &GetTelemetrySubscriptionsResponse, codec: Codec, metrics: &[u8]) -> PushTelemetryRequest {
    PushTelemetryRequest {
        client_instance_id: granted.client_instance_id,
        subscription_id: granted.subscription_id,
        compression_type: codec as i8,
        metrics: compress(codec, None, metrics).into(),
        ..Default::default()
    }
}

/// Asks until the broker finds that it is time.
async fn ask_in_time(connection: &Connection, id: Uuid) -> GetTelemetrySubscriptionsResponse {
    let begun = Instant::now();
    loop {
        let granted = ask(connection, id).await;
        if granted.error_code != ErrorCode::THROTTLING_QUOTA_EXCEEDED {
            return granted;
        }
        assert!(begun.elapsed() < DEADLINE, "still too early");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_a_client_pushes_is_told_while_it_lasts() {
    let mut broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    let connection = connect(&broker, "orders").await;
    let nothing = ask(&connection, Uuid::ZERO).await;
    assert_eq!((nothing.error_code, nothing.push_interval_ms), (ErrorCode::NONE, 300_000));
    assert!(nothing.requested_metrics.is_empty() && !nothing.client_instance_id.is_zero());
    assert_eq!(nothing.accepted_compression_types, [4, 3, 1, 2]);
    assert!(nothing.delta_temporality);
    assert_eq!(nothing.telemetry_max_bytes, 1_048_576);
    assert_eq!(ask(&connection, nothing.client_instance_id).await.error_code, ErrorCode::THROTTLING_QUOTA_EXCEEDED);

    let settings = [("metrics", "org.apache.kafka.producer."), ("interval.ms", "100"), ("match", "client_id=ord.*")];
    let settings = settings.map(|(key, value)| (key, Some(value)));
    assert_eq!(alter(&cluster, "producers", &settings).await, ErrorCode::NONE);
    let id = nothing.client_instance_id;
    let granted = ask(&connection, id).await;
    assert_eq!(
        (granted.push_interval_ms, &*granted.requested_metrics),
        (100, &["org.apache.kafka.producer.".to_owned()][..])
    );
    assert_eq!(granted.client_instance_id, id);
    assert_ne!(granted.subscription_id, nothing.subscription_id);
    assert!(ask(&connect(&broker, "others").await, Uuid::ZERO).await.requested_metrics.is_empty());

    let mut expected = 0.0;
    for codec in Codec::ALL {
        let granted = ask_in_time(&connection, id).await;
        assert_eq!(push(&connection, &of(&granted, codec, &payload(COUNTER, 5.0))).await, ErrorCode::NONE, "{codec:?}");
        expected += 5.0;
    }
    let sample = format!("ottla_client_producer_record_send_total{{client_id=\"orders\",client_instance_id=\"{id}\"}}");
    let told = scrape(&broker);
    assert_eq!(told.value(&sample), expected);
    assert_eq!(told.value("ottla_telemetry_series"), 1.0);
    assert_eq!(told.value("ottla_telemetry_clients"), 1.0);
    assert!(told.value("ottla_memory_used_bytes{budget=\"client_metrics\"}") > 100.0);

    let begun = Instant::now();
    while scrape(&broker).value("kafka_server_client_metrics_instance_count") != 1.0 {
        assert!(begun.elapsed() < DEADLINE, "the others' connection is gone, and so should be what is known of them");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let good_bye = PushTelemetryRequest { terminating: true, ..of(&granted, Codec::Zstd, &payload(COUNTER, 1.0)) };
    assert_eq!(push(&connection, &good_bye).await, ErrorCode::NONE);
    assert_eq!(push(&connection, &good_bye).await, ErrorCode::INVALID_REQUEST);
    assert_eq!(scrape(&broker).value(&sample), expected + 1.0, "the last push is still told");

    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    assert_eq!(list(&cluster).await, ["producers"]);
    assert!(described(&cluster, "producers").await.contains(&("interval.ms".into(), "100".into(), 7)));
    assert_eq!(ask(&connect(&broker, "orders").await, id).await.subscription_id, granted.subscription_id);
    let settings = settings.map(|(key, _)| (key, None));
    assert_eq!(alter(&cluster, "producers", &settings).await, ErrorCode::NONE);
    assert_eq!(list(&cluster).await, Vec::<String>::new(), "without settings there is no subscription");
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_and_counted() {
    let broker = BrokerProcess::start(&["telemetry.max.bytes=2000", "ottla.metrics.clients.bytes=4000"]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    for (key, value, error) in [
        ("interval.ms", "99", ErrorCode::INVALID_REQUEST),
        ("interval.ms", "soon", ErrorCode::INVALID_CONFIG),
        ("match", "user=me", ErrorCode::INVALID_CONFIG),
        ("no.such.key", "1", ErrorCode::INVALID_REQUEST),
    ] {
        assert_eq!(alter(&cluster, "m", &[(key, Some(value))]).await, error, "{key}={value}");
    }
    assert_eq!(alter(&cluster, "m", &[("metrics", Some("*")), ("interval.ms", Some("100"))]).await, ErrorCode::NONE);

    let connection = connect(&broker, "c").await;
    let granted = ask(&connection, Uuid::ZERO).await;
    assert_eq!(granted.telemetry_max_bytes, 2000);
    let bomb = vec![0; 32 << 20];
    let too_long = vec![0; 2001];
    for (codec, metrics, error) in [
        (Codec::Zstd, &bomb, ErrorCode::TELEMETRY_TOO_LARGE),
        (Codec::None, &too_long, ErrorCode::TELEMETRY_TOO_LARGE),
        (Codec::None, &b"no such thing".to_vec(), ErrorCode::INVALID_RECORD),
        (Codec::None, &Vec::new(), ErrorCode::NONE),
    ] {
        let granted = ask_in_time(&connection, granted.client_instance_id).await;
        assert_eq!(push(&connection, &of(&granted, codec, metrics)).await, error);
    }
    // Who is asked for an hour's silence cannot be late.
    assert_eq!(alter(&cluster, "m", &[("interval.ms", Some("3600000"))]).await, ErrorCode::NONE);
    let granted = ask_in_time(&connection, granted.client_instance_id).await;
    let stale = PushTelemetryRequest { subscription_id: 1, ..of(&granted, Codec::None, &[]) };
    assert_eq!(push(&connection, &stale).await, ErrorCode::UNKNOWN_SUBSCRIPTION_ID);
    assert_eq!(push(&connection, &stale).await, ErrorCode::THROTTLING_QUOTA_EXCEEDED);
    assert_eq!(alter(&cluster, "m", &[("interval.ms", Some("100"))]).await, ErrorCode::NONE);
    let granted = ask_in_time(&connection, granted.client_instance_id).await;
    let strange = PushTelemetryRequest { compression_type: 9, ..of(&granted, Codec::None, &[]) };
    assert_eq!(push(&connection, &strange).await, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    let nobody = PushTelemetryRequest { client_instance_id: Uuid::ZERO, ..strange };
    assert_eq!(push(&connection, &nobody).await, ErrorCode::INVALID_REQUEST);

    // More clients than there is room for: those that came first leave.
    let mut connections = Vec::new();
    for number in 0..20 {
        let connection = connect(&broker, &format!("client-{number}")).await;
        let granted = ask(&connection, Uuid::ZERO).await;
        assert_eq!(push(&connection, &of(&granted, Codec::Lz4, &payload(COUNTER, 1.0))).await, ErrorCode::NONE);
        connections.push(connection);
    }
    let told = scrape(&broker);
    let series = told.value("ottla_telemetry_series");
    assert!((1.0..20.0).contains(&series), "{series}");
    assert_eq!(told.value("ottla_telemetry_dropped_total{reason=\"evicted\"}"), 20.0 - series);
    assert!(told.value("ottla_memory_used_bytes{budget=\"client_metrics\"}") <= 4000.0);
    assert_eq!(told.value("ottla_memory_budget_bytes{budget=\"client_metrics\"}"), 4000.0);
    assert_eq!(told.value("kafka_server_client_metrics_unknown_subscription_request_count"), 1.0);
    assert!(told.value("kafka_server_client_metrics_throttle_count") >= 1.0);
    assert_eq!(told.value("kafka_server_client_metrics_instance_count"), 21.0);
}

#[tokio::test]
async fn what_is_kept_takes_no_more_memory_than_it_says() {
    const BUDGET: u64 = 4 << 20;
    let broker = BrokerProcess::start(&[&format!("ottla.metrics.clients.bytes={BUDGET}")]);
    let cluster = Cluster::connect(&broker.address, "admin").await.unwrap();
    assert_eq!(alter(&cluster, "m", &[("metrics", Some("*"))]).await, ErrorCode::NONE);
    let metrics = |client: usize| {
        let metric = |number: usize| {
            let (metric, topic) = (number % 30, format!("topic-{}", number / 30));
            let attributes = [("topic", &*topic), ("partition", "0"), ("group_id", "orders")];
            counter(&format!("org.apache.kafka.consumer.some.metric.{metric}.total"), &attributes, client as f64)
        };
        field(1, &field(2, &(0..300).flat_map(metric).collect::<Vec<_>>()))
    };
    let mut before = 0;
    for client in 0..150 {
        let connection = connect(&broker, &format!("client-{client}")).await;
        let granted = ask(&connection, Uuid::ZERO).await;
        assert_eq!(push(&connection, &of(&granted, Codec::Zstd, &metrics(client))).await, ErrorCode::NONE);
        if client == 0 {
            before = broker.anonymous_bytes();
        }
    }
    let told = scrape(&broker);
    let used = told.value("ottla_memory_used_bytes{budget=\"client_metrics\"}");
    assert!(used > BUDGET as f64 * 0.9 && used <= BUDGET as f64, "{used}");
    assert!(told.value("ottla_telemetry_dropped_total{reason=\"evicted\"}") > 0.0);
    let grown = broker.anonymous_bytes().saturating_sub(before);
    let (series, clients) = (told.value("ottla_telemetry_series"), told.value("ottla_telemetry_clients"));
    println!("{series} series of {clients} clients count as {used} bytes; the process grew by {grown}");
    // Connections, requests and a scrape take some as well.
    assert!(grown <= BUDGET * 2 + (6 << 20), "{grown}");
}

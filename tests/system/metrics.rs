//! What Prometheus finds: names, values, limits, and what a scrape costs.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use client::{Acks, Cluster, Consumer, GroupConfig, GroupConsumer, Producer, StartOffset, TopicPartition};
use protocol::ErrorCode;
use protocol::records::Codec;

use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::http_client::get;
use crate::restart::{create, record};
use crate::transactional::{Transactional, Understanding};

const MIB: u64 = 1 << 20;

/// Samples by name and labels, as written.
pub(crate) struct Samples(pub(crate) BTreeMap<String, f64>);

impl Samples {
    pub(crate) fn of(text: &str) -> Samples {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Samples(lines.map(sample).collect())
    }

    pub(crate) fn value(&self, sample: &str) -> f64 {
        *self.0.get(sample).unwrap_or_else(|| panic!("no {sample}"))
    }

    fn with(&self, start: &str) -> usize {
        self.0.range(start.to_string()..).take_while(|(name, _)| name.starts_with(start)).count()
    }
}

fn sample(line: &str) -> (String, f64) {
    let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
    (name.to_string(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
}

pub(crate) fn scrape(broker: &BrokerProcess) -> Samples {
    let answer = get(&broker.http_address(), "/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("text/plain; version=0.0.4"), "{}", answer.head);
    Samples::of(&answer.body)
}

/// Three records in `work`, two of them consumed by `workers`, one more member of whom is there.
pub(crate) async fn used(broker: &BrokerProcess) -> (Cluster, GroupConsumer) {
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "work", 2, &[]).await;
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    for value in ["a", "b"] {
        producer.send("work", 0, &[record(value)]).await.unwrap();
    }
    let config =
        GroupConfig { start: StartOffset::Earliest, commit_interval: None, ..GroupConfig::new("workers", &["work"]) };
    let mut member = GroupConsumer::new(&cluster, config);
    for _ in 0..2 {
        member.next(DEADLINE).await.unwrap().expect("two records");
    }
    member.commit().await.unwrap();
    producer.send("work", 0, &[record("c")]).await.unwrap();
    (cluster, member)
}

#[tokio::test]
async fn numbers_agree_with_what_happened() {
    let broker = BrokerProcess::start(&["offsets.topic.num.partitions=3"]);
    let _used = used(&broker).await;
    let samples = scrape(&broker);
    for (sample, value) in [
        ("kafka_brokers", 1.0),
        ("kafka_topic_partitions{topic=\"work\"}", 2.0),
        ("kafka_topic_partition_current_offset{topic=\"work\",partition=\"0\"}", 3.0),
        ("kafka_topic_partition_current_offset{topic=\"work\",partition=\"1\"}", 0.0),
        ("kafka_topic_partition_oldest_offset{topic=\"work\",partition=\"0\"}", 0.0),
        ("kafka_topic_partition_leader{topic=\"work\",partition=\"0\"}", 1.0),
        ("kafka_topic_partition_under_replicated_partition{topic=\"work\",partition=\"0\"}", 0.0),
        ("kafka_consumergroup_members{consumergroup=\"workers\"}", 1.0),
        ("kafka_consumergroup_current_offset{consumergroup=\"workers\",topic=\"work\",partition=\"0\"}", 2.0),
        ("kafka_consumergroup_lag{consumergroup=\"workers\",topic=\"work\",partition=\"0\"}", 1.0),
        ("kafka_controller_kafkacontroller_activecontrollercount", 1.0),
        ("kafka_controller_kafkacontroller_offlinepartitionscount", 0.0),
        ("kafka_controller_kafkacontroller_globalpartitioncount", 5.0),
        ("kafka_server_replicamanager_leadercount", 5.0),
        ("kafka_server_replicamanager_underreplicatedpartitions", 0.0),
        ("kafka_server_kafkaserver_brokerstate", 3.0),
        ("kafka_server_brokertopicmetrics_messagesin_total{topic=\"work\"}", 3.0),
        ("kafka_server_brokertopicmetrics_messagesinpersec{topic=\"work\"}", 3.0),
        ("kafka_server_brokertopicmetrics_failedproducerequests_total", 0.0),
        ("kafka_network_requestmetrics_errors_total{request=\"Produce\",error=\"NONE\"}", 3.0),
        ("kafka_network_requestmetrics_errorspersec{request=\"CreateTopics\",error=\"NONE\"}", 1.0),
        ("kafka_consumergroup_lag_sum{consumergroup=\"workers\",topic=\"work\"}", 1.0),
        ("kafka_coordinator_group_groupmetadatamanager_numgroupsstable", 1.0),
        ("kafka_server_group_coordinator_metrics_group_count{protocol=\"classic\"}", 1.0),
        ("kafka_server_group_coordinator_metrics_group_completed_rebalance_count", 1.0),
        ("kafka_server_group_coordinator_metrics_consumer_group_rebalance_count", 0.0),
        ("kafka_log_logmanager_offlinelogdirectorycount", 0.0),
        ("ottla_log_dir_offline{dir", 0.0),
        ("ottla_metrics_cut{family=\"partitions\"}", 0.0),
    ] {
        let found = samples
            .0
            .iter()
            .find(|(name, _)| name.as_str() == sample || (sample.ends_with("{dir") && name.starts_with(sample)));
        assert_eq!(found.unwrap_or_else(|| panic!("no {sample}")).1, &value, "{sample}");
    }
    let lag_seconds = "kafka_consumergroup_lag_seconds{consumergroup=\"workers\",topic=\"work\",partition=\"0\"}";
    // The record says that it is of the first millisecond of 1970.
    assert!(samples.value(lag_seconds) > 1e9);
    let bytes_in = samples.value("kafka_server_brokertopicmetrics_bytesin_total{topic=\"work\"}");
    let bytes_out = samples.value("kafka_server_brokertopicmetrics_bytesout_total{topic=\"work\"}");
    assert!(bytes_in > 200.0 && bytes_out > 0.0, "{bytes_in} {bytes_out}");
    assert_eq!(samples.value("kafka_log_log_size{topic=\"work\",partition=\"0\"}"), bytes_in);
    let latency = samples.value("kafka_producer_request_latency_avg{client_id=\"test\"}");
    assert!(latency > 0.0 && latency < 30_000.0, "{latency}");
    let quantile = samples.value("kafka_network_requestmetrics_totaltimems{request=\"Produce\",quantile=\"0.99\"}");
    assert!(quantile > 0.0 && quantile < 60_000.0, "{quantile}");
    assert!(samples.value("ottla_flush_seconds_count") >= 2.0);
    let rss = samples.value("process_resident_memory_bytes");
    assert!((rss - broker.resident_bytes() as f64).abs() < 8e6, "{rss}");
    assert!(samples.value("process_open_fds") > 5.0 && samples.value("process_start_time_seconds") > 1.7e9);
}

#[tokio::test]
async fn transactions_are_counted_however_they_end() {
    let broker = BrokerProcess::start(&[
        "transaction.state.log.num.partitions=3",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms=50",
    ]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "work", 1, &[]).await;
    for (id, ends) in [("one", Some(true)), ("two", Some(true)), ("three", Some(false)), ("late", None)] {
        let timeout_ms = if ends.is_some() { 60_000 } else { 100 };
        let mut producer = Transactional::init(&cluster, id, Understanding::New, timeout_ms).await;
        assert_eq!(producer.send("work", 0, &["a"]).await, ErrorCode::NONE);
        if let Some(committed) = ends {
            assert_eq!(producer.end(committed).await, ErrorCode::NONE);
        }
    }
    let mut open = Transactional::init(&cluster, "open", Understanding::Old, 60_000).await;
    assert_eq!(open.send("work", 0, &["a"]).await, ErrorCode::NONE);
    let wanted = [
        ("ottla_transactional_ids", 5.0),
        ("ottla_transactions_ongoing", 1.0),
        ("ottla_transactions_ending", 0.0),
        ("ottla_transactions_committed_total", 2.0),
        ("ottla_transactions_aborted_total", 2.0),
        ("ottla_transactions_timed_out_total", 1.0),
        ("ottla_transaction_marker_orders_total", 4.0),
        ("ottla_transaction_marker_retries_total", 0.0),
        ("kafka_coordinator_transaction_transactionmarkerchannelmanager_unknowndestinationqueuesize", 0.0),
    ];
    let begun = Instant::now();
    loop {
        let samples = scrape(&broker);
        let Some((name, value)) = wanted.iter().find(|(name, value)| samples.value(name) != *value) else { break };
        assert!(begun.elapsed() < DEADLINE, "{name}: {} instead of {value}", samples.value(name));
    }
    assert!(scrape(&broker).value("kafka_server_transaction_coordinator_metrics_partition_load_time_max") >= 0.0);
}

#[tokio::test]
async fn redpandas_names_have_a_page_of_their_own() {
    let broker = BrokerProcess::start(&[]);
    let _used = used(&broker).await;
    let samples = Samples::of(&get(&broker.http_address(), "/public_metrics").body);
    let work = "redpanda_namespace=\"kafka\",redpanda_topic=\"work\"";
    assert_eq!(samples.value(&format!("redpanda_kafka_max_offset{{{work},redpanda_partition=\"0\"}}")), 3.0);
    assert_eq!(samples.value(&format!("redpanda_kafka_records_produced_total{{{work}}}")), 3.0);
    for (what, value) in [("consumers", 1.0), ("topics", 1.0), ("lag_max", 1.0), ("lag_sum", 1.0)] {
        let sample = format!("redpanda_kafka_consumer_group_{what}{{redpanda_group=\"workers\"}}");
        assert_eq!(samples.value(&sample), value, "{sample}");
    }
    assert_eq!(samples.value(&format!("redpanda_kafka_replicas{{{work}}}")), 1.0);
    let rss = samples.value("redpanda_memory_allocated_memory{shard=\"0\"}");
    assert!((rss - broker.resident_bytes() as f64).abs() < 8e6, "{rss}");
    assert!(samples.value("redpanda_memory_free_memory{shard=\"0\"}") > 0.0);
    assert!(samples.with("redpanda_cpu_busy_seconds_total{shard=") >= 1);
    let requests = samples.value("redpanda_rpc_request_latency_seconds_count{redpanda_server=\"kafka\"}");
    let produced = samples.value("redpanda_kafka_request_latency_seconds_count{redpanda_request=\"produce\"}");
    assert!(requests > produced && produced == 3.0, "{requests} {produced}");
    assert!(samples.with("redpanda_kafka_request_latency_seconds_bucket{redpanda_request=\"produce\"") > 5);
    assert_eq!(samples.with("kafka_"), 0);
}

#[tokio::test]
async fn offsets_are_what_a_consumer_sees() {
    let broker = BrokerProcess::start(&[]);
    let (cluster, _member) = used(&broker).await;
    let mut consumer = Consumer::new(&cluster);
    let partition = TopicPartition { topic: "work".into(), partition: 0 };
    consumer.assign(&[partition], StartOffset::Earliest).await.unwrap();
    let mut read = 0;
    while !consumer.is_caught_up() || read == 0 {
        read += usize::from(consumer.next(Duration::from_secs(10)).await.unwrap().is_some());
    }
    let offset = scrape(&broker).value("kafka_topic_partition_current_offset{topic=\"work\",partition=\"0\"}");
    assert_eq!(offset, read as f64);
}

#[tokio::test]
async fn labels_are_bounded_however_many_partitions_there_are() {
    let broker = BrokerProcess::start(&["ottla.metrics.partitions.max=10", "ottla.metrics.groups.max=0"]);
    let (cluster, _member) = used(&broker).await;
    create(&cluster, "wide", 9, &[]).await;
    let samples = scrape(&broker);
    assert_eq!(samples.with("kafka_topic_partition_current_offset{"), 0, "more than ten partitions");
    assert_eq!(samples.value("kafka_server_brokertopicmetrics_messagesin_total{topic=\"work\"}"), 3.0);
    assert_eq!(samples.value("ottla_topic_records{topic=\"work\"}"), 3.0);
    assert_eq!(samples.value("ottla_metrics_cut{family=\"partitions\"}"), 1.0);
    assert_eq!(samples.value("ottla_metrics_cut{family=\"groups\"}"), 1.0);
    assert_eq!(samples.with("kafka_consumergroup_lag{"), 0);
    assert_eq!(samples.value("kafka_coordinator_group_groupmetadatamanager_numgroups"), 1.0, "counted all the same");
    for topic in 0..12 {
        create(&cluster, &format!("t{topic}"), 1, &[]).await;
    }
    assert_eq!(scrape(&broker).with("kafka_server_brokertopicmetrics_messagesin_total{"), 0, "more than ten topics");
}

/// How long it takes is measured by `cargo bench --bench node -- scrape`, with the binary that ships.
#[tokio::test]
async fn a_scrape_of_a_thousand_partitions_is_bounded_and_leaves_no_step_in_memory() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let few = get(&broker.http_address(), "/metrics").body;
    for topic in 0..10 {
        create(&cluster, &format!("a-topic-with-an-ordinary-name-{topic}"), 100, &[]).await;
    }
    let many = get(&broker.http_address(), "/metrics").body;
    // Of each partition 16 numbers, of each topic 21, and a few more of the APIs that made them.
    let grown = many.lines().count() - few.lines().count();
    assert!((16_000..16_000 + 10 * 21 + 200).contains(&grown), "{grown} lines more");
    let bytes_each = (many.len() - few.len()) / grown;
    assert!(bytes_each < 110, "{bytes_each} bytes a line");
    assert!(few.len() < 64 << 10, "{} bytes without topics", few.len());
    let before = broker.resident_bytes();
    for _ in 0..20 {
        get(&broker.http_address(), "/metrics");
    }
    let step = broker.resident_bytes().saturating_sub(before);
    eprintln!(
        "1,000 partitions: {} bytes in {} lines; 20 scrapes leave {step} bytes",
        many.len(),
        many.lines().count()
    );
    assert!(step < 2 * MIB, "{step} bytes more after 20 scrapes");
}

/// HELP and TYPE of every family, no family twice, no sample twice, and what promtool thinks, where there is one.
#[tokio::test]
async fn the_text_is_what_prometheus_accepts() {
    let broker = BrokerProcess::start(&[]);
    let _used = used(&broker).await;
    for path in ["/metrics", "/public_metrics"] {
        let text = get(&broker.http_address(), path).body;
        let (mut helps, mut types, mut samples) = (Vec::new(), Vec::new(), 0);
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                helps.push(rest.split(' ').next().unwrap().to_string());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                types.push(rest.split(' ').next().unwrap().to_string());
            } else {
                let family = types.last().expect("a family comes first");
                assert!(line.starts_with(family.as_str()), "{line} in {family}");
                samples += 1;
            }
        }
        assert_eq!(helps, types, "{path}");
        assert_eq!(Samples::of(&text).0.len(), samples, "{path}: a sample is there twice");
        let mut unique = types.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), types.len(), "{path}: a family is there twice");
        check_with_promtool(&text);
    }
}

fn check_with_promtool(text: &str) {
    let promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("promtool is not installed; the other checks stand");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    // 1 is a text that cannot be read; 3 is an opinion about names, which others chose.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
}

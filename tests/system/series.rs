//! No series pretends: each moves when what it tells of happens, or is named in COMPAT.md as a constant of one broker.
//!
//! Brokers live through what moves numbers, are scraped in between, and what never changed must be exactly what is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use client::{Acks, Cluster, Connection, GroupConfig, GroupConsumer, OutgoingRecord, Producer, StartOffset};
use protocol::ErrorCode;
use protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::records::Codec;

use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::compaction::now_ms;
use crate::full_disk;
use crate::http_client::get;
use crate::metrics::used;
use crate::restart::{create, record};
use crate::transactional::{Transactional, Understanding};

/// What other tests move: what it takes is not to be had here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("kafka_log_logmanager_offlinelogdirectorycount", "crash: after_a_failed_flush_nothing_is_acknowledged"),
    ("ottla_log_dir_offline", "crash: after_a_failed_flush_nothing_is_acknowledged"),
    ("ottla_flush_failures_total", "crash: after_a_failed_flush_nothing_is_acknowledged"),
    ("kafka_server_kafkaserver_brokerstate", "broker: the_states_have_kafkas_numbers"),
    ("kafka_server_produce_byte_rate", "quotas: a_producer_is_slowed_down_to_its_quota"),
    ("kafka_server_produce_throttle_time", "quotas: a_producer_is_slowed_down_to_its_quota"),
    ("kafka_server_fetch_byte_rate", "quotas: a_consumer_is_slowed_down_to_its_quota"),
    ("kafka_server_fetch_throttle_time", "quotas: a_consumer_is_slowed_down_to_its_quota"),
    ("kafka_server_request_request_time", "quotas: time_is_limited_too"),
    ("kafka_server_request_throttle_time", "quotas: time_is_limited_too"),
    ("kafka_server_controllermutation_mutation_rate", "quotas: partitions_are_created_and_deleted_at_a_rate"),
    ("kafka_server_controllermutation_tokens", "quotas: partitions_are_created_and_deleted_at_a_rate"),
    ("kafka_server_controllermutation_throttle_time", "quotas: partitions_are_created_and_deleted_at_a_rate"),
    ("kafka_server_client_metrics_instance_count", "client_metrics: what_a_client_pushes_is_told_while_it_lasts"),
    ("ottla_telemetry_clients", "client_metrics: what_a_client_pushes_is_told_while_it_lasts"),
    ("ottla_telemetry_series", "client_metrics: what_a_client_pushes_is_told_while_it_lasts"),
    ("kafka_server_client_metrics_throttle_count", "client_metrics: what_cannot_be_taken_is_refused_and_counted"),
    (
        "kafka_server_client_metrics_unknown_subscription_request_count",
        "client_metrics: what_cannot_be_taken_is_refused_and_counted",
    ),
    ("ottla_telemetry_dropped_total", "client_metrics: what_cannot_be_taken_is_refused_and_counted"),
    ("ottla_connections_throttled_total", "quotas: an_address_opens_connections_at_a_rate"),
    ("ottla_transaction_marker_retries_total", "state: it_is_over_when_every_partition_knows"),
    ("ottla_transactional_ids_expired_total", "state: an_id_that_nobody_uses_is_forgotten"),
    ("ottla_metrics_groups_unanswered_total", "broker: a_coordinator_that_does_not_answer_is_counted"),
    ("ottla_metrics_transactions_unanswered_total", "broker: what_a_coordinator_does_not_say_is_left_out_and_counted"),
];

/// Limits, which change with a setting, and those that are 1 and tell by their labels.
const SETTINGS: &[&str] = &[
    "kafka_broker_info",
    "ottla_build_info",
    "ottla_fetch_sessions_max",
    "ottla_memory_budget_bytes",
    "ottla_memory_limit_bytes",
    "process_max_fds",
];

/// What no test can make move: reads that the page cache did not have, and what is over sooner than a scrape comes.
const MAY_MOVE: &[&str] = &["kafka_server_kafkaserver_linux_disk_read_bytes", "ottla_transactions_ending"];

/// Families, and the samples of each with the values that they had.
#[derive(Default)]
struct Seen(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Seen {
    fn look(&mut self, broker: &BrokerProcess) {
        for path in ["/metrics", "/public_metrics"] {
            let mut family = String::new();
            for line in get(&broker.http_address(), path).body.lines() {
                if let Some(rest) = line.strip_prefix("# TYPE ") {
                    family = rest.split(' ').next().unwrap().to_owned();
                    self.0.entry(family.clone()).or_default();
                } else if !line.starts_with('#') {
                    let (sample, value) = line.rsplit_once(' ').unwrap();
                    // Directories are other ones each time.
                    let sample = if sample.contains("{dir=") { family.clone() } else { sample.to_owned() };
                    let samples = self.0.get_mut(&family).unwrap();
                    samples.entry(sample).or_default().insert(value.to_owned());
                }
            }
        }
    }

    fn value(&self, sample: &str) -> usize {
        let family = sample.split('{').next().unwrap();
        self.0.get(family).and_then(|samples| samples.get(sample)).map_or(0, BTreeSet::len)
    }

    fn unmoved(&self) -> BTreeSet<&str> {
        let moved = |samples: &BTreeMap<_, BTreeSet<_>>| samples.values().any(|values| values.len() > 1);
        self.0.iter().filter(|(_, samples)| !moved(samples)).map(|(family, _)| family.as_str()).collect()
    }
}

/// The names in COMPAT.md's table of constants, with what is in braces spelled out.
fn constants() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("COMPAT.md")).unwrap();
    let (_, table) = text.split_once("| constant with one broker |").expect("COMPAT.md has the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cell = |row: &str| row.split('|').nth(1).unwrap().to_owned();
    let names: Vec<String> = rows.map(cell).flat_map(|cell| ticked(&cell)).collect();
    names.iter().flat_map(|name| spelled_out(name)).collect()
}

fn ticked(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn spelled_out(name: &str) -> Vec<String> {
    let Some((head, rest)) = name.split_once('{') else { return vec![name.to_owned()] };
    let (choices, tail) = rest.split_once('}').unwrap();
    choices.split(',').flat_map(|choice| spelled_out(&format!("{head}{choice}{tail}"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_series_moves_or_is_listed_as_a_constant() {
    let mut seen = Seen::default();
    busy(&mut seen).await;
    full(&mut seen).await;
    crowded(&mut seen).await;
    let unmoved: BTreeSet<String> = seen.unmoved().into_iter().map(str::to_owned).collect();
    let elsewhere = ELSEWHERE.iter().map(|(family, _)| (*family).to_owned());
    let excused: BTreeSet<String> =
        constants().into_iter().chain(elsewhere).chain(SETTINGS.iter().map(|name| (*name).to_owned())).collect();
    let may_move = |name: &&String| MAY_MOVE.contains(&name.as_str());
    let pretending: Vec<_> = unmoved.difference(&excused).filter(|name| !may_move(name)).collect();
    assert!(pretending.is_empty(), "never moved, and nobody says why: {pretending:#?}");
    let wrong: Vec<_> = excused.difference(&unmoved).collect();
    assert!(wrong.is_empty(), "listed as constants, and moved or not there: {wrong:#?}");
    assert!(seen.0.len() > 150, "{} families", seen.0.len());
}

/// Everything that clients do, twice; a restart onto a damaged log; and time for the windows to turn.
async fn busy(seen: &mut Seen) {
    let broker = BrokerProcess::start(&[
        "offsets.topic.num.partitions=2",
        "log.cleaner.backoff.ms=20",
        "log.cleaner.min.cleanable.ratio=0.01",
        "log.roll.ms=50",
        "transaction.state.log.num.partitions=2",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms=20",
    ]);
    seen.look(&broker);
    let (cluster, member) = used(&broker).await;
    create(&cluster, "struck", 1, &[]).await;
    create(&cluster, "latest", 1, &[("cleanup.policy", "compact")]).await;
    create(&cluster, "small", 1, &[("max.message.bytes", "100"), ("segment.bytes", "1048576")]).await;
    let connection = cluster.any().await.unwrap();
    for round in 0..3 {
        refused(&cluster, &connection, round).await;
        let _half = strangers(&broker);
        seen.look(&broker);
    }
    consumed(&cluster, member).await;
    transactions(&broker, &cluster, seen).await;
    halfway(&broker, seen).await;
    broker.await_line(&["INFO", "compacted", "latest"]);
    let mut broker = damaged(broker, seen).await;
    uncleanable(&broker, seen).await;
    let begun = Instant::now();
    // Windows turn every 15 seconds.
    while seen.value("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent") < 2 {
        assert!(begun.elapsed() < DEADLINE, "workers are said to have done nothing at all");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        seen.look(&broker);
    }
    broker.stop();
}

/// Records written, refused, read and asked for in vain.
async fn refused(cluster: &Cluster, connection: &Connection, round: i64) {
    let mut producer = Producer::new(cluster, Acks::All, Codec::None);
    for value in 0..20 {
        let record = OutgoingRecord {
            key: Some("key".into()),
            value: Some(format!("{round} {value}").into()),
            timestamp_ms: now_ms(),
            ..Default::default()
        };
        producer.send("struck", 0, std::slice::from_ref(&record)).await.unwrap();
        producer.send("latest", 0, &[record]).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    producer.send("work", 0, &[record("more")]).await.unwrap();
    let too_large = producer.send("small", 0, &[record(&"x".repeat(200))]).await.unwrap_err();
    assert_eq!(too_large.code(), Some(ErrorCode::MESSAGE_TOO_LARGE));
    for (offset, code) in [(0, ErrorCode::NONE), (1_000_000, ErrorCode::OFFSET_OUT_OF_RANGE)] {
        let answer = connection.send_version(&fetch("work", offset, 0), 11).await.unwrap();
        assert_eq!(answer.responses[0].partitions[0].error_code, code);
    }
}

fn fetch(topic: &str, fetch_offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: topic.into(), partitions: vec![partition], ..Default::default() };
    let min_bytes = i32::from(max_wait_ms > 0);
    // Epoch 0 asks for a session.
    FetchRequest {
        max_wait_ms,
        min_bytes,
        max_bytes: 1 << 20,
        session_epoch: 0,
        topics: vec![topic],
        ..Default::default()
    }
}

/// Programs that take the port for another, and one that does not finish its request.
fn strangers(broker: &BrokerProcess) -> TcpStream {
    for hello in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]] {
        let mut stream = TcpStream::connect(&broker.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(hello).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let mut half = TcpStream::connect(&broker.address).unwrap();
    half.write_all(&1_000_000_u32.to_be_bytes()).unwrap();
    half.write_all(&[0; 200_000]).unwrap();
    half
}

/// The group goes on, and ends; a topic grows, and one loses its first record.
async fn consumed(cluster: &Cluster, mut member: GroupConsumer) {
    member.next(DEADLINE).await.unwrap().expect("there are more");
    member.commit().await.unwrap();
    member.leave().await.unwrap();
    let both =
        GroupConfig { start: StartOffset::Earliest, commit_interval: None, ..GroupConfig::new("workers", &["struck"]) };
    let mut member = GroupConsumer::new(cluster, both);
    member.next(DEADLINE).await.unwrap().expect("a record of another topic");
    member.commit().await.unwrap();
    member.leave().await.unwrap();
    let connection = cluster.any().await.unwrap();
    let wider = CreatePartitionsTopic { name: "small".into(), count: 2, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![wider], timeout_ms: 10_000, validate_only: false };
    let answer = connection.send(&request).await.unwrap();
    assert!(!answer.results[0].error_code.is_error(), "{answer:?}");
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: 1 }];
    let topics = vec![DeleteRecordsTopic { name: "work".into(), partitions }];
    let answer = connection.send(&DeleteRecordsRequest { topics, timeout_ms: 10_000 }).await.unwrap();
    assert!(!answer.topics[0].partitions[0].error_code.is_error(), "{answer:?}");
}

/// One that is committed, one that nobody ends.
async fn transactions(broker: &BrokerProcess, cluster: &Cluster, seen: &mut Seen) {
    for (id, timeout_ms, is_committed) in [("one", 60_000, true), ("late", 300, false)] {
        let mut producer = Transactional::init(cluster, id, Understanding::New, timeout_ms).await;
        assert_eq!(producer.send("work", 0, &["in a transaction"]).await, ErrorCode::NONE);
        seen.look(broker);
        if is_committed {
            assert_eq!(producer.end(true).await, ErrorCode::NONE);
        }
    }
    let begun = Instant::now();
    while seen.value("ottla_transactions_timed_out_total") < 2 {
        assert!(begun.elapsed() < DEADLINE, "no transaction times out");
        seen.look(broker);
    }
}

/// A group whose leader owes its assignment, one that waits for a member, and a fetch that waits for records.
async fn halfway(broker: &BrokerProcess, seen: &mut Seen) {
    let (mut connections, mut waiting) = (Vec::new(), Vec::new());
    for (group, is_answered) in [("halfway", true), ("again", true), ("again", false)] {
        let connection = Connection::connect(&broker.address, "halfway").await.unwrap();
        let protocols = vec![JoinGroupRequestProtocol { name: "range".into(), ..Default::default() }];
        let request = JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: 60_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".into(),
            protocols,
            ..Default::default()
        };
        let joining = tokio::spawn(async move {
            let _ = connection.send_version(&request, 3).await;
            connection
        });
        if is_answered {
            connections.push(joining.await.unwrap());
        } else {
            waiting.push(joining);
        }
    }
    let connection = Connection::connect(&broker.address, "halfway").await.unwrap();
    let joining = ConsumerGroupHeartbeatRequest {
        group_id: "assigned".into(),
        member_id: "one".into(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["small".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let joined = connection.send(&joining).await.unwrap();
    assert!(!joined.error_code.is_error(), "{joined:?}");
    waiting.push(tokio::spawn(async move {
        let _ = connection.send_version(&fetch("small", 0, 60_000), 11).await;
        connection
    }));
    let prefix = "kafka_coordinator_group_groupmetadatamanager_numgroups";
    let wanted = [
        format!("{prefix}completingrebalance"),
        format!("{prefix}preparingrebalance"),
        "kafka_server_delayedoperationpurgatory_purgatorysize{delayedOperation=\"Fetch\"}".to_owned(),
    ];
    let begun = Instant::now();
    loop {
        seen.look(broker);
        let Some(still) = wanted.iter().find(|sample| seen.value(sample) < 2) else { return };
        assert!(begun.elapsed() < DEADLINE, "{still} does not move");
    }
}

/// A crash, and a broken byte in a segment that is behind the newest.
async fn damaged(mut broker: BrokerProcess, seen: &mut Seen) -> BrokerProcess {
    seen.look(&broker);
    broker.crash();
    let log = broker.data_dir().join("struck-0/00000000000000000000.log");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    // Without it every log is read anew.
    let _ = fs::remove_file(broker.data_dir().join("recovery-point-offset-checkpoint"));
    let broker = broker.restart();
    seen.look(&broker);
    broker
}

/// Something is where the cleaner wants to write.
async fn uncleanable(broker: &BrokerProcess, seen: &mut Seen) {
    let directory = broker.data_dir().join("latest-0");
    let segments = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for segment in segments.filter(|name| name.ends_with(".log")) {
        let _ = fs::create_dir(directory.join(format!("{segment}.cleaned")));
    }
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let begun = Instant::now();
    while seen.value("ottla_cleaner_failures_total") < 2 {
        assert!(begun.elapsed() < DEADLINE, "the cleaner writes all the same");
        let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
        let again = OutgoingRecord { key: Some("key".into()), timestamp_ms: now_ms(), ..Default::default() };
        producer.send("latest", 0, &[again]).await.unwrap();
        seen.look(broker);
    }
}

/// A disk that has no more room.
async fn full(seen: &mut Seen) {
    let broker = full_disk::start("");
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "full", 1, &[]).await;
    seen.look(&broker);
    full_disk::fill(&cluster.any().await.unwrap(), "full", 1 << 19).await;
    full_disk::fill(&cluster.any().await.unwrap(), "full", 4096).await;
    broker.await_line(&["ERROR", "nearly full"]);
    seen.look(&broker);
}

/// More partitions, groups, connections and lines of the log than are told of.
async fn crowded(seen: &mut Seen) {
    let settings = ["ottla.metrics.partitions.max=10", "ottla.metrics.groups.max=0", "max.connections=4"];
    let broker = BrokerProcess::start(&settings);
    seen.look(&broker);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "wide", 11, &[]).await;
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..300 {
        open.push(TcpStream::connect(&broker.address).unwrap());
    }
    let begun = Instant::now();
    while seen.value("ottla_log_lines_left_out_total") < 2 || seen.value("ottla_connections_refused_total") < 2 {
        assert!(begun.elapsed() < DEADLINE, "nothing is refused, or all of it is written down");
        seen.look(&broker);
    }
}

//! Log lines: levels that change while the broker runs, JSON, and clients that would fill the disk with them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use client::Cluster;
use protocol::ErrorCode;
use protocol::messages::MetadataRequest;
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::broker_process::{BrokerProcess, DEADLINE, OTTLA};
use crate::metrics::scrape;

const BROKER_LOGGER: i8 = 8;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

async fn alter(cluster: &Cluster, broker: &str, logger: &str, operation: i8, level: &str) -> (ErrorCode, String) {
    let config = AlterableConfig { name: logger.into(), config_operation: operation, value: Some(level.into()) };
    let resource =
        AlterConfigsResource { resource_type: BROKER_LOGGER, resource_name: broker.into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let mut answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    let answer = answer.responses.remove(0);
    (answer.error_code, answer.error_message.unwrap_or_default())
}

async fn level(cluster: &Cluster, logger: &str) -> String {
    let resource = DescribeConfigsResource {
        resource_type: BROKER_LOGGER,
        resource_name: "1".into(),
        configuration_keys: Some(vec![logger.into()]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert_eq!(answer.results[0].configs.len(), 1, "{:?}", answer.results[0]);
    assert_eq!(answer.results[0].configs[0].config_source, 6);
    answer.results[0].configs[0].value.clone().unwrap()
}

#[tokio::test]
async fn levels_change_while_the_broker_runs() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_eq!(level(&cluster, "root").await, "INFO");
    assert_eq!(level(&cluster, "openraft").await, "WARN");
    assert!(!broker.log().contains("DEBUG"), "{}", broker.log());

    assert_eq!(alter(&cluster, "1", "broker.dispatch", SET, "DEBUG").await.0, ErrorCode::NONE);
    assert_eq!(level(&cluster, "broker.dispatch").await, "DEBUG");
    assert_eq!(level(&cluster, "broker").await, "INFO");
    cluster.any().await.unwrap().send(&MetadataRequest::default()).await.unwrap();
    broker.await_line(&["DEBUG", "request", "Metadata"]);
    assert_eq!(alter(&cluster, "1", "broker.dispatch", DELETE, "").await.0, ErrorCode::NONE);
    assert_eq!(level(&cluster, "broker.dispatch").await, "INFO");

    for (broker, logger, operation, value, code, words) in [
        ("1", "kafka.server.KafkaApis", SET, "DEBUG", ErrorCode::INVALID_CONFIG, "does not exist"),
        ("1", "root", SET, "LOUD", ErrorCode::INVALID_CONFIG, "Valid log levels are FATAL, ERROR"),
        ("1", "root", DELETE, "", ErrorCode::INVALID_REQUEST, "not allowed"),
        ("1", "root", APPEND, "INFO", ErrorCode::INVALID_REQUEST, "APPEND operation is not allowed"),
        ("2", "root", SET, "INFO", ErrorCode::INVALID_REQUEST, "Expected 1, but received 2"),
        ("x", "root", SET, "INFO", ErrorCode::INVALID_REQUEST, "must be an integer"),
    ] {
        let (error, message) = alter(&cluster, broker, logger, operation, value).await;
        assert!(error == code && message.contains(words), "{broker} {logger} {value}: {error} {message}");
    }
}

#[test]
fn json_is_json_on_every_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Command::new(OTTLA)
        .args(["--set", "listeners=PLAINTEXT://127.0.0.1:0", "--set", "no.such.key=\"quoted\""])
        .args(["--set", &format!("log.dirs={}", directory.path().display())])
        .env("OTTLA_LOG_FORMAT", "json")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut levels = Vec::new();
    for line in BufReader::new(broker.stderr.take().unwrap()).lines().map_while(Result::ok) {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        levels.push(line["level"].as_str().unwrap().to_owned());
        if line["message"] == "ready" {
            assert_eq!((&line["node_id"], &line["target"]), (&1.into(), &"broker::broker".into()));
            break;
        }
    }
    broker.kill().unwrap();
    broker.wait().unwrap();
    assert!(levels.contains(&"WARN".to_owned()) && levels.contains(&"INFO".to_owned()), "{levels:?}");
}

#[test]
fn what_clients_cause_is_not_written_without_end() {
    const STRANGERS: usize = 400;
    let broker = BrokerProcess::start(&[]);
    let begun = Instant::now();
    for _ in 0..STRANGERS {
        let mut stream = TcpStream::connect(&broker.address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut farewell = Vec::new();
        let _ = stream.read_to_end(&mut farewell);
    }
    let most = 100.0 + 5.0 * (begun.elapsed().as_secs_f64() + 1.0);
    let samples = scrape(&broker).0;
    let written = broker.log().matches("speaks HTTP").count();
    assert!(written >= 50 && (written as f64) < most, "{written} lines of {STRANGERS}");
    assert!(samples["ottla_log_lines_left_out_total"] > 0.0);
    assert_eq!(samples["ottla_connections_foreign_total{protocol=\"http\"}"], STRANGERS as f64, "counted all the same");
}

/// A client id has room for 32 KiB of whatever a client wants to see in the log, line ends included.
#[test]
fn what_clients_say_is_cut_and_stays_on_its_line() {
    const STRANGERS: usize = 150;
    let broker = BrokerProcess::start(&[]);
    let client_id = format!("first\n2026 ERROR forged {}", "x".repeat(30_000));
    let mut request = Vec::new();
    // An API that there is not, in version 0, with correlation id 1.
    request.extend(999_i16.to_be_bytes());
    request.extend(0_i16.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend((client_id.len() as i16).to_be_bytes());
    request.extend(client_id.as_bytes());
    for _ in 0..STRANGERS {
        let mut stream = TcpStream::connect(&broker.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(&(request.len() as u32).to_be_bytes()).unwrap();
        stream.write_all(&request).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let log = broker.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("this API is not served")).collect();
    assert!(lines.len() >= 50 && lines.len() < STRANGERS, "{} lines", lines.len());
    assert!(lines.iter().all(|line| line.contains("forged") && line.len() < 5000), "{}", lines[0].len());
    assert!(!log.lines().any(|line| line.starts_with("2026 ERROR")), "a client writes lines of its own");
    assert!(log.len() < 700_000, "{} bytes", log.len());
}

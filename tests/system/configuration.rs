//! Where settings come from, seen from outside.

use std::process::{Command, Output};

use client::Cluster;
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::{ErrorCode, messages::MetadataRequest};

use crate::broker_process::{BrokerProcess, OTTLA};

const BROKER: i8 = 4;

fn refused(words: &[&str]) -> String {
    let Output { status, stderr, .. } = Command::new(OTTLA).args(words).output().unwrap();
    let log = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{words:?}: {log}");
    log
}

async fn value(cluster: &Cluster, key: &str) -> Option<String> {
    let resource = DescribeConfigsResource {
        resource_type: BROKER,
        resource_name: "1".into(),
        configuration_keys: Some(vec![key.into()]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    answer.results[0].configs[0].value.clone()
}

#[test]
fn what_would_only_look_as_if_it_obeyed_stops_the_start() {
    let log = refused(&["--set", "ssl.keystore.location=/x", "--set", "num.partitions=none"]);
    assert!(log.contains("ssl.keystore.location") && log.contains("num.partitions"), "all problems at once: {log}");
    let log = refused(&["--set", "ottla.memory.limits=64MiB"]);
    assert!(log.contains("did you mean ottla.memory.limit?"), "{log}");
    let log = refused(&["--set", "listeners=SSL://127.0.0.1:0"]);
    assert!(log.contains("not supported yet"), "{log}");
}

#[tokio::test]
async fn a_setting_without_consequence_is_warned_about_by_name() {
    let broker = BrokerProcess::start(&["num.io.threads=8", "no.such.key=1"]);
    broker.await_line(&["WARN", "num.io.threads", "no effect"]);
    broker.await_line(&["WARN", "no.such.key", "not known"]);
}

#[tokio::test]
async fn a_dynamic_setting_is_in_force_when_it_is_acknowledged() {
    let mut broker = BrokerProcess::start(&["log.retention.ms=1000"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_eq!(value(&cluster, "log.retention.ms").await.as_deref(), Some("1000"));
    let alter = |name: &str, value: &str| IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: BROKER,
            resource_name: "1".into(),
            configs: vec![AlterableConfig { name: name.into(), config_operation: 0, value: Some(value.into()) }],
        }],
        ..Default::default()
    };
    let connection = cluster.any().await.unwrap();
    let answer = connection.send(&alter("log.retention.ms", "2000")).await.unwrap();
    assert_eq!(answer.responses[0].error_code, ErrorCode::NONE);
    assert_eq!(value(&cluster, "log.retention.ms").await.as_deref(), Some("2000"));
    let answer = connection.send(&alter("log.dirs", "/elsewhere")).await.unwrap();
    assert_eq!(answer.responses[0].error_code, ErrorCode::INVALID_REQUEST);
    let answer = connection.send(&alter("log.retention.ms", "soon")).await.unwrap();
    assert_eq!(answer.responses[0].error_code, ErrorCode::INVALID_CONFIG);

    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_eq!(value(&cluster, "log.retention.ms").await.as_deref(), Some("2000"), "it is kept");
}

#[tokio::test]
async fn clients_are_told_the_address_on_which_they_came() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let answer =
        cluster.any().await.unwrap().send(&MetadataRequest { topics: None, ..Default::default() }).await.unwrap();
    let told = format!("{}:{}", answer.brokers[0].host, answer.brokers[0].port);
    assert_eq!(told, broker.address);

    let broker = BrokerProcess::start(&["advertised.listeners=PLAINTEXT://kafka.example:19092"]);
    let connection = client::Connection::connect(&broker.address, "test").await.unwrap();
    let answer = connection.send(&MetadataRequest { topics: None, ..Default::default() }).await.unwrap();
    assert_eq!((answer.brokers[0].host.as_str(), answer.brokers[0].port), ("kafka.example", 19092));
}

//! The alerts and the dashboard ask for nothing that the broker does not tell.

use std::collections::BTreeSet;
use std::path::Path;

use crate::broker_process::BrokerProcess;
use crate::metrics::{Samples, scrape, used};

/// Words of `text` that are names of ours.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let ours = |word: &&str| ["kafka_", "ottla_", "process_"].iter().any(|prefix| word.starts_with(prefix));
    text.split(|c: char| !is_name(c)).filter(ours).map(str::to_owned).collect()
}

fn exposed(samples: &Samples) -> BTreeSet<String> {
    samples.0.keys().map(|sample| sample.split('{').next().unwrap().to_owned()).collect()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/alerts").join(file)).unwrap()
}

#[tokio::test]
async fn every_metric_of_alerts_and_dashboard_is_exposed() {
    let broker = BrokerProcess::start(&[]);
    let _used = used(&broker).await;
    let exposed = exposed(&scrape(&broker));
    let rules = read("rules.yaml");
    let wanted: BTreeSet<String> =
        rules.lines().filter(|line| line.trim_start().starts_with("expr:")).flat_map(names).collect();
    assert!(wanted.len() >= 15, "{wanted:?}");
    let missing: Vec<_> = wanted.difference(&exposed).collect();
    assert!(missing.is_empty(), "alerts ask for {missing:?}");

    let dashboard: serde_json::Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let wanted: BTreeSet<String> = targets.flat_map(|target| names(target["expr"].as_str().unwrap())).collect();
    assert!(wanted.len() >= 25, "{wanted:?}");
    let missing: Vec<_> = wanted.difference(&exposed).collect();
    assert!(missing.is_empty(), "the dashboard asks for {missing:?}");
}

/// Names that people's own rules and dashboards use, whatever ours do.
#[tokio::test]
async fn the_names_that_people_have_already_are_exposed() {
    let broker = BrokerProcess::start(&[]);
    let _used = used(&broker).await;
    let exposed = exposed(&scrape(&broker));
    for name in [
        "kafka_brokers",
        "kafka_controller_kafkacontroller_offlinepartitionscount",
        "kafka_server_replicamanager_underreplicatedpartitions",
        "kafka_consumergroup_lag",
        "kafka_producer_request_latency_avg",
        "ottla_log_dir_total_bytes",
        "ottla_log_dir_used_bytes",
        "ottla_log_dir_free_bytes",
        "kafka_server_replicamanager_isrshrinks_total",
        "kafka_server_replicamanager_isrshrinkspersec",
        "kafka_controller_controllerstats_leaderelectionrateandtimems_count",
        "kafka_server_replicamanager_leadercount",
        "kafka_server_brokertopicmetrics_messagesinpersec",
        "kafka_server_brokertopicmetrics_bytesinpersec",
        "kafka_server_brokertopicmetrics_messagesin_total",
        "kafka_controller_kafkacontroller_activecontrollercount",
        "kafka_topic_partition_current_offset",
        "kafka_topic_partition_oldest_offset",
        "kafka_topic_partition_replicas",
        "kafka_consumergroup_current_offset",
        "kafka_consumergroup_lag_seconds",
    ] {
        assert!(exposed.contains(name), "{name}");
    }
}

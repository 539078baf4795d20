//! `kafka-log-dirs`.

use serde::Serialize;

use super::flags::{Flag, Parsed, switch, value};
use super::{COMMAND_CONFIG, connect};
use crate::admin::nodes;
use crate::failure::{Failure, Outcome};
use crate::output::{commas, say};

pub(crate) const FLAGS: &[Flag] = &[
    value("bootstrap-server", "host:port", "Brokers to connect to, with commas between them"),
    COMMAND_CONFIG,
    switch("describe", "Show log directories"),
    value("topic-list", "t,u", "Only of these topics"),
    value("broker-list", "1,2", "Only of these brokers"),
];

#[derive(Serialize)]
struct Report {
    brokers: Vec<Broker>,
    version: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Broker {
    broker: i32,
    log_dirs: Vec<LogDir>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogDir {
    partitions: Vec<Partition>,
    error: Option<String>,
    log_dir: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Partition {
    partition: String,
    size: i64,
    offset_lag: i64,
    is_future: bool,
}

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    parsed.required("bootstrap-server")?;
    if !parsed.has("describe") {
        return Err(Failure::Usage("Missing required argument \"[describe]\"".into()));
    }
    let list = |text: Option<&str>| -> Vec<String> {
        text.unwrap_or_default().split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let topics = list(parsed.value("topic-list")?);
    let number =
        |text: String| text.trim().parse::<i32>().map_err(|_| Failure::Input(format!("For input string: \"{text}\"")));
    let asked: Vec<i32> = list(parsed.value("broker-list")?).into_iter().map(number).collect::<Result<_, _>>()?;
    let cluster = connect(parsed).await?;
    let there: Vec<i32> = nodes::describe(&cluster).await?.brokers.iter().map(|broker| broker.broker_id).collect();
    let unknown: Vec<i32> = asked.iter().copied().filter(|id| !there.contains(id)).collect();
    if !unknown.is_empty() {
        return Err(Failure::Input(format!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
            commas(&unknown),
            commas(&there)
        )));
    }
    say("Querying brokers for log directories information\n")?;
    let mut report = Report { brokers: Vec::new(), version: 1 };
    let wanted = if asked.is_empty() { there } else { asked };
    for broker in &wanted {
        let found = nodes::log_dirs(&cluster, *broker, (!topics.is_empty()).then_some(&topics[..])).await?;
        let log_dir = |dir: protocol::messages::describe_log_dirs::DescribeLogDirsResult| {
            let partitions = dir.topics.into_iter().flat_map(|topic| {
                topic.partitions.into_iter().map(move |partition| Partition {
                    partition: format!("{}-{}", topic.name, partition.partition_index),
                    size: partition.partition_size,
                    offset_lag: partition.offset_lag,
                    is_future: partition.is_future_key,
                })
            });
            let mut partitions: Vec<Partition> = partitions.collect();
            partitions.sort_by(|a, b| a.partition.cmp(&b.partition));
            let error = (!dir.error_code.is_none()).then(|| dir.error_code.to_string());
            LogDir { partitions, error, log_dir: dir.log_dir }
        };
        report.brokers.push(Broker { broker: *broker, log_dirs: found.into_iter().map(log_dir).collect() });
    }
    say(&format!("Received log directory information from brokers {}\n", commas(&wanted)))?;
    let json = serde_json::to_string(&report).map_err(std::io::Error::from)?;
    say(&format!("{json}\n"))
}

//! `cub kafka-ready`: waits until a cluster has enough brokers.

use std::time::Duration;

use client::Cluster;
use tokio::time::{Instant, sleep};

use super::flags::{Flag, Parsed, value};
use super::properties::Properties;
use crate::admin::nodes;
use crate::failure::{Failure, Outcome};

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(200);

pub(crate) const FLAGS: &[Flag] = &[
    value("bootstrap-server", "host:port", "Brokers to connect to").or(&["b"]),
    value("config", "file", "Properties of the client").or(&["c"]),
    value("zookeeper_connect", "host:port", "Not possible: give -b").or(&["z"]),
    value("security-protocol", "name", "PLAINTEXT").or(&["s"]),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let (count, seconds) = match &parsed.words[..] {
        [command, count, seconds] if command == "kafka-ready" => (count, seconds),
        _ => return Err(Failure::Usage("cub kafka-ready -b HOST:PORT BROKERS TIMEOUT_SECONDS".into())),
    };
    let number = |text: &String| text.parse::<u32>().map_err(|_| Failure::Usage(format!("{text} is not a number")));
    let (count, seconds) = (number(count)? as usize, number(seconds)?);
    let mut properties = Properties::load(parsed.value("config")?)?;
    if let Some(protocol) = parsed.value("security-protocol")? {
        properties = properties.add(std::iter::once(format!("security.protocol={protocol}").as_str()))?;
    }
    properties.require_plaintext()?;
    let bootstrap = parsed.required("bootstrap-server")?;
    let deadline = Instant::now() + Duration::from_secs(seconds.into());
    loop {
        let found = match Cluster::connect(bootstrap, crate::CLIENT_ID).await {
            Ok(cluster) => nodes::describe(&cluster).await.map(|cluster| cluster.brokers.len()),
            Err(error) => Err(error),
        };
        let text = match found {
            Ok(found) if found >= count => return Ok(()),
            Ok(found) => format!("Expected {count} brokers but found only {found}."),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(Failure::Input(text));
        }
        sleep(INTERVAL).await;
    }
}

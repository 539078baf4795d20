//! `ottla doctor`: why clients cannot use a broker, and what to do about it.
//!
//! The checks go the way a client goes: from the address that it was given (`reach.rs`, `first_bytes.rs`) to the
//! addresses that the brokers give it (`brokers.rs`), the machines (`machine.rs`), the state of the cluster
//! (`health.rs`), and a record there and back (`round_trip.rs`). What cannot work because of an earlier failure is left
//! out, and each check has a deadline.

mod brokers;
mod first_bytes;
mod health;
mod machine;
mod reach;
mod report;
mod round_trip;

use std::path::Path;
use std::time::Duration;

use client::Cluster;
use tokio::time::timeout;

use crate::CLIENT_ID;
use crate::arguments::DoctorArgs;
use crate::failure::Outcome;
use reach::{Reached, list};
use report::{Finding, Report};

/// How much longer than the others the checks may take that send many requests.
const LONG: u32 = 3;

pub(crate) async fn run(bootstrap: &str, args: &DoctorArgs) -> Outcome {
    let mut report = Report::new(args.output);
    examine(bootstrap, args, &mut report).await?;
    report.finish()
}

async fn examine(bootstrap: &str, args: &DoctorArgs, report: &mut Report) -> Outcome {
    let limit = Duration::from_millis(args.timeout_ms);
    let Some((address, door)) = bootstrap_door(bootstrap, limit, report).await? else { return Ok(()) };
    if door.peer.ip().is_loopback() {
        report.add(machine::memory(Path::new("/")))?;
    }
    let metadata = match brokers::metadata(&address, limit).await {
        Ok(metadata) => metadata,
        Err(finding) => return report.add(finding),
    };
    let (visited, findings) = brokers::visit(&metadata, door.peer.ip(), limit).await;
    report.add_all(findings)?;
    for broker in &visited {
        report.add_all(machine::disk(broker, limit).await)?;
    }
    report.add_all(health::partitions(&metadata))?;
    if visited.len() < metadata.brokers.len() {
        // A client needs all of them; it would say the same once more, and slowly.
        return Ok(());
    }
    match timeout(limit, Cluster::connect(&address, CLIENT_ID)).await {
        Ok(Ok(cluster)) => {
            report.add_all(health::groups(&cluster, args.lag, limit * LONG).await)?;
            if !args.read_only {
                report.add_all(round_trip::check(&cluster, limit * LONG).await)?;
            }
            Ok(())
        }
        Ok(Err(error)) => report.add(Finding::fail("metadata", error.to_string(), "look into the broker's log")),
        Err(_) => report.add(Finding::fail("metadata", "no answer came in time", "look into the broker's log")),
    }
}

/// Tries each address of the list; the first that leads to a broker is the door.
async fn bootstrap_door(
    bootstrap: &str,
    limit: Duration,
    report: &mut Report,
) -> Result<Option<(String, Reached)>, crate::failure::Failure> {
    let mut door = None;
    for address in bootstrap.split(',').map(str::trim).filter(|address| !address.is_empty()) {
        match reach::reach(address, limit).await {
            Ok(reached) => {
                report.add_all(good(&reached))?;
                door.get_or_insert((address.to_string(), reached));
            }
            Err(trouble) => report.add(Finding::fail(trouble.check(), trouble.what(), trouble.cure()))?,
        }
    }
    Ok(door)
}

fn good(reached: &Reached) -> Vec<Finding> {
    let name = Finding::ok("name", format!("{} is {}", reached.host, list(&reached.addresses)));
    let tcp = if reached.deaf.is_empty() {
        Finding::ok("tcp", format!("{} takes connections", reached.peer))
    } else {
        let what = format!("{} takes connections, {} not", reached.peer, list(&reached.deaf));
        let cure = format!("clients that try only the first address fail: name {} instead", reached.peer);
        Finding::warn("tcp", what, cure)
    };
    let what =
        format!("{} speaks Kafka without TLS, {} APIs; clients must not use TLS here", reached.peer, reached.apis);
    vec![name, tcp, Finding::ok("protocol", what)]
}

//! The addresses that brokers send clients to: the first connection works, and then nothing does, when they cannot be
//! reached from where the client is.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use client::{ClientError, Connection};
use protocol::ErrorCode;
use protocol::messages::metadata::{MetadataRequest, MetadataResponse, MetadataResponseBroker};
use tokio::time::timeout;

use super::reach::{self, Reached, Trouble};
use super::report::Finding;
use crate::CLIENT_ID;

/// Brokers that are visited one after another.
const BROKERS_MAX: usize = 64;
/// What an administrator of a broker can do about an address that does not work here.
const ADVERTISE: &str = "set advertised.listeners (KAFKA_ADVERTISED_LISTENERS) of that broker to an address that its clients \
                         can reach; Ottla without this setting tells each client the address it came to";

/// What a cluster says of itself.
pub(super) async fn metadata(address: &str, limit: Duration) -> Result<MetadataResponse, Finding> {
    let request = MetadataRequest { topics: None, allow_auto_topic_creation: false, ..Default::default() };
    let ask = async { Connection::connect(address, CLIENT_ID).await?.send(&request).await };
    let what = match timeout(limit, ask).await {
        Ok(Ok(answer)) if answer.error_code == ErrorCode::NONE => return Ok(answer),
        Ok(Ok(answer)) => answer.error_code.to_string(),
        Ok(Err(ClientError::NoAnswer { reason, .. })) => {
            let what = format!("{address} answers ApiVersions and then no more: {reason}");
            let cure = "a listener with SASL does this to a client without: use another listener, or look into the \
                        broker's log";
            return Err(Finding::fail("metadata", what, cure));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} ms", limit.as_millis()),
    };
    let cure = "the broker may be starting or have lost its controller: look into its log";
    Err(Finding::fail("metadata", format!("{address}: {what}"), cure))
}

/// A broker that can be used from here.
pub(super) struct Visited {
    pub(super) node_id: i32,
    pub(super) connection: Connection,
}

/// Visits each broker at the address that it gives to clients. `door` is how we came to the first.
pub(super) async fn visit(metadata: &MetadataResponse, door: IpAddr, limit: Duration) -> (Vec<Visited>, Vec<Finding>) {
    let (mut visited, mut findings) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for broker in metadata.brokers.iter().take(BROKERS_MAX) {
        match visit_one(metadata, broker, door, limit).await {
            Ok(found) => {
                let address = found.connection.address();
                let mut what = format!("broker {} is reached at {address}", broker.node_id);
                if !seen.insert(address.to_string()) {
                    what.push_str(", where another broker is too");
                    findings.push(Finding::fail("advertised", what, ADVERTISE));
                    continue;
                }
                findings.push(Finding::ok("advertised", what));
                visited.push(found);
            }
            Err(finding) => findings.push(finding),
        }
    }
    if metadata.brokers.is_empty() {
        let cure = "the broker has not registered yet or was fenced: look into its log";
        findings.push(Finding::fail("advertised", "the cluster names no broker", cure));
    }
    let left_out = metadata.brokers.len().saturating_sub(BROKERS_MAX);
    if left_out > 0 {
        let what = format!("{left_out} brokers beyond the first {BROKERS_MAX} were not visited");
        findings.push(Finding::warn("advertised", what, "run this against each of them"));
    }
    (visited, findings)
}

async fn visit_one(
    metadata: &MetadataResponse,
    broker: &MetadataResponseBroker,
    door: IpAddr,
    limit: Duration,
) -> Result<Visited, Finding> {
    let address = if broker.host.contains(':') {
        format!("[{}]:{}", broker.host, broker.port)
    } else {
        format!("{}:{}", broker.host, broker.port)
    };
    let sends = format!("broker {} sends clients to {address}", broker.node_id);
    let fail = |why: &str| Finding::fail("advertised", format!("{sends}, {why}"), ADVERTISE);
    if broker.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified()) {
        return Err(fail("which is no address to connect to"));
    }
    let reached = reach::reach(&address, limit).await.map_err(|trouble| unreached(&sends, &trouble))?;
    if is_elsewhere(&reached, door) {
        return Err(fail("which is for every client its own machine"));
    }
    let request = MetadataRequest { topics: Some(Vec::new()), allow_auto_topic_creation: false, ..Default::default() };
    let ask = async {
        let connection = Connection::connect(&address, CLIENT_ID).await?;
        let cluster_id = connection.send(&request).await?.cluster_id;
        Ok::<_, ClientError>((connection, cluster_id))
    };
    match timeout(limit, ask).await {
        Ok(Ok((connection, cluster_id))) if cluster_id == metadata.cluster_id => {
            Ok(Visited { node_id: broker.node_id, connection })
        }
        Ok(Ok(_)) => Err(fail("where a broker of another cluster answers")),
        Ok(Err(error)) => Err(fail(&format!("and there: {error}"))),
        Err(_) => Err(fail(&format!("where no answer comes within {} ms", limit.as_millis()))),
    }
}

/// Whether an address of this machine was given by a broker on another.
fn is_elsewhere(reached: &Reached, door: IpAddr) -> bool {
    !door.is_loopback() && reached.addresses.iter().all(|address| address.ip().is_loopback())
}

fn unreached(sends: &str, trouble: &Trouble) -> Finding {
    let cure = match trouble {
        Trouble::Name { host, .. } if reach::is_inner(host) => format!(
            "that name exists only inside a Kubernetes cluster or a Compose network: run the client there, or {ADVERTISE}"
        ),
        Trouble::Language { language, .. } => format!("{}; or {ADVERTISE}", language.cure()),
        _ => format!("the first connection works and all later ones fail: {ADVERTISE}"),
    };
    Finding::fail("advertised", format!("{sends}; {}", trouble.what()), cure)
}

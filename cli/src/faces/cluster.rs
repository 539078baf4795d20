//! `kafka-cluster`.

use client::ClientError;

use super::flags::{Flag, Parsed, switch, value};
use super::{BOOTSTRAP_CONTROLLER, cluster_endpoint, of_cluster, sub_command};
use crate::admin::endpoint::Endpoint;
use crate::admin::nodes;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    value("bootstrap-server", "host:port", "Brokers to connect to, with commas between them").or(&["b"]),
    BOOTSTRAP_CONTROLLER.or(&["C"]),
    value("command-config", "file", "Properties of the client").or(&["config", "c"]),
    value("id", "n", "unregister: the broker that is not coming back").or(&["i"]),
    switch("include-fenced-brokers", "list-endpoints: also brokers that do not serve"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let command = sub_command(parsed, &["cluster-id", "unregister", "list-endpoints"])?;
    match command {
        "cluster-id" => {
            let endpoint = cluster_endpoint(parsed).await?;
            say(&format!("Cluster ID: {}\n", endpoint.cluster.cluster_id))
        }
        "unregister" => unregister(parsed).await,
        _ => list_endpoints(parsed).await,
    }
}

async fn unregister(parsed: &Parsed) -> Outcome {
    let missing = || Failure::Usage("error: argument --id/-i is required".into());
    let id: i32 = parsed.number("id")?.ok_or_else(missing)?;
    match nodes::unregister(&cluster_endpoint(parsed).await?, id).await {
        Ok(()) => say(&format!("Broker {id} is no longer registered.\n")),
        Err(ClientError::Unsupported { .. }) => {
            say("The target cluster does not support the broker unregistration API.\n")
        }
        Err(error) => Err(of_cluster(error)),
    }
}

async fn list_endpoints(parsed: &Parsed) -> Outcome {
    if parsed.has("include-fenced-brokers") && parsed.has("bootstrap-controller") {
        let text = "The option --include-fenced-brokers is only supported with --bootstrap-server option";
        return Err(Failure::Input(text.into()));
    }
    say(&endpoints(&cluster_endpoint(parsed).await?))
}

/// A line for each node. Only brokers can be fenced.
fn endpoints(endpoint: &Endpoint) -> String {
    let nodes = &endpoint.cluster.brokers;
    let width = nodes.iter().map(|node| node.host.len()).max().unwrap_or(0);
    let line = |id: &str, host: &str, port: &str, rack: &str, state: &str, kind: &str| {
        let state = if endpoint.is_controller() { String::new() } else { format!("{state:<10} ") };
        format!("{id:<10} {host:<width$} {port:<10} {rack:<10} {state}{kind:<15}\n")
    };
    let kind = if endpoint.is_controller() { "controller" } else { "broker" };
    let mut text = line("ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE");
    for node in nodes {
        let state = if node.is_fenced { "fenced" } else { "unfenced" };
        let rack = node.rack.as_deref().unwrap_or("null");
        text.push_str(&line(&node.broker_id.to_string(), &node.host, &node.port.to_string(), rack, state, kind));
    }
    text
}

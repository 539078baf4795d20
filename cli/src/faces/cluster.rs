//! `kafka-cluster`.

use super::flags::{Flag, Parsed, switch, value};
use super::{connect, sub_command};
use crate::admin::nodes;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    value("bootstrap-server", "host:port", "Brokers to connect to, with commas between them").or(&["b"]),
    value("bootstrap-controller", "host:port", "Not possible: brokers are controllers, give --bootstrap-server")
        .or(&["C"]),
    value("command-config", "file", "Properties of the client").or(&["config", "c"]),
    value("id", "n", "The broker to unregister; not possible yet").or(&["i"]),
    switch("include-fenced-brokers", "No effect here: no broker is fenced"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let command = sub_command(parsed, &["cluster-id", "unregister", "list-endpoints"])?;
    if command == "unregister" {
        // As Kafka's tool answers for a broker that does not serve it.
        return say("The target cluster does not support the broker unregistration API.\n");
    }
    if parsed.has("bootstrap-controller") {
        return Err(Failure::Input("--bootstrap-controller: brokers are controllers, give --bootstrap-server".into()));
    }
    let cluster = nodes::describe(&connect(parsed).await?).await?;
    if command == "cluster-id" {
        return say(&format!("Cluster ID: {}\n", cluster.cluster_id));
    }
    let width = cluster.brokers.iter().map(|broker| broker.host.len()).max().unwrap_or(0);
    let line = |cells: [&str; 6]| {
        let [id, host, port, rack, state, kind] = cells;
        format!("{id:<10} {host:<width$} {port:<10} {rack:<10} {state:<10} {kind:<15}\n")
    };
    let mut text = line(["ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"]);
    for broker in &cluster.brokers {
        let state = if broker.is_fenced { "fenced" } else { "unfenced" };
        let (id, port) = (broker.broker_id.to_string(), broker.port.to_string());
        text.push_str(&line([&id, &broker.host, &port, broker.rack.as_deref().unwrap_or("null"), state, "broker"]));
    }
    say(&text)
}

//! `ottla cluster`: the cluster and its brokers.

use client::Cluster;
use serde::Serialize;

use crate::admin::nodes;
use crate::arguments::OutputArgs;
use crate::failure::Outcome;
use crate::output::print_as;
use crate::table::Table;

#[derive(Serialize)]
struct Described {
    cluster_id: String,
    controller: Option<i32>,
    brokers: Vec<Broker>,
}

#[derive(Serialize)]
struct Broker {
    broker: i32,
    host: String,
    port: i32,
    rack: Option<String>,
    fenced: bool,
}

pub(crate) async fn run(cluster: &Cluster, output: OutputArgs) -> Outcome {
    let found = nodes::describe(cluster).await?;
    let broker = |broker: protocol::messages::describe_cluster::DescribeClusterBroker| Broker {
        broker: broker.broker_id,
        host: broker.host,
        port: broker.port,
        rack: broker.rack,
        fenced: broker.is_fenced,
    };
    let described = Described {
        cluster_id: found.cluster_id,
        controller: (found.controller_id >= 0).then_some(found.controller_id),
        brokers: found.brokers.into_iter().map(broker).collect(),
    };
    print_as(output, &described, |described| {
        let mut table = Table::new(&["BROKER", "HOST", "PORT", "RACK", "NOTE"]);
        for broker in &described.brokers {
            let note = match (broker.fenced, described.controller == Some(broker.broker)) {
                (true, _) => "fenced",
                (_, true) => "controller",
                _ => "",
            };
            let rack = broker.rack.clone().unwrap_or_default();
            table.row([broker.broker.to_string(), broker.host.clone(), broker.port.to_string(), rack, note.into()]);
        }
        format!("cluster {}\n{table}", described.cluster_id)
    })
}

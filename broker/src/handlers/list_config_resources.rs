//! ListConfigResources: what has configuration.
//!
//! v0 only subscriptions to clients' metrics (KIP-1000). v1 resources of any type (KIP-1142).

use std::collections::BTreeSet;

use protocol::ErrorCode;
use protocol::messages::ListConfigResourcesRequest;
use protocol::messages::list_config_resources::*;
use state::cluster::{ConfigResource as Configured, Image};

use super::describe_configs::CLIENT_METRICS;
use crate::context::Context;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const GROUP: i8 = 32;
const ALL: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

/// Lists, in Kafka's order of types, every topic and broker, and the groups that have settings of their own; of all types when none is named.
pub(crate) async fn handle(context: Context, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse {
    let mut types: BTreeSet<i8> = request.resource_types.into_iter().collect();
    if context.version == 0 {
        types = BTreeSet::from([CLIENT_METRICS]);
    } else if types.is_empty() {
        types.extend(ALL);
    }
    if types.iter().any(|resource_type| !ALL.contains(resource_type)) {
        return ListConfigResourcesResponse { error_code: ErrorCode::UNSUPPORTED_VERSION, ..Default::default() };
    }
    let image = context.broker.image();
    let of_type = |resource_type: i8| {
        let resource = move |resource_name: String| ConfigResource { resource_name, resource_type };
        names(&image, resource_type).into_iter().map(resource)
    };
    ListConfigResourcesResponse {
        config_resources: types.into_iter().rev().flat_map(of_type).collect(),
        ..Default::default()
    }
}

fn names(image: &Image, resource_type: i8) -> Vec<String> {
    let group = |configured: &Configured| match configured {
        Configured::Group(id) => Some(id.clone()),
        Configured::Topic(_) | Configured::Broker(_) | Configured::DefaultBroker | Configured::ClientMetrics(_) => None,
    };
    match resource_type {
        TOPIC => image.topics().map(|topic| topic.name.to_string()).collect(),
        BROKER | BROKER_LOGGER => image.brokers().map(|broker| broker.broker_id.to_string()).collect(),
        CLIENT_METRICS => image.client_metrics().map(|(name, _)| name.to_owned()).collect(),
        GROUP => image.all_configs().filter_map(|(configured, _)| group(configured)).collect(),
        _ => Vec::new(),
    }
}

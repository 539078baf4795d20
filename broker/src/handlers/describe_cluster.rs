//! DescribeCluster: brokers and the cluster id (KIP-700).
//!
//! v1 endpoint types (KIP-919). v2 fenced brokers (KIP-1073).

use protocol::ErrorCode;
use protocol::messages::DescribeClusterRequest;
use protocol::messages::describe_cluster::*;

use crate::authorized::{self, ANY_CLUSTER};
use crate::context::Context;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Describes the brokers.
pub(crate) async fn handle(context: Context, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let refused = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((
            ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
        )),
        _ => Some((ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type")),
    };
    if let Some((error_code, message)) = refused {
        return DescribeClusterResponse { error_code, error_message: Some(message.into()), ..Default::default() };
    }
    let image = context.broker.image();
    let brokers = image
        .brokers()
        .filter(|broker| request.include_fenced_brokers || !broker.fenced)
        .filter_map(|broker| {
            let (host, port) = context.broker.endpoint_of(broker.broker_id, &context.connection)?;
            Some(DescribeClusterBroker {
                broker_id: broker.broker_id,
                host,
                port: i32::from(port),
                rack: broker.rack.clone(),
                is_fenced: broker.fenced,
            })
        })
        .collect();
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: image.cluster_id().unwrap_or_default().to_string(),
        controller_id: context.broker.node_id(),
        brokers,
        cluster_authorized_operations: authorized::operations(
            request.include_cluster_authorized_operations,
            ANY_CLUSTER,
        ),
        ..Default::default()
    }
}

//! DescribeCluster: an admin client asks for the cluster's id, its brokers or controllers, and who leads (KIP-700).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Lists the nodes of the cluster.
    DescribeCluster = 60, versions 0..=2, flexible 0..;

    request DescribeClusterRequest {
        include_cluster_authorized_operations: bool,
        /// 1 brokers, 2 controllers.
        endpoint_type: i8 [since 1] = 1,
        include_fenced_brokers: bool [since 2],
    }

    response DescribeClusterResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        /// 1 brokers, 2 controllers.
        endpoint_type: i8 [since 1] = 1,
        cluster_id: String,
        /// −1 when unknown.
        controller_id: i32 = -1,
        brokers: Vec<DescribeClusterBroker>,
        /// A bit for each operation that is allowed, by its number; `i32::MIN` when nobody asked.
        cluster_authorized_operations: i32 = i32::MIN,
    }

    struct DescribeClusterBroker {
        broker_id: i32,
        host: String,
        port: i32,
        rack: Option<String> [nullable 0],
        is_fenced: bool [since 2],
    }
}

//! ListConfigResources: an admin client lists the resources that have configuration (KIP-1142); until 4.1 only those of
//! client metrics.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Lists resources that have configuration.
    ListConfigResources = 74, versions 0..=1, flexible 0..;

    request ListConfigResourcesRequest {
        /// Empty is all; 2 topic, 4 broker, 8 broker loggers, 16 client metrics, 32 group.
        resource_types: Vec<i8> [since 1],
    }

    response ListConfigResourcesResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        config_resources: Vec<ConfigResource>,
    }

    struct ConfigResource {
        resource_name: String,
        resource_type: i8 [since 1] = 16,
    }
}

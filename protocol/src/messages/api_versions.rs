//! ApiVersions: a client asks, before anything else on a connection, which APIs and versions a broker speaks; the
//! answer also carries the features of the cluster (KIP-584).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Asks which APIs and versions a broker speaks.
    ApiVersions = 18, versions 0..=4, flexible 3..;

    request ApiVersionsRequest {
        client_software_name: String [since 3],
        client_software_version: String [since 3],
    }

    response ApiVersionsResponse {
        error_code: ErrorCode,
        api_keys: Vec<ApiVersion>,
        throttle_time_ms: i32 [since 1],
        supported_features: Vec<SupportedFeatureKey> [since 3, tag 0],
        finalized_features_epoch: i64 [since 3, tag 1] = -1,
        finalized_features: Vec<FinalizedFeatureKey> [since 3, tag 2],
        zk_migration_ready: bool [since 3, tag 3],
    }

    struct ApiVersion {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }

    struct SupportedFeatureKey {
        name: String [since 3],
        min_version: i16 [since 3],
        max_version: i16 [since 3],
    }

    struct FinalizedFeatureKey {
        name: String [since 3],
        max_version_level: i16 [since 3],
        min_version_level: i16 [since 3],
    }
}

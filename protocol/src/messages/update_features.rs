//! UpdateFeatures: an admin client raises or lowers the version of a feature of the whole cluster (KIP-584).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Sets the versions of features.
    UpdateFeatures = 57, versions 0..=2, flexible 0..;

    request UpdateFeaturesRequest {
        timeout_ms: i32 = 60_000,
        feature_updates: Vec<FeatureUpdateKey>,
        validate_only: bool [since 1],
    }

    response UpdateFeaturesResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        results: Vec<UpdatableFeatureResult> [until 1],
    }

    struct FeatureUpdateKey {
        feature: String,
        /// Below 1 removes the feature.
        max_version_level: i16,
        allow_downgrade: bool [until 0],
        /// 1 only up, 2 down if nothing is lost, 3 down whatever is lost.
        upgrade_type: i8 [since 1] = 1,
    }

    struct UpdatableFeatureResult {
        feature: String,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}

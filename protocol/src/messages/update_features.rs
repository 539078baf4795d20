//! UpdateFeatures: set finalized features (kafka-features.sh).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Set finalized features (kafka-features.sh).
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
        max_version_level: i16,
        allow_downgrade: bool [until 0],
        upgrade_type: i8 [since 1] = 1,
    }

    struct UpdatableFeatureResult {
        feature: String,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}

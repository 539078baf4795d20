//! ApiVersions: what this broker serves, from the dispatch table.
//!
//! v3 client software name and version (KIP-511), finalized features (KIP-584). v4 features with minimum 0.
//! An unknown version is answered with UNSUPPORTED_VERSION in the layout of version 0, which every client can read.

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::api::Request;
use protocol::frame;
use protocol::messages::ApiVersionsRequest;
use protocol::messages::api_versions::*;

use crate::context::Context;
use crate::dispatch::ROUTES;
use crate::features::{FEATURES, Feature};

/// From this version a client names its software.
const FIRST_NAMED_VERSION: i16 = 3;
/// From this version on a feature may have level 0.
const FIRST_ZERO_LEVEL_VERSION: i16 = 4;
/// Layout of the answer to a version that is not known here.
const FALLBACK_VERSION: i16 = 0;

/// Answers with the table.
pub(crate) async fn handle(context: Context, request: ApiVersionsRequest) -> ApiVersionsResponse {
    if context.version >= FIRST_NAMED_VERSION {
        let (name, version) = (request.client_software_name, request.client_software_version);
        if !is_software_name(&name) || !is_software_name(&version) {
            return ApiVersionsResponse { error_code: ErrorCode::INVALID_REQUEST, ..Default::default() };
        }
        // A client says it once per connection; a second time changes nothing.
        let _ = context.connection.software.set((name, version));
    }
    // Clients believe the features with the highest epoch, and a broker that starts again may be a newer release.
    let epoch = context.broker.image().broker(context.broker.node_id()).map_or(0, |registered| registered.epoch);
    ApiVersionsResponse {
        api_keys: api_keys(),
        supported_features: supported_features(context.version),
        finalized_features_epoch: epoch,
        finalized_features: finalized_features(),
        ..Default::default()
    }
}

/// Below version 4 some clients cannot read a range that starts at 0 (KAFKA-17492).
fn supported_features(version: i16) -> Vec<SupportedFeatureKey> {
    let shown = FEATURES.iter().filter(|feature| version >= FIRST_ZERO_LEVEL_VERSION || *feature.levels.start() > 0);
    shown
        .map(|feature| SupportedFeatureKey {
            name: feature.name.into(),
            min_version: *feature.levels.start(),
            max_version: *feature.levels.end(),
        })
        .collect()
}

fn finalized_features() -> Vec<FinalizedFeatureKey> {
    let key = |feature: &Feature| FinalizedFeatureKey {
        name: feature.name.into(),
        max_version_level: feature.level,
        min_version_level: feature.level,
    };
    FEATURES.iter().map(key).collect()
}

fn api_keys() -> Vec<ApiVersion> {
    ROUTES.iter().map(|route| api_version(route.key, *route.versions.start(), *route.versions.end())).collect()
}

fn api_version(api_key: i16, min_version: i16, max_version: i16) -> ApiVersion {
    ApiVersion { api_key, min_version, max_version }
}

/// The answer to an ApiVersions request in a version that is not known here; its body was not read.
pub(crate) fn unsupported(context: &Context) -> Vec<Bytes> {
    let versions = ROUTES
        .iter()
        .filter(|route| route.key == ApiVersionsRequest::KEY)
        .map(|route| api_version(route.key, *route.versions.start(), *route.versions.end()))
        .collect();
    let response =
        ApiVersionsResponse { error_code: ErrorCode::UNSUPPORTED_VERSION, api_keys: versions, ..Default::default() };
    frame::encode_response(ApiVersionsRequest::KEY, FALLBACK_VERSION, context.correlation_id, &response)
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`, as Kafka checks it.
fn is_software_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_checked_as_kafka_does() {
        for good in ["sarama", "apache-kafka-java", "4.3.1", "a"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "ä", "a/b"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_has_no_key_twice() {
        assert!(ROUTES.windows(2).all(|pair| pair[0].key < pair[1].key));
    }
}

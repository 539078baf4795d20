//! Features with levels that a whole cluster agrees on (KIP-584).

use client::ClientError;
use protocol::messages::api_versions::ApiVersionsResponse;
use protocol::messages::update_features::FeatureUpdateKey;
use protocol::messages::{ApiVersionsRequest, UpdateFeaturesRequest};

use super::TIMEOUT_MS;
use super::endpoint::Endpoint;

/// How far a change may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    /// If no metadata is lost.
    SafelyDown,
    Down,
}

/// What a node supports and what is finalized: of one node, or of whichever answers.
///
/// # Errors
/// [`ClientError`].
pub(crate) async fn describe(endpoint: &Endpoint, node_id: Option<i32>) -> Result<ApiVersionsResponse, ClientError> {
    let request = ApiVersionsRequest {
        client_software_name: "ottla".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
    };
    let answer = match node_id {
        Some(id) => endpoint.node(id).await?.send(&request).await?,
        None => endpoint.send(&request).await?,
    };
    ClientError::check("ApiVersions", answer.error_code, None)?;
    Ok(answer)
}

/// Sets the levels of features, all or none; with `validate_only` the cluster only says whether it would.
///
/// # Errors
/// The cluster's, with its words.
pub(crate) async fn update(
    endpoint: &Endpoint,
    levels: &[(String, i16)],
    direction: Direction,
    validate_only: bool,
) -> Result<(), ClientError> {
    let update = |(feature, level): &(String, i16)| FeatureUpdateKey {
        feature: feature.clone(),
        max_version_level: *level,
        allow_downgrade: direction != Direction::Up,
        upgrade_type: match direction {
            Direction::Up => 1,
            Direction::SafelyDown => 2,
            Direction::Down => 3,
        },
    };
    let request = UpdateFeaturesRequest {
        timeout_ms: TIMEOUT_MS,
        feature_updates: levels.iter().map(update).collect(),
        validate_only,
    };
    let answer = endpoint.send(&request).await?;
    ClientError::check("the features", answer.error_code, answer.error_message)?;
    for result in answer.results {
        ClientError::check(format!("feature {}", result.feature), result.error_code, result.error_message)?;
    }
    Ok(())
}

//! UpdateFeatures: raises or lowers the levels of features of the whole cluster (KIP-584).
//!
//! v1 kinds of upgrade, and validation only. v2 one result for all features (KIP-1022).
//!
//! No feature has levels here yet: ApiVersions names none as supported or finalized. So every update is refused, in the
//! words in which Kafka refuses a feature that it does not know.

use protocol::ErrorCode;
use protocol::messages::UpdateFeaturesRequest;
use protocol::messages::update_features::*;
use tracing::info;

use crate::context::Context;

/// The kinds of upgrade: up, down if nothing is lost, down.
const UPGRADE_TYPES: std::ops::RangeInclusive<i8> = 1..=3;

/// Changes all features or none.
pub(crate) async fn handle(context: Context, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let Some(first) = request.feature_updates.first() else { return UpdateFeaturesResponse::default() };
    let (feature, level, client_id) = (&first.feature, first.max_version_level, &context.client_id);
    let reason = refusal(first, context.broker.node_id());
    info!(feature, level, client_id, reason, "features not updated");
    let message = format!(
        "The update failed for all features since the following feature had an error: Invalid update version {level} for \
         feature {feature}. {reason}"
    );
    UpdateFeaturesResponse {
        error_code: ErrorCode::INVALID_UPDATE_VERSION,
        error_message: Some(message),
        ..Default::default()
    }
}

fn refusal(update: &FeatureUpdateKey, node_id: i32) -> String {
    match update.max_version_level {
        _ if !UPGRADE_TYPES.contains(&update.upgrade_type) => {
            "The controller does not support the given upgrade type.".into()
        }
        ..0 => "A feature version cannot be less than 0.".into(),
        0 => format!("Feature {} not found.", update.feature),
        1.. => format!("Local controller {node_id} does not support this feature."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_kafkas_order() {
        let refused = |max_version_level, upgrade_type| {
            refusal(&FeatureUpdateKey { feature: "f".into(), max_version_level, upgrade_type, ..Default::default() }, 7)
        };
        assert_eq!(refused(-1, 0), "The controller does not support the given upgrade type.");
        assert_eq!(refused(-1, 1), "A feature version cannot be less than 0.");
        assert_eq!(refused(0, 3), "Feature f not found.");
        assert_eq!(refused(1, 1), "Local controller 7 does not support this feature.");
    }
}

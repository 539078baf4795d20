//! UpdateFeatures: raises or lowers the levels of features of the whole cluster (KIP-584).
//!
//! v1 kinds of upgrade, and validation only. v2 one result for all features (KIP-1022).
//!
//! A feature has the one level that this release works with (`features.rs`). Asking for it changes nothing; every other
//! update is refused, in Kafka's words where Kafka would refuse it too.

use protocol::ErrorCode;
use protocol::messages::UpdateFeaturesRequest;
use protocol::messages::update_features::*;
use tracing::info;

use crate::context::Context;
use crate::features::feature;

/// The kinds of upgrade: up, down if nothing is lost, down.
const UPGRADE_TYPES: std::ops::RangeInclusive<i8> = 1..=3;

/// Changes all features or none.
pub(crate) async fn handle(context: Context, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let refused =
        request.feature_updates.iter().find_map(|update| Some((update, refusal(update, context.broker.node_id())?)));
    let Some((update, reason)) = refused else {
        let done = |update: FeatureUpdateKey| UpdatableFeatureResult { feature: update.feature, ..Default::default() };
        let results = request.feature_updates.into_iter().map(done).collect();
        return UpdateFeaturesResponse { results, ..Default::default() };
    };
    let (feature, level, client_id) = (&update.feature, update.max_version_level, &*context.client_id);
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

/// Why an update is refused, or `None` when it asks for what is so.
fn refusal(update: &FeatureUpdateKey, node_id: i32) -> Option<String> {
    let level = update.max_version_level;
    if !UPGRADE_TYPES.contains(&update.upgrade_type) {
        return Some("The controller does not support the given upgrade type.".into());
    }
    if level < 0 {
        return Some("A feature version cannot be less than 0.".into());
    }
    let Some(known) = feature(&update.feature) else {
        return Some(match level {
            0 => format!("Feature {} not found.", update.feature),
            _ => format!("Local controller {node_id} does not support this feature."),
        });
    };
    let (min, max) = (known.levels.start(), known.levels.end());
    if !known.levels.contains(&level) {
        return Some(format!("Local controller {node_id} only supports versions {min}-{max}"));
    }
    (level != known.level).then(|| format!("Level {} is the one that this release works with.", known.level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_kafkas_order() {
        let refused_of = |feature: &str, max_version_level, upgrade_type| {
            let update =
                FeatureUpdateKey { feature: feature.into(), max_version_level, upgrade_type, ..Default::default() };
            refusal(&update, 7).unwrap_or_default()
        };
        let refused = |level, upgrade_type| refused_of("f", level, upgrade_type);
        assert_eq!(refused(-1, 0), "The controller does not support the given upgrade type.");
        assert_eq!(refused(-1, 1), "A feature version cannot be less than 0.");
        assert_eq!(refused(0, 3), "Feature f not found.");
        assert_eq!(refused(1, 1), "Local controller 7 does not support this feature.");
        let transactions = |level| refused_of("transaction.version", level, 1);
        assert_eq!(transactions(3), "Local controller 7 only supports versions 0-2");
        assert_eq!(transactions(1), "Level 2 is the one that this release works with.");
        assert_eq!(transactions(2), "");
    }
}

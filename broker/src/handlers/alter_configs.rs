//! AlterConfigs: replace all overrides of a resource at once. Kept for older clients; see IncrementalAlterConfigs.

use std::collections::BTreeMap;

use protocol::ErrorCode;
use protocol::messages::AlterConfigsRequest;
use protocol::messages::alter_configs::*;
use state::cluster::{ConfigAlteration, ConfigChange, Refusal};

use super::incremental_alter_configs::{apply, check_names, duplicates, resource};
use crate::context::Context;

/// Replaces the overrides of each resource, or only says whether it would.
pub(crate) async fn handle(context: Context, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    let twice = duplicates(request.resources.iter().map(|wanted| (wanted.resource_type, &*wanted.resource_name)));
    for wanted in request.resources {
        let (resource_type, resource_name) = (wanted.resource_type, wanted.resource_name.clone());
        let outcome = if !twice.contains(&(resource_type, resource_name.clone())) {
            alter(&context, wanted, request.validate_only).await
        } else {
            Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Each resource must appear at most once."))
        };
        let (error_code, error_message) = match outcome {
            Ok(()) => (ErrorCode::NONE, None),
            Err(refusal) => (refusal.error, Some(refusal.message)),
        };
        responses.push(AlterConfigsResourceResponse { error_code, error_message, resource_type, resource_name });
    }
    AlterConfigsResponse { responses, ..Default::default() }
}

async fn alter(context: &Context, wanted: AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let resource = resource(context, wanted.resource_type, &wanted.resource_name)?;
    check_names(wanted.configs.iter().map(|config| config.name.as_str()))?;
    let mut values = BTreeMap::new();
    for config in wanted.configs {
        let Some(value) = config.value else {
            let message = format!("Null value not supported for : {}", config.name);
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        };
        values.insert(config.name, value);
    }
    apply(context, ConfigAlteration { resource, change: ConfigChange::Replace(values) }, validate_only).await
}

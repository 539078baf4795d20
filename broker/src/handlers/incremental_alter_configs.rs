//! IncrementalAlterConfigs: change overrides key by key (KIP-339). What is answered with success is in force.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use protocol::messages::IncrementalAlterConfigsRequest;
use protocol::messages::incremental_alter_configs::*;
use state::cluster::{ConfigAlteration, ConfigChange, ConfigOperation, ConfigResource, Refusal, check_topic_name};
use tracing::info;

use super::broker_loggers::{self, BROKER_LOGGER};
use super::describe_configs::{BROKER, CLIENT_METRICS, TOPIC};
use crate::config;
use crate::context::Context;
use crate::controller;

pub(super) const SET: i8 = 0;
pub(super) const DELETE: i8 = 1;
pub(super) const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// Changes each resource, or only says whether it would.
pub(crate) async fn handle(
    context: Context,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    let twice = duplicates(request.resources.iter().map(|wanted| (wanted.resource_type, &*wanted.resource_name)));
    for wanted in request.resources {
        let (resource_type, resource_name) = (wanted.resource_type, wanted.resource_name.clone());
        let outcome = if !twice.contains(&(resource_type, resource_name.clone())) {
            match resource_type {
                BROKER_LOGGER => broker_loggers::alter(&context, wanted, request.validate_only),
                _ => alter(&context, wanted, request.validate_only).await,
            }
        } else {
            Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Each resource must appear at most once."))
        };
        let (error_code, error_message) = match outcome {
            Ok(()) => (ErrorCode::NONE, None),
            Err(refusal) => (refusal.error, Some(refusal.message)),
        };
        responses.push(AlterConfigsResourceResponse { error_code, error_message, resource_type, resource_name });
    }
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

/// The resources that are named more than once. They are refused: which of two changes is meant, nobody said.
pub(crate) fn duplicates<'a>(resources: impl Iterator<Item = (i8, &'a str)>) -> BTreeSet<(i8, String)> {
    let mut seen = BTreeSet::new();
    resources.filter(|resource| !seen.insert(*resource)).map(|(kind, name)| (kind, name.to_string())).collect()
}

async fn alter(context: &Context, wanted: AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let resource = resource(context, wanted.resource_type, &wanted.resource_name)?;
    check_names(wanted.configs.iter().map(|config| config.name.as_str()))?;
    let mut operations = BTreeMap::new();
    for config in wanted.configs {
        operations.insert(config.name.clone(), operation(context, &resource, config)?);
    }
    apply(context, ConfigAlteration { resource, change: ConfigChange::Update(operations) }, validate_only).await
}

fn operation(
    context: &Context,
    resource: &ConfigResource,
    config: AlterableConfig,
) -> Result<ConfigOperation, Refusal> {
    if config.config_operation == DELETE {
        return Ok(ConfigOperation::Delete);
    }
    let Some(value) = config.value else {
        let message = format!("Null value not supported for : {}", config.name);
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    };
    let items = || value.split(',').map(|item| item.trim().to_string()).filter(|item| !item.is_empty()).collect();
    match config.config_operation {
        SET => Ok(ConfigOperation::Set(value)),
        APPEND | SUBTRACT => {
            let of_clients = matches!(resource, ConfigResource::ClientMetrics(_));
            if of_clients || !config::is_list(&config.name) {
                let why = if of_clients { "is only set as a whole" } else { "is not a list" };
                let message = format!("Can't append or subtract: {} {why}", config.name);
                return Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
            }
            let default = config::default_of_list(&context.broker.config(), &config.name);
            Ok(match config.config_operation {
                APPEND => ConfigOperation::Append { items: items(), default },
                _ => ConfigOperation::Subtract { items: items(), default },
            })
        }
        other => Err(Refusal::new(ErrorCode::INVALID_REQUEST, format!("unknown config operation {other}"))),
    }
}

/// Which resource a request means.
///
/// # Errors
/// When it does not exist, or is of a kind that has no configurations here.
pub(crate) fn resource(context: &Context, resource_type: i8, name: &str) -> Result<ConfigResource, Refusal> {
    match resource_type {
        TOPIC if name.is_empty() => {
            Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Default topic resources are not allowed."))
        }
        TOPIC => {
            check_topic_name(name)?;
            match context.broker.image().topic(name) {
                Some(_) => Ok(ConfigResource::Topic(name.to_string())),
                None => {
                    let message = format!("The topic '{name}' does not exist.");
                    Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message))
                }
            }
        }
        BROKER if name.is_empty() => Ok(ConfigResource::DefaultBroker),
        BROKER => match name.parse::<i32>() {
            Ok(id) if context.broker.image().broker(id).is_some() => Ok(ConfigResource::Broker(id)),
            _ => {
                let message = format!("There is no broker with id '{name}'.");
                Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
            }
        },
        CLIENT_METRICS if name.is_empty() => {
            Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Subscription name can't be empty"))
        }
        CLIENT_METRICS => Ok(ConfigResource::ClientMetrics(name.to_owned())),
        other => {
            let message = format!("configurations of resource type {other} are not served");
            Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
        }
    }
}

/// Refuses a key that is named twice.
///
/// # Errors
/// `INVALID_REQUEST`.
pub(crate) fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let message = format!("The configuration '{name}' appears twice.");
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
    }
    Ok(())
}

/// Validates the configuration that would result, and makes it so.
///
/// # Errors
/// What is wrong with it; nothing changed.
pub(crate) async fn apply(context: &Context, alteration: ConfigAlteration, validate_only: bool) -> Result<(), Refusal> {
    let resource = alteration.resource.to_string();
    controller::alter_configs(&context.broker, alteration, validate_only).await?;
    if !validate_only {
        info!(resource, client_id = &*context.client_id, "configuration changed");
    }
    Ok(())
}

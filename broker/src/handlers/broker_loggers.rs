//! Loggers as a resource of DescribeConfigs and IncrementalAlterConfigs (KIP-412). Their levels last as long as the
//! process.

use protocol::ErrorCode;
use protocol::messages::describe_configs::DescribeConfigsResourceResult;
use protocol::messages::incremental_alter_configs::AlterConfigsResource;
use state::cluster::Refusal;
use tracing::info;

use super::incremental_alter_configs::{APPEND, DELETE, SET};
use crate::context::Context;
use crate::logging;

/// The number of the resource type.
pub(crate) const BROKER_LOGGER: i8 = 8;
/// DYNAMIC_BROKER_LOGGER_CONFIG among the sources of values.
const SOURCE: i8 = 6;

/// Every logger with its level, of those that are asked for.
///
/// # Errors
/// `INVALID_REQUEST` when another broker is meant.
pub(crate) fn describe(
    context: &Context,
    broker: &str,
    wanted: Option<&[String]>,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    if broker.is_empty() {
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Broker id must not be empty"));
    }
    check_node(context, broker, "Broker id", "Unexpected broker id, expected", " ")?;
    let is_wanted = |name: &str| wanted.is_none_or(|names| names.iter().any(|wanted| wanted == name));
    let row = |(name, level): (&str, &str)| DescribeConfigsResourceResult {
        name: name.to_owned(),
        value: Some(level.to_owned()),
        config_source: SOURCE,
        ..Default::default()
    };
    Ok(logging::loggers().into_iter().filter(|(name, _)| is_wanted(name)).map(row).collect())
}

/// Sets levels, or takes them away.
///
/// # Errors
/// `INVALID_REQUEST` and `INVALID_CONFIG`; then nothing changed.
pub(crate) fn alter(context: &Context, wanted: AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    check_node(context, &wanted.resource_name, "Node id", "Unexpected node id. Expected", ", ")?;
    let mut changes = Vec::with_capacity(wanted.configs.len());
    for config in wanted.configs {
        let exists = || {
            let message = format!("Logger {} does not exist!", config.name);
            logging::find(&config.name).ok_or_else(|| Refusal::new(ErrorCode::INVALID_CONFIG, message))
        };
        match config.config_operation {
            SET => {
                let (name, level) = (exists()?, config.value.clone().unwrap_or_default());
                if !logging::is_level(&level) {
                    let message = format!(
                        "Cannot set the log level of {name} to {level} as it is not a supported log level. Valid log \
                         levels are {}",
                        logging::level_names()
                    );
                    return Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
                }
                changes.push((name, Some(level)));
            }
            DELETE => match exists()? {
                logging::ROOT => {
                    let message = format!("Removing the log level of the {} logger is not allowed", logging::ROOT);
                    return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
                }
                name => changes.push((name, None)),
            },
            other => {
                let operation = if other == APPEND { "APPEND" } else { "SUBTRACT" };
                let message = format!("{operation} operation is not allowed for the BROKER_LOGGER resource");
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
            }
        }
    }
    if !validate_only {
        logging::change(&changes);
        info!(?changes, client_id = &*context.client_id, "log levels changed");
    }
    Ok(())
}

/// A broker has its own loggers and nobody else's.
fn check_node(context: &Context, name: &str, kind: &str, unexpected: &str, but: &str) -> Result<(), Refusal> {
    let node_id = context.broker.node_id();
    let message = match name.parse::<i32>() {
        Ok(id) if id == node_id => return Ok(()),
        Ok(id) => format!("{unexpected} {node_id}{but}but received {id}"),
        Err(_) => format!("{kind} must be an integer, but it is: {name}"),
    };
    Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
}

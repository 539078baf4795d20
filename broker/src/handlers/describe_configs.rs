//! DescribeConfigs: what is set, by whom, and what it means.
//!
//! v1 sources and synonyms (KIP-226). v3 types and documentation (KIP-569).

use protocol::ErrorCode;
use protocol::messages::DescribeConfigsRequest;
use protocol::messages::describe_configs::*;
use state::cluster::{ConfigResource, Refusal, check_topic_name};

use super::broker_loggers::{self, BROKER_LOGGER};
use crate::config::{self, DescribedConfig};
use crate::context::Context;

pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
pub(crate) const CLIENT_METRICS: i8 = 16;

type Described = Result<Vec<DescribedConfig>, (ErrorCode, String)>;

/// Describes each resource.
pub(crate) async fn handle(context: Context, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let (with_synonyms, with_docs) = (request.include_synonyms, request.include_documentation);
    let results = request.resources.into_iter().map(|resource| {
        if resource.resource_type == BROKER_LOGGER {
            return loggers(&context, &resource);
        }
        let described = match resource.resource_type {
            TOPIC => topic(&context, &resource.resource_name),
            BROKER => broker(&context, &resource.resource_name),
            CLIENT_METRICS => client_metrics(&context, &resource.resource_name),
            other => {
                Err((ErrorCode::INVALID_REQUEST, format!("configurations of resource type {other} are not served")))
            }
        };
        let (error_code, error_message, rows) = match described {
            Ok(rows) => (ErrorCode::NONE, None, rows),
            Err((code, message)) => (code, Some(message), Vec::new()),
        };
        let wanted = |row: &DescribedConfig| {
            // No key at all is no choice, as null is.
            let keys = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
            keys.is_none_or(|keys| keys.iter().any(|key| key == row.name))
        };
        DescribeConfigsResult {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs: rows.into_iter().filter(wanted).map(|row| answer(row, with_synonyms, with_docs)).collect(),
        }
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

fn loggers(context: &Context, resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    // No key at all is no choice, as null is.
    let keys = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
    let (resource_type, resource_name) = (resource.resource_type, resource.resource_name.clone());
    let answer = DescribeConfigsResult { resource_type, resource_name, ..Default::default() };
    match broker_loggers::describe(context, &resource.resource_name, keys) {
        Ok(configs) => DescribeConfigsResult { configs, ..answer },
        Err(Refusal { error, message }) => {
            DescribeConfigsResult { error_code: error, error_message: Some(message), ..answer }
        }
    }
}

fn topic(context: &Context, name: &str) -> Described {
    check_topic_name(name).map_err(|refusal| (refusal.error, refusal.message))?;
    let image = context.broker.image();
    if image.topic(name).is_none() {
        return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("The topic '{name}' does not exist.")));
    }
    let overrides = image.topic_configs(name).map(|configs| (**configs).clone()).unwrap_or_default();
    Ok(config::describe_topic(&context.broker.config(), &overrides))
}

fn broker(context: &Context, name: &str) -> Described {
    let image = context.broker.image();
    if name.is_empty() {
        return Ok(config::describe_default_broker(&image));
    }
    let node_id = context.broker.node_id();
    match name.parse::<i32>() {
        Ok(id) if id == node_id => Ok(config::describe_broker(context.broker.config_source(), &image, node_id)),
        Ok(id) => {
            let message = format!("Unexpected broker id, expected {node_id} or empty string, but received {id}");
            Err((ErrorCode::INVALID_REQUEST, message))
        }
        Err(_) => Err((ErrorCode::INVALID_REQUEST, format!("Broker id must be an integer, but it is: {name}"))),
    }
}

/// Also of a subscription that is not there: it has the defaults.
fn client_metrics(context: &Context, name: &str) -> Described {
    if name.is_empty() {
        return Err((ErrorCode::INVALID_REQUEST, "Client metrics subscription name must not be empty".to_owned()));
    }
    let image = context.broker.image();
    let overrides = image.configs(&ConfigResource::ClientMetrics(name.to_owned()));
    Ok(config::describe_client_metrics(&overrides.map(|configs| (**configs).clone()).unwrap_or_default()))
}

fn answer(row: DescribedConfig, with_synonyms: bool, with_docs: bool) -> DescribeConfigsResourceResult {
    let synonyms = row.synonyms.into_iter().map(|synonym| DescribeConfigsSynonym {
        name: synonym.name.to_string(),
        value: synonym.value,
        source: synonym.source as i8,
    });
    DescribeConfigsResourceResult {
        name: row.name.to_string(),
        value: row.value,
        read_only: row.read_only,
        is_default: row.is_default,
        config_source: row.source as i8,
        is_sensitive: row.is_sensitive,
        synonyms: if with_synonyms { synonyms.collect() } else { Vec::new() },
        config_type: row.config_type as i8,
        documentation: with_docs.then(|| row.documentation.to_string()),
    }
}

//! Settings of topics, brokers, groups and subscriptions to clients' metrics: read and changed.

use client::{ClientError, Cluster, Connection};
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult};
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::messages::list_config_resources::ListConfigResourcesRequest;
use std::sync::Arc;

/// Where a value comes from, as DescribeConfigs numbers it.
pub(crate) mod source {
    pub(crate) const TOPIC: i8 = 1;
    pub(crate) const DEFAULT: i8 = 5;

    /// The name of a source.
    pub(crate) fn name(source: i8) -> &'static str {
        match source {
            1 => "DYNAMIC_TOPIC_CONFIG",
            2 => "DYNAMIC_BROKER_CONFIG",
            3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            4 => "STATIC_BROKER_CONFIG",
            5 => "DEFAULT_CONFIG",
            6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
            7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
            8 => "DYNAMIC_GROUP_CONFIG",
            _ => "UNKNOWN",
        }
    }
}

/// What has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
}

impl Kind {
    fn on_wire(self) -> i8 {
        match self {
            Kind::Topic => 2,
            Kind::Broker => 4,
            Kind::BrokerLogger => 8,
            Kind::ClientMetrics => 16,
            Kind::Group => 32,
        }
    }
}

/// Settings are changed one by one: set to a value, or taken back.
pub(crate) type Change = (String, Option<String>);

/// All settings of one resource. A broker's are asked for at that broker; its name is empty for all brokers'.
///
/// # Errors
/// The broker's, with its words.
pub(crate) async fn describe(cluster: &Cluster, kind: Kind, name: &str) -> Result<DescribeConfigsResult, ClientError> {
    let resource =
        DescribeConfigsResource { resource_type: kind.on_wire(), resource_name: name.into(), configuration_keys: None };
    let request =
        DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: false };
    let answer = connection(cluster, kind, name).await?.send(&request).await?;
    let mut result = answer.results.into_iter().next().unwrap_or_default();
    let what = format!("the settings of {kind:?} {name}");
    ClientError::check(what, result.error_code, result.error_message.take())?;
    result.configs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(result)
}

/// The names of those that have settings.
///
/// # Errors
/// The broker's.
pub(crate) async fn list(cluster: &Cluster, kind: Kind) -> Result<Vec<String>, ClientError> {
    let request = ListConfigResourcesRequest { resource_types: vec![kind.on_wire()] };
    let answer = cluster.any().await?.send(&request).await?;
    ClientError::check(format!("the names of all {kind:?}"), answer.error_code, None)?;
    Ok(answer.config_resources.into_iter().map(|resource| resource.resource_name).collect())
}

/// Changes settings of one resource, all or none; with `validate_only` the broker only says whether it would.
///
/// # Errors
/// The broker's, with its words.
pub(crate) async fn alter(
    cluster: &Cluster,
    kind: Kind,
    name: &str,
    changes: Vec<Change>,
    validate_only: bool,
) -> Result<(), ClientError> {
    let change =
        |(name, value): Change| AlterableConfig { name, config_operation: if value.is_some() { 0 } else { 1 }, value };
    let resource = AlterConfigsResource {
        resource_type: kind.on_wire(),
        resource_name: name.into(),
        configs: changes.into_iter().map(change).collect(),
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only };
    let answer = connection(cluster, kind, name).await?.send(&request).await?;
    for result in answer.responses {
        let what = format!("the settings of {kind:?} {name}");
        ClientError::check(what, result.error_code, result.error_message)?;
    }
    Ok(())
}

/// One broker's settings are that broker's to know.
async fn connection(cluster: &Cluster, kind: Kind, name: &str) -> Result<Arc<Connection>, ClientError> {
    match (kind, name.parse()) {
        (Kind::Broker | Kind::BrokerLogger, Ok(id)) => cluster.broker(id).await,
        _ => cluster.any().await,
    }
}

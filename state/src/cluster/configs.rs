//! Changing overrides.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::ErrorCode;

use super::command::{ConfigAlteration, ConfigChange, ConfigOperation, Refusal};
use super::image::{ConfigResource, Image};

/// Subscriptions to what clients measure (KIP-714) that there may be: each client that asks is compared with all of them.
pub const CLIENT_METRICS_MAX: usize = 256;

impl Image {
    /// The overrides a resource would have after a change: what `validate_only` asks, and what the change itself does.
    ///
    /// Whether keys and values make sense is the proposer's to check: the config table is not known here.
    pub fn altered_configs(&self, alteration: &ConfigAlteration) -> Result<BTreeMap<String, String>, Refusal> {
        self.check_resource(&alteration.resource)?;
        let configs = match &alteration.change {
            ConfigChange::Replace(configs) => configs.clone(),
            ConfigChange::Update(operations) => {
                let mut configs = self.configs(&alteration.resource).map_or_else(BTreeMap::new, |old| (**old).clone());
                for (key, operation) in operations {
                    match operation.value_after(configs.get(key)) {
                        Some(value) => configs.insert(key.clone(), value),
                        None => configs.remove(key),
                    };
                }
                configs
            }
        };
        self.check_room(&alteration.resource, &configs)?;
        Ok(configs)
    }

    pub(super) fn alter_configs(&mut self, alteration: &ConfigAlteration) -> Result<(), Refusal> {
        let configs = self.altered_configs(alteration)?;
        if configs.is_empty() {
            self.configs.remove(&alteration.resource);
        } else if self.configs(&alteration.resource).is_none_or(|old| **old != configs) {
            self.configs.insert(alteration.resource.clone(), Arc::new(configs));
        }
        Ok(())
    }

    fn check_resource(&self, resource: &ConfigResource) -> Result<(), Refusal> {
        match resource {
            ConfigResource::Topic(name) if self.topic(name).is_none() => {
                let message = format!("There is no topic '{name}'.");
                Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message))
            }
            ConfigResource::Broker(id) if self.broker(*id).is_none() => {
                let message = format!("Broker {id} is not registered.");
                Err(Refusal::new(ErrorCode::BROKER_ID_NOT_REGISTERED, message))
            }
            ConfigResource::Group(id) if id.is_empty() => {
                Err(Refusal::new(ErrorCode::INVALID_REQUEST, "A group id cannot be empty."))
            }
            ConfigResource::ClientMetrics(name) if name.is_empty() => {
                Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Subscription name can't be empty"))
            }
            ConfigResource::Topic(_)
            | ConfigResource::Broker(_)
            | ConfigResource::DefaultBroker
            | ConfigResource::Group(_)
            | ConfigResource::ClientMetrics(_) => Ok(()),
        }
    }

    /// Only what would be one more subscription needs room: those there are can be changed, and any can be deleted.
    fn check_room(&self, resource: &ConfigResource, configs: &BTreeMap<String, String>) -> Result<(), Refusal> {
        let is_subscription = matches!(resource, ConfigResource::ClientMetrics(_));
        let is_new = self.configs(resource).is_none() && !configs.is_empty();
        if is_subscription && is_new && self.client_metrics().count() >= CLIENT_METRICS_MAX {
            let message =
                format!("There are {CLIENT_METRICS_MAX} client metrics subscriptions already; delete others.");
            return Err(Refusal::new(ErrorCode::POLICY_VIOLATION, message));
        }
        Ok(())
    }
}

impl ConfigOperation {
    /// The override after the operation, given the one before it.
    fn value_after(&self, before: Option<&String>) -> Option<String> {
        match self {
            ConfigOperation::Set(value) => Some(value.clone()),
            ConfigOperation::Delete => None,
            ConfigOperation::Append { items, default } => {
                let mut list = split(before.unwrap_or(default));
                for item in items {
                    if !list.contains(&item.as_str()) {
                        list.push(item);
                    }
                }
                Some(list.join(","))
            }
            ConfigOperation::Subtract { items, default } => {
                let mut list = split(before.unwrap_or(default));
                list.retain(|item| !items.iter().any(|gone| gone == item));
                Some(list.join(","))
            }
        }
    }
}

fn split(list: &str) -> Vec<&str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

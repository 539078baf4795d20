//! Configuration: one table of keys, four sources, one struct that the broker reads.
//!
//! Start at `table.rs` for what exists, `source.rs` for what wins, `broker_config.rs` for what comes out.

mod broker_config;
mod broker_keys;
mod cgroup;
mod client_metrics;
mod describe;
mod environment;
mod first_topics;
mod http_listener;
mod key;
mod layers;
mod limits;
mod listeners;
mod ottla_keys;
mod properties;
mod reference;
mod size;
mod source;
mod table;
mod topic_config;
mod topic_keys;
mod transaction_keys;
mod unenforced;
mod validate;

pub(crate) use broker_config::BrokerConfig;
pub(crate) use client_metrics::{describe_client_metrics, validate_client_metrics};
pub(crate) use describe::{DescribedConfig, describe_broker, describe_default_broker, describe_topic};
pub(crate) use first_topics::FirstTopic;
pub(crate) use http_listener::HttpListener;
pub(crate) use limits::Limits;
pub(crate) use listeners::Listener;
pub(crate) use reference::reference;
pub use source::{ConfigError, ConfigInput, ConfigSource};
pub(crate) use topic_config::TopicConfig;
pub(crate) use validate::{default_of_list, is_list, validate_broker_configs, validate_topic_configs};

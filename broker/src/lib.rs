//! THE SERVER: sockets, dispatch, one handler file per API, partitions, coordinators, configuration.
//!
//! Everything asynchronous is here; no rule of the protocol's state is. Start at `dispatch.rs`, the table of what is
//! served; `server/connection.rs` leads to it, `handlers/` from it.

mod authorized;
mod broker;
mod clock;
pub mod config;
mod context;
mod controller;
mod conversion;
mod coordinator;
mod declared_topics;
mod disk_work;
mod dispatch;
mod error;
mod features;
mod fetch_session;
mod handlers;
mod healthcheck;
mod http;
mod logging;
mod memory;
mod metrics;
mod partition;
mod producer_ids;
mod quota;
mod ready_lines;
pub mod reference;
mod run;
mod server;
mod telemetry;

pub use broker::{BrokerError, RunningBroker, start};
pub use healthcheck::healthcheck;
pub use run::run;

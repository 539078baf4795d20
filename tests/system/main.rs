//! The binary as a whole: what strangers may send it, what survives its end, what it costs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod bad_input;
mod broker_process;
mod client_metrics;
mod compaction;
mod configuration;
mod consumer_groups;
mod costs;
mod durability;
mod full_disk;
mod groups;
mod http;
mod http_client;
mod logs;
mod many_consumers;
mod metrics;
mod migration;
mod quotas;
mod readers;
mod restart;
mod retention;
mod security;
mod series;

mod total_retention;
mod transactional;
mod transactions;

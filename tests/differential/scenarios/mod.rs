//! What is asked on purpose, an area a file.

mod brokers;
mod client_metrics;
mod cluster;
mod commits;
mod configs;
mod consumers;
mod fetch;
mod groups;
mod metadata;
mod offsets;
mod produce;
mod quotas;
mod security;
mod setup;
mod topics;
mod transactions;

use crate::pair::Pair;
pub(crate) use commits::wait_for_coordinator;
pub(crate) use setup::{create, produce_to};

/// Its name, and what asks.
type Area = (&'static str, fn(&mut Pair));

/// One area after the other; each creates its own topics and groups.
pub(crate) fn run(pair: &mut Pair) {
    let areas: &[Area] = &[
        ("api_versions", brokers::run),
        ("topics", topics::run),
        ("metadata", metadata::run),
        ("produce", produce::run),
        ("fetch", fetch::run),
        ("offsets", offsets::run),
        ("configs", configs::run),
        ("client_metrics", client_metrics::run),
        ("quotas", quotas::run),
        ("security", security::run),
        ("groups", groups::run),
        ("commits", commits::run),
        ("consumers", consumers::run),
        ("cluster", cluster::run),
        ("transactions", transactions::run),
    ];
    let only = std::env::var("DIFFERENTIAL_ONLY").ok();
    let is_wanted = |name: &str| only.as_ref().is_none_or(|only| only.split(',').any(|wanted| wanted == name));
    for (name, run) in areas.iter().filter(|(name, _)| is_wanted(name)) {
        pair.scenario(name);
        run(pair);
    }
}

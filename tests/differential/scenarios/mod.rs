//! What is asked on purpose, an area a file.

mod brokers;
mod commits;
mod configs;
mod fetch;
mod groups;
mod metadata;
mod offsets;
mod produce;
mod setup;
mod topics;

use crate::pair::Pair;
pub(crate) use setup::{create, produce_to};

/// One area after the other; each creates its own topics and groups.
pub(crate) fn run(pair: &mut Pair) {
    let areas: &[(&str, fn(&mut Pair))] = &[
        ("api_versions", brokers::run),
        ("topics", topics::run),
        ("metadata", metadata::run),
        ("produce", produce::run),
        ("fetch", fetch::run),
        ("offsets", offsets::run),
        ("configs", configs::run),
        ("groups", groups::run),
        ("commits", commits::run),
    ];
    for (name, run) in areas {
        pair.scenario(name);
        run(pair);
    }
}

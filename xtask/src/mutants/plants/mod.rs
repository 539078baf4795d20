//! The bugs that are planted, and who has to notice: a file for each crate, one for transactions and one for compaction.

mod broker;
mod compaction;
mod protocol;
mod raft;
mod state;
mod storage;
mod transactions;

/// One bug. `cargo test -p <package> --test <target> <test>` has to go red on it; the target `lib` is `--lib`.
#[derive(Debug)]
pub(super) struct Plant {
    pub(super) name: &'static str,
    pub(super) file: &'static str,
    /// Stands exactly once in the file.
    pub(super) find: &'static str,
    pub(super) replace: &'static str,
    pub(super) package: &'static str,
    pub(super) target: &'static str,
    pub(super) test: &'static str,
    /// What it costs whoever ships it.
    pub(super) why: &'static str,
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Plant> {
    others().chain(of_transactions())
}

/// What would cost exactly-once.
pub(super) fn of_transactions() -> impl Iterator<Item = &'static Plant> {
    transactions::PLANTS.iter()
}

pub(super) fn others() -> impl Iterator<Item = &'static Plant> {
    let crates = [protocol::PLANTS, storage::PLANTS, state::PLANTS, raft::PLANTS, broker::PLANTS];
    crates.into_iter().chain([compaction::PLANTS]).flatten()
}

//! THE QUORUM: cluster metadata on openraft.
//!
//! A [`Quorum`] keeps one [`state::cluster::Image`] that all its members agree on. Commands are proposed, logged,
//! flushed, and applied; who was answered finds the change in the image. Today a node is alone in its quorum, with the
//! same log, snapshots and elections that several would have.
//!
//! On disk: `meta.properties` in the data directory says whose it is, and `ottla-metadata/` in it holds the
//! write-ahead log (`wal/`) and snapshots (`snapshot.rs`). That directory's name has no partition number, so nobody
//! takes it for a partition.
//!
//! Nothing of openraft is visible outside, and nothing here knows what a broker is. Start at `quorum.rs`.

mod config;
mod error;
mod frame;
mod listing;
mod meta_properties;
mod network;
mod proposals;
mod quorum;
mod snapshot;
mod state_machine;
mod types;
mod wal;

#[cfg(test)]
mod power_loss;

pub use config::{METADATA_DIR, QuorumConfig};
pub use error::{ProposeError, RaftError};
pub use proposals::MAX_COMMAND_BYTES;
pub use quorum::{Quorum, QuorumMember, QuorumStatus, format};

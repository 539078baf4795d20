//! How a quorum is set up.

use std::path::PathBuf;
use std::sync::Arc;

use openraft::SnapshotPolicy;
use storage::{Disk, OsDisk};

use crate::error::RaftError;

/// The directory of the metadata log, within the data directory.
pub const METADATA_DIR: &str = "ottla-metadata";

/// How a quorum is set up. [`QuorumConfig::new`] has values that fit.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// Where everything is kept.
    pub disk: Arc<dyn Disk>,
    /// The data directory. `meta.properties` and [`METADATA_DIR`] are in it; it is created if need be.
    pub dir: PathBuf,
    /// node.id, at least 0.
    pub node_id: i32,
    /// The cluster's id, if one was configured: for a new directory, or to be checked against an old one.
    pub cluster_id: Option<String>,
    /// How often a leader says that it is there, in milliseconds.
    pub heartbeat_interval_ms: u64,
    /// The shortest time after which a silent leader is replaced, in milliseconds, longer than the heartbeat interval.
    pub election_timeout_min_ms: u64,
    /// The longest such time, longer than the shortest.
    pub election_timeout_max_ms: u64,
    /// How long a command may take before its outcome is reported as unknown, in milliseconds.
    pub propose_timeout_ms: u64,
    /// A snapshot is taken after so many entries, and so many are kept behind it.
    pub snapshot_interval_entries: u64,
}

impl QuorumConfig {
    /// The recommended set-up: a lost leader is replaced in 0.9 to 1.4 s, and a pause of 0.9 s is survived.
    pub fn new(dir: impl Into<PathBuf>, node_id: i32) -> QuorumConfig {
        QuorumConfig {
            disk: Arc::new(OsDisk),
            dir: dir.into(),
            node_id,
            cluster_id: None,
            heartbeat_interval_ms: 100,
            election_timeout_min_ms: 300,
            election_timeout_max_ms: 600,
            propose_timeout_ms: 30_000,
            snapshot_interval_entries: 10_000,
        }
    }

    pub(crate) fn check_node_id(&self) -> Result<(), RaftError> {
        if self.node_id < 0 {
            return Err(RaftError::Config(format!("node.id={} is negative", self.node_id)));
        }
        Ok(())
    }

    pub(crate) fn openraft(&self) -> Result<openraft::Config, RaftError> {
        self.check_node_id()?;
        let config = openraft::Config {
            cluster_name: "ottla".to_owned(),
            heartbeat_interval: self.heartbeat_interval_ms,
            election_timeout_min: self.election_timeout_min_ms,
            election_timeout_max: self.election_timeout_max_ms,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_interval_entries),
            max_in_snapshot_log_to_keep: self.snapshot_interval_entries,
            // A follower that is farther behind than a snapshot gets the snapshot.
            replication_lag_threshold: self.snapshot_interval_entries * 2,
            install_snapshot_timeout: 60_000,
            ..openraft::Config::default()
        };
        config.validate().map_err(|error| RaftError::Config(error.to_string()))
    }
}

//! What openraft is told about us: ids, nodes, entries, answers.

use std::fmt;
use std::sync::Arc;

use openraft::{AnyError, StorageError, StorageIOError, TokioRuntime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use state::cluster::{Applied, Command};

use crate::snapshot::SnapshotFile;

/// A member of the quorum: `generation << 32 | node.id`.
///
/// A node that comes back with an empty disk has forgotten its votes, so it must not come back under its old id: it
/// is added with the next generation.
pub(crate) type RaftId = u64;

/// The id of the first generation of a node.
pub(crate) fn raft_id(node_id: i32) -> RaftId {
    u64::from(node_id.unsigned_abs())
}

/// The node.id within a raft id.
pub(crate) fn node_id(raft_id: RaftId) -> i32 {
    // The lower half is a node.id, which is never negative.
    i32::try_from(raft_id & 0xffff_ffff).unwrap_or(i32::MAX)
}

openraft::declare_raft_types!(
    /// openraft, with our types in its places.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Outcomes,
        NodeId = RaftId,
        Node = Member,
        SnapshotData = SnapshotFile,
        AsyncRuntime = TokioRuntime,
);

pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type LogId = openraft::LogId<RaftId>;
pub(crate) type Vote = openraft::Vote<RaftId>;
pub(crate) type Membership = openraft::StoredMembership<RaftId, Member>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<RaftId, Member>;
pub(crate) type Failure = StorageError<RaftId>;
pub(crate) type Raft = openraft::Raft<TypeConfig>;

/// What the quorum knows of one of its members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Its node.id.
    pub(crate) node_id: i32,
    /// The directory.id of its meta.properties.
    pub(crate) directory_id: String,
}

/// The version of the form in which proposals are logged.
const PROPOSAL_VERSION: u16 = 1;

/// Commands that are logged together: all of them or none.
///
/// Shared, because the log's cache, the replication and the state machine each hold one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proposal(pub(crate) Arc<[Command]>);

#[derive(Serialize)]
struct ProposalOut<'a> {
    version: u16,
    commands: &'a [Command],
}

#[derive(Deserialize)]
struct ProposalIn {
    version: u16,
    commands: Vec<Command>,
}

impl Serialize for Proposal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ProposalOut { version: PROPOSAL_VERSION, commands: &self.0 }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Proposal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Proposal, D::Error> {
        let ProposalIn { version, commands } = ProposalIn::deserialize(deserializer)?;
        if version > PROPOSAL_VERSION {
            return Err(serde::de::Error::custom(format!(
                "it was written by a newer release: its version is {version}, the newest known here is {PROPOSAL_VERSION}"
            )));
        }
        Ok(Proposal(commands.into()))
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Configs may hold secrets, and openraft prints entries.
        write!(f, "{} commands", self.0.len())
    }
}

/// What came of each command of a proposal; nothing for openraft's own entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcomes(pub(crate) Vec<Applied>);

pub(crate) fn write_failed(error: impl std::error::Error + 'static) -> Failure {
    StorageIOError::write_logs(AnyError::new(&error)).into()
}

pub(crate) fn read_failed(error: impl std::error::Error + 'static) -> Failure {
    StorageIOError::read_logs(AnyError::new(&error)).into()
}

pub(crate) fn snapshot_failed(error: impl std::error::Error + 'static) -> Failure {
    StorageIOError::write_snapshot(None, AnyError::new(&error)).into()
}

//! What can go wrong, for the operator and for whoever proposed something.

use std::io;
use std::path::{Path, PathBuf};

/// Why the quorum cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    /// The operating system refused.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// A file does not hold what was written to it.
    #[error("{} is corrupt at byte {position}: {reason}. Restore the data directory from a copy, or move it away to \
             start an empty cluster", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// The directory belongs to another node or cluster, or to a newer release.
    #[error("{}: {reason}", path.display())]
    Mismatch {
        /// The file that says so.
        path: PathBuf,
        /// What is wrong and how to cure it.
        reason: String,
    },
    /// Another process has the directory open.
    #[error("{} is in use by another process: stop it, or choose another data directory (log.dirs)", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The configuration is not possible.
    #[error("{0}")]
    Config(String),
    /// The core did not become leader, or died at once.
    #[error("the metadata quorum did not start: {0}")]
    NotStarted(String),
}

impl RaftError {
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RaftError {
        move |source| RaftError::Io { operation, path: path.to_owned(), source }
    }
}

/// Why a command was not done, or is not known to be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another node leads: nothing was done here. Kafka's NOT_CONTROLLER.
    #[error("this node does not lead the metadata quorum")]
    NotLeader {
        /// Who does, if known.
        leader_id: Option<i32>,
    },
    /// The command is larger than the log takes: nothing was done.
    #[error(
        "the command has {size_bytes} bytes, more than the {} that fit into the metadata log",
        crate::MAX_COMMAND_BYTES
    )]
    TooLarge {
        /// Its size.
        size_bytes: usize,
    },
    /// Commands of too many bytes wait already: nothing was done.
    #[error("too many large changes of the cluster wait already; nothing was done, try again")]
    Busy,
    /// No answer came in time. The command may still be done: propose the same again, or look.
    #[error("the metadata quorum did not answer in time; the command may still be applied")]
    OutcomeUnknown,
    /// The quorum has stopped. Whether the command was done shows after the next start.
    #[error("the metadata quorum has stopped")]
    Stopped,
}

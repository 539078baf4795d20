//! What can go wrong with a log.

use std::io;
use std::path::{Path, PathBuf};

use protocol::records::BatchError;

/// An operation on the disk failed, or what stands there is damaged.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system said no.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Data that was once durable cannot be read any more. It is never cut away silently.
    #[error("{} is damaged at byte {position}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// An earlier fsync failed somewhere in the log directory, so what is on the disk is unknown: a restart recovers it.
    #[error("the log directory takes no more writes because flushing {} failed ({error}); check the disk and restart the broker", path.display())]
    Offline {
        /// What could not be flushed.
        path: PathBuf,
        /// What the operating system said.
        error: String,
    },
    /// The files of one log are not what they should be: a restart puts them in order.
    #[error(
        "the log takes no more writes because its segments could be replaced only half way; check the disk and restart the broker"
    )]
    Poisoned,
    /// Another process uses the directory.
    #[error("{} is in use by another process; stop it, or set log.dirs to another directory", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The log was closed or deleted.
    #[error("the log is closed")]
    Closed,
}

impl StorageError {
    /// Wraps an error of the operating system.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StorageError {
        let path = path.to_owned();
        move |source| StorageError::Io { operation, path, source }
    }
}

/// Why a batch was not appended. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The bytes are no batch, or its checksum is wrong.
    #[error("the batch is corrupt: {0}")]
    Corrupt(String),
    /// The batch breaks a rule. Some records may be named as the cause.
    #[error("{reason}")]
    InvalidRecord {
        /// Which rule.
        reason: String,
        /// Indexes in the batch of the records that break it.
        records: Vec<u32>,
    },
    /// Larger than `max.message.bytes`.
    #[error("the batch has {size} bytes and the topic's max.message.bytes is {limit}")]
    TooLarge {
        /// Bytes of the batch.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Larger than a segment may be.
    #[error("the batch has {size} bytes and the topic's segment.bytes is {limit}")]
    LargerThanSegment {
        /// Bytes of the batch.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Outside `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`, or of the wrong kind.
    #[error("{0}")]
    InvalidTimestamp(String),
    /// A codec that this topic or release does not take.
    #[error("the batch's compression is not supported here: {0}")]
    UnsupportedCompression(String),
    /// The producer's epoch is older than one that was seen.
    #[error("producer {producer_id} has epoch {epoch}, and {current} was seen already")]
    InvalidProducerEpoch {
        /// Whose.
        producer_id: i64,
        /// What it sent.
        epoch: i16,
        /// What is known.
        current: i16,
    },
    /// The producer's sequence has a gap.
    #[error("producer {producer_id} sent sequence {sequence} where {expected} was expected")]
    OutOfOrderSequence {
        /// Whose.
        producer_id: i64,
        /// What it sent.
        sequence: i32,
        /// What would follow.
        expected: i32,
    },
    /// A batch and the transactions of its producer do not agree: a transaction begins that nobody verified, or a batch
    /// comes from outside while one is open (KIP-890).
    #[error("producer {producer_id}: {reason}")]
    InvalidTxnState {
        /// Whose.
        producer_id: i64,
        /// What does not agree.
        reason: &'static str,
    },
    /// A marker of a coordinator that another has followed.
    #[error(
        "the coordinator with epoch {coordinator_epoch} ends a transaction of producer {producer_id}, and one with epoch {current} did so already"
    )]
    TransactionCoordinatorFenced {
        /// Whose transaction.
        producer_id: i64,
        /// The coordinator's.
        coordinator_epoch: i32,
        /// What is known.
        current: i32,
    },
    /// As many transactions are open in the log as it remembers producers.
    #[error("{limit} transactions are open in the partition, and no more fit")]
    TooManyTransactions {
        /// The limit.
        limit: usize,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The log was closed or deleted.
    #[error("the log is closed")]
    Closed,
}

impl From<BatchError> for AppendError {
    fn from(error: BatchError) -> AppendError {
        match error {
            BatchError::Truncated { .. } | BatchError::InvalidSize(_) => AppendError::Corrupt(error.to_string()),
            BatchError::UnknownCodec(_) => AppendError::UnsupportedCompression(error.to_string()),
            _ => AppendError::InvalidRecord { reason: error.to_string(), records: Vec::new() },
        }
    }
}

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Below the log start or beyond the log end.
    #[error("offset {offset} is outside {start}..={end}")]
    OutOfRange {
        /// What was asked.
        offset: i64,
        /// The log start offset.
        start: i64,
        /// The log end offset.
        end: i64,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The log was closed or deleted.
    #[error("the log is closed")]
    Closed,
}

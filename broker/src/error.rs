//! Internal errors become Kafka's codes here, and nowhere else.

use protocol::ErrorCode;
use raft::ProposeError;
use storage::{AppendError, ReadError, StorageError};
use tracing::error;

use crate::partition::Partition;

/// What a coordinator says when its log cannot be read.
pub(crate) type PartitionError = ReadError;

/// A refused append, as a producer is told.
#[derive(Clone, Debug)]
pub(crate) struct AppendFailure {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
    /// Indexes of the records in the batch that caused it, and why.
    pub(crate) records: Vec<(i32, Option<String>)>,
}

impl AppendFailure {
    pub(crate) fn code(code: ErrorCode) -> AppendFailure {
        AppendFailure { code, message: None, records: Vec::new() }
    }

    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> AppendFailure {
        AppendFailure { code, message: Some(message.into()), records: Vec::new() }
    }
}

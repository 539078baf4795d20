//! Internal errors become Kafka's codes here, and nowhere else.

use protocol::ErrorCode;
use raft::ProposeError;
use storage::{AppendError, ReadError, StorageError};
use tracing::{error, warn};

use crate::partition::{AppendRefusal, Partition};

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

/// What a producer is told of a refused append. What only an operator can mend is logged.
pub(crate) fn append_failure(partition: &Partition, refusal: &AppendRefusal) -> AppendFailure {
    let error = match refusal {
        // Clients take it for a broker in trouble: they ask for metadata and try again, until there is space.
        AppendRefusal::NearlyFull => {
            return AppendFailure::new(ErrorCode::KAFKA_STORAGE_ERROR, "the broker's disk is nearly full");
        }
        AppendRefusal::Log(error) => error,
    };
    let code = match error {
        AppendError::Corrupt(_) => ErrorCode::CORRUPT_MESSAGE,
        AppendError::InvalidRecord { .. } => ErrorCode::INVALID_RECORD,
        AppendError::TooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
        AppendError::LargerThanSegment { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
        AppendError::InvalidTimestamp(_) => ErrorCode::INVALID_TIMESTAMP,
        AppendError::UnsupportedCompression(_) => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        AppendError::InvalidTxnState { .. } => ErrorCode::INVALID_TXN_STATE,
        AppendError::TransactionCoordinatorFenced { .. } => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
        // Clients try again, until another transaction has ended.
        AppendError::TooManyTransactions { .. } => ErrorCode::CONCURRENT_TRANSACTIONS,
        AppendError::Storage(error) => storage_code(partition, "append", error),
        AppendError::Closed => ErrorCode::NOT_LEADER_OR_FOLLOWER,
    };
    match code {
        ErrorCode::CORRUPT_MESSAGE | ErrorCode::INVALID_RECORD => {
            warn!(%partition, %error, "records refused; check the producer and the network between");
        }
        _ => {}
    }
    let records = match error {
        AppendError::InvalidRecord { reason, records } => {
            let index = |record: &u32| (i32::try_from(*record).unwrap_or(i32::MAX), Some(reason.clone()));
            records.iter().map(index).collect()
        }
        _ => Vec::new(),
    };
    AppendFailure { code, message: Some(error.to_string()), records }
}

/// What a reader is told.
pub(crate) fn read_code(partition: &Partition, error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        ReadError::Storage(error) => storage_code(partition, "read", error),
        ReadError::Closed => ErrorCode::NOT_LEADER_OR_FOLLOWER,
    }
}

/// What an operation on the disk is answered with, after telling the operator.
pub(crate) fn storage_code(partition: &Partition, operation: &str, error: &StorageError) -> ErrorCode {
    match error {
        StorageError::Closed => return ErrorCode::NOT_LEADER_OR_FOLLOWER,
        // Said once, when it happened.
        StorageError::Offline { .. } => return ErrorCode::KAFKA_STORAGE_ERROR,
        _ => {}
    }
    error!(%partition, operation, %error, "the disk failed; check its health and free space");
    ErrorCode::KAFKA_STORAGE_ERROR
}

/// What is answered for a change of the cluster that the metadata log did not take.
pub(crate) fn propose_code(error: &ProposeError) -> ErrorCode {
    match error {
        ProposeError::NotLeader { .. } | ProposeError::Stopped => ErrorCode::NOT_CONTROLLER,
        ProposeError::TooLarge { .. } => ErrorCode::POLICY_VIOLATION,
        // A controller with too much to do does not come to it in time.
        ProposeError::OutcomeUnknown | ProposeError::Busy => ErrorCode::REQUEST_TIMED_OUT,
    }
}

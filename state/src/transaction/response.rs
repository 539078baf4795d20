//! What a transaction coordinator answers, and what it wants done.

use protocol::ErrorCode;

use super::TransactionVersion;
use super::metadata::{Partitions, TransactionState};
use super::request::MarkerAttempt;

/// An answer, of the kind of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionResponse {
    /// To InitProducerId.
    InitProducerId(ProducerResponse),
    /// To AddPartitions: all or none were added.
    AddPartitions(ErrorCode),
    /// To VerifyPartitions, partition by partition.
    VerifyPartitions(Vec<(String, Vec<(i32, ErrorCode)>)>),
    /// To EndTxn: what the producer goes on with, from version 5 on.
    EndTxn(ProducerResponse),
    /// To InitProducerId and EndTxn that did not bring a producer id, and need one: nothing has happened, and the
    /// request is to be repeated with one.
    ProducerIdNeeded,
    /// To MarkersWritten and ProducerId.
    Taken,
    /// To Describe, in the order asked for.
    Describe(Vec<DescribedTransaction>),
    /// To List, by id.
    List(Vec<ListedTransaction>),
    /// To Count: now, and since loading.
    Counted(TransactionCounts, TransactionTotals),
}

/// What a producer goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerResponse {
    /// Whether it worked.
    pub error: ErrorCode,
    /// −1 with an error.
    pub producer_id: i64,
    /// −1 with an error.
    pub producer_epoch: i16,
}

impl ProducerResponse {
    /// An answer that has only an error.
    pub fn failed(error: ErrorCode) -> ProducerResponse {
        ProducerResponse { error, producer_id: -1, producer_epoch: -1 }
    }

    pub(crate) fn new(producer_id: i64, producer_epoch: i16) -> ProducerResponse {
        ProducerResponse { error: ErrorCode::NONE, producer_id, producer_epoch }
    }
}

/// A transactional id for DescribeTransactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedTransaction {
    /// INVALID_REQUEST, or TRANSACTIONAL_ID_NOT_FOUND.
    pub error: ErrorCode,
    /// As it was asked for.
    pub transactional_id: String,
    /// `None` with an error.
    pub transaction: Option<DescribedState>,
}

/// Where a transactional id stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedState {
    /// The state.
    pub state: TransactionState,
    /// How long a transaction may run.
    pub timeout_ms: i32,
    /// Wall clock; −1 before the first transaction.
    pub start_timestamp_ms: i64,
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// In the transaction, and not yet told how it ended.
    pub partitions: Partitions,
}

/// A transactional id for ListTransactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    /// The id.
    pub transactional_id: String,
    /// The producer.
    pub producer_id: i64,
    /// The state.
    pub state: TransactionState,
}

/// What a coordinator wants done. Nothing of it may begin before everything logged up to then is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionEffect {
    /// Write these markers, and say what became of them with [`super::TransactionRequest::MarkersWritten`].
    WriteMarkers(Markers),
    /// Get a producer id that nobody has, and bring it with [`super::TransactionRequest::ProducerId`]. Asked for
    /// again if it does not come.
    ProducerIdNeeded,
}

/// How a transaction ended, for partitions that do not know yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// The order.
    pub attempt: MarkerAttempt,
    /// The id.
    pub transactional_id: String,
    /// The transaction's producer.
    pub producer_id: i64,
    /// The epoch of the marker: with version 2 one more than the transaction's records have.
    pub producer_epoch: i16,
    /// Partitions do not take a marker of a coordinator that is older than one they know.
    pub coordinator_epoch: i32,
    /// False aborts.
    pub committed: bool,
    /// Of the transaction, for WriteTxnMarkers v2.
    pub transaction_version: TransactionVersion,
    /// Where to.
    pub partitions: Partitions,
}

/// What is held now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionCounts {
    /// Transactional ids.
    pub transactional_ids: usize,
    /// With a running transaction.
    pub ongoing: usize,
    /// Whose partitions are being told.
    pub prepared: usize,
}

impl TransactionCounts {
    /// Those of another coordinator with these.
    pub fn add(&mut self, other: &TransactionCounts) {
        self.transactional_ids += other.transactional_ids;
        self.ongoing += other.ongoing;
        self.prepared += other.prepared;
    }
}

/// What was done since loading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionTotals {
    /// Decided to commit.
    pub commits: u64,
    /// Decided to abort, for whatever reason.
    pub aborts: u64,
    /// Of these, because they ran too long.
    pub timeouts: u64,
    /// Orders to write markers.
    pub marker_orders: u64,
    /// Of these, because some partition did not take one before.
    pub marker_retries: u64,
    /// Ids forgotten because nobody used them.
    pub expirations: u64,
}

impl TransactionTotals {
    /// Those of another coordinator with these.
    pub fn add(&mut self, other: &TransactionTotals) {
        self.commits += other.commits;
        self.aborts += other.aborts;
        self.timeouts += other.timeouts;
        self.marker_orders += other.marker_orders;
        self.marker_retries += other.marker_retries;
        self.expirations += other.expirations;
    }
}

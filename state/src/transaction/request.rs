//! What a transaction coordinator is asked.

use protocol::ErrorCode;

use super::TransactionVersion;
use super::metadata::{Partitions, TransactionState};

/// A request to the coordinator of one partition of `__transaction_state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionRequest {
    /// A producer begins, or recovers.
    InitProducerId(InitProducerIdRequest),
    /// AddPartitionsToTxn, AddOffsetsToTxn, and the partitions that a Produce or TxnOffsetCommit of version 2 adds.
    AddPartitions(AddPartitionsRequest),
    /// A partition leader asks whether its partitions are in the transaction (KIP-890).
    VerifyPartitions(AddPartitionsRequest),
    /// A producer commits or aborts.
    EndTxn(EndTxnRequest),
    /// What became of [`super::TransactionEffect::WriteMarkers`].
    MarkersWritten(MarkersWritten),
    /// A producer id that nobody has, as [`super::TransactionEffect::ProducerIdNeeded`] asked for.
    ProducerId(i64),
    /// DescribeTransactions: these ids.
    Describe(Vec<String>),
    /// ListTransactions.
    List(ListRequest),
    /// How many transactions there are and were.
    Count,
}

/// InitProducerId with a transactional id. Without one, any broker gives a producer id and no coordinator is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitProducerIdRequest {
    /// The id.
    pub transactional_id: String,
    /// How long its transactions may run.
    pub timeout_ms: i32,
    /// What the producer had before (KIP-360); −1 for nothing, and below version 3.
    pub producer_id: i64,
    /// The epoch that goes with it; −1 for nothing, and below version 3.
    pub producer_epoch: i16,
    /// A producer id that nobody has. `None` at first: [`super::TransactionResponse::ProducerIdNeeded`] asks for it.
    pub fresh_producer_id: Option<i64>,
    /// From version 4 on: older ones are told INVALID_PRODUCER_EPOCH instead.
    pub knows_producer_fenced: bool,
}

/// AddPartitionsToTxn for one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPartitionsRequest {
    /// The id.
    pub transactional_id: String,
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The partitions. Whether they exist is the caller's to know.
    pub partitions: Partitions,
    /// V2 where the partitions come with Produce v12 or TxnOffsetCommit v5 and above, V0 from older clients.
    pub client_transaction_version: TransactionVersion,
    /// From version 2 on: older ones are told INVALID_PRODUCER_EPOCH instead.
    pub knows_producer_fenced: bool,
}

/// EndTxn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndTxnRequest {
    /// The id.
    pub transactional_id: String,
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// False aborts.
    pub committed: bool,
    /// V2 from version 5 on, V0 below.
    pub client_transaction_version: TransactionVersion,
    /// As in [`InitProducerIdRequest`].
    pub fresh_producer_id: Option<i64>,
    /// From version 2 on: older ones are told INVALID_PRODUCER_EPOCH instead.
    pub knows_producer_fenced: bool,
}

/// Which order to write markers an answer belongs to. An answer to an older one says nothing of the transaction that
/// runs now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarkerAttempt {
    /// Which loading of the log the machine came from.
    pub load: u64,
    /// Counts within it.
    pub number: u64,
}

/// What became of an order to write markers: once for each order, however it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkersWritten {
    /// The id.
    pub transactional_id: String,
    /// The order.
    pub attempt: MarkerAttempt,
    /// By topic and partition. What is missing here was not written.
    pub results: Vec<(String, i32, MarkerResult)>,
}

/// What became of one marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerResult {
    /// What the partition's leader answered.
    Answered(ErrorCode),
    /// The partition was deleted: the cluster's metadata, not just some broker, does not have it.
    PartitionDeleted,
}

/// ListTransactions. The pattern of version 2 is the caller's to apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Only these states; none is all.
    pub states: Vec<TransactionState>,
    /// Only these producers; none is all.
    pub producer_ids: Vec<i64>,
    /// Only what began longer ago than that; negative is all.
    pub min_duration_ms: i64,
}

//! What an operator may set, and the limits that keep a coordinator's memory bounded.

use super::TransactionVersion;

/// Settings of one transaction coordinator; the fields carry Kafka's config keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`: an InitProducerId that asks for more is refused.
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`: how long an id without a transaction is remembered.
    pub transactional_id_expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`: pause between two looks for transactions that
    /// have run too long.
    pub abort_timed_out_interval_ms: u64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`: pause between two searches for expired ids.
    pub remove_expired_interval_ms: u64,
    /// The finalized level of `transaction.version`: what the coordinator itself does where no client says.
    pub transaction_version: TransactionVersion,
    /// Ids in this coordinator. One more is refused with POLICY_VIOLATION.
    pub max_transactional_ids: usize,
    /// Bytes of one record: what `max.message.bytes` of `__transaction_state` lets through. Partitions that would
    /// make a record larger are refused with UNKNOWN_SERVER_ERROR, as Kafka refuses them.
    pub max_record_bytes: usize,
}

impl Default for TransactionConfig {
    /// Kafka's defaults, and limits that a 64 MB process survives.
    fn default() -> Self {
        TransactionConfig {
            max_timeout_ms: 900_000,
            transactional_id_expiration_ms: 7 * 24 * 60 * 60 * 1000,
            abort_timed_out_interval_ms: 10_000,
            remove_expired_interval_ms: 3_600_000,
            transaction_version: TransactionVersion::V2,
            max_transactional_ids: 100_000,
            max_record_bytes: 1_000_000,
        }
    }
}

/// Bytes of a transactional id: the key of its record has two bytes for the length.
pub(crate) const MAX_TRANSACTIONAL_ID_BYTES: usize = i16::MAX as usize;

/// Pause before markers that a partition did not take are sent again; doubled with each failure.
pub(crate) const MARKER_RETRY_MIN_MS: u64 = 100;

/// The longest such pause.
pub(crate) const MARKER_RETRY_MAX_MS: u64 = 5_000;

/// Transactions handled in one call because their time has come: their records must fit into few batches.
pub(crate) const DUE_PER_STEP: usize = 64;

/// Ids looked at in one step of the search for expired ones, so that no step stalls the requests behind it.
pub(crate) const SWEEP_IDS_PER_STEP: usize = 1_000;

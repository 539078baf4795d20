//! How producers and brokers understand transactions: the levels of `transaction.version`.

/// A level of the feature `transaction.version` (KIP-890).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionVersion(pub i16);

impl TransactionVersion {
    /// As clients below Produce v12 understand transactions.
    pub const V0: TransactionVersion = TransactionVersion(0);
    /// The same, with records that can have tagged fields.
    pub const V1: TransactionVersion = TransactionVersion(1);
    /// Every end of a transaction gives the producer a new epoch, so that what was sent before cannot count after.
    pub const V2: TransactionVersion = TransactionVersion(2);

    /// Whether every end of a transaction gives the producer a new epoch.
    pub fn bumps_epoch(self) -> bool {
        self >= TransactionVersion::V2
    }

    /// The version of TransactionLogValue to be written.
    pub fn log_value_version(self) -> i16 {
        i16::from(self >= TransactionVersion::V1)
    }
}

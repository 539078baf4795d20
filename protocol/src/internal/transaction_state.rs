//! The records of `__transaction_state`: what a transaction coordinator knows of each transactional id.
//!
//! Version 1 of the value is flexible, and is written once `transaction.version` is 1 or higher (KIP-890, KIP-915).

use super::versioned;
use crate::api::*;

versioned! {
    /// Key of a transactional id.
    TransactionLogKey, versions 0..=0;
    {
        transactional_id: String,
    }
}

versioned! {
    /// A transactional id as its latest change left it.
    TransactionLogValue, versions 0..=1, flexible 1..;
    {
        producer_id: i64,
        /// The producer id before this change.
        previous_producer_id: i64 [since 1, tag 0] = -1,
        /// Takes the place of the producer id when the transaction that is ending has ended; −1 for none.
        next_producer_id: i64 [since 1, tag 1] = -1,
        producer_epoch: i16,
        /// The epoch that goes with the next producer id (KIP-939); nobody writes it yet.
        next_producer_epoch: i16 [since 1, tag 3] = -1,
        transaction_timeout_ms: i32,
        /// The state, as a number.
        transaction_status: i8,
        /// Null while there is no transaction.
        transaction_partitions: Option<Vec<PartitionsSchema>> [nullable 0] = Some(Vec::new()),
        transaction_last_update_timestamp_ms: i64,
        /// −1 before the first transaction.
        transaction_start_timestamp_ms: i64,
        /// Of the client that made the change.
        client_transaction_version: i16 [since 1, tag 2],
    }
}

wire_struct! {
    /// Partitions of one topic.
    PartitionsSchema {
        topic: String,
        partition_ids: Vec<i32>,
    }
}

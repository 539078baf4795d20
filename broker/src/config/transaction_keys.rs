//! The keys of transactions, in Kafka's names.

use super::key::ConfigKey as Key;
use super::key::Kind::{Boolean, Int, Short};
use super::topic_keys::MIN_SEGMENT_BYTES;

/// Transactional ids, their transactions, and the topic that keeps them.
pub(crate) static TRANSACTION_KEYS: &[Key] = &[
    Key::broker(
        "add.partitions.to.txn.retry.backoff.max.ms",
        Int,
        "100",
        "How long records that begin a transaction wait for the end of the producer's last one, in milliseconds.",
    )
    .at_least(0),
    Key::broker(
        "add.partitions.to.txn.retry.backoff.ms",
        Int,
        "20",
        "Milliseconds between two looks whether it has ended. It is also looked at whenever a transaction ends.",
    )
    .at_least(1),
    Key::broker(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        Int,
        "10000",
        "Milliseconds between two searches for transactions that have run longer than their producer said they may.",
    )
    .at_least(1),
    Key::broker(
        "transaction.max.timeout.ms",
        Int,
        "900000",
        "The longest transaction time-out that a producer may ask for, in milliseconds.",
    )
    .at_least(1),
    Key::broker(
        "transaction.partition.verification.enable",
        Boolean,
        "true",
        "Whether a partition asks the transaction's coordinator before it takes the first records of a transaction. \
         Without it a late producer can leave a transaction open for ever. Those who add partitions by writing to \
         them are always asked for.",
    )
    .cluster_wide(),
    Key::broker(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        Int,
        "3600000",
        "Milliseconds between two searches for transactional ids that have expired.",
    )
    .at_least(1),
    Key::broker(
        "transaction.state.log.min.isr",
        Int,
        "1",
        "`min.insync.replicas` of `__transaction_state`. Kafka's default of 2 needs two brokers.",
    )
    .at_least(1),
    Key::broker(
        "transaction.state.log.num.partitions",
        Int,
        "50",
        "Partitions of `__transaction_state`. Fixed when the topic is first created.",
    )
    .at_least(1),
    Key::broker(
        "transaction.state.log.replication.factor",
        Short,
        "1",
        "Replicas of `__transaction_state`. Kafka's default of 3 needs three brokers.",
    )
    .at_least(1),
    Key::broker("transaction.state.log.segment.bytes", Int, "104857600", "`segment.bytes` of `__transaction_state`.")
        .at_least(MIN_SEGMENT_BYTES),
    Key::broker(
        "transactional.id.expiration.ms",
        Int,
        "604800000",
        "How long a transactional id is remembered after its last transaction, in milliseconds.",
    )
    .at_least(1),
];

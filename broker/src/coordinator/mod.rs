//! Coordinators: machines of `state/`, driven by one shell, on partitions of internal topics.

mod admission;
#[cfg(test)]
mod admission_tests;
mod group;
mod loading;
mod markers;
mod patterns;
mod runtime;
mod transaction;
#[cfg(test)]
mod transactional_tests;

pub(crate) use admission::{PartitionCodes, Understanding, Writer, add_or_verify, admit};
pub(crate) use group::{GROUP_LOADS, Groups, OFFSETS_TOPIC, answer, submit};
pub(crate) use loading::LoadTimes;
pub(crate) use markers::write_markers;
pub(crate) use runtime::InTransaction;
pub(crate) use transaction::{TRANSACTION_LOADS, TRANSACTIONS_TOPIC, Transactions, answer as transaction_answer};

/// The partition that keeps a group or a transactional id: Java's string hash, made non-negative as Kafka does, modulo
/// the partitions.
fn partition_for(key: &str, partitions: i32) -> i32 {
    let hash = key.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % partitions.max(1)
}

//! Who is being verified: a transaction opens in a log only if its coordinator knows that it does (KIP-890).
//!
//! Between asking the coordinator and writing the batch, a marker may end the transaction. So whoever asks takes a guard
//! first, which the marker invalidates; a batch with an invalid guard is refused, and no transaction is left hanging.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Stands for one verification. It ends with the first batch of the transaction or with a marker of its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(u64);

/// What a producer's next transactional batch needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing: its transaction is open here.
    Ongoing,
    /// The coordinator is to be asked, and the batch appended with this guard.
    Needed(VerificationGuard),
}

/// What lets a batch open a transaction in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionCheck {
    /// Nothing does: its transaction is open here already.
    Ongoing,
    /// The coordinator said yes after the guard was taken.
    Verified(VerificationGuard),
    /// `transaction.partition.verification.enable` is off.
    Off,
}

/// Guards are never given twice, whatever log they are of.
static NEXT_GUARD: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct Entry {
    guard: VerificationGuard,
    /// A later batch must not overtake the one that waits.
    lowest_sequence: i32,
    epoch: i16,
    supports_epoch_bump: bool,
    began_ms: i64,
}

/// Verifications under way, by producer id.
#[derive(Debug, Default)]
pub(super) struct Verifications {
    entries: BTreeMap<i64, Entry>,
    limit: usize,
}

/// Who wants to append to a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Applicant {
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The first sequence of the batch that waits; −1 of a coordinator's.
    pub sequence: i32,
    /// Whether each of its transactions has an epoch of its own (transaction version 2).
    pub supports_epoch_bump: bool,
}

impl Verifications {
    /// None; at most `limit` are under way, and the oldest makes room.
    pub(super) fn new(limit: usize) -> Verifications {
        Verifications { entries: BTreeMap::new(), limit }
    }

    /// Begins one, or joins the one under way.
    pub(super) fn begin(&mut self, applicant: Applicant, now_ms: i64) -> VerificationGuard {
        let Applicant { producer_id, epoch, sequence, supports_epoch_bump } = applicant;
        if self.entries.len() >= self.limit.max(1) && !self.entries.contains_key(&producer_id) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.began_ms).map(|(id, _)| *id);
            oldest.and_then(|id| self.entries.remove(&id));
        }
        let entry = self.entries.entry(producer_id).or_insert_with(|| Entry {
            guard: VerificationGuard(NEXT_GUARD.fetch_add(1, Ordering::Relaxed)),
            lowest_sequence: sequence,
            epoch,
            supports_epoch_bump,
            began_ms: now_ms,
        });
        if epoch > entry.epoch {
            (entry.epoch, entry.lowest_sequence) = (epoch, sequence);
        } else if epoch == entry.epoch {
            entry.lowest_sequence = entry.lowest_sequence.min(sequence);
        }
        entry.guard
    }

    /// Whether a batch may open its producer's transaction.
    pub(super) fn allow(&self, producer_id: i64, check: TransactionCheck) -> bool {
        match check {
            TransactionCheck::Off => true,
            TransactionCheck::Ongoing => false,
            TransactionCheck::Verified(guard) => {
                self.entries.get(&producer_id).is_some_and(|entry| entry.guard == guard)
            }
        }
    }

    /// The sequence that a producer's next batch must not exceed, if one is known.
    pub(super) fn highest_sequence(&self, producer_id: i64, has_batches: bool) -> Option<i32> {
        let entry = self.entries.get(&producer_id)?;
        // With transactions of version 2 each one begins a new epoch, and with it at 0.
        Some(if entry.supports_epoch_bump && !has_batches { 0 } else { entry.lowest_sequence })
    }

    pub(super) fn end(&mut self, producer_id: i64) {
        self.entries.remove(&producer_id);
    }

    pub(super) fn retain(&mut self, is_live: impl Fn(i64) -> bool) {
        self.entries.retain(|_, entry| is_live(entry.began_ms));
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

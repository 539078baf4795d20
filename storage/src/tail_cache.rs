//! Recent batches in memory: most readers are at the tail.
//!
//! One budget for all logs. Batches leave in the order in which they came, whatever log they belong to, so a busy log
//! does not push out a quiet one's batches any faster than time does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use protocol::wire::Records;

/// A batch, and the offsets it covers.
#[derive(Clone, Debug)]
struct Cached {
    base_offset: i64,
    next_offset: i64,
    bytes: Bytes,
}

/// The cached tail of one log: consecutive batches.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: Mutex<VecDeque<Cached>>,
}

/// The budget that all tails share.
#[derive(Debug)]
pub(crate) struct TailCache {
    limit_bytes: usize,
    order: Mutex<Order>,
}

/// Whose batches came in which order, and their sizes; one entry per cached batch.
#[derive(Debug, Default)]
struct Order {
    batches: VecDeque<(Weak<Tail>, usize)>,
    bytes: usize,
}

impl TailCache {
    /// A cache of at most `limit_bytes`.
    pub(crate) fn new(limit_bytes: usize) -> TailCache {
        TailCache { limit_bytes, order: Mutex::default() }
    }

    /// Adds a batch to a log's tail, which it must continue, and makes room for it.
    pub(crate) fn push(&self, tail: &Arc<Tail>, base_offset: i64, next_offset: i64, bytes: Bytes) {
        let size = bytes.len();
        if size > self.limit_bytes {
            return tail.clear();
        }
        {
            let mut batches = lock(&tail.batches);
            if batches.back().is_some_and(|last| last.next_offset != base_offset) {
                batches.clear();
            }
            batches.push_back(Cached { base_offset, next_offset, bytes });
        }
        let mut order = lock(&self.order);
        order.batches.push_back((Arc::downgrade(tail), size));
        order.bytes += size;
        while order.bytes > self.limit_bytes {
            let Some((owner, freed)) = order.batches.pop_front() else { break };
            order.bytes -= freed;
            if let Some(owner) = owner.upgrade() {
                lock(&owner.batches).pop_front();
            }
        }
    }
}

impl Tail {
    /// Whether a read at `offset` finds everything it may want here.
    pub(crate) fn covers(&self, offset: i64) -> bool {
        lock(&self.batches).front().is_some_and(|first| first.base_offset <= offset)
    }

    /// Whole batches from the one that holds `offset`, below `upper_bound`; at most `max_bytes`, but at least one if
    /// `at_least_one`; and the offset behind them. `None` when the tail does not reach back that far.
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        upper_bound: i64,
        at_least_one: bool,
    ) -> Option<(Records, i64)> {
        let batches = lock(&self.batches);
        if batches.front()?.base_offset > offset {
            return None;
        }
        let first = batches.partition_point(|batch| batch.next_offset <= offset);
        let (mut records, mut size, mut next_offset) = (Records::default(), 0, offset);
        for batch in batches.range(first..) {
            let fits = size + batch.bytes.len() <= max_bytes || (size == 0 && at_least_one);
            if !fits || batch.base_offset >= upper_bound {
                break;
            }
            size += batch.bytes.len();
            next_offset = batch.next_offset;
            records.push(batch.bytes.clone());
        }
        Some((records, next_offset))
    }

    /// Forgets batches that end before `offset`: the log has less of them by now.
    pub(crate) fn trim_below(&self, offset: i64) {
        let mut batches = lock(&self.batches);
        while batches.front().is_some_and(|first| first.next_offset <= offset) {
            batches.pop_front();
        }
    }

    /// Forgets everything: what follows does not continue it, or the log is gone.
    pub(crate) fn clear(&self) {
        lock(&self.batches).clear();
    }
}

/// The lists hold no invariant that a panic could break half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_batches_leave_first_and_reads_are_whole_batches() {
        let cache = TailCache::new(100);
        let (one, other) = (Arc::new(Tail::default()), Arc::new(Tail::default()));
        cache.push(&one, 0, 2, Bytes::from(vec![0; 40]));
        cache.push(&other, 0, 1, Bytes::from(vec![1; 40]));
        cache.push(&one, 2, 4, Bytes::from(vec![2; 40]));
        assert!(!one.covers(0) && one.covers(3) && other.covers(0));
        assert_eq!(one.read(0, 1000, 100, true), None);
        let (chunks, next_offset) = one.read(3, 1, 100, true).unwrap();
        assert_eq!((chunks.chunks()[0][0], next_offset), (2, 4));
        assert_eq!(one.read(3, 1, 100, false).unwrap().0.len(), 0);
        assert_eq!(one.read(3, 100, 2, true).unwrap().0.len(), 0);
    }

    #[test]
    fn a_batch_larger_than_the_cache_empties_the_tail() {
        let cache = TailCache::new(100);
        let tail = Arc::new(Tail::default());
        cache.push(&tail, 0, 1, Bytes::from(vec![0; 10]));
        cache.push(&tail, 1, 2, Bytes::from(vec![0; 200]));
        assert!(!tail.covers(1));
        cache.push(&tail, 2, 3, Bytes::from(vec![0; 10]));
        assert!(tail.covers(2) && !tail.covers(1));
    }
}

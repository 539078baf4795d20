//! Requests that wait for a partition: fetches for bytes, produces for durability.
//!
//! Both are woken by whoever makes the progress, once, when there is enough of it. Nobody polls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, oneshot};

use protocol::ErrorCode;

/// A fetch that waits for bytes in any of its partitions.
pub(crate) struct FetchWaiter {
    /// Bytes still missing; 0 once it has been woken.
    missing_bytes: AtomicUsize,
    woken: Notify,
}

impl FetchWaiter {
    /// Waits for `min_bytes` (at least one) to be appended to the partitions it is registered with.
    pub(crate) fn new(min_bytes: usize) -> Arc<FetchWaiter> {
        Arc::new(FetchWaiter { missing_bytes: AtomicUsize::new(min_bytes.max(1)), woken: Notify::new() })
    }

    /// Returns when enough has come. Cancel-safe.
    pub(crate) async fn wait(&self) {
        self.woken.notified().await;
    }

    /// `bytes` more count towards the minimum.
    pub(crate) fn progress(&self, bytes: usize) {
        let before = self
            .missing_bytes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |missing| Some(missing.saturating_sub(bytes)))
            .unwrap_or(0);
        if before > 0 && before <= bytes {
            self.woken.notify_one();
        }
    }
}

/// The fetches that wait for one partition.
#[derive(Default)]
pub(crate) struct FetchWaiters {
    waiters: Mutex<Vec<Weak<FetchWaiter>>>,
}

impl FetchWaiters {
    /// Adds a waiter. It leaves by being dropped; the dead are swept as the list grows, so it stays as long as
    /// the number of parked fetches.
    pub(crate) fn register(&self, waiter: &Arc<FetchWaiter>) {
        let mut waiters = lock(&self.waiters);
        if waiters.len() == waiters.capacity() {
            waiters.retain(|waiter| waiter.strong_count() > 0);
        }
        waiters.push(Arc::downgrade(waiter));
    }

    /// `bytes` have become readable.
    pub(crate) fn progress(&self, bytes: usize) {
        let mut waiters = lock(&self.waiters);
        if waiters.is_empty() {
            return;
        }
        waiters.retain(|waiter| match waiter.upgrade() {
            Some(waiter) => {
                waiter.progress(bytes);
                waiter.missing_bytes.load(Ordering::Acquire) > 0
            }
            None => false,
        });
    }

    /// Something other than bytes changed (the partition is gone): everybody looks again.
    pub(crate) fn wake_all(&self) {
        for waiter in lock(&self.waiters).drain(..) {
            if let Some(waiter) = waiter.upgrade() {
                waiter.progress(usize::MAX);
            }
        }
    }
}

/// What a producer with acks=all gets told: the records are durable, or what went wrong.
pub(crate) type Durable = Result<(), ErrorCode>;

/// The appends of one partition that wait to be durable, in offset order.
#[derive(Default)]
pub(crate) struct DurabilityWaiters {
    waiters: Mutex<Vec<(i64, oneshot::Sender<Durable>)>>,
}

impl DurabilityWaiters {
    /// A receiver that resolves once everything below `end_offset` is durable.
    pub(crate) fn register(&self, end_offset: i64) -> oneshot::Receiver<Durable> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiters).push((end_offset, sender));
        receiver
    }

    /// Everything below `durable_offset` is durable now.
    pub(crate) fn resolve(&self, durable_offset: i64) {
        let resolved: Vec<_> = lock(&self.waiters).extract_if(.., |(end, _)| *end <= durable_offset).collect();
        for (_, sender) in resolved {
            // A receiver that is gone belongs to a connection that is gone.
            let _ = sender.send(Ok(()));
        }
    }

    /// Durability cannot be reached: everybody is told.
    pub(crate) fn fail(&self, error: ErrorCode) {
        let failed = std::mem::take(&mut *lock(&self.waiters));
        for (_, sender) in failed {
            let _ = sender.send(Err(error));
        }
    }
}

/// These lists hold no invariant that a panic could break half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_woken(waiter: &Arc<FetchWaiter>) -> bool {
        waiter.missing_bytes.load(Ordering::Acquire) == 0
    }

    #[test]
    fn a_fetch_wakes_on_enough_bytes_from_any_partition() {
        let (one, other) = (FetchWaiters::default(), FetchWaiters::default());
        let waiter = FetchWaiter::new(100);
        one.register(&waiter);
        other.register(&waiter);
        one.progress(60);
        assert!(!is_woken(&waiter));
        other.progress(40);
        assert!(is_woken(&waiter));
        assert!(lock(&other.waiters).is_empty());
    }

    #[test]
    fn dropped_waiters_do_not_pile_up() {
        let waiters = FetchWaiters::default();
        for _ in 0..10_000 {
            waiters.register(&FetchWaiter::new(1));
        }
        assert!(lock(&waiters.waiters).len() <= 8);
    }

    #[test]
    fn durability_resolves_up_to_the_offset() {
        let waiters = DurabilityWaiters::default();
        let mut first = waiters.register(10);
        let mut second = waiters.register(20);
        waiters.resolve(10);
        assert_eq!(first.try_recv(), Ok(Ok(())));
        assert!(second.try_recv().is_err());
        waiters.fail(ErrorCode::KAFKA_STORAGE_ERROR);
        assert_eq!(second.try_recv(), Ok(Err(ErrorCode::KAFKA_STORAGE_ERROR)));
    }
}

//! The byte budgets of request bodies, and of answers that wait for their readers.
//!
//! When it is used up, sockets are simply not read: the peer's TCP window closes, and memory stays flat. Bytes are
//! counted as they arrive, so an announcement alone reserves nothing.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The budget counts in units of this many bytes, because a semaphore counts to `u32::MAX` at a time.
const UNIT_BYTES: usize = 1024;

/// Bytes that requests in flight may occupy together.
pub(crate) struct ByteBudget {
    units: usize,
    free: Arc<Semaphore>,
    /// Held by the one request that may finish arriving although the budget is used up. Without it, many requests
    /// that each hold a part and wait for the rest would wait for ever.
    overdraft: Arc<Semaphore>,
}

impl ByteBudget {
    /// A budget of `bytes`, at least one unit.
    pub(crate) fn new(bytes: usize) -> Arc<ByteBudget> {
        let units = (bytes / UNIT_BYTES).max(1);
        Arc::new(ByteBudget { units, free: Arc::new(Semaphore::new(units)), overdraft: Arc::new(Semaphore::new(1)) })
    }
}

impl ByteBudget {
    /// Bytes that are given out.
    pub(crate) fn used_bytes(&self) -> usize {
        self.units.saturating_sub(self.free.available_permits()) * UNIT_BYTES
    }
}

/// A share of the budget, given back on drop.
pub(crate) struct BytePermit {
    budget: Arc<ByteBudget>,
    held: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
}

impl BytePermit {
    /// Holds nothing yet.
    pub(crate) fn empty(budget: Arc<ByteBudget>) -> BytePermit {
        BytePermit { budget, held: None, overdraft: None }
    }

    /// Whether the permit covers `bytes` in total now, without waiting.
    pub(crate) fn try_grow_to(&mut self, bytes: usize) -> bool {
        let have = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Ok(more) = u32::try_from(bytes.div_ceil(UNIT_BYTES).saturating_sub(have)) else { return false };
        match Arc::clone(&self.budget.free).try_acquire_many_owned(more) {
            Ok(permit) => {
                match &mut self.held {
                    Some(held) => held.merge(permit),
                    None => self.held = Some(permit),
                }
                true
            }
            Err(_) => false,
        }
    }

    /// Bytes that hold this permit until the last reference to them is gone.
    pub(crate) fn keep_with(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Kept { bytes, _permit: self })
    }

    /// Waits until the permit covers `bytes` in total, or holds the overdraft. Cancel-safe: what was got stays.
    pub(crate) async fn grow_to(&mut self, bytes: usize) {
        if self.overdraft.is_some() {
            return;
        }
        let have = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = bytes.div_ceil(UNIT_BYTES).saturating_sub(have);
        let more = u32::try_from(wanted).unwrap_or(u32::MAX);
        if more == 0 {
            return;
        }
        // Neither semaphore is ever closed, so an error cannot happen; taking it as "go on" is safe either way.
        tokio::select! {
            biased;
            permit = Arc::clone(&self.budget.free).acquire_many_owned(more) => {
                if let Ok(permit) = permit {
                    match &mut self.held {
                        Some(held) => held.merge(permit),
                        None => self.held = Some(permit),
                    }
                }
            }
            permit = Arc::clone(&self.budget.overdraft).acquire_owned() => {
                self.overdraft = permit.ok();
            }
        }
    }
}

struct Kept {
    bytes: Bytes,
    _permit: BytePermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_permit_is_given_back() {
        let budget = ByteBudget::new(1 << 20);
        let mut permit = BytePermit::empty(Arc::clone(&budget));
        permit.grow_to(100_000).await;
        permit.grow_to(200_000).await;
        assert!(permit.try_grow_to(1 << 20) && !permit.try_grow_to((1 << 20) + 1));
        drop(permit);
        let mut permit = BytePermit::empty(Arc::clone(&budget));
        assert!(permit.try_grow_to(200_000));
        assert_eq!(budget.free.available_permits(), 1024 - 196);
        drop(permit);
        assert_eq!(budget.free.available_permits(), 1024);
    }

    #[tokio::test]
    async fn one_request_may_finish_when_the_budget_is_used_up() {
        let budget = ByteBudget::new(64 * 1024);
        let mut first = BytePermit::empty(Arc::clone(&budget));
        first.grow_to(64 * 1024).await;
        let mut second = BytePermit::empty(Arc::clone(&budget));
        second.grow_to(32 * 1024).await;
        assert!(second.overdraft.is_some());

        let mut third = BytePermit::empty(Arc::clone(&budget));
        let mut waits = std::pin::pin!(third.grow_to(1024));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx).is_pending())).await);
    }
}

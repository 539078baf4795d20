//! A connection that is not read for a while, because its client was told to be silent (KIP-219).

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::clock::Clock;

/// Until when, if it is at all.
#[derive(Default)]
pub(crate) struct Mute {
    /// By the broker's clock; 0 for a connection that is read, which is what a request pays to know.
    until_ms: AtomicU64,
}

impl Mute {
    /// Begins no request before that time.
    pub(super) fn until(&self, end_ms: u64) {
        self.until_ms.fetch_max(end_ms, Ordering::Relaxed);
    }

    /// When the connection may be read again, if that is not now.
    pub(crate) fn end(&self, clock: &Clock) -> Option<Instant> {
        match self.until_ms.load(Ordering::Relaxed) {
            0 => None,
            until_ms => self.end_seen_at(Instant::now(), clock, until_ms),
        }
    }

    fn end_seen_at(&self, now: Instant, clock: &Clock, until_ms: u64) -> Option<Instant> {
        let end = clock.instant_at(until_ms);
        if now < end {
            return Some(end);
        }
        // Unless it was told to be silent for longer meanwhile.
        let _ = self.until_ms.compare_exchange(until_ms, 0, Ordering::Relaxed, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_muted_until_then_and_never_for_less() {
        let (clock, mute) = (Clock::start(), Mute::default());
        assert_eq!(mute.end(&clock), None);
        mute.until(500_000);
        mute.until(200_000);
        let end = clock.instant_at(500_000);
        assert_eq!(mute.end(&clock), Some(end));
        assert_eq!(mute.end_seen_at(clock.instant_at(499_999), &clock, 500_000), Some(end));
        assert_eq!(mute.end_seen_at(end, &clock, 500_000), None);
        assert_eq!(mute.end(&clock), None, "it is over");
        mute.until(900_000);
        assert_eq!(mute.end_seen_at(end, &clock, 500_000), None);
        assert_eq!(mute.end(&clock), Some(clock.instant_at(900_000)), "it was told anew meanwhile");
    }
}

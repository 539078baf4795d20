//! How often the same line may be written. Much of what is logged a client can cause, and a client that causes it in a
//! loop must neither fill the disk nor hide what else is said.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;

use crate::metrics::Counter;

/// The same line at once.
const BURST: f64 = 100.0;
/// The same line after that.
const PER_SECOND: f64 = 5.0;

/// Lines that were not written.
pub(crate) static LEFT_OUT: Counter = Counter::new();

/// A bucket for each place in the program that logs, of which there are a few hundred.
#[derive(Default)]
pub(super) struct Rate(Mutex<HashMap<Identifier, Bucket>>);

struct Bucket {
    left: f64,
    at: Instant,
    left_out: u64,
}

impl Rate {
    /// Whether a line of this place may be written now; if so, how many were left out before it.
    pub(super) fn admit(&self, place: Identifier, now: Instant) -> Option<u64> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(place).or_insert(Bucket { left: BURST, at: now, left_out: 0 });
        let refilled = now.saturating_duration_since(bucket.at).as_secs_f64() * PER_SECOND;
        bucket.left = (bucket.left + refilled).min(BURST);
        bucket.at = now;
        if bucket.left < 1.0 {
            bucket.left_out += 1;
            LEFT_OUT.add(1);
            return None;
        }
        bucket.left -= 1.0;
        Some(std::mem::take(&mut bucket.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tracing::Callsite;
    use tracing::metadata::Kind;

    #[test]
    fn the_same_line_is_written_so_often_and_then_counted() {
        let callsite = tracing::callsite! { name: "test", kind: Kind::EVENT, fields: };
        let place = || callsite.metadata().callsite();
        let (rate, start) = (Rate::default(), Instant::now());
        for _ in 0..100 {
            assert_eq!(rate.admit(place(), start), Some(0));
        }
        assert_eq!((rate.admit(place(), start), rate.admit(place(), start)), (None, None));
        let later = start + Duration::from_secs(1);
        assert_eq!(rate.admit(place(), later), Some(2), "two were left out");
        assert_eq!(rate.admit(place(), later), Some(0));
    }
}

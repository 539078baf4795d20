//! Where the broker reads the time.

use std::time::{SystemTime, UNIX_EPOCH};

use state::machine::Now;
use tokio::time::{Duration, Instant};

/// A clock that starts near zero when the broker does. Deadlines use its monotonic side; only stored timestamps use
/// the time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        Now { monotonic_ms: self.origin.elapsed().as_millis() as u64, wall_ms: wall_ms() }
    }

    /// The instant of a monotonic millisecond, rounded up so that a timer never fires early.
    pub(crate) fn instant_at(&self, monotonic_ms: u64) -> Instant {
        self.origin + Duration::from_millis(monotonic_ms)
    }
}

/// Milliseconds since 1970-01-01 UTC; 0 on a clock set before that.
pub(crate) fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

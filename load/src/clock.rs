//! The time of a run: nanoseconds since it was set up, and a timer as fine as they are.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::workload::LoadError;

const NANOS: u64 = 1_000_000_000;

/// Since when, and what counts. Times are in nanoseconds since the clock was made.
pub(crate) struct Clock {
    epoch: Instant,
    /// From when on records count; nothing does until it is known.
    measure_from: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { epoch: Instant::now(), measure_from: AtomicU64::new(u64::MAX) }
    }

    pub(crate) fn now(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }

    pub(crate) fn set_measure_from(&self, at: u64) {
        self.measure_from.store(at, Ordering::Release);
    }

    /// Whether what was due at this time is past the warm-up.
    pub(crate) fn counts(&self, at: u64) -> bool {
        at >= self.measure_from.load(Ordering::Acquire)
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Waits for a moment to within some microseconds; the runtime's own timer ticks in milliseconds, which is as long as a
/// whole produce takes.
pub(crate) struct Timer {
    descriptor: AsyncFd<OwnedFd>,
    armed_for: u64,
}

impl Timer {
    #[allow(deprecated, reason = "what replaces it is unsafe, for types that may close what they own; OwnedFd cannot")]
    pub(crate) fn new() -> Result<Timer, LoadError> {
        let machine = |source| LoadError::Machine { what: "making a timer", source };
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor =
            timerfd_create(TimerfdClockId::Monotonic, flags).map_err(|error| machine(io::Error::from(error)))?;
        Ok(Timer { descriptor: AsyncFd::new(descriptor).map_err(machine)?, armed_for: u64::MAX })
    }

    /// Returns at this time of the clock or a little later; never for `u64::MAX`. May be cancelled.
    pub(crate) async fn until(&mut self, clock: &Clock, at: u64) {
        if at == u64::MAX {
            return std::future::pending().await;
        }
        loop {
            let now = clock.now();
            if now >= at {
                self.armed_for = u64::MAX;
                return;
            }
            if self.armed_for != at && self.arm(at - now).is_ok() {
                self.armed_for = at;
            }
            match self.descriptor.readable().await {
                Ok(mut ready) => {
                    let mut count = [0; 8];
                    let read = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut count)?));
                    if read.is_ok() {
                        self.armed_for = u64::MAX;
                    }
                }
                // A timer that the runtime cannot watch: its own, coarser one does.
                Err(_) => tokio::time::sleep(Duration::from_nanos(at - now)).await,
            }
        }
    }

    fn arm(&self, delay_ns: u64) -> io::Result<()> {
        let value = Timespec { tv_sec: (delay_ns / NANOS) as i64, tv_nsec: (delay_ns % NANOS) as _ };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.descriptor, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timer_is_never_early_and_can_be_set_again() {
        let clock = Clock::new();
        let mut timer = Timer::new().unwrap();
        for step_ns in [300_000, 2_000_000, 50_000] {
            let at = clock.now() + step_ns;
            timer.until(&clock, at).await;
            assert!(clock.now() >= at);
        }
        let past = clock.now().saturating_sub(1000);
        timer.until(&clock, past).await;
    }
}

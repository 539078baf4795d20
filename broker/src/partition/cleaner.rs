//! Compaction: one thread that takes the log with the largest dirty share, again and again.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::Uuid;
use storage::{Pace, StorageError};
use tracing::{error, info};

use super::Partition;
use crate::broker::Broker;
use crate::clock::wall_ms;
use crate::metrics::Counter;

/// How long a pause may keep a deletion or a stop waiting.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Pauses shorter than this are not worth a wake-up.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// The shortest time between two searches, whatever `log.cleaner.backoff.ms` says.
const BACKOFF_MIN: Duration = Duration::from_millis(10);

/// What compaction has done and cost.
pub(crate) struct CleanerStats {
    pub(crate) passes: Counter,
    pub(crate) failures: Counter,
    pub(crate) before_bytes: Counter,
    pub(crate) after_bytes: Counter,
    pub(crate) busy_ms: Counter,
}

pub(crate) static CLEANING: CleanerStats = CleanerStats {
    passes: Counter::new(),
    failures: Counter::new(),
    before_bytes: Counter::new(),
    after_bytes: Counter::new(),
    busy_ms: Counter::new(),
};

/// The compacting thread, and the means to end it.
pub(crate) struct Cleaner {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    stopping: Mutex<bool>,
    changed: Condvar,
}

impl Cleaner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(crate) fn start(broker: Arc<Broker>) -> std::io::Result<Cleaner> {
        let shared = Arc::<Shared>::default();
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("cleaner".into()).spawn(move || worker.run(&broker))?;
        Ok(Cleaner { shared, thread })
    }

    /// Ends the thread; a pass that is under way is given up, and what it has done stays.
    pub(crate) fn stop(self) {
        *self.shared.lock() = true;
        self.shared.changed.notify_all();
        // A panic in it was reported by the panic hook already.
        let _ = self.thread.join();
    }
}

impl Shared {
    fn run(&self, broker: &Broker) {
        // Damaged logs, until the broker is restarted.
        let mut damaged = BTreeSet::new();
        let rate = Rate { shared: self, broker, debt: Mutex::new(Debt::new(Instant::now())) };
        loop {
            let config = broker.config().cleaner;
            // Logs that are not looked at again in this round.
            let mut done_with = damaged.clone();
            while config.enable && !self.is_stopping() {
                let Some(partition) = filthiest(broker, &done_with) else { break };
                match self.compact(&partition, config.map_bytes, &rate) {
                    Ok(true) => {}
                    Ok(false) => drop(done_with.insert(key_of(&partition))),
                    Err(error) => {
                        if matches!(error, StorageError::Corrupt { .. }) {
                            damaged.insert(key_of(&partition));
                        }
                        done_with.insert(key_of(&partition));
                        CLEANING.failures.add(1);
                        error!(%partition, %error, "a log could not be compacted; nothing of it is lost. Check the disk");
                    }
                }
            }
            if self.pause(config.backoff.max(BACKOFF_MIN)) {
                return;
            }
        }
    }

    /// Whether a log was compacted.
    fn compact(&self, partition: &Partition, map_bytes: usize, rate: &Rate<'_>) -> Result<bool, StorageError> {
        let started = Instant::now();
        let Some(done) = partition.log().compact(wall_ms(), map_bytes, rate)? else { return Ok(false) };
        let (keys, before_bytes, after_bytes) = (done.keys, done.before_bytes, done.after_bytes);
        let ms = started.elapsed().as_millis() as u64;
        CLEANING.passes.add(1);
        CLEANING.before_bytes.add(before_bytes);
        CLEANING.after_bytes.add(after_bytes);
        CLEANING.busy_ms.add(ms);
        info!(%partition, keys, before_bytes, after_bytes, ms, "compacted");
        Ok(true)
    }

    /// Waits; true when the broker stops.
    fn pause(&self, wait: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), wait, |stopping| !*stopping);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn is_stopping(&self) -> bool {
        *self.lock()
    }

    /// A flag holds no invariant that a panic could break half way.
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(partition: &Partition) -> (Uuid, i32) {
    (partition.topic_id, partition.index)
}

/// The partition that has the largest share to compact.
fn filthiest(broker: &Broker, except: &BTreeSet<(Uuid, i32)>) -> Option<Arc<Partition>> {
    let now_ms = wall_ms();
    let open = broker.partitions().all().into_iter().filter(|partition| !except.contains(&key_of(partition)));
    let dirty = open.filter_map(|partition| Some((partition.log().cleanable(now_ms)?, partition)));
    dirty.max_by_key(|(cleanable, _)| *cleanable).map(|(_, partition)| partition)
}

/// `log.cleaner.io.max.bytes.per.second`, as it is from one moment to the next.
struct Rate<'a> {
    shared: &'a Shared,
    broker: &'a Broker,
    debt: Mutex<Debt>,
}

impl Pace for Rate<'_> {
    fn spend(&self, bytes: u64, is_cancelled: &dyn Fn() -> bool) -> bool {
        let mut debt = self.debt.lock().unwrap_or_else(PoisonError::into_inner);
        debt.bytes += bytes as f64;
        loop {
            // Asked each time, so that a rate that is raised ends a long wait.
            let left = debt.wait(self.broker.config().cleaner.bytes_per_second, Instant::now());
            // Shorter pauses are made together.
            if left < PAUSE_MIN {
                return !self.shared.is_stopping();
            }
            if self.shared.pause(left.min(PAUSE_MAX)) || is_cancelled() {
                return false;
            }
        }
    }
}

/// Bytes that were read and written and not waited for yet.
struct Debt {
    bytes: f64,
    /// When it was last paid off.
    at: Instant,
}

impl Debt {
    fn new(now: Instant) -> Debt {
        Debt { bytes: 0.0, at: now }
    }

    /// Pays off what the time since the last call is worth; answers how long the rest takes. Time without debt is worth
    /// nothing later.
    fn wait(&mut self, bytes_per_second: f64, now: Instant) -> Duration {
        let paid = now.saturating_duration_since(self.at).as_secs_f64() * bytes_per_second;
        self.at = now;
        self.bytes = (self.bytes - paid).max(0.0);
        Duration::try_from_secs_f64(self.bytes / bytes_per_second).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spends `bytes` each time, after work that took `work`, waiting as long as it is told to by a clock of its own.
    fn time_to_spend(times: u64, bytes: u64, work: Duration, bytes_per_second: f64) -> Duration {
        let start = Instant::now();
        let mut now = start;
        let mut debt = Debt::new(now);
        for _ in 0..times {
            now += work;
            debt.bytes += bytes as f64;
            loop {
                let left = debt.wait(bytes_per_second, now);
                if left < PAUSE_MIN {
                    break;
                }
                now += left.min(PAUSE_MAX);
            }
        }
        now - start
    }

    #[test]
    fn no_more_is_spent_than_the_rate_allows_and_not_much_less() {
        let idle = Duration::ZERO;
        for (times, bytes, rate) in [(1_000, 1_000, 1e6), (10, 300_000, 1e6), (50_000, 100, 1e7), (3, 10, 1.0)] {
            let took = time_to_spend(times, bytes, idle, rate).as_secs_f64();
            let least = (times * bytes) as f64 / rate;
            assert!(took >= least - 0.002 && took <= least + 0.001, "{times} times {bytes} at {rate} took {took} s");
        }
        assert_eq!(time_to_spend(1_000, 1 << 20, idle, f64::MAX), idle, "no limit, no wait");
    }

    #[test]
    fn time_spent_on_work_counts_but_is_not_saved_up() {
        let work = Duration::from_millis(10);
        // Each batch is worth 5 ms, and took 10.
        assert_eq!(time_to_spend(100, 5_000, work, 1e6), 100 * work);
        // Worth 20 ms each: half of it was spent already.
        let took = time_to_spend(100, 20_000, work, 1e6).as_millis();
        assert!((1_998..=2_010).contains(&took), "{took}");

        let start = Instant::now();
        let mut debt = Debt::new(start);
        let later = start + Duration::from_secs(100);
        debt.wait(1e6, later);
        debt.bytes += 5e6;
        assert_eq!(debt.wait(1e6, later), Duration::from_secs(5));
    }

    #[test]
    fn a_rate_that_is_raised_ends_the_wait() {
        let start = Instant::now();
        let mut debt = Debt::new(start);
        debt.bytes += 1e6;
        assert_eq!(debt.wait(1.0, start), Duration::from_secs(1_000_000));
        assert_eq!(debt.wait(1e6, start), Duration::from_secs(1));
        assert_eq!(debt.wait(f64::MAX, start + Duration::from_millis(1)), Duration::ZERO);
    }
}

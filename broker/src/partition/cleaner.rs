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

/// How long a pause may keep a deletion or a stop waiting.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// The shortest time between two searches, whatever `log.cleaner.backoff.ms` says.
const BACKOFF_MIN: Duration = Duration::from_millis(10);

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
        loop {
            let config = broker.config().cleaner;
            // Logs that are not looked at again in this round.
            let mut done_with = damaged.clone();
            while config.enable && !self.is_stopping() {
                let Some(partition) = filthiest(broker, &done_with) else { break };
                let rate = Rate { shared: self, broker, due: Mutex::new(Instant::now()) };
                match self.compact(&partition, config.map_bytes, &rate) {
                    Ok(true) => {}
                    Ok(false) => drop(done_with.insert(key_of(&partition))),
                    Err(error) => {
                        if matches!(error, StorageError::Corrupt { .. }) {
                            damaged.insert(key_of(&partition));
                        }
                        done_with.insert(key_of(&partition));
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
    /// When everything that was spent so far is paid for.
    due: Mutex<Instant>,
}

impl Pace for Rate<'_> {
    fn spend(&self, bytes: u64, is_cancelled: &dyn Fn() -> bool) -> bool {
        let seconds = bytes as f64 / self.broker.config().cleaner.bytes_per_second;
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        // The bound only keeps the smallest rates from overflowing the clock.
        *due = (*due).max(Instant::now()) + Duration::from_secs_f64(seconds.min(3600.0));
        loop {
            let left = due.saturating_duration_since(Instant::now());
            // Shorter pauses are made together.
            if left < Duration::from_millis(2) {
                return !self.shared.is_stopping();
            }
            if self.shared.pause(left.min(PAUSE_MAX)) || is_cancelled() {
                return false;
            }
        }
    }
}

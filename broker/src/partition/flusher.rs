//! Group commit: one fdatasync at a time per log directory, for everybody who waits.
//!
//! While one round is on its way to the disk, the appends of the next gather; so the slower the disk, the larger the
//! groups. Appends that nobody waits for (acks=1 and 0) are flushed within [`LAZY_INTERVAL`].

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::error;

use super::Partition;

/// How long data that nobody waits for may stay in the page cache.
pub(super) const LAZY_INTERVAL: Duration = Duration::from_secs(1);

/// The door to the flushing thread.
#[derive(Clone)]
pub(crate) struct Flusher {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// Partitions with unflushed data; each stands in a list at most once (see `Partition::flush_state`).
#[derive(Default)]
struct Queue {
    urgent: Vec<Arc<Partition>>,
    lazy: Vec<Arc<Partition>>,
    stopping: bool,
}

impl Flusher {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(crate) fn start() -> std::io::Result<(Flusher, JoinHandle<()>)> {
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new() });
        let flusher = Flusher { shared: Arc::clone(&shared) };
        let thread =
            std::thread::Builder::new().name("flusher".into()).stack_size(256 * 1024).spawn(move || shared.run())?;
        Ok((flusher, thread))
    }

    /// Somebody waits for this partition to be durable.
    pub(crate) fn urgent(&self, partition: &Arc<Partition>) {
        let mut queue = lock(&self.shared.queue);
        queue.urgent.push(Arc::clone(partition));
        // A round that is under way takes the new entries when it is done.
        self.shared.changed.notify_one();
    }

    /// Nobody waits, but the data should not stay in memory for long.
    pub(crate) fn lazy(&self, partition: &Arc<Partition>) {
        let mut queue = lock(&self.shared.queue);
        queue.lazy.push(Arc::clone(partition));
        if queue.lazy.len() == 1 {
            self.shared.changed.notify_one();
        }
    }

    /// Flushes what is queued and ends the thread.
    pub(crate) fn stop(&self) {
        lock(&self.shared.queue).stopping = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut lazy_due: Option<Instant> = None;
        loop {
            let (round, stopping) = self.next_round(&mut lazy_due);
            for partition in round {
                if let Err(error) = partition.flush() {
                    error!(partition = %partition, %error, "flushing failed; the partition takes no more writes until the broker is restarted. Check the disk");
                }
            }
            if stopping {
                return;
            }
        }
    }

    fn next_round(&self, lazy_due: &mut Option<Instant>) -> (Vec<Arc<Partition>>, bool) {
        let mut queue = lock(&self.queue);
        loop {
            let now = Instant::now();
            if !queue.lazy.is_empty() {
                lazy_due.get_or_insert(now + LAZY_INTERVAL);
            }
            let lazy_is_due = queue.stopping || lazy_due.is_some_and(|due| due <= now);
            if lazy_is_due || !queue.urgent.is_empty() {
                let mut round = std::mem::take(&mut queue.urgent);
                if lazy_is_due {
                    round.append(&mut queue.lazy);
                    *lazy_due = None;
                }
                return (round, queue.stopping);
            }
            queue = match *lazy_due {
                None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(due) => self.changed.wait_timeout(queue, due - now).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

/// The lists hold no invariant that a panic could break half way.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Group commit: one round of fdatasyncs at a time per log directory, for everybody who waits.
//!
//! While one round is on its way to the disk, the appends of the next gather; so the slower the disk, the larger the
//! groups. The files of a round are flushed at the same time: a journal then commits once for all of them, where one
//! after the other each waits for a commit of its own (16 files on ext4: 5 ms instead of 60). Appends that nobody waits
//! for (acks=1 and 0) are flushed within [`LAZY_INTERVAL`], or at once when they are many.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use storage::StorageError;
use tracing::{error, warn};

use super::Partition;
use crate::metrics::{Counter, Histogram};

/// How long data that nobody waits for may stay in the page cache.
pub(super) const LAZY_INTERVAL: Duration = Duration::from_secs(1);
/// How much of it one partition may have there, bytes.
pub(super) const LAZY_MAX_BYTES: u64 = 16 << 20;

/// Flushes of a round that are under way at once. More threads gain little: the journal is busy with the first ones.
const CONCURRENT_FLUSHES: usize = 16;
/// Flushing needs next to none.
const STACK_BYTES: usize = 256 * 1024;

/// What flushing costs.
pub(crate) struct FlushStats {
    /// Of one partition's files.
    pub(crate) latency: Histogram,
    /// Partitions in a round.
    pub(crate) batch: Histogram,
    pub(crate) failures: Counter,
}

pub(crate) static FLUSHES: FlushStats =
    FlushStats { latency: Histogram::new(), batch: Histogram::new(), failures: Counter::new() };

/// The door to the flushing threads.
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
            std::thread::Builder::new().name("flusher".into()).stack_size(STACK_BYTES).spawn(move || shared.run())?;
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
        let (mut crew, mut lazy_due) = (Crew::default(), None);
        loop {
            let (round, stopping) = self.next_round(&mut lazy_due);
            if !round.is_empty() {
                FLUSHES.batch.record(round.len() as u64);
            }
            crew.flush(round);
            if stopping {
                crew.dismiss();
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

/// The threads that share a round. They are hired when a round first has work for them.
#[derive(Default)]
struct Crew {
    work: Arc<Work>,
    hands: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Work {
    round: Mutex<Round>,
    /// There is something to flush, or the crew is dismissed.
    begun: Condvar,
    /// Nothing is left and nobody is busy.
    done: Condvar,
}

#[derive(Default)]
struct Round {
    left: Vec<Arc<Partition>>,
    busy: usize,
    dismissed: bool,
}

impl Crew {
    /// Flushes all of them. This thread helps, and so a round of one wakes nobody.
    fn flush(&mut self, partitions: Vec<Arc<Partition>>) {
        let helpers = partitions.len().saturating_sub(1).min(CONCURRENT_FLUSHES - 1);
        while self.hands.len() < helpers && self.hire() {}
        lock(&self.work.round).left = partitions;
        for _ in 0..helpers {
            self.work.begun.notify_one();
        }
        self.work.lend_a_hand(lock(&self.work.round));
        let round = lock(&self.work.round);
        drop(self.work.done.wait_while(round, |round| round.busy > 0).unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether there was a thread to be had; without one the others have more to do.
    fn hire(&mut self) -> bool {
        let work = Arc::clone(&self.work);
        let hand = std::thread::Builder::new().name("flusher".into()).stack_size(STACK_BYTES).spawn(move || work.run());
        match hand {
            Ok(hand) => self.hands.push(hand),
            Err(error) => {
                warn!(%error, "no thread for flushing several files at once");
                return false;
            }
        }
        true
    }

    fn dismiss(self) {
        lock(&self.work.round).dismissed = true;
        self.work.begun.notify_all();
        for hand in self.hands {
            let _ = hand.join();
        }
    }
}

impl Work {
    fn run(&self) {
        loop {
            let idle = |round: &mut Round| round.left.is_empty() && !round.dismissed;
            let round = self.begun.wait_while(lock(&self.round), idle).unwrap_or_else(PoisonError::into_inner);
            if round.dismissed {
                return;
            }
            self.lend_a_hand(round);
        }
    }

    /// Flushes one after the other until none is left.
    fn lend_a_hand<'a>(&'a self, mut round: MutexGuard<'a, Round>) {
        while let Some(partition) = round.left.pop() {
            round.busy += 1;
            drop(round);
            flush(&partition);
            round = lock(&self.round);
            round.busy -= 1;
        }
        if round.busy == 0 {
            self.done.notify_one();
        }
    }
}

fn flush(partition: &Arc<Partition>) {
    let begun = Instant::now();
    let flushed = partition.flush();
    FLUSHES.latency.record_time(begun.elapsed());
    if flushed.is_err() {
        FLUSHES.failures.add(1);
    }
    match flushed {
        // The first flush that failed was told of, and none is tried again.
        Ok(()) | Err(StorageError::Offline { .. } | StorageError::Poisoned) => {}
        Err(_) if partition.is_offline() => {}
        // The file could not be opened: nothing is lost yet.
        Err(error) => {
            error!(%partition, %error, "a log could not be flushed; it is tried again within a second");
            partition.flush_later();
        }
    }
}

/// The lists hold no invariant that a panic could break half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

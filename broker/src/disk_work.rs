//! Work that may wait for a flush, and the threads it may hold.
//!
//! A flush that the disk does not answer keeps its thread. So each kind of such work has its share of the blocking
//! threads, and reading, which never waits for a flush, has the rest: a stalled disk delays who needs it, and nobody else.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// Requests that need the disk run here; more than a few of a kind only queue for the same device.
const THREADS_PER_KIND: usize = 8;
/// The blocking threads of a broker at most, started when they are needed: those of each kind of writers, and the rest
/// for readers, for rare work, and in place of workers that open a log.
pub(crate) const BLOCKING_THREADS: usize = 8 * THREADS_PER_KIND;

static PRODUCERS: Semaphore = Semaphore::const_new(THREADS_PER_KIND);
static COORDINATORS: Semaphore = Semaphore::const_new(THREADS_PER_KIND);
static ADMINISTRATORS: Semaphore = Semaphore::const_new(THREADS_PER_KIND);

/// On whose behalf something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writers {
    /// Of produce requests.
    Producers,
    /// Of group coordinators, whose members wait meanwhile.
    Coordinators,
    /// Of whoever changes topics, configurations or where logs start.
    Administrators,
}

/// How many of the runtime's workers write with their own hands.
static WRITING_WORKERS: AtomicUsize = AtomicUsize::new(0);

/// A worker of the runtime that writes with its own hands, until this is dropped.
pub(crate) struct WritingWorker(());

impl WritingWorker {
    /// For a write that does not wait for a flush as a rule: handing it to a thread and back costs more than the write.
    /// When the disk stalls it does wait, and takes its worker with it. So one worker is always left for whoever needs no
    /// disk: `None` when all the others write already, and then the threads are the place.
    pub(crate) fn claim() -> Option<WritingWorker> {
        let others = Handle::current().metrics().num_workers().saturating_sub(1);
        let claimed = WritingWorker(());
        // Given back on drop, also when there were too many.
        (WRITING_WORKERS.fetch_add(1, Ordering::AcqRel) < others).then_some(claimed)
    }
}

impl Drop for WritingWorker {
    fn drop(&mut self) {
        WRITING_WORKERS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs `work` on a thread that may block, when one of its kind is free. Whoever waits is served in order.
///
/// # Errors
/// When `work` panicked, or the runtime stops.
pub(crate) async fn run<T: Send + 'static>(
    writers: Writers,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    let threads = match writers {
        Writers::Producers => &PRODUCERS,
        Writers::Coordinators => &COORDINATORS,
        Writers::Administrators => &ADMINISTRATORS,
    };
    let permit = threads.acquire().await.expect("it is never closed");
    spawn_blocking(move || {
        // Given back by the thread and not by whoever waits for it, who may leave earlier.
        let _permit = permit;
        work()
    })
    .await
}

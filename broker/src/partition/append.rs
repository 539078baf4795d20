//! The one door for writes to a partition.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use storage::{AppendError, AppendOrigin, Appended, TransactionCheck};
use tokio::sync::oneshot;

use super::{Durable, Flow, Partition};
use crate::clock::wall_ms;
use crate::disk_work::{self, Writers, WritingWorker};

/// What an append gave: where the records are, and what to wait for if they must be durable.
type Appending = (Appended, Option<oneshot::Receiver<Durable>>);

/// The same, or why nothing was appended.
type AppendResult = Result<Appending, AppendRefusal>;

/// Why nothing was appended.
#[derive(Debug)]
pub(crate) enum AppendRefusal {
    /// What is left of the disk is kept for those who make room.
    NearlyFull,
    /// The log's own reason.
    Log(AppendError),
}

/// What a worker of the runtime writes with its own hands, bytes; for more, handing it over costs little.
const HERE_MAX_BYTES: usize = 1 << 20;

/// A client's batch, on its way to a partition, and what came of it.
pub(crate) struct AppendJob {
    pub(crate) partition: Arc<Partition>,
    /// Gone once it was tried.
    pub(crate) batch: Bytes,
    /// Whether it is more than half of the buffer that it came in. Then it is appended as it lies there, and stays in
    /// memory for a while with all of that; else a copy does.
    pub(crate) is_most: bool,
    /// What lets it begin a transaction there.
    pub(crate) check: TransactionCheck,
    /// Where its answer stands: topic and partition, as counted in the request.
    pub(crate) place: (usize, usize),
    pub(crate) result: AppendResult,
}

impl AppendJob {
    /// Nothing was tried yet.
    pub(crate) fn new(partition: Arc<Partition>, batch: Bytes, place: (usize, usize)) -> AppendJob {
        let result = Err(AppendRefusal::Log(AppendError::Closed));
        AppendJob { partition, batch, is_most: false, check: TransactionCheck::Ongoing, place, result }
    }
}

/// Appends client batches right here, each to its partition, in order, if that waits for no flush as a rule. Answers
/// whether it did; else [`append_batches`] is the way.
pub(crate) fn append_here(jobs: &mut [AppendJob], durable: bool) -> bool {
    // Asking takes locks that a stalled flush may hold, so the worker is claimed before.
    let worker = WritingWorker::claim();
    let is_here = worker.is_some() && is_quick(jobs);
    if is_here {
        append_all(jobs, durable);
    }
    is_here
}

/// The same on a thread that may wait for a flush.
pub(crate) async fn append_batches(mut jobs: Vec<AppendJob>, durable: bool) -> Vec<AppendJob> {
    let untried = |job: &AppendJob| AppendJob::new(Arc::clone(&job.partition), Bytes::new(), job.place);
    let untried: Vec<_> = jobs.iter().map(untried).collect();
    let appended = disk_work::run(Writers::Producers, move || {
        append_all(&mut jobs, durable);
        jobs
    });
    // Only a stopping runtime cancels a blocking task.
    appended.await.unwrap_or(untried)
}

fn is_quick(jobs: &[AppendJob]) -> bool {
    let bytes: usize = jobs.iter().map(|job| job.batch.len()).sum();
    let is_quick = |job: &AppendJob| job.partition.log.appends_at_once(job.batch.len());
    bytes <= HERE_MAX_BYTES && jobs.iter().all(is_quick)
}

fn append_all(jobs: &mut [AppendJob], durable: bool) {
    for job in jobs {
        let came = std::mem::take(&mut job.batch);
        let batch = if job.is_most { came } else { Bytes::copy_from_slice(&came) };
        job.result = append_of_client(&job.partition, batch, job.check, durable);
    }
}

fn append_of_client(partition: &Arc<Partition>, batch: Bytes, check: TransactionCheck, durable: bool) -> AppendResult {
    let size_bytes = batch.len();
    partition.traffic.count(Flow::ProduceRequests, 1);
    let appended = if partition.disk.space.admit(size_bytes) {
        append(partition, batch, (AppendOrigin::Client, check), durable).map_err(AppendRefusal::Log)
    } else {
        Err(AppendRefusal::NearlyFull)
    };
    if appended.is_err() {
        partition.traffic.count(Flow::FailedProduceRequests, 1);
        partition.traffic.count(Flow::BytesRejected, size_bytes as u64);
    }
    appended
}

fn append(
    partition: &Arc<Partition>,
    batch: Bytes,
    (origin, check): (AppendOrigin, TransactionCheck),
    durable: bool,
) -> Result<Appending, AppendError> {
    let size_bytes = batch.len();
    let appended = partition.log.append_in_transaction(batch, partition.leader_epoch(), origin, check, wall_ms())?;
    if !appended.duplicate {
        partition.fetch_waiters.progress(size_bytes);
        partition.disk.total.spend(size_bytes);
        partition.traffic.count(Flow::BytesIn, size_bytes as u64);
        partition.traffic.count(Flow::MessagesIn, (appended.last_offset - appended.base_offset + 1).max(0) as u64);
    }
    // What a coordinator decides is on the disk before it is told, whatever the topic says.
    let durable = durable && (partition.fsync.load(Ordering::Acquire) || origin == AppendOrigin::Coordinator);
    // A duplicate may still wait for the disk: its first copy was perhaps never acknowledged.
    let receiver = if durable || partition.is_flush_due() {
        Some(partition.wait_durable(appended.last_offset + 1))
    } else {
        partition.flush_soon();
        None
    };
    Ok((appended, receiver))
}

impl Partition {
    /// Appends a coordinator's records. The receiver resolves when they are durable.
    ///
    /// # Errors
    /// The log's; nothing was appended.
    pub(crate) async fn append_internal(
        self: &Arc<Self>,
        batch: Bytes,
        check: TransactionCheck,
    ) -> Result<oneshot::Receiver<Durable>, AppendError> {
        let partition = Arc::clone(self);
        let appended = disk_work::run(Writers::Coordinators, move || {
            append(&partition, batch, (AppendOrigin::Coordinator, check), true)
        })
        .await;
        match appended {
            Ok(Ok((_, Some(receiver)))) => Ok(receiver),
            Ok(Ok((_, None))) | Err(_) => Err(AppendError::Closed),
            Ok(Err(error)) => Err(error),
        }
    }
}

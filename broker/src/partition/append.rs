//! The one door for writes to a partition.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use storage::{AppendError, AppendOrigin, Appended};
use tokio::sync::oneshot;

use super::{Durable, Partition};
use crate::clock::wall_ms;
use crate::disk_work::{self, Writers};

/// What an append gave: where the records are, and what to wait for if they must be durable.
pub(crate) type AppendResult = Result<(Appended, Option<oneshot::Receiver<Durable>>), AppendError>;

/// Appends client batches, each to its partition, in order, on a thread that may block.
pub(crate) async fn append_batches(jobs: Vec<(Arc<Partition>, Bytes)>, durable: bool) -> Vec<AppendResult> {
    let count = jobs.len();
    let appended = disk_work::run(Writers::Producers, move || {
        jobs.into_iter().map(|(partition, batch)| append(&partition, batch, AppendOrigin::Client, durable)).collect()
    })
    .await;
    // Only a stopping runtime cancels a blocking task.
    appended.unwrap_or_else(|_| (0..count).map(|_| Err(AppendError::Closed)).collect())
}

fn append(partition: &Arc<Partition>, batch: Bytes, origin: AppendOrigin, durable: bool) -> AppendResult {
    let size_bytes = batch.len();
    let appended = partition.log.append_as_leader(batch, partition.leader_epoch(), origin, wall_ms())?;
    if !appended.duplicate {
        partition.fetch_waiters.progress(size_bytes);
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
    ) -> Result<oneshot::Receiver<Durable>, AppendError> {
        let partition = Arc::clone(self);
        let appended =
            disk_work::run(Writers::Coordinators, move || append(&partition, batch, AppendOrigin::Coordinator, true))
                .await;
        match appended {
            Ok(Ok((_, Some(receiver)))) => Ok(receiver),
            Ok(Ok((_, None))) | Err(_) => Err(AppendError::Closed),
            Ok(Err(error)) => Err(error),
        }
    }
}

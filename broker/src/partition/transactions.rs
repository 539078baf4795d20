//! Transactions in a partition, on threads that may block: a look whether one may begin, and the markers that end them.

use std::sync::Arc;

use storage::{AppendError, Applicant, TxnMarker, Verification};
use tokio::sync::oneshot;

use super::{Durable, Partition};
use crate::clock::wall_ms;
use crate::disk_work::{self, Writers};

/// What became of one marker: the receiver resolves when it is durable.
pub(crate) type Marked = Result<oneshot::Receiver<Durable>, AppendError>;

/// Writes a marker to each of these partitions.
pub(crate) async fn append_markers(partitions: Vec<Arc<Partition>>, marker: TxnMarker) -> Vec<Marked> {
    let count = partitions.len();
    let written = disk_work::run(Writers::Coordinators, move || {
        partitions.iter().map(|partition| mark(partition, marker)).collect()
    })
    .await;
    // Only a stopping runtime cancels a blocking task.
    written.unwrap_or_else(|_| (0..count).map(|_| Err(AppendError::Closed)).collect())
}

/// Asks each of these partitions what the applicant's batch needs there.
pub(crate) async fn begin_verifications(
    writers: Writers,
    asked: Vec<(Arc<Partition>, Applicant)>,
) -> Vec<Result<Verification, AppendError>> {
    let count = asked.len();
    let begun = disk_work::run(writers, move || {
        let begin = |(partition, applicant): &(Arc<Partition>, Applicant)| {
            partition.log.begin_verification(*applicant, wall_ms())
        };
        asked.iter().map(begin).collect()
    })
    .await;
    begun.unwrap_or_else(|_| (0..count).map(|_| Err(AppendError::Closed)).collect())
}

fn mark(partition: &Arc<Partition>, marker: TxnMarker) -> Marked {
    let appended = partition.log.append_marker(marker, partition.leader_epoch(), wall_ms())?;
    // Much more than the marker may have become readable to those who wait for it.
    partition.fetch_waiters.wake_all();
    // Whoever ordered it forgets the transaction then, so the marker has to last whatever the topic says.
    Ok(partition.wait_durable(appended.last_offset + 1))
}

impl Partition {
    /// Ends a producer's transaction here.
    ///
    /// # Errors
    /// The log's; nothing was written.
    pub(crate) async fn append_marker(self: &Arc<Self>, marker: TxnMarker) -> Marked {
        let written = append_markers(vec![Arc::clone(self)], marker).await;
        written.into_iter().next().unwrap_or(Err(AppendError::Closed))
    }

    /// What the applicant's batch, which a coordinator writes, needs here.
    ///
    /// # Errors
    /// The log's.
    pub(crate) async fn begin_verification(
        self: &Arc<Self>,
        applicant: Applicant,
    ) -> Result<Verification, AppendError> {
        let begun = begin_verifications(Writers::Coordinators, vec![(Arc::clone(self), applicant)]).await;
        begun.into_iter().next().unwrap_or(Err(AppendError::Closed))
    }
}

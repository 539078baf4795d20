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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::ErrorCode;
    use protocol::records::BatchBuilder;
    use storage::TransactionCheck;
    use tokio::sync::oneshot::error::TryRecvError;
    use tokio::time::timeout;

    use super::*;
    use crate::fetch_session::{TopicKey, Wanted};
    use crate::handlers::fetch::Found;
    use crate::partition::read::{ReadLimits, Slice, read_in_order};
    use crate::partition::rig::{DEADLINE, Flushes, Rig};

    const PRODUCER: i64 = 7;

    /// Opens a transaction, or goes on with it.
    async fn write(rig: &Rig) {
        let mut builder = BatchBuilder::new(0).producer(PRODUCER, 0, -1).transactional();
        builder.append(wall_ms(), Some(b"key"), Some(b"value"), &[]);
        let durable = rig.partition.append_internal(Bytes::from(builder.build()), TransactionCheck::Off).await.unwrap();
        timeout(DEADLINE, durable).await.unwrap().unwrap().unwrap();
    }

    fn marker(committed: bool) -> TxnMarker {
        TxnMarker { producer_id: PRODUCER, producer_epoch: 0, coordinator_epoch: 0, committed, transaction_version: 0 }
    }

    /// From the first record on.
    fn read(rig: &Rig, read_committed: bool) -> Slice {
        let wanted = Wanted {
            topic: TopicKey::Name(rig.partition.topic().into()),
            partition: 0,
            fetch_offset: 0,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
            max_bytes: 1 << 20,
        };
        let (partition, error_code) = (Some(Arc::clone(&rig.partition)), ErrorCode::NONE);
        let mut found = [Found { partition, error_code, slice: Slice::default() }];
        let limits = ReadLimits { total_bytes: 1 << 20, allow_zstd: true, read_committed };
        read_in_order(&[wanted], &mut found, limits);
        let [found] = found;
        assert_eq!(found.error_code, ErrorCode::NONE);
        found.slice
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_marker_is_told_when_the_disk_has_it() {
        let rig = Rig::new(0);
        write(&rig).await;
        rig.disk.flushes(Flushes::Wait);
        let mut marked = rig.partition.append_marker(marker(true)).await.unwrap();
        tokio::task::block_in_place(|| rig.disk.until_one_waits());
        assert_eq!(marked.try_recv(), Err(TryRecvError::Empty), "told before the disk had it");
        rig.disk.flushes(Flushes::Succeed);
        assert_eq!(timeout(DEADLINE, marked).await.unwrap(), Ok(Ok(())));
    }

    #[tokio::test]
    async fn a_marker_that_a_topic_takes_with_it_is_not_waited_for() {
        let rig = Rig::new(0);
        write(&rig).await;
        // Between the two of them the topic is deleted.
        let marked = rig.partition.log.append_marker(marker(true), 0, wall_ms()).unwrap();
        rig.delete();
        let told = rig.partition.wait_durable(marked.last_offset + 1);
        assert_eq!(timeout(DEADLINE, told).await.unwrap(), Ok(Err(ErrorCode::NOT_LEADER_OR_FOLLOWER)));
    }

    #[tokio::test]
    async fn readers_of_committed_records_get_what_is_decided_and_are_told_what_is_void() {
        let rig = Rig::new(0);
        write(&rig).await;
        let found = |read_committed| {
            let slice = read(&rig, read_committed);
            let aborted: Vec<i64> = slice.aborted.iter().map(|aborted| aborted.first_offset).collect();
            (slice.len() > 0, slice.last_stable_offset, aborted)
        };
        assert_eq!(found(true), (false, 0, vec![]), "nothing is decided");
        assert_eq!(found(false), (true, 0, vec![]));
        let marked = rig.partition.append_marker(marker(false)).await.unwrap();
        timeout(DEADLINE, marked).await.unwrap().unwrap().unwrap();
        assert_eq!(found(true), (true, 2, vec![0]));
        assert_eq!(found(false), (true, 2, vec![]), "who reads everything needs no list");
    }
}

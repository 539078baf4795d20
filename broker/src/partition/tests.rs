//! What is told to whom, and when, of records on a disk that is slow, full, or fails.

use super::rig::{DEADLINE, Flushes, Rig, idempotent, record};
use super::*;

use storage::{AppendError, Appended, TransactionCheck};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::timeout;

fn job(rig: &Rig, batch: bytes::Bytes) -> AppendJob {
    AppendJob::new(Arc::clone(&rig.partition), batch, (0, 0))
}

/// Right here if that is the way, as a producer's request does.
async fn tried(rig: &Rig, batch: bytes::Bytes, durable: bool) -> Result<Appending, AppendRefusal> {
    let mut jobs = vec![job(rig, batch)];
    if !append_here(&mut jobs, durable) {
        jobs = append_batches(jobs, durable).await;
    }
    jobs.remove(0).result
}

type Appending = (Appended, Option<oneshot::Receiver<Durable>>);

async fn append(rig: &Rig, batch: bytes::Bytes, durable: bool) -> Appending {
    tried(rig, batch, durable).await.unwrap()
}

#[tokio::test]
async fn acks_all_is_answered_after_the_flush_and_acks_1_before_it() {
    let rig = Rig::new(0);
    rig.disk.flushes(Flushes::Wait);
    let (_, at_once) = append(&rig, record(), false).await;
    assert!(at_once.is_none());
    let (appended, waits) = append(&rig, record(), true).await;
    let mut waits = waits.expect("the producer waits for the disk");
    rig.disk.until_one_waits();
    assert_eq!(waits.try_recv(), Err(TryRecvError::Empty), "answered before the disk had it");
    assert_eq!((appended.base_offset, rig.partition.log_end_offset()), (1, 2));
    rig.disk.flushes(Flushes::Succeed);
    assert_eq!(timeout(DEADLINE, waits).await.unwrap(), Ok(Ok(())));
    assert_eq!(rig.partition.log.flushed_offset(), 2);
}

#[tokio::test]
async fn a_duplicate_waits_for_the_disk_like_its_first_copy() {
    let rig = Rig::new(0);
    rig.disk.flushes(Flushes::Wait);
    append(&rig, idempotent(0), false).await;
    let (again, waits) = append(&rig, idempotent(0), true).await;
    assert!(again.duplicate && again.base_offset == 0);
    let mut waits = waits.expect("its first copy was perhaps never flushed");
    rig.disk.until_one_waits();
    assert_eq!(waits.try_recv(), Err(TryRecvError::Empty));
    rig.disk.flushes(Flushes::Succeed);
    assert_eq!(timeout(DEADLINE, waits).await.unwrap(), Ok(Ok(())));
}

#[tokio::test]
async fn a_failed_flush_is_told_to_all_who_wait_and_to_all_who_come() {
    let rig = Rig::new(0);
    rig.disk.flushes(Flushes::Wait);
    let (_, first) = append(&rig, record(), true).await;
    rig.disk.until_one_waits();
    let (_, second) = append(&rig, record(), true).await;
    rig.disk.flushes(Flushes::Fail);
    for waits in [first, second] {
        let told = timeout(DEADLINE, waits.unwrap()).await.unwrap();
        assert_eq!(told, Ok(Err(ErrorCode::KAFKA_STORAGE_ERROR)));
    }
    // The disk works again, and nobody knows what it has.
    rig.disk.flushes(Flushes::Succeed);
    let next = tried(&rig, record(), true).await;
    let offline = |refusal| matches!(refusal, AppendRefusal::Log(AppendError::Storage(StorageError::Offline { .. })));
    assert!(offline(next.unwrap_err()));
}

#[tokio::test]
async fn what_is_held_back_from_producers_is_there_for_coordinators() {
    let rig = Rig::new(u64::MAX);
    let refused = tried(&rig, record(), true).await;
    assert!(matches!(refused, Err(AppendRefusal::NearlyFull)));
    assert_eq!(rig.partition.log_end_offset(), 0);
    let durable = rig.partition.append_internal(record(), TransactionCheck::Ongoing).await.unwrap();
    assert_eq!(timeout(DEADLINE, durable).await.unwrap(), Ok(Ok(())));
    assert_eq!(rig.partition.log_end_offset(), 1);
}

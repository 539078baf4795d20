//! Loading a coordinator: its machine is told everything that its log holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::records::{self, Batch};
use state::machine::Machine;
use tokio::time::Instant;
use tracing::info;

use super::runtime::RecordCodec;
use crate::error::PartitionError;
use crate::partition::Partition;

/// How much of the log is read at a time, bytes.
const LOAD_BYTES: usize = 1 << 20;
/// The records of one batch, uncompressed, bytes: far more than a coordinator ever writes.
pub(super) const RECORDS_MAX_BYTES: usize = 64 << 20;

/// How long loading took, over all coordinators of a kind.
#[derive(Debug)]
pub(crate) struct LoadTimes {
    count: AtomicU64,
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

impl LoadTimes {
    pub(super) const fn new() -> LoadTimes {
        LoadTimes { count: AtomicU64::new(0), sum_us: AtomicU64::new(0), max_us: AtomicU64::new(0) }
    }

    pub(super) fn took(&self, time: Duration) {
        let us = time.as_micros() as u64;
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        self.max_us.fetch_max(us, Ordering::Relaxed);
    }

    pub(crate) fn max_ms(&self) -> f64 {
        self.max_us.load(Ordering::Relaxed) as f64 / 1e3
    }

    /// 0 when nothing was loaded.
    pub(crate) fn mean_ms(&self) -> f64 {
        let count = self.count.load(Ordering::Relaxed).max(1);
        self.sum_us.load(Ordering::Relaxed) as f64 / 1e3 / count as f64
    }
}

/// What came of the log's records.
#[derive(Default)]
struct Loaded {
    applied: u64,
    skipped: u64,
}

/// Reads the log to its end.
///
/// # Errors
/// The log's, or that it is damaged.
pub(super) async fn load<M: Machine, C: RecordCodec<M::Record>>(
    partition: &Arc<Partition>,
    codec: &C,
    machine: &mut M,
) -> Result<(), PartitionError> {
    let started = Instant::now();
    let mut offset = partition.log_start_offset();
    let mut loaded = Loaded::default();
    while offset < partition.log_end_offset() {
        let read = partition.read_all(offset, LOAD_BYTES).await?;
        let before = offset;
        for chunk in read.chunks() {
            for batch in records::batches(chunk) {
                let damaged = |reason: String| PartitionError::from(partition.log().damaged(offset, reason));
                let batch = batch.map_err(|error| damaged(error.to_string()))?;
                // What it says is about to be believed, and no client checks it after us.
                if !batch.is_crc_valid() {
                    return Err(damaged("the checksum is wrong".to_owned()));
                }
                offset = batch.next_offset();
                take(&batch, codec, machine, &mut loaded);
            }
        }
        if offset == before {
            break;
        }
        tokio::task::yield_now().await;
    }
    let Loaded { applied, skipped } = loaded;
    if applied + skipped > 0 {
        info!(partition = %partition, applied, skipped, ms = started.elapsed().as_millis() as u64, "coordinator loaded");
    }
    Ok(())
}

fn take<M: Machine, C: RecordCodec<M::Record>>(batch: &Batch<'_>, codec: &C, machine: &mut M, loaded: &mut Loaded) {
    if batch.is_control() {
        let marker = batch.end_txn_marker();
        if let Some(end) = marker.and_then(|marker| codec.transaction_end(batch.producer_id(), marker.committed)) {
            machine.apply(&end);
        }
        return;
    }
    let producer = batch.is_transactional().then(|| (batch.producer_id(), batch.producer_epoch()));
    let Ok(set) = batch.records(RECORDS_MAX_BYTES) else {
        loaded.skipped += 1;
        return;
    };
    for record in set.iter() {
        match record.ok().and_then(|record| codec.decode(record.key?, record.value, producer)) {
            Some(record) => {
                machine.apply(&record);
                loaded.applied += 1;
            }
            None => loaded.skipped += 1,
        }
    }
}

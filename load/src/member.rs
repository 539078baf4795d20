//! A member of a consumer group, as applications have them: it joins, beats, commits and unpacks every record.

use std::sync::Arc;
use std::time::Duration;

use client::{FetchedRecord, GroupConsumer};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::payload::due_of;
use crate::tally::{Fetched, Meter};
use crate::workload::LoadError;

/// How long to wait for a record before a look at whether partitions have come or gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Records are counted together up to so many.
const BLOCK: usize = 512;

/// A member before it runs.
pub(crate) struct Member {
    pub(crate) consumer: GroupConsumer,
    /// How many partitions it has, once it knows where they begin.
    pub(crate) assigned: watch::Sender<usize>,
    pub(crate) mark: Option<[u8; 8]>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) meter: Meter,
}

impl Member {
    /// Reads for as long as it is left alone, or until `over` says that it is over; then it leaves its group.
    ///
    /// # Errors
    /// When the group cannot be joined or read, after retries.
    pub(crate) async fn run(mut self, mut over: watch::Receiver<bool>) -> Result<(), LoadError> {
        let mut block = Vec::with_capacity(BLOCK);
        while !*over.borrow() {
            let record = tokio::select! {
                biased;
                _ = over.changed() => break,
                record = self.consumer.next(LOOK_INTERVAL) => record?,
            };
            let is_pause = record.is_none();
            block.extend(record);
            if block.len() == BLOCK || (!block.is_empty() && (is_pause || self.consumer.is_caught_up())) {
                self.count(&mut block);
            }
            if self.consumer.generation_id() >= 0 {
                let count = self.consumer.assignment().count();
                self.assigned.send_if_modified(|known| std::mem::replace(known, count) != count);
            }
        }
        self.count(&mut block);
        self.consumer.leave().await?;
        Ok(())
    }

    fn count(&self, block: &mut Vec<FetchedRecord>) {
        let now = self.clock.now();
        let size = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let bytes = block.iter().map(|record| size(&record.key) + size(&record.value)).sum();
        let due = |record: &FetchedRecord| due_of(record.value.as_deref()?, self.mark?);
        let times: Vec<u64> = block.iter().filter_map(due).collect();
        self.meter.fetched(&Fetched { sent: None, records: block.len() as u64, bytes, times: &times }, now);
        block.clear();
    }
}

//! What a compacted log must still have, and what it must not have any more.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

use std::collections::BTreeMap;

use bytes::Bytes;
use fastrand::Rng;
use protocol::records::{BatchBuilder, Codec, batches};
use storage::{AppendOrigin, Pace, PartitionLog};

/// Compaction as fast as it goes.
pub(crate) struct NoLimit;

impl Pace for NoLimit {
    fn spend(&self, _bytes: u64, is_cancelled: &dyn Fn() -> bool) -> bool {
        !is_cancelled()
    }
}

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: i64,
    /// The last offset of its batch.
    pub(crate) batch_end: i64,
    pub(crate) codec: Codec,
    pub(crate) producer: (i64, i16),
    pub(crate) epoch: i32,
}

/// Everything that was ever appended, by offset, and what compaction may have done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) written: BTreeMap<i64, Written>,
    /// For each tombstone when a pass that may have marked it came first.
    met_ms: BTreeMap<i64, i64>,
    /// Tombstones that may be gone.
    may_go: BTreeMap<i64, bool>,
    /// Everything below was compacted.
    pub(crate) end: i64,
}

impl Model {
    /// Appends random records under random keys; `producer` is id, epoch and first sequence.
    pub(crate) fn append(
        &mut self,
        rng: &mut Rng,
        log: &PartitionLog,
        keys: u32,
        producer: (i64, i16, i32),
        now_ms: i64,
    ) {
        let codec = Codec::ALL[rng.usize(..Codec::ALL.len())];
        let mut builder = BatchBuilder::new(0).codec(codec, None);
        if producer.0 >= 0 {
            builder = builder.producer(producer.0, producer.1, producer.2);
        }
        let (base, count) =
            (log.log_end_offset(), 1 + rng.i64(0..if keys > 1_000 { 60 } else { i64::from(keys.min(12)) }));
        let epoch = (base / 100) as i32;
        for offset in base..base + count {
            let key = (log.config().compact || rng.bool()).then(|| format!("key {}", rng.u32(..keys)).into_bytes());
            let value = (rng.u32(..5) > 0 || key.is_none()).then(|| format!("value {offset} ").repeat(rng.usize(1..9)));
            let timestamp = now_ms + rng.i64(-20..20);
            builder.append(timestamp, key.as_deref(), value.as_deref().map(str::as_bytes), &[]);
            let value = value.map(String::into_bytes);
            let producer = if producer.0 < 0 { (-1, -1) } else { (producer.0, producer.1) };
            let batch_end = base + count - 1;
            self.written.insert(offset, Written { key, value, timestamp, batch_end, codec, producer, epoch });
        }
        let appended = log.append_as_leader(builder.build().freeze(), epoch, AppendOrigin::Client, now_ms).unwrap();
        assert_eq!((appended.base_offset, appended.last_offset, appended.duplicate), (base, base + count - 1, false));
    }

    /// A pass begins that may reach up to `end`.
    pub(crate) fn may_compact(&mut self, end: i64, now_ms: i64, retention_ms: i64) {
        for (offset, record) in &self.written {
            if record.value.is_none() && *offset < end {
                match self.met_ms.get(offset) {
                    Some(met_ms) if met_ms + retention_ms <= now_ms => drop(self.may_go.insert(*offset, true)),
                    Some(_) => {}
                    None if record.batch_end < end => drop(self.met_ms.insert(*offset, now_ms)),
                    None => {}
                }
            }
        }
    }

    /// The end of the log was lost.
    pub(crate) fn cut(&mut self, end: i64) {
        self.written.split_off(&end);
        self.met_ms.split_off(&end);
        self.may_go.split_off(&end);
    }

    /// Compares the log with what must be in it. `is_exact` when every pass so far has ended well: then nothing that
    /// must go may be left either.
    pub(crate) fn check(&self, log: &PartitionLog, is_exact: bool) -> BTreeMap<i64, Written> {
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        assert_eq!(
            self.written.keys().next_back().map_or(start, |last| last + 1).max(start),
            end,
            "the log's end moved"
        );
        let found = read(log);
        for (offset, record) in &found {
            assert_eq!(Some(record), self.written.get(offset), "offset {offset}");
        }
        let mut last_of: BTreeMap<&[u8], i64> = BTreeMap::new();
        let mut last_cleaned: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (offset, record) in &self.written {
            if let Some(key) = &record.key {
                last_of.insert(key, *offset);
                if *offset < self.end {
                    last_cleaned.insert(key, *offset);
                }
            }
        }
        for (offset, record) in self.written.range(start..) {
            let Some(key) = &record.key else {
                assert!(!is_exact || *offset >= self.end || !found.contains_key(offset), "{offset} has no key");
                continue;
            };
            let is_last = last_of[key.as_slice()] == *offset;
            let may_go = self.may_go.contains_key(offset);
            assert!(!is_last || may_go || found.contains_key(offset), "{offset}, the last of its key, is gone");
            assert!(*offset < self.end || !is_exact || found.contains_key(offset), "{offset} is gone too early");
            if is_exact && *offset < self.end {
                let is_old = last_cleaned[key.as_slice()] != *offset;
                assert!(!is_old || !found.contains_key(offset), "{offset} is not the last of its key");
                assert!(!may_go || !found.contains_key(offset), "the tombstone {offset} is still there");
            }
        }
        check_times(log, &found);
        found
    }
}

fn check_times(log: &PartitionLog, found: &BTreeMap<i64, Written>) {
    let of = |(offset, record): (&i64, &Written)| (*offset, record.timestamp);
    let newest = found.values().map(|record| record.timestamp).max();
    let expected = found.iter().map(of).find(|(_, timestamp)| Some(*timestamp) == newest);
    assert_eq!(log.offset_of_max_timestamp().unwrap(), expected);
    for wanted in found.values().step_by(7).flat_map(|record| [record.timestamp, record.timestamp + 1]) {
        let expected = found.iter().map(of).find(|(_, timestamp)| *timestamp >= wanted);
        assert_eq!(log.offset_for_timestamp(wanted).unwrap(), expected, "timestamp {wanted}");
    }
}

/// All records in a log, by offset, from its start on.
pub(crate) fn read(log: &PartitionLog) -> BTreeMap<i64, Written> {
    let start = log.log_start_offset();
    let mut found = BTreeMap::new();
    for bytes in chunks(log) {
        for batch in batches(&bytes) {
            let batch = batch.unwrap();
            for record in &batch.records(1 << 20).unwrap() {
                let record = record.unwrap();
                let written = Written {
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    timestamp: record.timestamp,
                    batch_end: batch.last_offset(),
                    codec: batch.codec(),
                    producer: (batch.producer_id(), batch.producer_epoch()),
                    epoch: batch.partition_leader_epoch(),
                };
                if record.offset >= start {
                    assert!(found.insert(record.offset, written).is_none(), "{} twice", record.offset);
                }
            }
        }
    }
    found
}

/// All batches from the log's start on, a read at a time; whatever was compacted at the end is passed over.
pub(crate) fn chunks(log: &PartitionLog) -> Vec<Bytes> {
    let (mut offset, mut all) = (log.log_start_offset(), Vec::new());
    while offset < log.log_end_offset() {
        let read = log.read(offset, 5_000, i64::MAX, true).unwrap();
        let before = offset;
        for batch in read.records.chunks().iter().flat_map(|chunk| batches(chunk)) {
            let batch = batch.unwrap();
            assert!(batch.is_crc_valid() && batch.last_offset() >= offset, "{} after {offset}", batch.base_offset());
            offset = batch.next_offset();
        }
        all.extend_from_slice(read.records.chunks());
        if offset == before {
            break;
        }
    }
    all
}

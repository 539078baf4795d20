//! Transactions as a list of what was appended: what each answer of the log must be; and a reader of committed records.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use protocol::records::{BatchBuilder, batches};
use storage::{PartitionLog, ProducerState};

/// A record: key and value.
pub(crate) type Pair = (String, String);

/// What a batch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Records of a producer, from a sequence on, in a transaction or not.
    Records { sequence: i32, transactional: bool, pairs: Vec<Pair> },
    /// The end of a transaction.
    Marker { committed: bool, coordinator_epoch: i32 },
}

/// A batch that stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) base: i64,
    /// Id and epoch, or −1 and −1.
    pub(crate) producer: (i64, i16),
    pub(crate) said: Said,
}

impl Event {
    pub(crate) fn next(&self) -> i64 {
        match &self.said {
            Said::Records { pairs, .. } => self.base + pairs.len() as i64,
            Said::Marker { .. } => self.base + 1,
        }
    }
}

/// What is known of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) epoch: i16,
    pub(crate) next_sequence: i32,
    pub(crate) coordinator_epoch: i32,
    pub(crate) open: Option<i64>,
}

impl Known {
    pub(crate) fn of(state: &ProducerState) -> Known {
        Known {
            epoch: state.producer_epoch,
            next_sequence: state.last_sequence + 1,
            coordinator_epoch: state.coordinator_epoch,
            open: state.current_txn_start_offset,
        }
    }
}

/// Everything that follows from a list of batches.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) producers: BTreeMap<i64, Known>,
    /// Producer, first and last offset, and whether it was committed, by marker.
    pub(crate) decided: Vec<(i64, i64, i64, bool)>,
    /// What a reader of committed records sees, by offset.
    pub(crate) committed: BTreeMap<i64, Pair>,
}

impl Replayed {
    pub(crate) fn of(events: &[Event]) -> Replayed {
        let mut replayed = Replayed::default();
        let mut pending: BTreeMap<i64, Vec<(i64, Pair)>> = BTreeMap::new();
        for event in events {
            let (id, epoch) = event.producer;
            let fresh = Known { epoch, next_sequence: 0, coordinator_epoch: -1, open: None };
            let known = replayed.producers.entry(id).or_insert(fresh);
            if known.epoch != epoch {
                (known.epoch, known.next_sequence) = (epoch, 0);
            }
            match &event.said {
                Said::Records { sequence, transactional, pairs } => {
                    known.next_sequence = sequence + pairs.len() as i32;
                    let records = (event.base..).zip(pairs.iter().cloned());
                    if *transactional {
                        known.open.get_or_insert(event.base);
                        pending.entry(id).or_default().extend(records);
                    } else {
                        replayed.committed.extend(records);
                    }
                }
                Said::Marker { committed, coordinator_epoch } => {
                    known.coordinator_epoch = *coordinator_epoch;
                    let records = pending.remove(&id).unwrap_or_default();
                    if let Some(first) = known.open.take() {
                        replayed.decided.push((id, first, event.base, *committed));
                    }
                    if *committed {
                        replayed.committed.extend(records);
                    }
                }
            }
        }
        replayed.producers.remove(&-1);
        replayed
    }

    pub(crate) fn undecided(&self) -> Option<i64> {
        self.producers.values().filter_map(|known| known.open).min()
    }

    /// Producer and first offset of what was aborted and has a part between two offsets, by marker.
    pub(crate) fn aborted(&self, from: i64, upper: i64) -> Vec<(i64, i64)> {
        let overlaps = |txn: &&(i64, i64, i64, bool)| !txn.3 && txn.2 >= from && txn.1 < upper;
        self.decided.iter().filter(overlaps).map(|txn| (txn.0, txn.1)).collect()
    }
}

/// The batch of an event, as a client sends it.
pub(crate) fn batch(producer: (i64, i16), sequence: i32, transactional: bool, pairs: &[Pair], now_ms: i64) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    if producer.0 >= 0 {
        builder = builder.producer(producer.0, producer.1, sequence);
    }
    if transactional {
        builder = builder.transactional();
    }
    for (key, value) in pairs {
        builder.append(now_ms, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    builder.build().freeze()
}

/// What stands in the log from its start on, as far as compaction leaves it.
pub(crate) fn events(log: &PartitionLog) -> Vec<Event> {
    let mut found = Vec::new();
    for_each_batch(log, log.log_start_offset(), log.log_end_offset(), |batch, _| {
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let said = match batch.end_txn_marker() {
            Some(end) => Said::Marker { committed: end.committed, coordinator_epoch: end.coordinator_epoch },
            None => {
                let records = batch.records(1 << 20).unwrap();
                let pairs = records.iter().map(Result::unwrap).map(|record| (text(record.key), text(record.value)));
                let (sequence, transactional) = (batch.base_sequence(), batch.is_transactional());
                Said::Records { sequence, transactional, pairs: pairs.collect() }
            }
        };
        found.push(Event { base: batch.base_offset(), producer: (batch.producer_id(), batch.producer_epoch()), said });
    });
    found
}

/// What a consumer with `isolation.level=read_committed` shows its program, from an offset up to the last stable one.
pub(crate) fn read_committed(log: &PartitionLog, from: i64) -> BTreeMap<i64, Pair> {
    let upper = log.last_stable_offset(log.log_end_offset());
    let mut seen = BTreeMap::new();
    let mut void: BTreeSet<i64> = BTreeSet::new();
    let mut fetch = None;
    for_each_batch(log, from, upper, |batch, fetched| {
        if fetch.as_ref().is_none_or(|(range, _)| range != fetched) {
            let mut aborted = log.aborted_transactions(fetched.start, fetched.end).unwrap();
            aborted.sort_by_key(|txn| std::cmp::Reverse(txn.first_offset));
            fetch = Some((fetched.clone(), aborted));
            void.clear();
        }
        let (_, aborted) = fetch.as_mut().unwrap();
        while aborted.last().is_some_and(|txn| txn.first_offset <= batch.last_offset()) {
            void.insert(aborted.pop().unwrap().producer_id);
        }
        if batch.is_control() {
            if batch.end_txn_marker().is_some_and(|marker| !marker.committed) {
                void.remove(&batch.producer_id());
            }
            return;
        }
        if batch.is_transactional() && void.contains(&batch.producer_id()) {
            return;
        }
        for record in &batch.records(1 << 20).unwrap() {
            let record = record.unwrap();
            let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
            if record.offset >= from {
                seen.insert(record.offset, (text(record.key), text(record.value)));
            }
        }
    });
    seen
}

/// Shows each batch, and the offsets of the read that brought it.
fn for_each_batch(
    log: &PartitionLog,
    from: i64,
    upper: i64,
    mut visit: impl FnMut(&protocol::records::Batch<'_>, &std::ops::Range<i64>),
) {
    let mut offset = from;
    while offset < upper {
        let read = log.read(offset, 700, upper, true).unwrap();
        let all: Vec<_> = read.records.chunks().iter().flat_map(|chunk| batches(chunk)).map(Result::unwrap).collect();
        let Some(last) = all.last() else { break };
        let fetched = offset..last.next_offset();
        all.iter().for_each(|batch| visit(batch, &fetched));
        offset = fetched.end;
    }
}

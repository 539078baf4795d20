//! The log as a list: what every answer must be.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use storage::LogConfig;

/// A batch as it must stand in the log.
pub(crate) struct Stored {
    pub(crate) base: i64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) epoch: i32,
    pub(crate) appended_ms: i64,
}

impl Stored {
    pub(crate) fn next(&self) -> i64 {
        self.base + self.timestamps.len() as i64
    }
}

/// What becomes of a batch of an idempotent producer.
pub(crate) enum Verdict {
    New,
    Duplicate(i64, i64),
    OutOfOrder,
    OldEpoch,
}

#[derive(Default)]
struct Producer {
    epoch: i16,
    /// First sequence and number of records, first offset.
    batches: VecDeque<(i32, usize, i64)>,
}

#[derive(Default)]
pub(crate) struct Model {
    /// From the log's very beginning; those before `start` may be gone.
    batches: Vec<Stored>,
    producers: BTreeMap<i64, Producer>,
    pub(crate) start: i64,
    pub(crate) checkpointed_start: i64,
    /// Epochs of older offsets were forgotten once.
    pub(crate) epochs_from: i64,
}

impl Model {
    pub(crate) fn end(&self) -> i64 {
        self.batches.last().map_or(0, Stored::next)
    }

    pub(crate) fn batches_from(&self, offset: i64) -> impl Iterator<Item = &Stored> {
        self.batches.iter().skip_while(move |batch| batch.next() <= offset)
    }

    /// Offset and timestamp of every record that can be read.
    pub(crate) fn records(&self) -> impl Iterator<Item = (i64, i64)> {
        let all = self.batches.iter().flat_map(|batch| (batch.base..).zip(batch.timestamps.iter().copied()));
        all.filter(|(offset, _)| *offset >= self.start)
    }

    pub(crate) fn append(&mut self, batch: Stored, producer: Option<(i64, i16, i32)>) {
        if let Some((id, epoch, sequence)) = producer {
            let known = self.producers.entry(id).or_default();
            if known.epoch != epoch {
                *known = Producer { epoch, batches: VecDeque::new() };
            }
            known.batches.push_back((sequence, batch.timestamps.len(), batch.base));
            if known.batches.len() > 5 {
                known.batches.pop_front();
            }
        }
        self.batches.push(batch);
    }

    /// Id, epoch and first sequence of the next batch of some producer: mostly what follows, or a retry.
    pub(crate) fn next_of_producer(&self, rng: &mut Rng, count: usize) -> (i64, i16, i32) {
        let id = rng.i64(1..5);
        let Some(known) = self.producers.get(&id) else { return (id, 0, 0) };
        let next = known.batches.back().map_or(0, |(sequence, count, _)| sequence + *count as i32);
        match rng.u32(..20) {
            0 => (id, known.epoch + 1, 0),
            1 => (id, known.epoch + 1, 3),
            2 => (id, known.epoch, next + rng.i32(1..6)),
            3 if known.epoch > 0 => (id, known.epoch - 1, next),
            4 => (id, known.epoch, (next - 30).max(0)),
            5..10 => {
                let same = known.batches.iter().find(|(_, written, _)| *written == count);
                (id, known.epoch, same.map_or(next, |(sequence, ..)| *sequence))
            }
            _ => (id, known.epoch, next),
        }
    }

    pub(crate) fn judge(&self, (id, epoch, sequence): (i64, i16, i32), count: usize) -> Verdict {
        let Some(known) = self.producers.get(&id) else { return Verdict::New };
        if epoch < known.epoch {
            return Verdict::OldEpoch;
        }
        if epoch > known.epoch {
            return if sequence == 0 { Verdict::New } else { Verdict::OutOfOrder };
        }
        if let Some((_, _, base)) = known.batches.iter().find(|(s, c, _)| (*s, *c) == (sequence, count)) {
            return Verdict::Duplicate(*base, *base + count as i64 - 1);
        }
        let next = known.batches.back().map_or(sequence, |(s, c, _)| s + *c as i32);
        if sequence == next { Verdict::New } else { Verdict::OutOfOrder }
    }

    /// What was read must be a run of whole batches from the one that holds `offset`, as long as the limits allow, and
    /// may end early, but not before it began.
    pub(crate) fn check_read(&self, offset: i64, max_bytes: usize, upper: i64, at_least_one: bool, got: &[u8]) {
        let mut allowed = Vec::new();
        for batch in self.batches_from(offset).take_while(|batch| batch.base < upper && offset < upper) {
            let size = batch.bytes.len();
            if allowed.len() + size > max_bytes && !(allowed.is_empty() && at_least_one) {
                break;
            }
            allowed.extend_from_slice(&batch.bytes);
        }
        assert!(allowed.starts_with(got), "other bytes than were written, or more than were asked for");
        let boundaries = self.batches_from(offset).scan(0, |sum, batch| {
            *sum += batch.bytes.len();
            Some(*sum)
        });
        let is_whole = got.is_empty() || boundaries.take_while(|sum| *sum <= got.len()).any(|sum| sum == got.len());
        assert!(is_whole, "a batch is cut");
        assert_eq!(got.is_empty(), allowed.is_empty(), "reading {offset} below {upper}");
    }

    pub(crate) fn advance(&mut self, offset: i64) {
        self.start = self.start.max(offset.min(self.end()));
        self.epochs_from = self.epochs_from.max(self.start);
    }

    /// The log start after retention, by Kafka's rules, given where segments begin.
    pub(crate) fn retained_start(&self, bases: &[i64], config: &LogConfig, now_ms: i64) -> i64 {
        let of_segment = |place: usize| {
            let (base, next) = (bases[place], bases.get(place + 1).copied().unwrap_or(i64::MAX));
            self.batches.iter().filter(move |batch| batch.base >= base && batch.base < next)
        };
        let size = |place| of_segment(place).map(|batch| batch.bytes.len() as u64).sum::<u64>();
        let start_of = |place: usize| bases.get(place).copied().unwrap_or(self.end());
        if !config.delete {
            return self.start;
        }
        let is_old = |place: &usize| {
            let newest = of_segment(*place).flat_map(|batch| batch.timestamps.iter().copied()).max().unwrap_or(-1);
            let newest =
                if newest >= 0 { newest } else { of_segment(*place).map(|b| b.appended_ms).max().unwrap_or(now_ms) };
            config.retention_ms.is_some_and(|limit| now_ms.saturating_sub(newest) > limit as i64)
        };
        let by_time = (0..bases.len()).take_while(is_old).count();
        let mut by_size = 0;
        if let Some(limit) = config.retention_bytes {
            let mut over = (0..bases.len()).map(size).sum::<u64>().saturating_sub(limit);
            while by_size < bases.len() && over > 0 && size(by_size) <= over {
                over -= size(by_size);
                by_size += 1;
            }
        }
        self.start.max(start_of(by_time.max(by_size))).min(self.end())
    }

    /// Epoch and end offset for `epoch`, or `None` where the log may have forgotten.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let kept: Vec<&Stored> = self.batches_from(self.start).collect();
        if self.epochs_from > self.start {
            return None;
        }
        let floor = kept.iter().rev().find(|batch| batch.epoch <= epoch)?.epoch;
        let after = kept.iter().find(|batch| batch.epoch > epoch);
        Some((floor, after.map_or(self.end(), |batch| batch.base)))
    }

    /// Times of appending are the file system's from now on, which is far in the future of this clock.
    pub(crate) fn restarted(&mut self) {
        self.batches.iter_mut().for_each(|batch| batch.appended_ms = i64::MAX);
    }

    /// The log start is where a checkpoint or the first segment says.
    pub(crate) fn crashed(&mut self, first_segment: Option<i64>) {
        self.restarted();
        self.start = self.checkpointed_start.max(first_segment.unwrap_or(0));
    }
}

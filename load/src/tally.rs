//! What has happened so far, counted by many connections at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

use crate::clock::Clock;
use crate::schedule::Due;

/// Connections share so many places to count in: enough that they do not wait for each other, few enough that ten thousand
/// of them do not take a histogram each.
const SHARDS: usize = 16;
/// Latencies are counted in microseconds, to three digits.
const DIGITS: u8 = 3;
const NANOS_PER_MICRO: u64 = 1000;

/// Counts of one side, producers or consumers.
pub(crate) struct Tally {
    clock: Arc<Clock>,
    shards: Vec<Mutex<Shard>>,
    /// All records and their bytes, those of the warm-up included; for looking at while it runs.
    records: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Default)]
struct Shard {
    warmup: Counts,
    measured: Counts,
}

/// What was counted in some stretch of time.
pub(crate) struct Counts {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
    /// Records that were not written, or requests that were not answered, by the reason.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Records that were sent again, to the new leader of their partition; they are counted besides where they end.
    pub(crate) moved: u64,
    /// Of a record from when it was due to its acknowledgement; of a fetch from its request to its answer.
    pub(crate) latency: Histogram<u64>,
    /// Of a record from when it was due until it was read.
    pub(crate) end_to_end: Histogram<u64>,
    /// When the last of it happened.
    pub(crate) last_ns: u64,
}

impl Default for Counts {
    fn default() -> Counts {
        let empty = || Histogram::new(DIGITS).expect("three digits are possible");
        Counts {
            records: 0,
            bytes: 0,
            requests: 0,
            errors: BTreeMap::new(),
            moved: 0,
            latency: empty(),
            end_to_end: empty(),
            last_ns: 0,
        }
    }
}

impl Counts {
    pub(crate) fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    pub(crate) fn add(&mut self, other: &Counts) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.requests += other.requests;
        self.moved += other.moved;
        self.last_ns = self.last_ns.max(other.last_ns);
        for (reason, count) in &other.errors {
            *self.errors.entry(reason.clone()).or_default() += count;
        }
        // Histograms that resize themselves take any value.
        let _ = self.latency.add(&other.latency);
        let _ = self.end_to_end.add(&other.end_to_end);
    }
}

impl Tally {
    pub(crate) fn new(clock: &Arc<Clock>) -> Arc<Tally> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Tally { clock: Arc::clone(clock), shards, records: AtomicU64::new(0), bytes: AtomicU64::new(0) })
    }

    /// Where one connection counts.
    pub(crate) fn meter(self: &Arc<Tally>, number: usize) -> Meter {
        Meter { tally: Arc::clone(self), shard: number % SHARDS }
    }

    /// All records so far.
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes what was counted since the last time: of the warm-up, and of what counts.
    pub(crate) fn drain(&self) -> (Counts, Counts) {
        let (mut warmup, mut measured) = (Counts::default(), Counts::default());
        for shard in &self.shards {
            let taken = std::mem::take(&mut *lock(shard));
            warmup.add(&taken.warmup);
            measured.add(&taken.measured);
        }
        (warmup, measured)
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a fetch brought.
#[derive(Clone, Copy)]
pub(crate) struct Fetched<'a> {
    /// When it was asked for, if that is known.
    pub(crate) sent: Option<u64>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// When its records were due, if they tell.
    pub(crate) times: &'a [u64],
}

/// One connection's way to count.
#[derive(Clone)]
pub(crate) struct Meter {
    tally: Arc<Tally>,
    shard: usize,
}

impl Meter {
    /// These records were written.
    pub(crate) fn written(&self, due: &Due, bytes: u64, now: u64) {
        self.add_total(u64::from(due.count), bytes);
        self.with(due.counts, |counts| {
            counts.records += u64::from(due.count);
            counts.bytes += bytes;
            counts.requests += 1;
            counts.last_ns = counts.last_ns.max(now);
            if due.step_ns == 0.0 {
                let _ = counts.latency.record_n(micros(due.first_ns, now), u64::from(due.count));
            } else {
                for time in due.times() {
                    let _ = counts.latency.record(micros(time, now));
                }
            }
        });
    }

    /// These records were not.
    pub(crate) fn refused(&self, due: &Due, reason: &str, now: u64) {
        self.with(due.counts, |counts| {
            counts.requests += 1;
            counts.last_ns = counts.last_ns.max(now);
            *counts.errors.entry(reason.to_owned()).or_default() += u64::from(due.count);
        });
    }

    /// These records went to a broker that does not lead their partition any more, and go to another.
    pub(crate) fn moved(&self, due: &Due) {
        self.with(due.counts, |counts| counts.moved += u64::from(due.count));
    }

    /// A fetch brought records. Those that tell when they were due count if that was after the warm-up, others if they
    /// come after it.
    pub(crate) fn fetched(&self, fetch: &Fetched<'_>, now: u64) {
        let Fetched { sent, records, bytes, times } = *fetch;
        self.add_total(records, bytes);
        let clock = &self.tally.clock;
        let is_late = clock.counts(now);
        let counted = match times {
            [] if is_late => records,
            [] => 0,
            times => times.iter().filter(|time| clock.counts(**time)).count() as u64,
        };
        let counted_bytes =
            (u128::from(bytes) * u128::from(counted)).checked_div(u128::from(records)).unwrap_or(0) as u64;
        let mut shard = lock(&self.tally.shards[self.shard]);
        let Shard { warmup, measured } = &mut *shard;
        warmup.records += records - counted;
        warmup.bytes += bytes - counted_bytes;
        measured.records += counted;
        measured.bytes += counted_bytes;
        if counted > 0 {
            measured.last_ns = measured.last_ns.max(now);
        }
        for time in times.iter().filter(|time| clock.counts(**time)) {
            let _ = measured.end_to_end.record(micros(*time, now));
        }
        let answered = if is_late { measured } else { warmup };
        answered.requests += 1;
        if let Some(sent) = sent {
            let _ = answered.latency.record(micros(sent, now));
        }
    }

    /// A fetch, or the part of it about one partition, failed.
    pub(crate) fn fetch_failed(&self, reason: &str, now: u64) {
        self.with(self.tally.clock.counts(now), |counts| *counts.errors.entry(reason.to_owned()).or_default() += 1);
    }

    fn add_total(&self, records: u64, bytes: u64) {
        self.tally.records.fetch_add(records, Ordering::Relaxed);
        self.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn with(&self, counts: bool, work: impl FnOnce(&mut Counts)) {
        let mut shard = lock(&self.tally.shards[self.shard]);
        work(if counts { &mut shard.measured } else { &mut shard.warmup });
    }
}

fn micros(from: u64, to: u64) -> u64 {
    to.saturating_sub(from) / NANOS_PER_MICRO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_no_success_and_the_warm_up_does_not_count() {
        let clock = Arc::new(Clock::new());
        let tally = Tally::new(&clock);
        let meter = tally.meter(17);
        let due = |counts| Due { first_ns: 0, step_ns: 1e6, count: 3, counts };
        meter.written(&due(false), 30, 5_000_000);
        meter.written(&due(true), 30, 5_000_000);
        meter.refused(&due(true), "MESSAGE_TOO_LARGE", 6_000_000);
        let (warmup, measured) = tally.drain();
        assert_eq!((warmup.records, measured.records, measured.requests), (3, 3, 2));
        assert_eq!((measured.error_count(), measured.errors["MESSAGE_TOO_LARGE"]), (3, 3));
        // Due at 0, 1 and 2 ms, written at 5.
        assert_eq!((measured.latency.min(), measured.latency.max(), measured.latency.len()), (3000, 5003, 3));
        assert_eq!((tally.records(), tally.bytes(), tally.drain().1.records), (6, 60, 0));
    }
}

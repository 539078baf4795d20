//! What things are counted with.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Goes up.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) const fn new() -> Gauge {
        Gauge(AtomicI64::new(0))
    }

    pub(crate) fn add(&self, count: i64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Two buckets for each power of two, up to 2^28: of microseconds, four and a half minutes.
const BUCKETS: usize = 56;

/// How often which value was seen, to a precision of a third. Values are whole numbers, such as microseconds.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    /// The buckets as they were at the last two turns of the window, the older first.
    before: [[AtomicU64; BUCKETS]; 2],
}

impl Histogram {
    pub(crate) const fn new() -> Histogram {
        Histogram {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
            before: [const { [const { AtomicU64::new(0) }; BUCKETS] }; 2],
        }
    }

    pub(crate) fn record(&self, value: u64) {
        self.buckets[bucket_of(value)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub(crate) fn record_time(&self, time: std::time::Duration) {
        self.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX >> 8));
    }

    /// Everything since the start.
    pub(crate) fn counts(&self) -> Counts {
        Counts { counts: std::array::from_fn(|i| load(&self.buckets[i])), sum: load(&self.sum) }
    }

    /// What was seen between one and two turns of the window ago and now; its sum is not known.
    pub(crate) fn recent(&self) -> Counts {
        let recent = |i: usize| load(&self.buckets[i]).saturating_sub(load(&self.before[0][i]));
        Counts { counts: std::array::from_fn(recent), sum: 0 }
    }

    /// Turns the window.
    pub(super) fn turn(&self) {
        for (i, bucket) in self.buckets.iter().enumerate() {
            self.before[0][i].store(load(&self.before[1][i]), Ordering::Relaxed);
            self.before[1][i].store(load(bucket), Ordering::Relaxed);
        }
    }
}

fn load(atomic: &AtomicU64) -> u64 {
    atomic.load(Ordering::Relaxed)
}

fn bucket_of(value: u64) -> usize {
    let power = value.max(1).ilog2() as usize;
    let upper_half = if power == 0 { 0 } else { (value >> (power - 1)) & 1 };
    (2 * power + upper_half as usize).min(BUCKETS - 1)
}

/// Where bucket `index` ends.
fn end_of(index: usize) -> f64 {
    let power = 2f64.powi((index / 2) as i32);
    if index.is_multiple_of(2) { power * 1.5 } else { power * 2.0 }
}

/// A histogram at one moment.
pub(crate) struct Counts {
    counts: [u64; BUCKETS],
    pub(crate) sum: u64,
}

impl Counts {
    /// Both together.
    pub(crate) fn plus(self, other: Counts) -> Counts {
        Counts { counts: std::array::from_fn(|i| self.counts[i] + other.counts[i]), sum: self.sum + other.sum }
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many were below 2^`power`.
    pub(crate) fn below_power(&self, power: usize) -> u64 {
        self.counts[..(2 * power).min(BUCKETS)].iter().sum()
    }

    /// The value below which `share` of the values lie, interpolated within its bucket; not a number without any.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let total = self.total();
        if total == 0 {
            return f64::NAN;
        }
        let rank = share * total as f64;
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            if (below + count) as f64 >= rank {
                let start = if index == 0 { 0.0 } else { end_of(index - 1) };
                let within = ((rank - below as f64) / *count as f64).clamp(0.0, 1.0);
                return start + (end_of(index) - start) * within;
            }
            below += count;
        }
        end_of(BUCKETS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_the_bucket_that_holds_it() {
        for value in (0..10_000).chain([1 << 20, 3 << 19, (1 << 27) + 1]) {
            let bucket = bucket_of(value);
            let start = if bucket == 0 { 0.0 } else { end_of(bucket - 1) };
            assert!(value == 0 || (start <= value as f64 && (value as f64) < end_of(bucket)), "{value} in {bucket}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_near_what_was_recorded() {
        let histogram = Histogram::new();
        (1..=1000).for_each(|value| histogram.record(value));
        let counts = histogram.counts();
        assert_eq!((counts.total(), counts.sum, counts.below_power(9)), (1000, 500_500, 511));
        for (share, value) in [(0.5, 500.0), (0.99, 990.0), (0.1, 100.0)] {
            let found: f64 = counts.quantile(share);
            assert!((found - value).abs() < value / 3.0, "{share}: {found}");
        }
        assert!(Histogram::new().counts().quantile(0.5).is_nan());
    }

    #[test]
    fn a_window_forgets_after_two_turns() {
        let histogram = Histogram::new();
        histogram.record(5);
        histogram.turn();
        assert_eq!(histogram.recent().total(), 1);
        histogram.record(7);
        histogram.turn();
        assert_eq!(histogram.recent().total(), 1, "the first is forgotten");
        histogram.turn();
        assert_eq!((histogram.recent().total(), histogram.counts().total()), (0, 2));
    }
}

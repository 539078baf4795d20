//! What came of it.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::tally::Counts;

const MICROS_PER_MS: f64 = 1000.0;

/// What came of a load. What happened during the warm-up is in none of it, but where it says so.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// The producers' side. Its latency runs from when a record was due to its acknowledgement.
    pub produced: Option<Side>,
    /// The consumers' side. Its latency is that of a fetch, the waiting for something to fetch included.
    pub consumed: Option<Side>,
    /// From when a record was due until a consumer had it.
    pub end_to_end: Option<Latency>,
    /// Records that were due and could not be sent before the end: more than none says that the rate was not held, and
    /// that the latencies of those which were sent look better than those of all.
    pub unsent: u64,
    /// Records that were acknowledged, once for each group, and that did not come to the consumers; those of the warm-up
    /// included.
    pub missing: u64,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// What this process used while it ran, warm-up included, seconds. On one machine the broker has had the rest.
    pub client_cpu_seconds: f64,
}

/// What came of one side.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Side {
    /// From the end of the warm-up to the last answer.
    pub seconds: f64,
    /// Records that were acknowledged, or read.
    pub records: u64,
    /// Those of the warm-up included.
    pub records_with_warmup: u64,
    /// Of keys and values when they are written; of whole batches when they are read, unless by members of a group.
    pub bytes: u64,
    /// Those that were answered with an error included.
    pub requests: u64,
    /// Of `records`, per second.
    pub records_per_second: f64,
    /// Of `bytes`, in millions per second.
    pub megabytes_per_second: f64,
    /// Of `requests`, per second.
    pub requests_per_second: f64,
    /// Records that were not written, or fetches that failed, warm-up included, by Kafka's name of the reason.
    pub errors: BTreeMap<String, u64>,
    /// Records that were sent again because another broker had come to lead their partition, warm-up included. That is no
    /// error; their latency has it.
    pub moved: u64,
    /// How long it took.
    pub latency: Latency,
}

/// How long something took, ms.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// How often it was measured.
    pub count: u64,
    /// Of all.
    pub mean: f64,
    /// Half took longer.
    pub p50: f64,
    /// One of 10 took longer.
    pub p90: f64,
    /// One of 100.
    pub p99: f64,
    /// One of 1,000.
    pub p99_9: f64,
    /// Nothing took longer.
    pub max: f64,
}

/// How fast one side is, of late.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Pace {
    /// A second.
    pub records: f64,
    /// A second, in millions.
    pub megabytes: f64,
    /// Of what was measured of late, ms: of an acknowledgement, of a record end to end, or of a fetch.
    pub p99: f64,
    /// Since the beginning.
    pub errors: u64,
}

impl Side {
    pub(crate) fn of(counts: &Counts, warmup: &Counts, measure_from: u64) -> Side {
        let seconds = (counts.last_ns.saturating_sub(measure_from)) as f64 / 1e9;
        let per_second = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
        let mut errors = counts.errors.clone();
        for (reason, count) in &warmup.errors {
            *errors.entry(reason.clone()).or_default() += count;
        }
        Side {
            seconds,
            records: counts.records,
            records_with_warmup: counts.records + warmup.records,
            bytes: counts.bytes,
            requests: counts.requests,
            records_per_second: per_second(counts.records as f64),
            megabytes_per_second: per_second(counts.bytes as f64 / 1e6),
            requests_per_second: per_second(counts.requests as f64),
            errors,
            moved: counts.moved + warmup.moved,
            latency: Latency::of(&counts.latency),
        }
    }

    /// How many errors there were, of whatever kind.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Latency {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / MICROS_PER_MS;
        Latency {
            count: histogram.len(),
            mean: histogram.mean() / MICROS_PER_MS,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: histogram.max() as f64 / MICROS_PER_MS,
        }
    }
}

impl Pace {
    pub(crate) fn of(counts: &Counts, seconds: f64, errors: u64) -> Pace {
        let histogram = if counts.end_to_end.is_empty() { &counts.latency } else { &counts.end_to_end };
        Pace {
            records: counts.records as f64 / seconds,
            megabytes: counts.bytes as f64 / 1e6 / seconds,
            p99: histogram.value_at_quantile(0.99) as f64 / MICROS_PER_MS,
            errors,
        }
    }
}

//! Latencies of many batches in little memory.

/// Latencies up to this many ms are counted one by one; longer ones together.
const BUCKETS: usize = 60_000;

/// How long records took, in whole milliseconds as Kafka's tool prints it.
pub(crate) struct Latencies {
    counts: Vec<u64>,
    pub(crate) records: u64,
    total_ms: u64,
    pub(crate) max_ms: u64,
}

impl Latencies {
    pub(crate) fn new() -> Latencies {
        Latencies { counts: vec![0; BUCKETS + 1], records: 0, total_ms: 0, max_ms: 0 }
    }

    pub(crate) fn add(&mut self, records: u64, took_ms: u64) {
        self.counts[(took_ms as usize).min(BUCKETS)] += records;
        self.records += records;
        self.total_ms += records * took_ms;
        self.max_ms = self.max_ms.max(took_ms);
    }

    /// Milliseconds.
    pub(crate) fn mean(&self) -> f64 {
        self.total_ms as f64 / self.records.max(1) as f64
    }

    /// The latency that this share of the records, from 0 to 1, did not exceed, ms.
    pub(crate) fn percentile(&self, share: f64) -> u64 {
        let wanted = (self.records as f64 * share) as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen > wanted.min(self.records.saturating_sub(1))
        });
        found.map_or(self.max_ms, |place| place as u64).min(self.max_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_records() {
        let mut latencies = Latencies::new();
        latencies.add(90, 1);
        latencies.add(9, 20);
        latencies.add(1, 100_000);
        assert_eq!([0.5, 0.95, 0.99, 0.999].map(|share| latencies.percentile(share)), [1, 20, 60_000, 60_000]);
        assert_eq!((latencies.max_ms, latencies.records), (100_000, 100));
        assert!((latencies.mean() - 1002.7).abs() < 0.01);
        assert_eq!(Latencies::new().percentile(0.5), 0);
    }
}

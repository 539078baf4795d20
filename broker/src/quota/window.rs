//! How much of something there was of late, in samples of equal length, as Kafka's metrics count it.

use std::collections::VecDeque;

/// How long usage is remembered: that many samples of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// At least 1.
    pub(crate) samples: u64,
    /// Of one sample, at least 1.
    pub(crate) window_ms: u64,
}

impl Windows {
    fn all_ms(self) -> u64 {
        self.samples * self.window_ms
    }

    /// What fits in without ever being too much, for a limit per second.
    pub(super) fn most(self, limit: f64) -> f64 {
        limit * ((self.samples - 1) * self.window_ms) as f64 / 1000.0
    }
}

struct Sample {
    began_ms: u64,
    last_ms: u64,
    sum: f64,
    count: u64,
}

/// Amounts by the time they came.
#[derive(Default)]
pub(super) struct Rate {
    /// One more than there are windows at most: the oldest may have begun before they do.
    samples: VecDeque<Sample>,
}

impl Rate {
    pub(super) fn record(&mut self, windows: Windows, amount: f64, now_ms: u64) {
        let is_over = |sample: &Sample| now_ms.saturating_sub(sample.began_ms) >= windows.window_ms;
        if self.samples.back().is_none_or(is_over) {
            self.samples.push_back(Sample { began_ms: now_ms, last_ms: now_ms, sum: 0.0, count: 0 });
            if self.samples.len() as u64 > windows.samples + 1 {
                self.samples.pop_front();
            }
        }
        if let Some(sample) = self.samples.back_mut() {
            sample.sum += amount;
            sample.count += 1;
            sample.last_ms = now_ms;
        }
    }

    pub(super) fn sum(&mut self, windows: Windows, now_ms: u64) -> f64 {
        self.forget(windows, now_ms);
        self.samples.iter().map(|sample| sample.sum).sum()
    }

    /// Of each amount, 0 without any.
    pub(super) fn mean(&mut self, windows: Windows, now_ms: u64) -> f64 {
        let sum = self.sum(windows, now_ms);
        let count: u64 = self.samples.iter().map(|sample| sample.count).sum();
        if count == 0 { 0.0 } else { sum / count as f64 }
    }

    pub(super) fn per_second(&mut self, windows: Windows, now_ms: u64) -> f64 {
        let sum = self.sum(windows, now_ms);
        sum * 1000.0 / self.span_ms(windows, now_ms) as f64
    }

    /// After how many milliseconds without anything more the rate is no higher than `limit` per second; 0 when it is not.
    pub(super) fn throttle_ms(&mut self, windows: Windows, limit: f64, now_ms: u64) -> i32 {
        let rate = self.per_second(windows, now_ms);
        if rate <= limit {
            return 0;
        }
        // A float that is too large for an integer becomes the largest.
        ((rate - limit) / limit * self.span_ms(windows, now_ms) as f64).round() as i32
    }

    /// What the amounts are spread over. A client that has just come has been silent before.
    fn span_ms(&self, windows: Windows, now_ms: u64) -> u64 {
        let elapsed_ms = self.samples.front().map_or(0, |oldest| now_ms.saturating_sub(oldest.began_ms));
        let missing = (windows.samples - 1).saturating_sub(elapsed_ms / windows.window_ms);
        (elapsed_ms + missing * windows.window_ms).max(1)
    }

    fn forget(&mut self, windows: Windows, now_ms: u64) {
        while self.samples.front().is_some_and(|oldest| now_ms.saturating_sub(oldest.last_ms) >= windows.all_ms()) {
            self.samples.pop_front();
        }
    }
}

/// What may still be done at once. It fills with time, up to what all windows hold (KIP-599).
pub(super) struct TokenBucket {
    tokens: f64,
    filled_ms: u64,
}

impl TokenBucket {
    pub(super) fn full(windows: Windows, limit: f64, now_ms: u64) -> TokenBucket {
        TokenBucket { tokens: burst(windows, limit), filled_ms: now_ms }
    }

    pub(super) fn tokens(&mut self, windows: Windows, limit: f64, now_ms: u64) -> f64 {
        let came = limit * now_ms.saturating_sub(self.filled_ms) as f64 / 1000.0;
        self.tokens = burst(windows, limit).min(self.tokens + came);
        self.filled_ms = now_ms;
        self.tokens
    }

    /// Takes more than there is, if asked to.
    pub(super) fn take(&mut self, count: f64) {
        self.tokens -= count;
    }

    /// After how many milliseconds what was taken too much has come again.
    pub(super) fn throttle_ms(&mut self, windows: Windows, limit: f64, now_ms: u64) -> i32 {
        let tokens = self.tokens(windows, limit, now_ms);
        if tokens >= 0.0 { 0 } else { (-tokens / limit * 1000.0).round() as i32 }
    }
}

fn burst(windows: Windows, limit: f64) -> f64 {
    limit * windows.all_ms() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKAS: Windows = Windows { samples: 11, window_ms: 1000 };

    #[test]
    fn the_delay_brings_the_rate_back_to_the_limit() {
        let mut rate = Rate::default();
        rate.record(KAFKAS, 1000.0, 5_000);
        // Ten windows of silence are counted before the first amount.
        assert_eq!(rate.per_second(KAFKAS, 5_000), 100.0);
        assert_eq!(rate.throttle_ms(KAFKAS, 100.0, 5_000), 0);
        rate.record(KAFKAS, 500.0, 5_000);
        assert_eq!(rate.throttle_ms(KAFKAS, 100.0, 5_000), 5_000);
        // 1500 over 10 s and a delay of 5 s are 100 per second.
        assert_eq!(rate.throttle_ms(KAFKAS, 150.0, 5_000), 0);
    }

    #[test]
    fn what_is_long_ago_is_forgotten_and_memory_is_bounded() {
        let mut rate = Rate::default();
        for second in 0..100 {
            rate.record(KAFKAS, 10.0, second * 1000);
            assert!(rate.samples.len() <= 12);
        }
        assert_eq!(rate.sum(KAFKAS, 99_000), 110.0);
        assert_eq!(rate.per_second(KAFKAS, 99_000), 11.0);
        assert_eq!(rate.sum(KAFKAS, 99_000 + 11_000), 0.0);
        assert_eq!(rate.throttle_ms(KAFKAS, 0.001, 200_000), 0);
    }

    #[test]
    fn what_was_taken_back_never_was() {
        let mut rate = Rate::default();
        rate.record(KAFKAS, 300.0, 0);
        rate.record(KAFKAS, 9000.0, 10);
        rate.record(KAFKAS, -9000.0, 10);
        assert_eq!(rate.sum(KAFKAS, 20), 300.0);
    }

    #[test]
    fn one_window_is_enough() {
        let windows = Windows { samples: 1, window_ms: 1000 };
        let mut rate = Rate::default();
        rate.record(windows, 100.0, 0);
        assert_eq!(rate.per_second(windows, 0), 100_000.0, "in the first millisecond");
        assert_eq!(rate.per_second(windows, 500), 200.0);
        assert_eq!(windows.most(10.0), 0.0);
    }

    #[test]
    fn a_bucket_holds_what_all_windows_hold_and_fills_again() {
        let mut bucket = TokenBucket::full(KAFKAS, 2.0, 0);
        assert_eq!(bucket.tokens(KAFKAS, 2.0, 0), 22.0);
        bucket.take(32.0);
        assert_eq!(bucket.throttle_ms(KAFKAS, 2.0, 0), 5_000);
        assert_eq!(bucket.throttle_ms(KAFKAS, 2.0, 4_000), 1_000);
        assert_eq!(bucket.throttle_ms(KAFKAS, 2.0, 5_000), 0);
        assert_eq!(bucket.tokens(KAFKAS, 2.0, 1_000_000), 22.0);
    }

    /// Whoever keeps to the delays gets what the limit says. Only who sends at once what is allowed in all windows gets
    /// more, as in Kafka: while it is silent they pass, and it begins anew.
    #[test]
    fn whoever_obeys_keeps_the_rate() {
        for (limit, amount) in [(1000.0, 10.0), (1000.0, 4_000.0), (7.5, 5.0)] {
            let (mut rate, mut now_ms, mut sent) = (Rate::default(), 0, 0.0);
            while now_ms < 3_600_000 {
                rate.record(KAFKAS, amount, now_ms);
                sent += amount;
                now_ms += 1 + rate.throttle_ms(KAFKAS, limit, now_ms) as u64;
            }
            let allowed = limit * (now_ms as f64 / 1000.0 + 11.0) + amount;
            assert!(sent <= allowed, "{sent} of {allowed} at {limit} per second");
            assert!(sent >= 0.9 * limit * 3600.0, "{sent} is too little at {limit}");
        }
    }
}

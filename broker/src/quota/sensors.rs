//! Who used how much of late. Bounded: whoever was silent for longest is forgotten first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

use super::window::{Rate, TokenBucket, Windows};

/// How many are remembered of one resource.
const SENSORS_MAX: usize = 10_000;
/// Who was silent for so long is forgotten, as by Kafka.
const EXPIRY_MS: u64 = 3_600_000;
/// Over which time the delays are averaged that clients were told, as in Kafka: two samples of half a minute.
const DELAYS: Windows = Windows { samples: 2, window_ms: 30_000 };

/// The usage of one.
pub(super) struct Sensor {
    pub(super) rate: Rate,
    pub(super) bucket: Option<TokenBucket>,
    /// What it was measured by last.
    pub(super) limit: f64,
    delays: Rate,
    used_ms: u64,
}

impl Sensor {
    /// It was told to be silent for so long.
    pub(super) fn delayed(&mut self, delay_ms: i32, now_ms: u64) {
        self.delays.record(DELAYS, f64::from(delay_ms), now_ms);
    }

    /// The mean of what it was told, milliseconds.
    pub(super) fn mean_delay_ms(&mut self, now_ms: u64) -> f64 {
        self.delays.mean(DELAYS, now_ms)
    }
}

/// All of one resource.
pub(super) struct Sensors<K> {
    by_key: HashMap<K, Sensor>,
    /// Each once, by when it was known to use something, first the longest ago. It may have used more since: that is
    /// found out when room is needed, so that who is known already costs one look.
    by_use: BinaryHeap<Reverse<(u64, K)>>,
    max: usize,
}

impl<K: Ord> Default for Sensors<K> {
    fn default() -> Sensors<K> {
        Sensors { by_key: HashMap::new(), by_use: BinaryHeap::new(), max: SENSORS_MAX }
    }
}

impl<K: Hash + Ord + Clone> Sensors<K> {
    /// The one of `key`, which uses something now.
    pub(super) fn of(&mut self, key: K, now_ms: u64) -> &mut Sensor {
        if !self.by_key.contains_key(&key) {
            self.make_room();
            self.by_use.push(Reverse((now_ms, key.clone())));
        }
        let new = || Sensor {
            rate: Rate::default(),
            bucket: None,
            limit: f64::MAX,
            delays: Rate::default(),
            used_ms: now_ms,
        };
        let sensor = self.by_key.entry(key).or_insert_with(new);
        sensor.used_ms = now_ms;
        sensor
    }

    /// Forgets whoever was silent for longest when there are too many, and answers how many it looked at: those that
    /// have used something since they were looked at last, and the one that goes. So uses pay for the looks.
    fn make_room(&mut self) -> usize {
        let mut looked_at = 0;
        while self.by_key.len() >= self.max
            && let Some(Reverse((known_ms, key))) = self.by_use.pop()
        {
            looked_at += 1;
            match self.by_key.get(&key).map(|sensor| sensor.used_ms) {
                Some(used_ms) if used_ms > known_ms => self.by_use.push(Reverse((used_ms, key))),
                _ => drop(self.by_key.remove(&key)),
            }
        }
        looked_at
    }

    /// The one of `key`, which uses nothing now.
    pub(super) fn known(&mut self, key: &K) -> Option<&mut Sensor> {
        self.by_key.get_mut(key)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut Sensor)> {
        self.by_key.iter_mut()
    }

    pub(super) fn expire(&mut self, now_ms: u64) {
        self.by_key.retain(|_, sensor| now_ms.saturating_sub(sensor.used_ms) < EXPIRY_MS);
        self.by_use.retain(|Reverse((_, key))| self.by_key.contains_key(key));
        if self.by_key.is_empty() {
            self.by_key.shrink_to_fit();
            self.by_use.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silent_gives_way_and_an_hour_of_silence_is_enough() {
        let mut sensors = Sensors { max: 3, ..Sensors::default() };
        for (now_ms, key) in [(0, "a"), (1, "b"), (2, "c"), (3, "a"), (4, "d")] {
            sensors.of(key, now_ms);
        }
        let keys = |sensors: &mut Sensors<&'static str>| {
            let mut keys: Vec<_> = sensors.iter_mut().map(|(key, _)| *key).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(keys(&mut sensors), ["a", "c", "d"]);
        sensors.expire(2 + EXPIRY_MS);
        assert_eq!(keys(&mut sensors), ["a", "d"]);
        sensors.expire(4 + EXPIRY_MS);
        assert!(keys(&mut sensors).is_empty());
        assert!(sensors.by_use.is_empty());
    }

    #[test]
    fn room_for_a_new_one_costs_what_was_used_and_not_what_is_remembered() {
        let mut sensors = Sensors::default();
        let max = sensors.max;
        for key in 0..max {
            sensors.of(key, key as u64);
        }
        // Three of four go on, from the one that came first; the rest was last heard when it came.
        let (mut now_ms, mut uses) = (max as u64, 0);
        for key in (0..max).filter(|key| key % 4 != 3) {
            sensors.of(key, now_ms);
            (now_ms, uses) = (now_ms + 1, uses + 1);
        }
        let (mut looked_at, mut forgotten) = (0, 0);
        for new in max..max + max / 4 {
            looked_at += sensors.make_room();
            sensors.of(new, now_ms);
            (now_ms, forgotten) = (now_ms + 1, forgotten + 1);
            assert_eq!((sensors.by_key.len(), sensors.by_use.len()), (max, max));
        }
        assert!(looked_at <= uses + forgotten, "{looked_at} looks for {uses} uses and {forgotten} that are forgotten");
        assert!((0..max).all(|key| sensors.by_key.contains_key(&key) == (key % 4 != 3)), "the silent ones went");
    }
}

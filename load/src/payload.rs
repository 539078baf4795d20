//! What records carry.

use client::partition_for_key;

use crate::workload::{LoadError, Produce, STAMP_BYTES, Values};

/// What a value is made of where it is not random.
const FILLING: u8 = b'.';

/// Values to choose from, one after the other.
pub(crate) struct Payloads {
    pool: Vec<Vec<u8>>,
    next: usize,
    /// The mark of this run, if records tell when they were due.
    mark: Option<[u8; 8]>,
}

impl Payloads {
    /// `seed` makes the random bytes. With a `mark`, each value begins with it and with when its record was due.
    pub(crate) fn new(values: &Values, seed: u64, mark: Option<[u8; 8]>) -> Payloads {
        let mut random = Random::new(seed);
        let pool = match values {
            Values::Fixed(bytes) => vec![bytes.to_vec()],
            Values::Random { bytes, random_share, pool } => {
                let random_bytes = (*bytes as f64 * random_share.clamp(0.0, 1.0)) as usize;
                let value = |_| {
                    let mut value = vec![FILLING; *bytes];
                    value[..random_bytes].iter_mut().for_each(|byte| *byte = (random.next() >> 32) as u8);
                    value
                };
                (0..(*pool).max(1)).map(value).collect()
            }
        };
        Payloads { pool, next: 0, mark }
    }

    pub(crate) fn mark(&self) -> Option<[u8; 8]> {
        self.mark
    }

    /// The next value, for a record that is due at this time.
    pub(crate) fn next(&mut self, due_ns: u64) -> &[u8] {
        self.next = (self.next + 1) % self.pool.len();
        let value = &mut self.pool[self.next];
        if let (Some(mark), Some(stamp)) = (self.mark, value.first_chunk_mut::<STAMP_BYTES>()) {
            stamp[..8].copy_from_slice(&mark);
            stamp[8..].copy_from_slice(&due_ns.to_be_bytes());
        }
        value
    }
}

/// When a record of the run with this mark was due; nothing for others.
pub(crate) fn due_of(value: &[u8], mark: [u8; 8]) -> Option<u64> {
    let stamp = value.first_chunk::<STAMP_BYTES>()?;
    let (head, tail) = stamp.split_first_chunk::<8>()?;
    (*head == mark).then(|| u64::from_be_bytes(*tail.first_chunk().unwrap_or(&[0; 8])))
}

/// The keys of each partition of one connection.
pub(crate) struct Keys {
    /// In the order of the partitions that it writes to.
    of: Vec<Vec<Vec<u8>>>,
    next: usize,
}

impl Keys {
    /// `partitions` are those of one connection, out of `count`. Those that no key belongs to are taken out of the list.
    ///
    /// # Errors
    /// When none is left.
    pub(crate) fn deal(produce: &Produce, partitions: &mut Vec<i32>, count: i32) -> Result<Option<Keys>, LoadError> {
        if produce.keys == 0 {
            return Ok(None);
        }
        let mut of = vec![Vec::new(); partitions.len()];
        for number in 0..produce.keys {
            let key = format!("key-{number:08}").into_bytes();
            let partition = partition_for_key(&key, count);
            if let Some(place) = partitions.iter().position(|there| *there == partition) {
                of[place].push(key);
            }
        }
        let mut has_keys = of.iter().map(|keys| !keys.is_empty());
        partitions.retain(|_| has_keys.next().unwrap_or(false));
        of.retain(|keys| !keys.is_empty());
        if of.is_empty() {
            let text = format!("none of {} keys belongs to a partition of this broker: take more keys", produce.keys);
            return Err(LoadError::Workload(text));
        }
        Ok(Some(Keys { of, next: 0 }))
    }

    /// The same with the list of partitions turned so that this place comes first.
    pub(crate) fn beginning_with(mut self, place: usize) -> Keys {
        self.of.rotate_left(place);
        self
    }

    /// The next key that belongs to the partition at this place.
    pub(crate) fn next(&mut self, place: usize) -> Option<&[u8]> {
        let keys = self.of.get(place)?;
        self.next = self.next.wrapping_add(1);
        keys.get(self.next % keys.len()).map(Vec::as_slice)
    }
}

/// Xorshift: nothing compresses it, and it costs nothing.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use protocol::records::{Codec, compress};

    use super::*;

    #[test]
    fn a_value_tells_when_it_was_due_and_strangers_do_not() {
        let values = Values::random(40, 1.0);
        let mut payloads = Payloads::new(&values, 7, Some(*b"markmark"));
        assert_eq!(due_of(payloads.next(123), *b"markmark"), Some(123));
        assert_eq!(due_of(payloads.next(124), *b"otherone"), None);
        assert_eq!(due_of(b"short", *b"markmark"), None);
    }

    #[test]
    fn values_differ_and_compress_by_their_share() {
        let size = |random_share| {
            let mut payloads = Payloads::new(&Values::random(1000, random_share), 7, None);
            let all: Vec<u8> = (0..50).flat_map(|_| payloads.next(0).to_vec()).collect();
            compress(Codec::Zstd, None, &all).len()
        };
        assert!(size(1.0) > 49_000 && (20_000..35_000).contains(&size(0.5)) && size(0.0) < 1000);
    }
}

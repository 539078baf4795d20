//! The zig-zag varints of records, and a cursor that reads them.
//!
//! They differ from the protocol's unsigned varints: small negative numbers are short too.

use bytes::BufMut;

/// Reads from the front of a slice. Every method gives `None` when the bytes do not hold what is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// A 32-bit number of at most 5 bytes. Bits beyond the 32nd are dropped, as Java's readers do.
    pub(super) fn varint(&mut self) -> Option<i32> {
        let raw = self.unsigned(5)? as u32;
        Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A 64-bit number of at most 10 bytes.
    pub(super) fn varlong(&mut self) -> Option<i64> {
        let raw = self.unsigned(10)?;
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn unsigned(&mut self, max_bytes: u32) -> Option<u64> {
        let mut value = 0;
        for i in 0..max_bytes {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// Appends `value` in as few bytes as it takes. For numbers of 32 bits the bytes are the same as those of a varint.
pub(super) fn put(out: &mut impl BufMut, value: i64) {
    let mut raw = zig_zag(value);
    while raw >= 0x80 {
        out.put_u8(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.put_u8(raw as u8);
}

/// How many bytes [`put`] writes.
pub(super) fn size_of(value: i64) -> usize {
    let bits = 64 - (zig_zag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn zig_zag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_in_the_size_foretold() {
        let mut values: Vec<i64> =
            (0..63).map(|bit| 1 << bit).flat_map(|power: i64| [power, power - 1, -power]).collect();
        values.extend([0, i64::MIN, i64::MAX, i64::from(i32::MIN), i64::from(i32::MAX)]);
        for value in values {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            assert_eq!(bytes.len(), size_of(value), "{value}");
            let mut cursor = Cursor { rest: &bytes };
            assert_eq!(cursor.varlong(), Some(value));
            assert!(cursor.rest.is_empty());
            if let Ok(value) = i32::try_from(value) {
                assert_eq!(Cursor { rest: &bytes }.varint(), Some(value));
            }
        }
    }

    #[test]
    fn endless_and_cut_numbers_are_refused() {
        assert_eq!(Cursor { rest: &[0xff; 5] }.varint(), None);
        assert_eq!(Cursor { rest: &[0xff; 10] }.varlong(), None);
        assert_eq!(Cursor { rest: &[0x80] }.varint(), None);
        assert_eq!(Cursor { rest: &[] }.varint(), None);
    }
}

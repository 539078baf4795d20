//! Records in a file: `length u32 | crc32c u32 | kind u8 | payload`, little endian.
//!
//! The length counts kind and payload; the checksum covers the length too, so a run of zeros (what a crash may leave
//! at the end of a file) is never a record.
//!
//! Where records are appended over time, each may be chained to the one before it: its checksum then covers that one's
//! as well. What an older file left on the disk is no continuation then, however whole it is.

use std::io::{self, BufRead, BufReader, Read};

/// Bytes before the kind.
pub(crate) const HEADER_BYTES: usize = 8;
/// No record is larger: a length above it is corruption, and is not allocated.
pub(crate) const MAX_RECORD_BYTES: usize = 32 << 20;

/// Appends a record to `out`.
pub(crate) fn encode(out: &mut Vec<u8>, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    out.push(kind);
    payload(out);
    let length = u32::try_from(out.len() - start - HEADER_BYTES).expect("commands are far smaller than 4 GiB");
    let checksum = checksum(length, &out[start + HEADER_BYTES..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// Chains whole records to each other, and the first to a record with the checksum `seed`. Answers the last checksum.
pub(crate) fn chain(records: &mut [u8], mut seed: u32) -> u32 {
    let mut rest = records;
    while let Some((header, behind)) = rest.split_first_chunk_mut::<HEADER_BYTES>() {
        let (length, plain) = split_header(*header);
        seed = link(plain, seed);
        header[4..].copy_from_slice(&seed.to_le_bytes());
        rest = behind.get_mut(length as usize..).unwrap_or_default();
    }
    seed
}

fn link(plain: u32, seed: u32) -> u32 {
    crc32c::crc32c_append(plain, &seed.to_le_bytes())
}

/// The checksum of the record at the start of `bytes`.
pub(crate) fn checksum_of(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |header| split_header(*header).1)
}

fn checksum(length: u32, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length.to_le_bytes()), body)
}

/// A record as it was read.
pub(crate) struct Frame<'a> {
    /// Where in the file its header starts.
    pub(crate) position: u64,
    /// Header, kind and payload, in bytes.
    pub(crate) size: usize,
    pub(crate) checksum: u32,
    /// The checksum that it is chained to, if it is.
    pub(crate) seed: Option<u32>,
    pub(crate) kind: u8,
    pub(crate) payload: &'a [u8],
}

/// Why reading ended before the end of the file.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The file could not be read.
    Io(io::Error),
    /// What stands there is no record.
    Bad(&'static str),
}

/// Reads records one after the other, in memory no larger than the largest.
pub(crate) struct FrameReader<R> {
    input: BufReader<R>,
    position: u64,
    seed: Option<u32>,
    body: Vec<u8>,
}

impl<R: Read> FrameReader<R> {
    pub(crate) fn new(input: R) -> Self {
        FrameReader { input: BufReader::with_capacity(64 * 1024, input), position: 0, seed: None, body: Vec::new() }
    }

    /// Where the next record starts: the end of the last good one.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The records that follow are chained, the next one to this checksum.
    pub(crate) fn chained_to(&mut self, seed: u32) {
        self.seed = Some(seed);
    }

    /// The next record, or `None` where the file ends right behind the last one.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        if self.input.fill_buf().map_err(ReadError::Io)?.is_empty() {
            return Ok(None);
        }
        let mut header = [0; HEADER_BYTES];
        self.read_exact_into(&mut header)?;
        let (length, expected) = split_header(header);
        let size = length as usize;
        if size == 0 || size > MAX_RECORD_BYTES {
            return Err(ReadError::Bad("the length of a record is impossible"));
        }
        self.body.clear();
        // Grows with what is there, not with what the length says.
        let read = (&mut self.input).take(u64::from(length)).read_to_end(&mut self.body).map_err(ReadError::Io)?;
        if read < size {
            return Err(ReadError::Bad("a record is cut short"));
        }
        let (plain, seed) = (checksum(length, &self.body), self.seed);
        if seed.map_or(plain, |seed| link(plain, seed)) != expected {
            return Err(ReadError::Bad("the checksum of a record does not match"));
        }
        self.seed = seed.map(|_| expected);
        let position = self.position;
        self.position += (HEADER_BYTES + size) as u64;
        let (size, kind) = (HEADER_BYTES + size, self.body[0]);
        Ok(Some(Frame { position, size, checksum: expected, seed, kind, payload: &self.body[1..] }))
    }

    fn read_exact_into(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Bad("the header of a record is cut short"),
            _ => ReadError::Io(error),
        })
    }
}

/// Kind and payload of a record that lies in `bytes` as a whole and is chained to `seed`.
pub(crate) fn decode(bytes: &[u8], seed: u32) -> Result<(u8, &[u8]), ReadError> {
    let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(ReadError::Bad("the header of a record is cut short"));
    };
    let (length, expected) = split_header(*header);
    if body.len() != length as usize || link(checksum(length, body), seed) != expected {
        return Err(ReadError::Bad("the checksum of a record does not match"));
    }
    match body.split_first() {
        Some((kind, payload)) => Ok((*kind, payload)),
        None => Err(ReadError::Bad("the length of a record is impossible")),
    }
}

fn split_header(header: [u8; HEADER_BYTES]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = header;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_records() -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, 1, |out| out.extend_from_slice(b"first"));
        encode(&mut bytes, 2, |_| {});
        bytes
    }

    #[test]
    fn records_are_read_as_written() {
        let mut bytes = two_records();
        assert_eq!(chain(&mut bytes, 7), checksum_of(&bytes[14..]));
        let mut reader = FrameReader::new(&bytes[..]);
        reader.chained_to(7);
        let first = reader.next().unwrap().unwrap();
        assert_eq!((first.position, first.kind, first.payload), (0, 1, &b"first"[..]));
        let size = first.size;
        assert_eq!(decode(&bytes[..size], 7).unwrap(), (1, &b"first"[..]));
        let second = reader.next().unwrap().unwrap();
        assert_eq!((second.position, second.kind, second.payload), (size as u64, 2, &b""[..]));
        assert!(reader.next().unwrap().is_none());
        assert_eq!(reader.position(), bytes.len() as u64);
        let mut elsewhere = FrameReader::new(&bytes[..]);
        elsewhere.chained_to(8);
        assert!(elsewhere.next().is_err());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = two_records();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut reader = FrameReader::new(&bytes[..]);
            let ended = loop {
                match reader.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            assert!(matches!(ended, Some(ReadError::Bad(_))), "bit {bit}");
        }
    }

    #[test]
    fn zeros_and_giant_lengths_are_no_records() {
        assert!(FrameReader::new(&[0; 64][..]).next().is_err());
        assert!(FrameReader::new(&[0xff; 64][..]).next().is_err());
        assert!(decode(&[0; 8], 0).is_err());
        assert!(decode(&[], 0).is_err());
    }
}

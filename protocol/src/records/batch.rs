//! One batch, seen where it lies.

use std::fmt;

use super::attributes::{CODEC_MASK, CONTROL, DELETE_HORIZON, LOG_APPEND_TIME, TRANSACTIONAL};
use super::{Codec, CodecError, HEADER_LEN, LOG_OVERHEAD, TimestampType};

// Where each header field starts.
pub(super) const BASE_OFFSET: usize = 0;
pub(super) const BATCH_LENGTH: usize = 8;
pub(super) const PARTITION_LEADER_EPOCH: usize = 12;
pub(super) const MAGIC: usize = 16;
pub(super) const CRC: usize = 17;
pub(super) const ATTRIBUTES: usize = 21;
pub(super) const LAST_OFFSET_DELTA: usize = 23;
pub(super) const BASE_TIMESTAMP: usize = 27;
pub(super) const MAX_TIMESTAMP: usize = 35;
pub(super) const PRODUCER_ID: usize = 43;
pub(super) const PRODUCER_EPOCH: usize = 51;
pub(super) const BASE_SEQUENCE: usize = 53;
pub(super) const RECORD_COUNT: usize = 57;

/// The only format version this module reads and writes.
pub(super) const MAGIC_V2: i8 = 2;

/// The smallest length field of any format ever released: a magic-0 message without key and value.
const SMALLEST_LENGTH: i32 = 14;

/// A borrowed view of exactly one whole batch of magic 2.
///
/// That the bytes are all there, and the codec is a known one, is all that has been checked: ask
/// [`Batch::is_crc_valid`] before believing the rest.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The first batch in `bytes`. What follows it is not looked at.
    ///
    /// # Errors
    /// [`BatchError::Truncated`] when the batch does not end within `bytes`, and otherwise what is wrong with its size,
    /// magic or codec. A wrong size or magic is reported even when the rest of the batch is missing.
    pub fn parse(bytes: &'a [u8]) -> Result<Batch<'a>, BatchError> {
        let size_bytes = whole_size(bytes)?;
        let bytes = bytes.get(..size_bytes).ok_or(BatchError::Truncated { needed: size_bytes })?;
        let batch = Batch { bytes };
        let codec_id = (batch.attributes() & CODEC_MASK) as u8;
        match Codec::from_id(codec_id) {
            Some(_) => Ok(batch),
            None => Err(BatchError::UnknownCodec(codec_id)),
        }
    }

    /// The header of the batch that starts `bytes`, which need not have the rest of it, and how many bytes the whole
    /// batch has. What the header does not hold must not be asked of it.
    ///
    /// # Errors
    /// As [`Batch::parse`]; [`BatchError::Truncated`] when the header itself is cut short.
    pub fn parse_header(bytes: &'a [u8]) -> Result<(Batch<'a>, usize), BatchError> {
        let size_bytes = whole_size(bytes)?;
        let header = bytes.get(..HEADER_LEN).ok_or(BatchError::Truncated { needed: HEADER_LEN })?;
        Ok((Batch { bytes: header }, size_bytes))
    }

    /// The whole batch, header included.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The length of [`Batch::as_bytes`], at least [`HEADER_LEN`].
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The records as they lie in the batch, compressed or not.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_LEN..]
    }

    /// The offset that record deltas count from. It stays when compaction removes the first record.
    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(self.field(BASE_OFFSET))
    }

    /// The last offset the batch takes up, whether or not a record still stands there.
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i64::from(self.last_offset_delta()))
    }

    /// The base offset of whatever follows.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// The epoch of the leader that appended the batch, or -1.
    pub fn partition_leader_epoch(&self) -> i32 {
        i32::from_be_bytes(self.field(PARTITION_LEADER_EPOCH))
    }

    /// The format version, always 2.
    pub fn magic(&self) -> i8 {
        i8::from_be_bytes(self.field(MAGIC))
    }

    /// The checksum that the header states; see [`Batch::is_crc_valid`].
    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(self.field(CRC))
    }

    /// Whether the stated checksum is that of the bytes after it.
    pub fn is_crc_valid(&self) -> bool {
        self.crc() == crc32c::crc32c(&self.bytes[ATTRIBUTES..])
    }

    /// The raw attribute bits.
    pub fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.field(ATTRIBUTES))
    }

    /// How the records are compressed.
    pub fn codec(&self) -> Codec {
        Codec::from_id((self.attributes() & CODEC_MASK) as u8).expect("parsing refuses unknown codecs")
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        match self.has(LOG_APPEND_TIME) {
            true => TimestampType::LogAppendTime,
            false => TimestampType::CreateTime,
        }
    }

    /// Whether the batch belongs to a transaction, as data or as its end marker.
    pub fn is_transactional(&self) -> bool {
        self.has(TRANSACTIONAL)
    }

    /// Whether the batch holds a broker's marker, which consumers skip.
    pub fn is_control(&self) -> bool {
        self.has(CONTROL)
    }

    /// Whether compaction has put the time when tombstones may go into the base timestamp (KIP-534).
    pub fn has_delete_horizon(&self) -> bool {
        self.has(DELETE_HORIZON)
    }

    /// The time in ms from which compaction may drop the tombstones or markers in here, once it has been decided.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.has_delete_horizon().then(|| self.base_timestamp())
    }

    /// The last offset, and the last sequence number, relative to the first.
    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(self.field(LAST_OFFSET_DELTA))
    }

    /// The timestamp in ms that record deltas count from.
    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field(BASE_TIMESTAMP))
    }

    /// The largest timestamp in ms, as the producer claims or, with LogAppendTime, as the broker has set it.
    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field(MAX_TIMESTAMP))
    }

    /// The idempotent producer that wrote the batch, or -1.
    pub fn producer_id(&self) -> i64 {
        i64::from_be_bytes(self.field(PRODUCER_ID))
    }

    /// Whether an idempotent or transactional producer wrote the batch.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id() >= 0
    }

    /// The epoch of that producer, or -1.
    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(self.field(PRODUCER_EPOCH))
    }

    /// The sequence number of the first record, or -1. Without a producer id some clients leave 0 here.
    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(self.field(BASE_SEQUENCE))
    }

    /// The sequence number of the last record: after 2^31 - 1 comes 0. It is -1 when the first is.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence() {
            -1 => -1,
            base => add_sequence(base, self.last_offset_delta()),
        }
    }

    /// How many records the header claims. Compaction can leave 0, and hostile bytes a negative number.
    pub fn record_count(&self) -> i32 {
        i32::from_be_bytes(self.field(RECORD_COUNT))
    }

    fn has(&self, attribute: i16) -> bool {
        self.attributes() & attribute != 0
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.bytes[at..].first_chunk().expect("a parsed batch holds its whole header")
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("offsets", &(self.base_offset()..=self.last_offset()))
            .field("leader_epoch", &self.partition_leader_epoch())
            .field("size_bytes", &self.size_bytes())
            .field("attributes", &format_args!("{:#06x}", self.attributes()))
            .field("max_timestamp", &self.max_timestamp())
            .field("producer", &(self.producer_id(), self.producer_epoch(), self.base_sequence()))
            .field("record_count", &self.record_count())
            .finish()
    }
}

/// The sequence number `delta` after `sequence`, in the ring of 0 to 2^31 - 1.
fn add_sequence(sequence: i32, delta: i32) -> i32 {
    sequence.wrapping_add(delta) & i32::MAX
}

/// The size of the batch that starts `bytes`, from its length field, once size and magic make sense.
fn whole_size(bytes: &[u8]) -> Result<usize, BatchError> {
    let Some(length) = bytes.get(BATCH_LENGTH..LOG_OVERHEAD).and_then(|bytes| bytes.first_chunk()) else {
        return Err(BatchError::Truncated { needed: HEADER_LEN });
    };
    let length = i32::from_be_bytes(*length);
    if length < SMALLEST_LENGTH {
        return Err(BatchError::InvalidSize(length));
    }
    // Messages of the old formats may be shorter than our header, so the magic decides before the size does.
    if let Some(&magic) = bytes.get(MAGIC)
        && magic as i8 != MAGIC_V2
    {
        return Err(BatchError::UnsupportedMagic(magic as i8));
    }
    let size_bytes = length as usize + LOG_OVERHEAD;
    match size_bytes < HEADER_LEN {
        true => Err(BatchError::InvalidSize(length)),
        false => Ok(size_bytes),
    }
}

/// The batches in `bytes`, one after the other.
///
/// The first error is the last item: nothing says where the next batch would start. A tail that is not a whole batch
/// is such an error, [`BatchError::Truncated`].
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes }
}

/// The iterator that [`batches`] returns.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// The bytes after the last batch that was returned; none after an error.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = Batch::parse(self.rest);
        self.rest = match batch {
            Ok(batch) => &self.rest[batch.size_bytes()..],
            Err(_) => &[],
        };
        Some(batch)
    }
}

impl std::iter::FusedIterator for Batches<'_> {}

/// Why bytes are not a batch, or not the batch they claim to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// The bytes end before the batch does. `needed` counts from the start of the batch; as long as its size is not
    /// known, that is a whole header.
    Truncated {
        /// Bytes a complete batch takes.
        needed: usize,
    },
    /// The length field holds a number that no batch has.
    InvalidSize(i32),
    /// A message of the formats before Kafka 0.11 (0 or 1), or of none.
    UnsupportedMagic(i8),
    /// The codec bits hold a number without a meaning (5 to 7).
    UnknownCodec(u8),
    /// The header claims fewer than no records.
    NegativeCount(i32),
    /// The records do not decompress, or take too much memory.
    Compression(CodecError),
    /// A record is not well-formed, or not where it should be.
    InvalidRecord {
        /// Its place in the batch, from 0.
        index: u32,
        /// What is wrong with it, in words for a person.
        reason: &'static str,
    },
    /// This many bytes follow the last record.
    BytesLeftOver(usize),
}

impl From<CodecError> for BatchError {
    fn from(error: CodecError) -> BatchError {
        BatchError::Compression(error)
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::Truncated { needed } => write!(f, "the record batch is cut short: it takes {needed} bytes"),
            BatchError::InvalidSize(length) => write!(f, "a record batch cannot have the length {length}"),
            BatchError::UnsupportedMagic(magic) => write!(f, "record format version {magic} is not 2"),
            BatchError::UnknownCodec(id) => write!(f, "unknown compression codec {id}"),
            BatchError::NegativeCount(count) => write!(f, "a record batch cannot hold {count} records"),
            BatchError::Compression(error) => error.fmt(f),
            BatchError::InvalidRecord { index, reason } => write!(f, "record {index} of the batch: {reason}"),
            BatchError::BytesLeftOver(count) => write!(f, "{count} bytes follow the last record of the batch"),
        }
    }
}

impl std::error::Error for BatchError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{BatchBuilder, patch};

    fn sample() -> Vec<u8> {
        let mut builder = BatchBuilder::new(10);
        builder.append(1, Some(b"k"), Some(b"v"), &[]);
        builder.append(2, Some(b"k"), Some(b"w"), &[]);
        builder.build().to_vec()
    }

    #[test]
    fn every_cut_asks_for_what_is_missing() {
        let bytes = sample();
        for length in 0..bytes.len() {
            let needed = if length < LOG_OVERHEAD { HEADER_LEN } else { bytes.len() };
            assert_eq!(Batch::parse(&bytes[..length]).err(), Some(BatchError::Truncated { needed }), "{length}");
        }
        assert!(Batch::parse(&bytes).is_ok());
    }

    #[test]
    fn bad_sizes_magics_and_codecs_are_told_apart() {
        let check = |at: usize, value: &[u8], expected: BatchError| {
            let mut bytes = sample();
            bytes[at..at + value.len()].copy_from_slice(value);
            assert_eq!(Batch::parse(&bytes).err(), Some(expected.clone()));
            // What is wrong with the start shows without the rest, and a batch that is cut off shows nothing else.
            match expected {
                BatchError::UnknownCodec(_) => {}
                _ => assert_eq!(Batch::parse(&bytes[..MAGIC + 1]).err(), Some(expected)),
            }
        };
        for length in [i32::MIN, -1, 0, 13] {
            check(BATCH_LENGTH, &length.to_be_bytes(), BatchError::InvalidSize(length));
        }
        check(BATCH_LENGTH, &48i32.to_be_bytes(), BatchError::InvalidSize(48));
        for magic in [-1, 0, 1, 3] {
            check(MAGIC, &[magic as u8], BatchError::UnsupportedMagic(magic));
        }
        for codec in 5..8 {
            check(ATTRIBUTES + 1, &[codec], BatchError::UnknownCodec(codec));
        }
    }

    #[test]
    fn short_messages_of_old_formats_are_named_as_such() {
        let mut bytes = [0; 26];
        bytes[BATCH_LENGTH..LOG_OVERHEAD].copy_from_slice(&14i32.to_be_bytes());
        assert_eq!(Batch::parse(&bytes).err(), Some(BatchError::UnsupportedMagic(0)));
    }

    #[test]
    fn a_run_ends_at_its_first_error() {
        let one = sample();
        let mut run = [one.as_slice(), &one, &one[..30]].concat();
        let found: Vec<_> = batches(&run).map(|batch| batch.map(|batch| batch.size_bytes())).collect();
        assert_eq!(found, [Ok(one.len()), Ok(one.len()), Err(BatchError::Truncated { needed: one.len() })]);

        run[one.len() + MAGIC] = 1;
        let mut walk = batches(&run);
        walk.next().unwrap().unwrap();
        assert_eq!(walk.rest().len(), run.len() - one.len());
        assert_eq!(walk.next().unwrap().err(), Some(BatchError::UnsupportedMagic(1)));
        assert!(walk.next().is_none() && walk.rest().is_empty());
        assert!(batches(&[]).next().is_none());
    }

    #[test]
    fn the_checksum_covers_all_but_the_brokers_fields() {
        let bytes = sample();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            if (BATCH_LENGTH..LOG_OVERHEAD).contains(&at) || at == MAGIC {
                continue;
            }
            let batch = Batch { bytes: &changed };
            assert_eq!(batch.is_crc_valid(), at < MAGIC, "{at}");
        }
        let mut patched = bytes;
        patch::set_base_offset(&mut patched, i64::MAX - 1);
        patch::set_partition_leader_epoch(&mut patched, 44);
        let batch = Batch::parse(&patched).unwrap();
        assert!(batch.is_crc_valid());
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.next_offset()), (i64::MAX - 1, i64::MAX, i64::MAX));
        assert_eq!(batch.partition_leader_epoch(), 44);
    }

    #[test]
    fn patched_timestamps_renew_the_checksum_of_this_batch_only() {
        let one = sample();
        let mut run = [one.as_slice(), &one].concat();
        patch::set_max_timestamp(&mut run, 77);
        let batch = Batch::parse(&run).unwrap();
        assert!(batch.is_crc_valid());
        assert_eq!((batch.max_timestamp(), batch.timestamp_type()), (77, TimestampType::CreateTime));
        assert_eq!(run[one.len()..], one);

        patch::set_log_append_time(&mut run, 88);
        let batch = Batch::parse(&run).unwrap();
        assert!(batch.is_crc_valid());
        assert_eq!((batch.max_timestamp(), batch.timestamp_type()), (88, TimestampType::LogAppendTime));
        let records = batch.records(1000).unwrap();
        assert!(records.iter().all(|record| record.unwrap().timestamp == 88));
    }

    #[test]
    fn sequences_go_round() {
        let check = |base: i32, last: i32| {
            let mut builder = BatchBuilder::new(0).producer(1, 0, base);
            (0..3).for_each(|_| builder.append(0, None, None, &[]));
            let bytes = builder.build();
            assert_eq!(Batch::parse(&bytes).unwrap().last_sequence(), last, "{base}");
        };
        check(0, 2);
        check(i32::MAX - 2, i32::MAX);
        check(i32::MAX - 1, 0);
        check(i32::MAX, 1);
        check(-1, -1);
    }
}

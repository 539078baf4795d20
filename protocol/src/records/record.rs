//! The records inside a batch.

use std::borrow::Cow;

use super::compression::decompress;
use super::varint::Cursor;
use super::{Batch, BatchError, Codec, TimestampType};

/// One record, borrowed from the batch or from what the batch was decompressed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the log.
    pub offset: i64,
    /// In ms: the producer's, or with LogAppendTime that of the whole batch; -1 when a producer set none.
    pub timestamp: i64,
    /// `None` is null, which is not the empty key.
    pub key: Option<&'a [u8]>,
    /// `None` is null: a tombstone, in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// In the order in which the producer added them; a key may occur twice (KIP-82).
    pub headers: Headers<'a>,
    pub(super) offset_delta: i32,
    pub(super) attributes: u8,
}

/// The headers of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    /// As they lie in the record, without their count, already seen to be whole.
    pub(super) bytes: &'a [u8],
    pub(super) count: usize,
}

/// One header. Keys are UTF-8 by convention, which nobody checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Never null.
    pub key: &'a [u8],
    /// `None` is null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the record has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let mut cursor = Cursor { rest: self.bytes };
        (0..self.count).map_while(move |_| read_header(&mut cursor).ok())
    }
}

impl<'a> Batch<'a> {
    /// The records of the batch: where they lie when they are not compressed, decompressed at once when they are.
    ///
    /// # Errors
    /// When the records take more than `max_uncompressed_bytes`, do not decompress, or their count is negative. That
    /// each record is well-formed, and that there are as many as the header says, shows while iterating.
    pub fn records(&self, max_uncompressed_bytes: usize) -> Result<RecordSet<'a>, BatchError> {
        let count = u32::try_from(self.record_count()).map_err(|_| BatchError::NegativeCount(self.record_count()))?;
        let data = match self.codec() {
            Codec::None if self.body().len() > max_uncompressed_bytes => {
                return Err(super::CodecError::TooLarge { max_bytes: max_uncompressed_bytes }.into());
            }
            Codec::None => Cow::Borrowed(self.body()),
            // Some writers leave out the empty stream of an empty batch.
            _ if count == 0 && self.body().is_empty() => Cow::Borrowed(self.body()),
            codec => Cow::Owned(decompress(codec, self.body(), max_uncompressed_bytes)?),
        };
        Ok(RecordSet { data, base: Base::of(self), count })
    }
}

/// What records count from.
#[derive(Clone, Copy, Debug)]
struct Base {
    offset: i64,
    timestamp: i64,
    /// With LogAppendTime, the timestamp of every record.
    append_timestamp: Option<i64>,
}

impl Base {
    fn of(batch: &Batch<'_>) -> Base {
        let append_timestamp = (batch.timestamp_type() == TimestampType::LogAppendTime).then(|| batch.max_timestamp());
        Base { offset: batch.base_offset(), timestamp: batch.base_timestamp(), append_timestamp }
    }
}

/// The records of one batch, decompressed.
#[derive(Clone, Debug)]
pub struct RecordSet<'a> {
    data: Cow<'a, [u8]>,
    base: Base,
    count: u32,
}

impl RecordSet<'_> {
    /// How many records the header claims.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether the header claims none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The size of the records without compression.
    pub fn uncompressed_bytes(&self) -> usize {
        self.data.len()
    }

    /// The records, in order. An error is the last item.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { cursor: Cursor { rest: &self.data }, base: self.base, count: self.count, next: Some(0) }
    }
}

impl<'s> IntoIterator for &'s RecordSet<'_> {
    type Item = Result<Record<'s>, BatchError>;
    type IntoIter = RecordIter<'s>;

    fn into_iter(self) -> RecordIter<'s> {
        self.iter()
    }
}

/// The iterator that [`RecordSet::iter`] returns.
#[derive(Clone, Debug)]
pub struct RecordIter<'s> {
    cursor: Cursor<'s>,
    base: Base,
    count: u32,
    /// The index of the next record, until the end or an error has been returned.
    next: Option<u32>,
}

impl<'s> Iterator for RecordIter<'s> {
    type Item = Result<Record<'s>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next.take()?;
        if index == self.count {
            let left_over = self.cursor.rest.len();
            return (left_over > 0).then_some(Err(BatchError::BytesLeftOver(left_over)));
        }
        match read_record(&mut self.cursor, self.base) {
            Ok(record) => {
                self.next = Some(index + 1);
                Some(Ok(record))
            }
            Err(reason) => Some(Err(BatchError::InvalidRecord { index, reason })),
        }
    }
}

impl std::iter::FusedIterator for RecordIter<'_> {}

/// What is wrong with a record, in words for a person.
type Reason = &'static str;

const VARINT: Reason = "a number is cut short or too long";

fn read_record<'s>(cursor: &mut Cursor<'s>, base: Base) -> Result<Record<'s>, Reason> {
    let length = cursor.varint().ok_or(VARINT)?;
    let length = usize::try_from(length).map_err(|_| "its length is negative")?;
    let mut body = Cursor { rest: cursor.take(length).ok_or("it is longer than the batch")? };
    let attributes = body.byte().ok_or("it is shorter than its attributes")?;
    let timestamp_delta = body.varlong().ok_or(VARINT)?;
    let offset_delta = body.varint().ok_or(VARINT)?;
    let key = read_nullable(&mut body)?;
    let value = read_nullable(&mut body)?;
    let headers = read_headers(&mut body)?;
    if !body.rest.is_empty() {
        return Err("its length is larger than its content");
    }
    Ok(Record {
        // Wrapping as in Java: writers of absurd timestamps rely on the sum coming out right.
        timestamp: base.append_timestamp.unwrap_or(base.timestamp.wrapping_add(timestamp_delta)),
        offset: base.offset.saturating_add(i64::from(offset_delta)),
        key,
        value,
        headers,
        offset_delta,
        attributes,
    })
}

/// Any negative length is null, as for Kafka.
fn read_nullable<'s>(cursor: &mut Cursor<'s>) -> Result<Option<&'s [u8]>, Reason> {
    match usize::try_from(cursor.varint().ok_or(VARINT)?) {
        Ok(length) => cursor.take(length).map(Some).ok_or("a key or value is longer than the record"),
        Err(_) => Ok(None),
    }
}

fn read_headers<'s>(cursor: &mut Cursor<'s>) -> Result<Headers<'s>, Reason> {
    let count = cursor.varint().ok_or(VARINT)?;
    let count = usize::try_from(count).map_err(|_| "its header count is negative")?;
    // A header takes two bytes at least, so the loop ends soon after the bytes do, whatever the count.
    let start = cursor.rest;
    for _ in 0..count {
        read_header(cursor)?;
    }
    Ok(Headers { bytes: &start[..start.len() - cursor.rest.len()], count })
}

fn read_header<'s>(cursor: &mut Cursor<'s>) -> Result<Header<'s>, Reason> {
    let key_length = cursor.varint().ok_or(VARINT)?;
    let key_length = usize::try_from(key_length).map_err(|_| "a header key is null")?;
    let key = cursor.take(key_length).ok_or("a header key is longer than the record")?;
    Ok(Header { key, value: read_nullable(cursor)? })
}

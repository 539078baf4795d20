//! Kafka's primitive types on the wire.
//!
//! Reading is total and allocates in proportion to what is really there. Record sets and other byte fields are slices
//! of the frame; on the way out, large ones are chunks of their own, so they are never copied together.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Byte fields at least this long travel as chunks of their own.
const SHARED_MIN_BYTES: usize = 1024;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The frame ends inside a field.
    Truncated,
    /// A length or count is negative where null is not allowed, or larger than what is left.
    InvalidLength(i64),
    /// A string is not UTF-8.
    InvalidString,
    /// A variable-length integer has more bytes than its type.
    InvalidVarint,
    /// The marker of a nullable struct is neither −1 nor 1.
    InvalidMarker(i8),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated => f.write_str("it ends inside a field"),
            DecodeError::InvalidLength(length) => write!(f, "a length of {length} makes no sense here"),
            DecodeError::InvalidString => f.write_str("a string is not UTF-8"),
            DecodeError::InvalidVarint => f.write_str("a variable-length integer is too long"),
            DecodeError::InvalidMarker(marker) => write!(f, "{marker} does not say whether a struct is there"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads fields off the front of a frame.
#[derive(Clone, Debug)]
pub struct Decoder {
    bytes: Bytes,
}

impl Decoder {
    /// Reads `bytes` from their start.
    pub fn new(bytes: Bytes) -> Decoder {
        Decoder { bytes }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Everything not read yet.
    pub fn rest(self) -> Bytes {
        self.bytes
    }

    fn need(&self, count: usize) -> Result<(), DecodeError> {
        if self.bytes.len() < count { Err(DecodeError::Truncated) } else { Ok(()) }
    }

    /// The next `count` bytes, as a slice of the frame.
    pub fn take(&mut self, count: usize) -> Result<Bytes, DecodeError> {
        self.need(count)?;
        Ok(self.bytes.split_to(count))
    }

    /// An `int8`.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.need(1)?;
        Ok(self.bytes.get_i8())
    }

    /// An `int16`.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.need(2)?;
        Ok(self.bytes.get_i16())
    }

    /// An `int32`.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.need(4)?;
        Ok(self.bytes.get_i32())
    }

    /// An `int64`.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.need(8)?;
        Ok(self.bytes.get_i64())
    }

    /// An unsigned varint of at most 32 bits.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            self.need(1)?;
            let byte = self.bytes.get_u8();
            if shift == 28 && byte > 0x0f {
                return Err(DecodeError::InvalidVarint);
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::InvalidVarint)
    }

    /// A length of bytes or an array: `None` is null.
    pub(crate) fn length(&mut self, flexible: bool, wide: bool) -> Result<Option<usize>, DecodeError> {
        let length = match (flexible, wide) {
            (true, _) => i64::from(self.uvarint()?) - 1,
            (false, true) => i64::from(self.i32()?),
            (false, false) => i64::from(self.i16()?),
        };
        match usize::try_from(length) {
            Ok(length) if length <= self.remaining() => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            _ => Err(DecodeError::InvalidLength(length)),
        }
    }

    /// Skips the tagged fields of a struct in which none is known.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let size = self.uvarint()? as usize;
            self.take(size)?;
        }
        Ok(())
    }
}

/// Writes fields, and collects large byte fields without copying them.
#[derive(Debug, Default)]
pub struct Encoder {
    parts: Vec<Bytes>,
    tail: BytesMut,
    parts_bytes: usize,
}

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.parts_bytes + self.tail.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written, in order.
    pub fn finish(mut self) -> Vec<Bytes> {
        self.seal();
        self.parts
    }

    /// What was written, in one piece.
    pub fn into_bytes(mut self) -> Bytes {
        self.seal();
        match <[Bytes; 1]>::try_from(self.parts) {
            Ok([one]) => one,
            Err(parts) => parts.concat().into(),
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let sealed = self.tail.split().freeze();
            self.parts_bytes += sealed.len();
            self.parts.push(sealed);
        }
    }

    /// An `int8`.
    pub fn i8(&mut self, value: i8) {
        self.tail.put_i8(value);
    }

    /// An `int16`.
    pub fn i16(&mut self, value: i16) {
        self.tail.put_i16(value);
    }

    /// An `int32`.
    pub fn i32(&mut self, value: i32) {
        self.tail.put_i32(value);
    }

    /// An `int64`.
    pub fn i64(&mut self, value: i64) {
        self.tail.put_i64(value);
    }

    /// An unsigned varint.
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.tail.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.tail.put_u8(value as u8);
    }

    /// Bytes, copied.
    pub fn slice(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
    }

    /// Bytes, shared if they are many.
    pub fn shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_MIN_BYTES {
            return self.slice(bytes);
        }
        self.seal();
        self.parts_bytes += bytes.len();
        self.parts.push(bytes.clone());
    }

    /// What another encoder holds.
    pub(crate) fn append(&mut self, other: Encoder) {
        other.finish().iter().for_each(|part| self.shared(part));
    }

    /// A length of bytes or an array; `None` is null.
    ///
    /// # Panics
    /// When it does not fit the field: the values of a broker are bounded far below.
    pub(crate) fn length(&mut self, length: Option<usize>, flexible: bool, wide: bool) {
        match (flexible, wide) {
            (true, _) => {
                self.uvarint(length.map_or(0, |length| u32::try_from(length + 1).expect("fields are below 2 GiB")))
            }
            (false, true) => self.i32(length.map_or(-1, |length| i32::try_from(length).expect("fields are below 2 GiB"))),
            (false, false) => {
                self.i16(length.map_or(-1, |length| i16::try_from(length).expect("strings are below 32 KiB")))
            }
        }
    }
}

/// Record batches as they travel: chunks that follow each other.
#[derive(Clone, Debug, Default)]
pub struct Records {
    chunks: Vec<Bytes>,
}

impl Records {
    /// Batches in several pieces, none of which is copied.
    pub fn from_chunks(chunks: Vec<Bytes>) -> Records {
        Records { chunks }
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chunks.iter().all(Bytes::is_empty)
    }

    /// The pieces.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// One piece; copied only if there are several.
    pub fn into_bytes(self) -> Bytes {
        match <[Bytes; 1]>::try_from(self.chunks) {
            Ok([one]) => one,
            Err(chunks) => chunks.concat().into(),
        }
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        Records { chunks: vec![bytes] }
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Records) -> bool {
        self.chunks.iter().flatten().eq(other.chunks.iter().flatten())
    }
}

/// The tagged fields of one struct, gathered to be written in the order of their tags.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    fields: Vec<(u32, Encoder)>,
}

impl Tags {
    /// The place of a field.
    pub(crate) fn field(&mut self, tag: u32) -> &mut Encoder {
        let place = self.fields.partition_point(|(other, _)| *other < tag);
        self.fields.insert(place, (tag, Encoder::new()));
        &mut self.fields[place].1
    }

    /// Writes their number and each with its size.
    pub(crate) fn write(self, encoder: &mut Encoder) {
        encoder.uvarint(self.fields.len() as u32);
        for (tag, field) in self.fields {
            encoder.uvarint(tag);
            encoder.uvarint(field.len() as u32);
            encoder.append(field);
        }
    }
}

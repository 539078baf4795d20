//! Kafka's primitive types on the wire.
//!
//! Reading is total, and what it allocates is bounded by the size of the frame. Record sets and other byte fields are
//! slices of the frame; on the way out, large ones are chunks of their own, so they are never copied together.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

pub use crate::chunks::Records;

/// Byte fields at least this long travel as chunks of their own.
const SHARED_MIN_BYTES: usize = 1024;

/// Memory that values may take for each byte of their frame. Small items grow most: a struct of a few strings takes
/// a hundred bytes and stands in twenty. Only a frame made of empty items, which no client sends, needs more.
pub const MEMORY_PER_BYTE: usize = 8;

/// Memory that values may take whatever the size of their frame, in bytes.
pub const FREE_MEMORY_BYTES: usize = 64 * 1024;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The frame ends inside a field.
    Truncated,
    /// A length or count is negative where null is not allowed, or larger than what is left.
    InvalidLength(i64),
    /// The items need more memory than the size of the frame allows ([`MEMORY_PER_BYTE`]).
    TooManyItems,
    /// A variable-length integer has more bytes than its type.
    InvalidVarint,
    /// The marker of a nullable struct is neither −1 nor 1.
    InvalidMarker(i8),
    /// A tagged field is longer than its value.
    TagLeftOver(usize),
    /// A record in a version that is not known here.
    UnknownVersion(i16),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated => f.write_str("it ends inside a field"),
            DecodeError::InvalidLength(length) => write!(f, "a length of {length} makes no sense here"),
            DecodeError::TooManyItems => f.write_str("it has more items than its size explains"),
            DecodeError::InvalidVarint => f.write_str("a variable-length integer is too long"),
            DecodeError::InvalidMarker(marker) => write!(f, "{marker} does not say whether a struct is there"),
            DecodeError::TagLeftOver(bytes) => write!(f, "a tagged field has {bytes} bytes too many"),
            DecodeError::UnknownVersion(version) => write!(f, "version {version} is not known here"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads fields off the front of a frame.
#[derive(Clone, Debug)]
pub struct Decoder {
    bytes: Bytes,
    /// What values may still allocate.
    memory: usize,
}

impl Decoder {
    /// Reads `bytes` from their start.
    pub fn new(bytes: Bytes) -> Decoder {
        let memory = bytes.len().saturating_mul(MEMORY_PER_BYTE).saturating_add(FREE_MEMORY_BYTES);
        Decoder { bytes, memory }
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

    /// Accounts for memory that is about to be allocated.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.memory = self.memory.checked_sub(bytes).ok_or(DecodeError::TooManyItems)?;
        Ok(())
    }

    /// The next `length` bytes as text. What is not UTF-8 is replaced, as Kafka does: offsets have been committed
    /// with metadata that is no text at all, and their clients must not be cut off for it.
    pub(crate) fn text(&mut self, length: usize) -> Result<String, DecodeError> {
        let bytes = self.take(length)?;
        self.charge(length)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => {
                // Each bad byte becomes a character of three, and the text grows by doubling.
                self.charge(5 * length)?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }

    /// The same as a text that is shared from then on.
    pub(crate) fn shared_text(&mut self, length: usize) -> Result<Arc<str>, DecodeError> {
        match self.bytes.get(..length).map(std::str::from_utf8) {
            Some(Ok(text)) => {
                let text = Arc::from(text);
                self.bytes.advance(length);
                self.charge(length)?;
                Ok(text)
            }
            _ => self.text(length).map(Arc::from),
        }
    }

    /// The same, and if it is what is known already that.
    pub(crate) fn known_text(&mut self, length: usize, known: Option<&Arc<str>>) -> Result<Arc<str>, DecodeError> {
        match known {
            Some(known) if self.bytes.get(..length) == Some(known.as_bytes()) => {
                self.bytes.advance(length);
                Ok(Arc::clone(known))
            }
            _ => self.shared_text(length),
        }
    }

    /// A tagged field's bytes, read by `read` to their end.
    pub(crate) fn tagged(
        &mut self,
        size: usize,
        read: impl FnOnce(&mut Decoder) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut field = Decoder { bytes: self.take(size)?, memory: self.memory };
        read(&mut field)?;
        self.memory = field.memory;
        if field.remaining() == 0 { Ok(()) } else { Err(DecodeError::TagLeftOver(field.remaining())) }
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

/// Answers are mostly small and soon gone: those that one thread writes share a block of this many bytes, which is used
/// again once they are.
const BLOCK_BYTES: usize = 8 * 1024;
/// With less than this left of it, a block is not begun.
const BLOCK_REST_BYTES: usize = 512;

thread_local! {
    /// What is left of this thread's block.
    static BLOCK: Cell<BytesMut> = Cell::default();
}

/// Writes fields, and collects large byte fields without copying them.
#[derive(Debug, Default)]
pub struct Encoder {
    /// The first bytes, once a shared chunk has followed them; still open for the size of a frame.
    head: BytesMut,
    parts: Vec<Bytes>,
    parts_bytes: usize,
    tail: BytesMut,
}

/// Chunks of an answer that carries one batch: before it, itself, after it.
const PARTS: usize = 3;

/// Bytes of the size in front of a frame.
pub(crate) const SIZE_BYTES: usize = 4;

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// An encoder of a frame: the size in front is filled in by [`Encoder::finish_frame`].
    pub(crate) fn frame() -> Encoder {
        let mut block = BLOCK.take();
        if block.capacity() < BLOCK_REST_BYTES {
            // What was given out of it may be gone, and then it begins again.
            if !block.try_reclaim(BLOCK_BYTES) {
                block = BytesMut::with_capacity(BLOCK_BYTES);
            }
        }
        let mut encoder = Encoder { tail: block, ..Encoder::default() };
        encoder.slice(&[0; SIZE_BYTES]);
        encoder
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.head.len() + self.parts_bytes + self.tail.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written, in order, as few chunks as can be without copying.
    pub fn finish(mut self) -> Vec<Bytes> {
        let tail = std::mem::take(&mut self.tail);
        self.gather(tail)
    }

    fn gather(self, tail: BytesMut) -> Vec<Bytes> {
        let mut chunks = self.parts;
        chunks.reserve(2);
        if !self.head.is_empty() {
            chunks.insert(0, self.head.freeze());
        }
        if !tail.is_empty() {
            chunks.push(tail.freeze());
        }
        chunks
    }

    /// What was written, with its size in front.
    pub(crate) fn finish_frame(mut self) -> Vec<Bytes> {
        let size = u32::try_from(self.len() - SIZE_BYTES).expect("answers are below 2 GiB").to_be_bytes();
        let first = if self.head.is_empty() { &mut self.tail } else { &mut self.head };
        first[..SIZE_BYTES].copy_from_slice(&size);
        let tail = self.tail.split();
        // One that had to grow for a long answer is not kept for short ones.
        if self.head.len() + tail.len() <= BLOCK_BYTES {
            BLOCK.set(std::mem::take(&mut self.tail));
        }
        self.gather(tail)
    }

    /// What was written, in one piece.
    pub fn into_bytes(self) -> Bytes {
        match <[Bytes; 1]>::try_from(self.finish()) {
            Ok([one]) => one,
            Err(parts) => parts.concat().into(),
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
        let sealed = self.tail.split();
        if self.parts.is_empty() {
            self.parts.reserve(PARTS);
            self.head = sealed;
        } else if !sealed.is_empty() {
            self.parts_bytes += sealed.len();
            self.parts.push(sealed.freeze());
        }
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
            (false, true) => {
                self.i32(length.map_or(-1, |length| i32::try_from(length).expect("fields are below 2 GiB")))
            }
            (false, false) => {
                self.i16(length.map_or(-1, |length| i16::try_from(length).expect("strings are below 32 KiB")))
            }
        }
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

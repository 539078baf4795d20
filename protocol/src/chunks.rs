//! Record batches on their way through: bytes in pieces that follow each other.

use std::fmt;

use bytes::Bytes;

/// The record batches of one partition in a request or an answer, as slices of where they already lie.
#[derive(Clone)]
pub struct Records(Chunks);

/// Nearly always there is one piece, and then nothing needs to be allocated to hold it.
#[derive(Clone)]
enum Chunks {
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Records {
    /// None.
    pub const EMPTY: Records = Records(Chunks::One(Bytes::new()));

    /// Batches in several pieces, none of which is copied.
    pub fn from_chunks(chunks: Vec<Bytes>) -> Records {
        match <[Bytes; 1]>::try_from(chunks) {
            Ok([one]) => Records(Chunks::One(one)),
            Err(chunks) => Records(Chunks::Many(chunks)),
        }
    }

    /// One more piece behind the others.
    pub fn push(&mut self, chunk: Bytes) {
        match &mut self.0 {
            Chunks::One(one) if one.is_empty() => *one = chunk,
            Chunks::One(one) => self.0 = Chunks::Many(vec![std::mem::take(one), chunk]),
            Chunks::Many(chunks) => chunks.push(chunk),
        }
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.chunks().iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chunks().iter().all(Bytes::is_empty)
    }

    /// The pieces.
    pub fn chunks(&self) -> &[Bytes] {
        match &self.0 {
            Chunks::One(chunk) => std::slice::from_ref(chunk),
            Chunks::Many(chunks) => chunks,
        }
    }

    /// One piece; copied only if there are several.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Chunks::One(chunk) => chunk,
            Chunks::Many(chunks) => chunks.concat().into(),
        }
    }
}

impl Default for Records {
    fn default() -> Records {
        Records::EMPTY
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        Records(Chunks::One(bytes))
    }
}

/// Equal bytes, however they are cut.
impl PartialEq for Records {
    fn eq(&self, other: &Records) -> bool {
        self.len() == other.len() && self.chunks().iter().flatten().eq(other.chunks().iter().flatten())
    }
}

/// Megabytes in a log line help nobody.
impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Records({} bytes)", self.len())
    }
}

//! The formats before record batches, which clients of Kafka 0.8 to 0.10 write and read: sets of single messages, magic
//! 0, and 1 with timestamps (KIP-31, KIP-32).
//!
//! A message that says it is compressed is a wrapper: its value is another set. The offset of a wrapper is that of its
//! last message; the offsets inside are absolute in magic 0, and in magic 1 count from the first. Logs hold none of
//! this: [`up_convert`] makes a batch of what an old producer sends, [`down_convert`] makes a set of what an old
//! consumer asks for.

mod down;
mod message;
mod up;

use std::fmt;

pub use down::{DownConversion, DownConverted, DownError, down_convert};
pub use message::{Message, Messages, messages};
pub use up::{UpConverted, UpLimits, up_convert};

use super::CodecError;

/// Which of the two old formats, by their magic byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageFormat {
    /// Of Kafka 0.8 and 0.9: no timestamps, and LZ4 frames whose header checksum is wrong (KIP-57).
    V0 = 0,
    /// Of Kafka 0.10.
    V1 = 1,
}

impl MessageFormat {
    /// The magic byte.
    pub fn magic(self) -> u8 {
        self as u8
    }
}

/// Why bytes are no message set, or none that becomes a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// A message does not end within the bytes.
    Truncated,
    /// A size field holds a number that no message has.
    InvalidSize(i32),
    /// Neither of the old formats.
    UnsupportedMagic(i8),
    /// The checksum of a message is wrong.
    Checksum,
    /// A message is larger than allowed.
    TooLarge {
        /// Its size in bytes.
        size_bytes: usize,
        /// What is allowed.
        max_bytes: usize,
    },
    /// The value of a wrapper does not decompress, or takes too much memory.
    Compression(CodecError),
    /// The message has a time that a producer cannot set.
    InvalidTimestamp(&'static str),
    /// The message breaks a rule, in words for a person.
    Invalid(&'static str),
}

impl From<CodecError> for MessageError {
    fn from(error: CodecError) -> MessageError {
        MessageError::Compression(error)
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageError::Truncated => write!(f, "a message is cut short"),
            MessageError::InvalidSize(size) => write!(f, "a message cannot have the size {size}"),
            MessageError::UnsupportedMagic(magic) => write!(f, "message format version {magic} is neither 0 nor 1"),
            MessageError::Checksum => write!(f, "the checksum of a message does not match"),
            MessageError::TooLarge { size_bytes, max_bytes } => {
                write!(f, "a message has {size_bytes} bytes, and {max_bytes} are allowed")
            }
            MessageError::Compression(error) => error.fmt(f),
            MessageError::InvalidTimestamp(reason) | MessageError::Invalid(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for MessageError {}

/// No timestamp was set, or the format has none.
const NO_TIMESTAMP: i64 = -1;

/// Set in the attributes of a message of magic 1 whose timestamp is the broker's.
const LOG_APPEND_TIME: u8 = 1 << 3;
/// The codec's bits in the attributes.
const CODEC_MASK: u8 = 0x07;

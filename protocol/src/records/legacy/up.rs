//! From what an old producer sends to what a log stores.

use bytes::BytesMut;

use super::super::{BatchBuilder, Codec, CodecError, decompress};
use super::message::{Message, messages};
use super::{MessageError, NO_TIMESTAMP};

/// What a message set may take.
#[derive(Clone, Copy, Debug)]
pub struct UpLimits {
    /// Bytes of each message as it was sent, wrappers as they are.
    pub max_message_bytes: usize,
    /// Bytes of all messages together once decompressed, and of the batch before it is compressed.
    pub max_uncompressed_bytes: usize,
}

/// A batch made of a message set.
#[derive(Clone, Debug)]
pub struct UpConverted {
    /// The batch: offsets count from 0, without a producer id.
    pub batch: BytesMut,
    /// How many records it has, at least one.
    pub record_count: usize,
}

/// Makes one batch of a whole message set, with the codec of `target` (and its level) or else that of the first wrapper.
/// `None` is a set without messages.
///
/// Like Kafka from 0.11 to 3.9 this ignores the offsets that the producer wrote, inside wrappers too, because some
/// clients get them wrong, and the keys of wrappers. A set may mix wrappers and single messages, which Kafka took until 2.3.
///
/// # Errors
/// The first thing that is wrong with the set. A cut off message is an error and not the end: whoever is told that
/// a set was stored believes that of all of it.
pub fn up_convert(
    set: &[u8],
    target: Option<(Codec, Option<i32>)>,
    limits: UpLimits,
) -> Result<Option<UpConverted>, MessageError> {
    let mut conversion = UpConversion { builder: BatchBuilder::new(0), limits, decompressed_bytes: 0 };
    let mut first: Option<Message<'_>> = None;
    let mut codec = Codec::None;
    for message in messages(set) {
        let message = check(message?)?;
        if message.size_bytes() > limits.max_message_bytes {
            let (size_bytes, max_bytes) = (message.size_bytes(), limits.max_message_bytes);
            return Err(MessageError::TooLarge { size_bytes, max_bytes });
        }
        if first.get_or_insert(message).format != message.format {
            return Err(MessageError::Invalid("the messages of a set are not of one format"));
        }
        if message.is_log_append_time() {
            return Err(MessageError::InvalidTimestamp("producers do not set the log append time"));
        }
        match Codec::from_id(message.codec_id()) {
            Some(Codec::None) => conversion.append(&message)?,
            Some(Codec::Zstd) | None => {
                return Err(MessageError::Invalid("the codec of a message is none that its format knows"));
            }
            Some(wrapped) => {
                conversion.unwrap(&message, wrapped)?;
                if codec == Codec::None {
                    codec = wrapped;
                }
            }
        }
    }
    if conversion.builder.is_empty() {
        return Ok(None);
    }
    let (codec, level) = target.unwrap_or((codec, None));
    let record_count = conversion.builder.record_count();
    Ok(Some(UpConverted { batch: conversion.builder.codec(codec, level).build(), record_count }))
}

struct UpConversion {
    builder: BatchBuilder,
    limits: UpLimits,
    decompressed_bytes: usize,
}

impl UpConversion {
    /// Appends the messages inside a wrapper.
    fn unwrap(&mut self, wrapper: &Message<'_>, codec: Codec) -> Result<(), MessageError> {
        let value = wrapper.value.ok_or(MessageError::Invalid("a compressed message has no value"))?;
        let left = self.limits.max_uncompressed_bytes - self.decompressed_bytes;
        let set = decompress(codec, value, left)?;
        self.decompressed_bytes += set.len();
        let before = self.builder.record_count();
        for message in messages(&set) {
            let message = check(message?)?;
            if message.format != wrapper.format {
                return Err(MessageError::Invalid("a message is not of the format of the one it is compressed in"));
            }
            if message.codec_id() != 0 {
                return Err(MessageError::Invalid("a compressed message is inside another"));
            }
            self.append(&message)?;
        }
        if self.builder.record_count() == before {
            return Err(MessageError::Invalid("a compressed message has no messages inside"));
        }
        Ok(())
    }

    fn append(&mut self, message: &Message<'_>) -> Result<(), MessageError> {
        if message.timestamp < NO_TIMESTAMP {
            return Err(MessageError::InvalidTimestamp("a timestamp is negative"));
        }
        self.builder.append(message.timestamp, message.key, message.value, &[]);
        let max_bytes = self.limits.max_uncompressed_bytes;
        match self.builder.size_estimate() > max_bytes {
            true => Err(CodecError::TooLarge { max_bytes }.into()),
            false => Ok(()),
        }
    }
}

fn check(message: Message<'_>) -> Result<Message<'_>, MessageError> {
    message.is_crc_valid().then_some(message).ok_or(MessageError::Checksum)
}

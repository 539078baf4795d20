//! One message, seen where it lies, and written.

use super::super::{LOG_OVERHEAD, varint::Cursor};
use super::{CODEC_MASK, LOG_APPEND_TIME, MessageError, MessageFormat, NO_TIMESTAMP};

/// Where the magic byte stands, counted from the offset of the message.
const MAGIC_AT: usize = LOG_OVERHEAD + CRC_LEN;
const CRC_LEN: usize = 4;

/// A borrowed view of one whole message.
///
/// Its shape has been checked, its checksum has not: ask [`Message::is_crc_valid`] before believing the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// As stated: a producer's are without a meaning, and inside a wrapper they may be relative.
    pub offset: i64,
    /// Its format.
    pub format: MessageFormat,
    /// The raw attribute bits.
    pub attributes: u8,
    /// In ms, or -1 for none, as always in magic 0.
    pub timestamp: i64,
    /// `None` is null.
    pub key: Option<&'a [u8]>,
    /// `None` is null.
    pub value: Option<&'a [u8]>,
    crc: u32,
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first message in `bytes`. What follows it is not looked at.
    ///
    /// # Errors
    /// When it does not end within `bytes`, or its size, magic or fields make no sense.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, MessageError> {
        let (offset, rest) = split::<8>(bytes).ok_or(MessageError::Truncated)?;
        let (size, rest) = split::<4>(rest).ok_or(MessageError::Truncated)?;
        let size = i32::from_be_bytes(size);
        let length = usize::try_from(size).map_err(|_| MessageError::InvalidSize(size))?;
        if length < overhead(MessageFormat::V0) {
            return Err(MessageError::InvalidSize(size));
        }
        let body = rest.get(..length).ok_or(MessageError::Truncated)?;
        let bytes = &bytes[..LOG_OVERHEAD + length];
        let format = match bytes[MAGIC_AT] {
            0 => MessageFormat::V0,
            1 if length < overhead(MessageFormat::V1) => return Err(MessageError::InvalidSize(size)),
            1 => MessageFormat::V1,
            other => return Err(MessageError::UnsupportedMagic(other as i8)),
        };
        let fields = || -> Option<Message<'a>> {
            let mut cursor = Cursor { rest: body };
            let crc = u32::from_be_bytes(array(&mut cursor)?);
            let [_, attributes] = array(&mut cursor)?;
            let timestamp = match format {
                MessageFormat::V0 => NO_TIMESTAMP,
                MessageFormat::V1 => i64::from_be_bytes(array(&mut cursor)?),
            };
            let (key, value) = (nullable(&mut cursor)?, nullable(&mut cursor)?);
            let offset = i64::from_be_bytes(offset);
            cursor.rest.is_empty().then_some(Message { offset, format, attributes, timestamp, key, value, crc, bytes })
        };
        fields().ok_or(MessageError::Invalid("the key and value of a message do not fit its size"))
    }

    /// The size in bytes, with offset and size field.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the stated checksum is that of the bytes after it.
    pub fn is_crc_valid(&self) -> bool {
        self.crc == crc32fast::hash(&self.bytes[MAGIC_AT..])
    }

    /// The number of the codec; 0 unless the message is a wrapper.
    pub fn codec_id(&self) -> u8 {
        self.attributes & CODEC_MASK
    }

    /// Whether the broker has set the timestamp.
    pub fn is_log_append_time(&self) -> bool {
        self.format == MessageFormat::V1 && self.attributes & LOG_APPEND_TIME != 0
    }
}

/// The messages in `bytes`, one after the other, wrappers as they are. The first error is the last item.
pub fn messages(bytes: &[u8]) -> Messages<'_> {
    Messages { rest: bytes }
}

/// The iterator that [`messages`] returns.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = Message::parse(self.rest);
        self.rest = message.as_ref().map_or(&[], |message| &self.rest[message.size_bytes()..]);
        Some(message)
    }
}

impl std::iter::FusedIterator for Messages<'_> {}

/// What a message is made of.
pub(super) struct Fields<'a> {
    pub(super) offset: i64,
    pub(super) attributes: u8,
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

impl Fields<'_> {
    /// Bytes that the message takes in `format`, with offset and size field.
    pub(super) fn size_bytes(&self, format: MessageFormat) -> usize {
        LOG_OVERHEAD + overhead(format) + self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len)
    }

    /// Appends the message.
    pub(super) fn write(&self, format: MessageFormat, out: &mut Vec<u8>) {
        let start = out.len();
        let size = self.size_bytes(format) - LOG_OVERHEAD;
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&length_field(size));
        out.extend_from_slice(&[0; CRC_LEN]);
        out.extend_from_slice(&[format.magic(), self.attributes]);
        if format == MessageFormat::V1 {
            out.extend_from_slice(&self.timestamp.to_be_bytes());
        }
        for field in [self.key, self.value] {
            out.extend_from_slice(&field.map_or((-1_i32).to_be_bytes(), |field| length_field(field.len())));
            out.extend_from_slice(field.unwrap_or_default());
        }
        let crc = crc32fast::hash(&out[start + MAGIC_AT..]);
        out[start + LOG_OVERHEAD..start + MAGIC_AT].copy_from_slice(&crc.to_be_bytes());
    }
}

/// Bytes that the size field counts besides key and value.
const fn overhead(format: MessageFormat) -> usize {
    match format {
        MessageFormat::V0 => CRC_LEN + 1 + 1 + 4 + 4,
        MessageFormat::V1 => CRC_LEN + 1 + 1 + 8 + 4 + 4,
    }
}

fn length_field(length: usize) -> [u8; 4] {
    i32::try_from(length).expect("what is converted has been bounded far below 2 GiB").to_be_bytes()
}

fn split<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk().map(|(taken, rest)| (*taken, rest))
}

fn array<const N: usize>(cursor: &mut Cursor<'_>) -> Option<[u8; N]> {
    cursor.take(N)?.first_chunk().copied()
}

/// Any negative length is null, as for Kafka.
fn nullable<'a>(cursor: &mut Cursor<'a>) -> Option<Option<&'a [u8]>> {
    match usize::try_from(i32::from_be_bytes(array(cursor)?)) {
        Ok(length) => cursor.take(length).map(Some),
        Err(_) => Some(None),
    }
}

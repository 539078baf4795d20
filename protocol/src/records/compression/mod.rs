//! Compressing and decompressing the records of a batch.
//!
//! Decompressing is bounded: the output never takes more than the caller allows, and the memory for it grows with
//! what has been produced, never with what a header promises. Besides the output, a decoder needs no more than some
//! hundred KiB of its own, whatever windows or block sizes the input asks for.

mod gzip;
mod lz4;
mod snappy;
#[cfg(test)]
mod tests;
mod xxh32;
mod zstandard;

use std::fmt;

use super::Codec;

/// Compresses `data` as Kafka's Java clients would read it.
///
/// `level` is that of `compression.<codec>.level` (KIP-390); levels outside a codec's range are taken as the nearest
/// one inside. Snappy has no levels, and LZ4 has one speed here.
pub fn compress(codec: Codec, level: Option<i32>, data: &[u8]) -> Vec<u8> {
    match codec {
        Codec::None => data.to_vec(),
        Codec::Gzip => gzip::compress(level, data),
        Codec::Snappy => snappy::compress(data),
        Codec::Lz4 => lz4::compress(data),
        Codec::Zstd => zstandard::compress(level, data),
    }
}

/// Compresses `data` as LZ4 in messages of magic 0, which [`decompress`] reads as well.
pub(super) fn lz4_with_old_checksum(data: &[u8]) -> Vec<u8> {
    lz4::compress_with_old_checksum(data)
}

/// Decompresses all of `data`, into at most `max_bytes`.
///
/// # Errors
/// [`CodecError::TooLarge`] when there is more output than that, [`CodecError::Corrupt`] when the input is not what
/// `codec` writes, ends early or has a wrong checksum.
pub fn decompress(codec: Codec, data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CodecError> {
    match codec {
        Codec::None if data.len() > max_bytes => Err(CodecError::TooLarge { max_bytes }),
        Codec::None => Ok(data.to_vec()),
        Codec::Gzip => gzip::decompress(data, max_bytes),
        Codec::Snappy => snappy::decompress(data, max_bytes),
        Codec::Lz4 => lz4::decompress(data, max_bytes),
        Codec::Zstd => zstandard::decompress(data, max_bytes),
    }
}

/// Why bytes could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// The output would be larger than the caller allows.
    TooLarge {
        /// What it allows, in bytes.
        max_bytes: usize,
    },
    /// The input is not whole and sound.
    Corrupt(Codec),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecError::TooLarge { max_bytes } => {
                write!(f, "the records take more than {max_bytes} bytes uncompressed")
            }
            CodecError::Corrupt(codec) => write!(f, "the records do not decompress as {}", codec.name()),
        }
    }
}

impl std::error::Error for CodecError {}

/// Makes `out` longer by `additional` zeroed bytes. Capacity doubles as usual, but never passes `max_bytes`.
///
/// The caller has made sure that `additional` fits.
fn grow(out: &mut Vec<u8>, additional: usize, max_bytes: usize) {
    let needed = out.len() + additional;
    debug_assert!(needed <= max_bytes);
    if needed > out.capacity() {
        let capacity = out.capacity().saturating_mul(2).min(max_bytes).max(needed);
        out.reserve_exact(capacity - out.len());
    }
    out.resize(needed, 0);
}

//! Snappy: a raw block, or the framing of the Java library (xerial) that JVM clients send.
//!
//! Framed: a 16-byte header, then blocks of at most 32 KiB before compression, each after its length in four bytes,
//! big endian. Streams may be concatenated, so a header can stand where a length is expected.

use super::{Codec, CodecError, grow};

/// What a framed stream starts with, before its version and the oldest version that can read it.
const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_LEN: usize = 16;
const VERSION: u32 = 1;

/// The Java library's block size.
const BLOCK_BYTES: usize = 32 * 1024;

/// No element of a block yields more: 64 bytes for a copy of three, so 21.4 for each byte.
const MAX_EXPANSION: usize = 22;

pub(super) fn compress(data: &[u8]) -> Vec<u8> {
    let mut encoder = snap::raw::Encoder::new();
    let mut out = Vec::with_capacity(HEADER_LEN + data.len() / 2);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    let mut block = vec![0; snap::raw::max_compress_len(BLOCK_BYTES)];
    for chunk in data.chunks(BLOCK_BYTES) {
        let length = encoder.compress(chunk, &mut block).expect("the buffer has room for the largest block");
        out.extend_from_slice(&(length as u32).to_be_bytes());
        out.extend_from_slice(&block[..length]);
    }
    out
}

pub(super) fn decompress(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    if !data.starts_with(&MAGIC) {
        append_block(&mut out, data, max_bytes)?;
        return Ok(out);
    }
    let mut rest = data;
    while !rest.is_empty() {
        if rest.starts_with(&MAGIC) {
            rest = rest.get(HEADER_LEN..).ok_or(CORRUPT)?;
            continue;
        }
        let length = u32::from_be_bytes(*rest.first_chunk().ok_or(CORRUPT)?);
        let (block, after) = rest[4..].split_at_checked(length as usize).ok_or(CORRUPT)?;
        append_block(&mut out, block, max_bytes)?;
        rest = after;
    }
    Ok(out)
}

const CORRUPT: CodecError = CodecError::Corrupt(Codec::Snappy);

fn append_block(out: &mut Vec<u8>, block: &[u8], max_bytes: usize) -> Result<(), CodecError> {
    let length = snap::raw::decompress_len(block).map_err(|_| CORRUPT)?;
    if length > block.len().saturating_mul(MAX_EXPANSION) {
        return Err(CORRUPT);
    }
    if length > max_bytes - out.len() {
        return Err(CodecError::TooLarge { max_bytes });
    }
    let filled = out.len();
    grow(out, length, max_bytes);
    let written = snap::raw::Decoder::new().decompress(block, &mut out[filled..]).map_err(|_| CORRUPT)?;
    debug_assert_eq!(written, length);
    Ok(())
}

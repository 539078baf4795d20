//! LZ4 frames: written with independent blocks of 64 KiB as Kafka does, read in every form of the format.
//!
//! The frames are taken apart here rather than by lz4_flex because its reader allocates for the block size that a
//! header names, up to 13 MiB for a few bytes of input. Blocks go straight into the output, whose tail serves as the
//! window of linked blocks.

use std::io::Write;

use lz4_flex::block::{DecompressError, decompress_into_with_dict};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::xxh32::xxh32;
use super::{Codec, CodecError, grow};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// How far back a linked block may refer.
const WINDOW_BYTES: usize = 64 * 1024;

/// No block yields more than this many bytes for each of its own.
const MAX_EXPANSION: usize = 255;

/// Set in a block's size when it is stored uncompressed.
const STORED: u32 = 1 << 31;

const CORRUPT: CodecError = CodecError::Corrupt(Codec::Lz4);

pub(super) fn compress(data: &[u8]) -> Vec<u8> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(data.len() / 2));
    encoder.write_all(data).expect("writing into memory does not fail");
    encoder.finish().expect("writing into memory does not fail")
}

/// A frame whose header checksum covers the magic number too, as the readers of Kafka 0.8 and 0.9 expect (KIP-57).
pub(super) fn compress_with_old_checksum(data: &[u8]) -> Vec<u8> {
    let mut frame = compress(data);
    // Magic number, flags and block descriptor: the header says nothing about its content's size.
    const CHECKSUM_AT: usize = 6;
    frame[CHECKSUM_AT] = (xxh32(&frame[..CHECKSUM_AT]) >> 8) as u8;
    frame
}

pub(super) fn decompress(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CodecError> {
    let mut input = Input { rest: data };
    let mut out = Vec::new();
    while !input.rest.is_empty() {
        let frame = Frame::read(&mut input)?;
        append_frame(&mut out, &mut input, &frame, max_bytes)?;
    }
    Ok(out)
}

/// What a frame's header says about its blocks.
struct Frame {
    is_linked: bool,
    has_block_checksums: bool,
    has_content_checksum: bool,
    content_bytes: Option<u64>,
    max_block_bytes: usize,
}

impl Frame {
    fn read(input: &mut Input<'_>) -> Result<Frame, CodecError> {
        let with_magic = input.rest;
        if input.take(4)? != MAGIC {
            return Err(CORRUPT);
        }
        let descriptor = input.rest;
        let [flags, block_descriptor] = input.array()?;
        let has = |bit: u8| flags >> bit & 1 == 1;
        let (version, has_dictionary) = (flags >> 6, has(0));
        let block_size = block_descriptor >> 4 & 7;
        if version != 1 || has_dictionary || block_size < 4 {
            return Err(CORRUPT);
        }
        let content_bytes = if has(3) { Some(u64::from_le_bytes(input.array()?)) } else { None };
        let length = descriptor.len() - input.rest.len();
        let [stated] = input.array()?;
        // Kafka's own writers of the old message format hashed the magic number too.
        let of = |bytes: &[u8]| (xxh32(bytes) >> 8) as u8;
        if stated != of(&descriptor[..length]) && stated != of(&with_magic[..4 + length]) {
            return Err(CORRUPT);
        }
        Ok(Frame {
            is_linked: !has(5),
            has_block_checksums: has(4),
            has_content_checksum: has(2),
            content_bytes,
            max_block_bytes: 1 << (8 + 2 * block_size),
        })
    }
}

fn append_frame(out: &mut Vec<u8>, input: &mut Input<'_>, frame: &Frame, max_bytes: usize) -> Result<(), CodecError> {
    let start = out.len();
    loop {
        let size = u32::from_le_bytes(input.array()?);
        if size == 0 {
            break;
        }
        let block = input.take((size & !STORED) as usize)?;
        if block.len() > frame.max_block_bytes {
            return Err(CORRUPT);
        }
        if frame.has_block_checksums && u32::from_le_bytes(input.array()?) != xxh32(block) {
            return Err(CORRUPT);
        }
        match size & STORED {
            0 => append_compressed(out, block, frame, start, max_bytes)?,
            _ if block.len() > max_bytes - out.len() => return Err(CodecError::TooLarge { max_bytes }),
            _ => {
                let filled = out.len();
                grow(out, block.len(), max_bytes);
                out[filled..].copy_from_slice(block);
            }
        }
    }
    let content = &out[start..];
    if frame.content_bytes.is_some_and(|stated| stated != content.len() as u64) {
        return Err(CORRUPT);
    }
    if frame.has_content_checksum && u32::from_le_bytes(input.array()?) != xxh32(content) {
        return Err(CORRUPT);
    }
    Ok(())
}

/// Appends one compressed block. `start` is where its frame's output starts, before which no block may reach back.
fn append_compressed(
    out: &mut Vec<u8>,
    block: &[u8],
    frame: &Frame,
    start: usize,
    max_bytes: usize,
) -> Result<(), CodecError> {
    let filled = out.len();
    let allowed = max_bytes - filled;
    // Room for what the block can hold, not for what the header allows: clearing 4 MiB for each of many tiny blocks
    // would take minutes.
    let possible = frame.max_block_bytes.min(block.len().saturating_mul(MAX_EXPANSION));
    grow(out, possible.min(allowed), max_bytes);
    let (before, space) = out.split_at_mut(filled);
    let window = match frame.is_linked {
        true => &before[start.max(filled.saturating_sub(WINDOW_BYTES))..],
        false => &[],
    };
    match decompress_into_with_dict(block, space, window) {
        Ok(written) => {
            out.truncate(filled + written);
            Ok(())
        }
        Err(DecompressError::OutputTooSmall { .. }) if allowed < possible => Err(CodecError::TooLarge { max_bytes }),
        Err(_) => Err(CORRUPT),
    }
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CORRUPT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CORRUPT)?;
        self.rest = rest;
        Ok(*taken)
    }
}

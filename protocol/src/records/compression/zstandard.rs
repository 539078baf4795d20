//! Zstandard: frames, decoded straight into the output.
//!
//! A streaming decoder would first allocate the window that a frame's header asks for, up to 128 MiB for a frame of
//! a few bytes. Decoding a whole frame at once needs no window beside its output. Since Java clients do not state the
//! content size, the output is guessed and made larger when it turns out too small.

use std::cell::RefCell;

use zstd::zstd_safe::{self, DCtx};

use super::{Codec, CodecError};

/// What the C library answers when the output does not fit (`ZSTD_error_dstSize_tooSmall`, a stable number).
const DESTINATION_TOO_SMALL: usize = 70;

/// The first guess is this many times the input, or a page when that is more.
const FIRST_GUESS: usize = 4;

/// Each further guess is this many times the last, so all failed attempts together cost at most a third of the last.
const NEXT_GUESS: usize = 4;

thread_local! {
    // A context takes 160 KiB, and making one takes as long as decoding a small batch.
    static CONTEXT: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

pub(super) fn compress(level: Option<i32>, data: &[u8]) -> Vec<u8> {
    let range = zstd::compression_level_range();
    let level = level.map_or(zstd::DEFAULT_COMPRESSION_LEVEL, |level| level.clamp(*range.start(), *range.end()));
    zstd::bulk::compress(data, level).expect("the buffer has room for the largest output, and the level is in range")
}

pub(super) fn decompress(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CodecError> {
    let mut guess = data.len().saturating_mul(FIRST_GUESS).max(4096).min(max_bytes);
    loop {
        let mut out = Vec::with_capacity(guess);
        match CONTEXT.with_borrow_mut(|context| context.decompress(&mut out, data)) {
            // The allocator may have given more than was asked for.
            Ok(length) if length > max_bytes => return Err(CodecError::TooLarge { max_bytes }),
            Ok(_) => return Ok(out),
            Err(code) if !is_too_small(code) => return Err(CodecError::Corrupt(Codec::Zstd)),
            Err(_) if guess == max_bytes => return Err(CodecError::TooLarge { max_bytes }),
            Err(_) => guess = guess.saturating_mul(NEXT_GUESS).min(max_bytes),
        }
    }
}

/// The C library returns errors as negative numbers in an unsigned type.
fn is_too_small(code: zstd_safe::ErrorCode) -> bool {
    0usize.wrapping_sub(code) == DESTINATION_TOO_SMALL
}

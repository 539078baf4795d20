//! Gzip: any number of members, one after the other, as Java's GZIPInputStream reads them.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Codec, CodecError, grow};

/// How much output is made room for at a time.
const CHUNK_BYTES: usize = 16 * 1024;

pub(super) fn compress(level: Option<i32>, data: &[u8]) -> Vec<u8> {
    let level = level.filter(|level| *level > 0).map_or(6, |level| level.min(9));
    let mut encoder = GzEncoder::new(Vec::with_capacity(data.len() / 2), Compression::new(level as u32));
    encoder.write_all(data).expect("writing into memory does not fail");
    encoder.finish().expect("writing into memory does not fail")
}

pub(super) fn decompress(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CodecError> {
    let mut decoder = MultiGzDecoder::new(data);
    let mut out = Vec::new();
    loop {
        let filled = out.len();
        let room = (max_bytes - filled).min(CHUNK_BYTES);
        // With no room left, one byte on the side tells the end of the stream from output that is too long.
        let mut probe = [0];
        let space = match room {
            0 => &mut probe[..],
            _ => {
                grow(&mut out, room, max_bytes);
                &mut out[filled..]
            }
        };
        let read = decoder.read(space).map_err(|_| CodecError::Corrupt(Codec::Gzip))?;
        match (read, room) {
            (0, _) => {
                out.truncate(filled);
                return Ok(out);
            }
            (_, 0) => return Err(CodecError::TooLarge { max_bytes }),
            _ => out.truncate(filled + read),
        }
    }
}

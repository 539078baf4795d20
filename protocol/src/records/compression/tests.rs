use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::*;

const ROOM: usize = 1 << 22;

/// Empty, short, compressible beyond several blocks, and incompressible.
fn samples() -> Vec<Vec<u8>> {
    let text: Vec<u8> = (0..20_000).flat_map(|i| format!("record {i} ").into_bytes()).collect();
    let mut random = fastrand::Rng::with_seed(7);
    let noise = (0..200_000).map(|_| random.u8(..)).collect();
    vec![Vec::new(), b"x".to_vec(), vec![0; 100_000], text, noise]
}

#[test]
fn every_codec_gives_back_what_it_was_given() {
    for codec in Codec::ALL {
        for sample in samples() {
            for level in [None, Some(i32::MIN), Some(-1), Some(0), Some(3), Some(i32::MAX)] {
                if level == Some(i32::MAX) && sample.len() > 100_000 {
                    continue; // the slowest level, on the largest samples
                }
                let packed = compress(codec, level, &sample);
                assert!(decompress(codec, &packed, ROOM) == Ok(sample.clone()), "{codec:?} {level:?} {}", sample.len());
            }
        }
    }
}

#[test]
fn output_may_fill_the_limit_and_not_pass_it() {
    for codec in Codec::ALL {
        for sample in samples() {
            let packed = compress(codec, None, &sample);
            assert_eq!(decompress(codec, &packed, sample.len()).as_ref(), Ok(&sample), "{codec:?}");
            for max_bytes in [0, sample.len() / 2, sample.len().saturating_sub(1)] {
                if max_bytes < sample.len() {
                    assert_eq!(decompress(codec, &packed, max_bytes), Err(CodecError::TooLarge { max_bytes }));
                }
            }
        }
    }
}

#[test]
fn streams_that_end_early_are_corrupt() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = compress(codec, None, &samples()[3][..5_000]);
        for length in 1..packed.len() {
            // Nothing marks the end of framed Snappy, so that its header alone is a whole, empty stream.
            if codec == Codec::Snappy && length == 16 {
                continue;
            }
            assert_eq!(
                decompress(codec, &packed[..length], ROOM),
                Err(CodecError::Corrupt(codec)),
                "{codec:?} {length}"
            );
        }
    }
}

#[test]
fn concatenated_streams_are_one() {
    let (one, two) = (&samples()[3], &samples()[2]);
    let both = [one.as_slice(), two].concat();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = [compress(codec, None, one), compress(codec, None, two)].concat();
        assert!(decompress(codec, &packed, ROOM).as_ref() == Ok(&both), "{codec:?}");
    }
}

#[test]
fn snappy_is_read_raw_and_framed() {
    for sample in samples() {
        let raw = snap::raw::Encoder::new().compress_vec(&sample).unwrap();
        assert!(decompress(Codec::Snappy, &raw, ROOM).as_ref() == Ok(&sample));
        let framed = compress(Codec::Snappy, None, &sample);
        assert_eq!(framed[..16], [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    }
}

#[test]
fn lz4_is_read_in_every_form_of_the_frame() {
    for sample in samples() {
        for bits in 0..16 {
            let has = |bit: u32| bits >> bit & 1 == 1;
            let sizes = [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB];
            for block_size in sizes {
                let info = FrameInfo::new()
                    .block_size(block_size)
                    .block_mode(if has(0) { BlockMode::Linked } else { BlockMode::Independent })
                    .block_checksums(has(1))
                    .content_checksum(has(2))
                    .content_size(has(3).then_some(sample.len() as u64));
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&sample).unwrap();
                let packed = encoder.finish().unwrap();
                assert!(decompress(Codec::Lz4, &packed, ROOM).as_ref() == Ok(&sample), "{bits:04b}");
            }
        }
    }
}

#[test]
fn lz4_checksums_are_checked() {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_checksums(true).content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(b"a few bytes that do not repeat").unwrap();
    let packed = encoder.finish().unwrap();
    assert!(decompress(Codec::Lz4, &packed, ROOM).is_ok());
    for at in 0..packed.len() {
        let mut changed = packed.clone();
        changed[at] ^= 1;
        assert_eq!(decompress(Codec::Lz4, &changed, ROOM), Err(CodecError::Corrupt(Codec::Lz4)), "{at}");
    }
}

#[test]
fn lz4_headers_may_be_hashed_with_their_magic() {
    let mut packed = compress(Codec::Lz4, None, b"from a producer of the old message format");
    let proper = packed[6];
    packed[6] = (xxh32::xxh32(&packed[..6]) >> 8) as u8;
    assert_ne!(packed[6], proper);
    assert!(decompress(Codec::Lz4, &packed, ROOM).is_ok());
    packed[6] ^= 1;
    assert_eq!(decompress(Codec::Lz4, &packed, ROOM), Err(CodecError::Corrupt(Codec::Lz4)));
}

#[test]
fn zstd_is_read_without_a_content_size() {
    for sample in samples() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.write_all(&sample).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(decompress(Codec::Zstd, &packed, ROOM).as_ref() == Ok(&sample));
        if !sample.is_empty() {
            let max_bytes = sample.len() - 1;
            assert_eq!(decompress(Codec::Zstd, &packed, max_bytes), Err(CodecError::TooLarge { max_bytes }));
        }
    }
}

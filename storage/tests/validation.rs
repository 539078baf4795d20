//! What is let into a log, and in which form.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod rig;

use bytes::{Bytes, BytesMut};
use protocol::records::{Batch, BatchBuilder, Codec, TimestampType, batches, patch};
use rig::{RigDisk, append, config, open_one, plain, read_all, tempdir};
use storage::{AppendError, AppendOrigin, LogConfig, PartitionLog};

fn log_with(config: LogConfig, test: impl FnOnce(&PartitionLog)) {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config);
    test(&log);
}

/// Appends what must not be let in; the log stays as it was.
fn refuse(log: &PartitionLog, batch: impl Into<Bytes>) -> AppendError {
    let before = (log.log_end_offset(), log.size_bytes());
    let refused = append(log, batch.into()).unwrap_err();
    assert_eq!((log.log_end_offset(), log.size_bytes()), before);
    refused
}

fn changed(batch: &Bytes, change: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::from(&batch[..]);
    change(&mut bytes);
    bytes.freeze()
}

#[test]
fn a_topics_codec_replaces_the_producers() {
    for codec in Codec::ALL {
        log_with(LogConfig { compression: Some((codec, None)), ..config() }, |log| {
            for sent_as in Codec::ALL {
                let mut builder = BatchBuilder::new(0).codec(sent_as, None);
                for i in 0..3 {
                    builder.append(100 + i, Some(b"key"), Some(&[b'v'; 100]), &[]);
                }
                append(log, builder.build().freeze()).unwrap();
            }
            let stored = read_all(log, 0);
            let mut offset = 0;
            for batch in batches(&stored).map(Result::unwrap) {
                assert_eq!((batch.codec(), batch.base_offset(), batch.record_count()), (codec, offset, 3));
                let records = batch.records(1 << 20).unwrap();
                for record in records.iter().map(Result::unwrap) {
                    assert_eq!((record.offset, record.value), (offset, Some(&[b'v'; 100][..])));
                    offset += 1;
                }
            }
            assert_eq!(offset, 15);
        });
    }
}

#[test]
fn compacted_topics_want_keys() {
    log_with(LogConfig { compact: true, ..config() }, |log| {
        for codec in Codec::ALL {
            let mut builder = BatchBuilder::new(0).codec(codec, None);
            for key in [Some(&b"k"[..]), None, Some(b"k"), None] {
                builder.append(0, key, Some(b"v"), &[]);
            }
            let refused = refuse(log, builder.build());
            assert!(matches!(refused, AppendError::InvalidRecord { records, .. } if records == [1, 3]));
        }
    });
}

#[test]
fn times_too_far_away_are_refused() {
    let limited = LogConfig { timestamp_before_max_ms: Some(300), timestamp_after_max_ms: Some(500), ..config() };
    log_with(limited.clone(), |log| {
        // The clock stands at 1,000.
        for refused in [699, 1_501] {
            assert!(matches!(refuse(log, plain(1, refused, b"v")), AppendError::InvalidTimestamp(_)));
        }
        for taken in [700, 1_500, -1] {
            append(log, plain(1, taken, b"v")).unwrap();
        }
    });
    let by_broker = LogConfig { timestamp_type: TimestampType::LogAppendTime, ..limited };
    log_with(by_broker, |log| assert!(append(log, plain(1, 77_777, b"v")).is_ok()));
}

#[test]
fn what_is_no_batch_of_a_producer_is_refused() {
    log_with(LogConfig { max_message_bytes: 1_000, segment_bytes: 2_000, ..config() }, |log| {
        let good = plain(2, 0, b"v");
        assert!(matches!(refuse(log, good.slice(..good.len() - 1)), AppendError::Corrupt(_)));
        assert!(matches!(refuse(log, changed(&good, |bytes| bytes[65] ^= 1)), AppendError::Corrupt(_)));
        assert!(matches!(refuse(log, [&good[..], &good[..]].concat()), AppendError::InvalidRecord { .. }));
        let moved = changed(&good, |bytes| patch::set_base_offset(bytes, 5));
        assert!(matches!(refuse(log, moved), AppendError::InvalidRecord { .. }));
        assert!(matches!(refuse(log, plain(1, 0, &[0; 2_000])), AppendError::TooLarge { limit: 1_000, .. }));
        let control = BatchBuilder::new(0).producer(1, 0, 0).control();
        assert!(matches!(refuse(log, control.build()), AppendError::InvalidRecord { .. }));
        assert!(matches!(refuse(log, BatchBuilder::new(0).build()), AppendError::InvalidRecord { .. }));
        let stamped = changed(&good, |bytes| patch::set_log_append_time(bytes, 5));
        assert!(matches!(refuse(log, stamped), AppendError::InvalidTimestamp(_)));
        let no_sequence = {
            let mut builder = BatchBuilder::new(0).producer(1, 0, -1);
            builder.append(0, None, None, &[]);
            builder.build()
        };
        assert!(matches!(refuse(log, no_sequence), AppendError::InvalidRecord { .. }));
        append(log, good).unwrap();
    });
}

#[test]
fn a_coordinators_batch_is_limited_by_the_segment_alone() {
    log_with(LogConfig { max_message_bytes: 100, segment_bytes: 2_000, ..config() }, |log| {
        let coordinators = |size| {
            let batch = plain(1, 0, &vec![0; size]);
            log.append_as_leader(batch, 0, AppendOrigin::Coordinator, 1_000)
        };
        coordinators(1_000).unwrap();
        assert!(matches!(coordinators(2_000), Err(AppendError::LargerThanSegment { limit: 2_000, .. })));
    });
}

#[test]
fn a_wrong_largest_timestamp_is_put_right() {
    log_with(config(), |log| {
        let mut builder = BatchBuilder::new(0);
        [50, 90, 70].into_iter().for_each(|time| builder.append(time, None, Some(b"v"), &[]));
        let lying = changed(&builder.build().freeze(), |bytes| patch::set_max_timestamp(bytes, 9_999));
        append(log, lying).unwrap();
        let stored = read_all(log, 0);
        assert_eq!(Batch::parse(&stored).unwrap().max_timestamp(), 90);
        assert_eq!(log.offset_of_max_timestamp().unwrap(), Some((1, 90)));
    });
}

#[test]
fn compressed_rubbish_stops_no_lookup() {
    log_with(config(), |log| {
        let mut builder = BatchBuilder::new(0).codec(Codec::Zstd, None);
        builder.append(500, None, Some(b"value"), &[]);
        // A producer may send what does not unpack, under a right checksum.
        let rubbish = changed(&builder.build().freeze(), |bytes| {
            bytes[61..].fill(7);
            patch::set_max_timestamp(bytes, 500);
        });
        append(log, plain(1, 100, b"v")).unwrap();
        append(log, rubbish).unwrap();
        append(log, plain(1, 900, b"v")).unwrap();
        assert_eq!(log.offset_for_timestamp(800).unwrap(), Some((2, 900)));
        assert_eq!(log.offset_for_timestamp(200).unwrap(), Some((1, 500)));
        assert_eq!(log.offset_of_max_timestamp().unwrap(), Some((2, 900)));
    });
}

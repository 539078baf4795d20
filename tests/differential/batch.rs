//! Record batches, whole and broken.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use protocol::records::{BatchBuilder, Codec};

/// Milliseconds of the first record: a minute ago, the same for both brokers.
pub(crate) static START_MS: LazyLock<i64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    now.as_millis() as i64 - 60_000
});

pub(crate) const CRC_AT: usize = 17;
pub(crate) const ATTRIBUTES_AT: usize = 21;

/// A batch of `count` records with keys, a millisecond apart.
pub(crate) fn plain(count: i64) -> Bytes {
    records(BatchBuilder::new(0), 0..count)
}

pub(crate) fn at(timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    builder.append(timestamp, Some(b"key"), Some(b"value"), &[]);
    builder.build().freeze()
}

pub(crate) fn compressed(codec: Codec) -> Bytes {
    records(BatchBuilder::new(0).codec(codec, None), 0..3)
}

pub(crate) fn without_key() -> Bytes {
    let mut builder = BatchBuilder::new(0);
    builder.append(*START_MS, Some(b"key"), Some(b"value"), &[]);
    builder.append(*START_MS, None, Some(b"value"), &[]);
    builder.append(*START_MS, None, Some(b"value"), &[]);
    builder.build().freeze()
}

pub(crate) fn of_size(value_bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    builder.append(*START_MS, Some(b"key"), Some(&vec![7; value_bytes]), &[]);
    builder.build().freeze()
}

/// An idempotent producer's batch.
pub(crate) fn sequenced(producer_id: i64, epoch: i16, sequence: i32, count: i64) -> Bytes {
    records(BatchBuilder::new(0).producer(producer_id, epoch, sequence), 0..count)
}

pub(crate) fn records(mut builder: BatchBuilder, which: std::ops::Range<i64>) -> Bytes {
    for number in which {
        let (key, value) = (format!("key {number}"), format!("value {number}"));
        builder.append(*START_MS + number, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    builder.build().freeze()
}

/// A batch with other bytes at a place; the checksum is made right again where it covers them.
pub(crate) fn patched(batch: Bytes, at: usize, bytes: &[u8]) -> Bytes {
    let mut batch = BytesMut::from(batch);
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    if at >= ATTRIBUTES_AT {
        let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
        batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    }
    batch.freeze()
}

//! Values that say what they are: whose, which, and which part of which batch.

/// A batch of a writer. Its records are all there or none is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BatchId {
    pub(crate) writer: u32,
    /// Counts up per writer and partition, in the order of sending.
    pub(crate) number: u32,
}

/// The largest padding, bytes: with it, a segment of 1 MiB is full after some hundred batches.
const PADDING_MAX: usize = 3000;

/// The value of record `index` of a batch of `count`. Nothing in it compresses well.
pub(crate) fn value(batch: BatchId, count: u32, index: u32) -> Vec<u8> {
    let BatchId { writer, number } = batch;
    let mut value = format!("{writer}/{number}/{count}/{index}/").into_bytes();
    value.extend(noise(u64::from(writer) << 48 | u64::from(number) << 16 | u64::from(index), PADDING_MAX));
    value
}

/// The bytes of a seed, fewer than `length_max`.
pub(crate) fn noise(seed: u64, length_max: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let length = random.usize(..length_max);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// Batch, count and index of a value; `None` when not every byte is as [`value`] made it.
pub(crate) fn parse(bytes: &[u8]) -> Option<(BatchId, u32, u32)> {
    let mut parts = bytes.splitn(5, |byte| *byte == b'/');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u32>().ok();
    let (writer, batch, count, index) = (number()?, number()?, number()?, number()?);
    let id = BatchId { writer, number: batch };
    (value(id, count, index) == bytes).then_some((id, count, index))
}

//! The message formats of Kafka 0.8 to 0.10, for clients that know no other: converted where they come in and go out,
//! as logs hold record batches alone.
//!
//! Converting takes a processor, and memory for what is unpacked. So it is done on threads that may block, a few at a
//! time, and what is made for consumers counts against a budget until it has been written to the socket.

mod fetch;
mod produce;

use std::sync::Arc;

use bytes::Bytes;
use protocol::records::legacy::MessageFormat;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};

use crate::config::Limits;

pub(crate) use fetch::OldFetch;

/// The budget counts in units of this many bytes.
const UNIT_BYTES: usize = 1024;
/// How many answers of the largest size there may be at a time.
const ANSWERS: usize = 4;
/// What the records of one batch or message set may take while they are converted, however much memory there is: what
/// storage allows, too.
const MAX_UNCOMPRESSED_BYTES: usize = 128 << 20;
/// With less memory than this, one conversion runs at a time, else two.
const TWO_THREADS_FROM_BYTES: u64 = 256 << 20;

/// The first versions that carry record batches and nothing else.
const FIRST_BATCH_PRODUCE_VERSION: i16 = 3;
const FIRST_BATCH_FETCH_VERSION: i16 = 4;
/// The first version of Fetch whose messages have timestamps.
const FIRST_V1_FETCH_VERSION: i16 = 2;

/// Whether a producer of this version may send message sets.
pub(crate) fn may_produce_sets(version: i16) -> bool {
    version < FIRST_BATCH_PRODUCE_VERSION
}

/// What a consumer of this version reads, if not record batches.
pub(crate) fn fetched_format(version: i16) -> Option<MessageFormat> {
    match version {
        FIRST_BATCH_FETCH_VERSION.. => None,
        FIRST_V1_FETCH_VERSION.. => Some(MessageFormat::V1),
        _ => Some(MessageFormat::V0),
    }
}

/// What all conversions of a broker share.
pub(crate) struct Conversions {
    threads: Arc<Semaphore>,
    budget: Arc<Semaphore>,
    budget_units: usize,
    max_uncompressed_bytes: usize,
}

impl Conversions {
    pub(crate) fn new(limits: &Limits) -> Conversions {
        let threads = if limits.memory_bytes < TWO_THREADS_FROM_BYTES { 1 } else { 2 };
        let budget_units = (limits.conversion_bytes / UNIT_BYTES).clamp(ANSWERS, Semaphore::MAX_PERMITS);
        Conversions {
            threads: Arc::new(Semaphore::new(threads)),
            budget: Arc::new(Semaphore::new(budget_units)),
            budget_units,
            max_uncompressed_bytes: limits.conversion_bytes.min(MAX_UNCOMPRESSED_BYTES),
        }
    }

    /// Runs `work` on a thread that may block, when one is free. Whoever waits is served in order.
    ///
    /// # Errors
    /// When `work` panicked, or the runtime stops.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let permit = Arc::clone(&self.threads).acquire_owned().await.expect("it is never closed");
        spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await
    }

    /// Room for an answer of up to `wanted_bytes`, or what one answer may take. Waits until earlier answers have left;
    /// a peer that does not read its own is hung up on after a while.
    async fn room(&self, wanted_bytes: usize) -> Room {
        let units = wanted_bytes.div_ceil(UNIT_BYTES).clamp(1, self.budget_units / ANSWERS);
        let permits = u32::try_from(units).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.budget).acquire_many_owned(permits).await.expect("it is never closed");
        Room { bytes: units * UNIT_BYTES, permit }
    }
}

/// A share of the budget.
struct Room {
    bytes: usize,
    permit: OwnedSemaphorePermit,
}

impl Room {
    /// The bytes of a message set, which hold as much of the room as they take until the last reference to them is gone.
    fn occupy(&mut self, set: Vec<u8>) -> Bytes {
        let units = set.capacity().div_ceil(UNIT_BYTES).min(self.permit.num_permits());
        match self.permit.split(units) {
            Some(permit) => Bytes::from_owner(Occupied { set, _permit: permit }),
            None => Bytes::from(set),
        }
    }
}

struct Occupied {
    set: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Occupied {
    fn as_ref(&self) -> &[u8] {
        &self.set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversions(conversion_bytes: usize) -> Conversions {
        let limits = Limits {
            memory_bytes: 64 << 20,
            request_bytes: 0,
            answer_bytes: 0,
            tail_cache_bytes: 0,
            mapped_window_bytes: 0,
            groups: 0,
            transactional_ids: 0,
            conversion_bytes,
            client_series_bytes: 0,
            push_bytes: 0,
        };
        Conversions::new(&limits)
    }

    #[tokio::test]
    async fn an_answer_holds_what_it_takes_until_it_is_gone() {
        let conversions = conversions(64 << 10);
        let mut room = conversions.room(1 << 30).await;
        assert_eq!(room.bytes, 16 << 10);
        let mut set = Vec::with_capacity(3 << 10);
        set.extend_from_slice(b"messages");
        let bytes = room.occupy(set);
        drop(room);
        assert_eq!(&bytes[..], b"messages");
        assert_eq!(conversions.budget.available_permits(), 61);
        let slice = bytes.slice(3..);
        drop(bytes);
        assert_eq!(conversions.budget.available_permits(), 61);
        drop(slice);
        assert_eq!(conversions.budget.available_permits(), 64);
    }

    #[test]
    fn formats_follow_the_version() {
        assert_eq!(
            (0..5).map(fetched_format).collect::<Vec<_>>(),
            [Some(MessageFormat::V0), Some(MessageFormat::V0), Some(MessageFormat::V1), Some(MessageFormat::V1), None]
        );
        assert!(may_produce_sets(2) && !may_produce_sets(3));
    }
}

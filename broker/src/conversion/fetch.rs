//! Batches become message sets for old consumers.
//!
//! Below Fetch v3 a request limits each partition and not the whole, and Kafka cut off a first message that is too
//! large, so that the consumer asks again for more or gives up. Here such a message is sent whole: every client reads it.

use std::sync::Arc;

use protocol::ErrorCode;
use protocol::records::legacy::{DownConversion, DownError, MessageFormat, down_convert};
use protocol::records::{BatchError, CodecError};
use storage::ReadError;
use tracing::warn;

use super::Conversions;
use crate::error::read_code;
use crate::fetch_session::Wanted;
use crate::handlers::fetch::Found;
use crate::partition::{Flow, Partition, Slice};

/// From this version on the whole answer has a limit, and one message is enough to pass it (KIP-74).
const FIRST_LIMITED_VERSION: i16 = 3;

/// How an old consumer reads.
#[derive(Clone, Copy)]
pub(crate) struct OldFetch {
    pub(crate) version: i16,
    pub(crate) format: MessageFormat,
    /// Bytes in all partitions together.
    pub(crate) total_bytes: usize,
}

impl Conversions {
    /// Reads each wanted partition in order, as message sets, until the limit is reached.
    pub(crate) async fn read_sets(&self, wanted: &[Wanted], resolved: Vec<Found>, fetch: OldFetch) -> Vec<Found> {
        let reading = Reading { fetch, max_uncompressed_bytes: self.max_uncompressed_bytes };
        let idle = wanted.iter().zip(&resolved).all(|(wanted, found)| {
            found.partition.as_ref().is_none_or(|partition| wanted.fetch_offset == partition.high_watermark())
        });
        if idle {
            return wanted.iter().zip(resolved).map(|(wanted, found)| nothing(wanted, found)).collect();
        }
        let asked = wanted.iter().map(|wanted| usize::try_from(wanted.max_bytes).unwrap_or(0)).sum::<usize>();
        let mut room = self.room(asked.min(fetch.total_bytes)).await;
        let (owned, count) = (wanted.to_vec(), wanted.len());
        let read = self.run(move || {
            let mut left = room.bytes.min(fetch.total_bytes);
            let mut nothing_yet = true;
            let mut found = Vec::with_capacity(owned.len());
            for (wanted, resolved) in owned.iter().zip(resolved) {
                let one = match resolved.partition {
                    Some(partition) => {
                        let at_least_one = left > 0 && (nothing_yet || fetch.version < FIRST_LIMITED_VERSION);
                        let set = reading.read_one(wanted, &partition, left, at_least_one);
                        if let Ok(set) = &set {
                            left = left.saturating_sub(set.len());
                            nothing_yet &= set.is_empty();
                        }
                        answer(partition, set.map(|set| room.occupy(set)))
                    }
                    None => resolved,
                };
                found.push(one);
            }
            found
        });
        let read = read.await;
        read.unwrap_or_else(|_| (0..count).map(|_| absent(ErrorCode::KAFKA_STORAGE_ERROR)).collect())
    }
}

/// What a partition gives a reader that stands at its end.
fn nothing(wanted: &Wanted, resolved: Found) -> Found {
    match resolved.partition {
        // Read all the same: meanwhile the offset may be none of the log's.
        Some(partition) => {
            let read = partition.log().read(wanted.fetch_offset, 0, wanted.fetch_offset, false);
            let read = read.map_err(|error| code_of(&partition, &error));
            answer(partition, read.map(|_| bytes::Bytes::new()))
        }
        None => resolved,
    }
}

fn absent(error_code: ErrorCode) -> Found {
    let slice = Slice { high_watermark: -1, log_start_offset: -1, ..Default::default() };
    Found { partition: None, error_code, slice }
}

fn answer(partition: Arc<Partition>, set: Result<bytes::Bytes, ErrorCode>) -> Found {
    match set {
        Ok(set) => {
            let slice = Slice {
                records: set.into(),
                high_watermark: partition.high_watermark(),
                log_start_offset: partition.log_start_offset(),
                ..Default::default()
            };
            Found { partition: Some(partition), error_code: ErrorCode::NONE, slice }
        }
        Err(error_code) => Found { partition: Some(partition), ..absent(error_code) },
    }
}

#[derive(Clone, Copy)]
struct Reading {
    fetch: OldFetch,
    max_uncompressed_bytes: usize,
}

impl Reading {
    /// The messages from the wanted offset on. Markers of transactions, of which there may be many in a row, are passed
    /// over: a consumer that is given nothing stays where it is.
    fn read_one(
        &self,
        wanted: &Wanted,
        partition: &Partition,
        left: usize,
        at_least_one: bool,
    ) -> Result<Vec<u8>, ErrorCode> {
        let conversion = DownConversion {
            format: self.fetch.format,
            first_offset: wanted.fetch_offset,
            max_bytes: usize::try_from(wanted.max_bytes).unwrap_or(0).min(left),
            at_least_one,
            max_uncompressed_bytes: self.max_uncompressed_bytes,
        };
        let high_watermark = partition.high_watermark();
        let (mut set, mut offset, mut records) = (Vec::new(), wanted.fetch_offset, 0);
        'read: loop {
            let room = conversion.max_bytes.saturating_sub(set.len());
            // A batch may be larger than what is left, and its first messages not.
            let one_batch = room > 0 || (at_least_one && set.is_empty());
            let chunks = match partition.log().read(offset, room, high_watermark, one_batch) {
                Ok(read) => read.records,
                Err(_) if !set.is_empty() => break,
                Err(error) => return Err(code_of(partition, &error)),
            };
            let before = offset;
            for chunk in chunks.chunks() {
                let converted = match down_convert(chunk, &conversion, &mut set) {
                    Ok(converted) => converted,
                    Err(error) => return Err(refused(partition, &error)),
                };
                records += converted.record_count;
                offset = converted.next_offset.unwrap_or(offset);
                if converted.is_full {
                    break 'read;
                }
            }
            if offset <= before {
                break;
            }
        }
        partition.traffic().count(Flow::FetchConversions, records as u64);
        Ok(set)
    }
}

fn code_of(partition: &Partition, error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        error => read_code(partition, error),
    }
}

fn refused(partition: &Partition, error: &DownError) -> ErrorCode {
    warn!(%partition, %error, "records cannot be converted for an old consumer; upgrade the consumer to 0.11 or newer, or set compression.type of the topic to another codec");
    match error {
        DownError::Zstd => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        DownError::Batch(BatchError::Compression(CodecError::TooLarge { .. })) => ErrorCode::MESSAGE_TOO_LARGE,
        DownError::Batch(_) => ErrorCode::CORRUPT_MESSAGE,
    }
}

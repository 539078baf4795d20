//! Message sets from old producers become batches.

use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::records::CodecError;
use protocol::records::legacy::{MessageError, UpLimits, up_convert};
use tracing::warn;

use super::Conversions;
use crate::error::AppendFailure;
use crate::partition::{Flow, Partition};

/// Where a batch of format 2 has its magic byte, as messages do.
const MAGIC_AT: usize = 16;

/// What a set has become: a batch, or nothing if it had no messages.
pub(crate) type Converted = Result<Option<Bytes>, AppendFailure>;

impl Conversions {
    /// Makes one batch of each partition's message set. What is a batch already stays as it is: old versions of Produce
    /// may carry one.
    pub(crate) async fn to_batches(&self, sets: Vec<(Arc<Partition>, Bytes)>) -> Vec<Converted> {
        let (count, max_uncompressed_bytes) = (sets.len(), self.max_uncompressed_bytes);
        let convert = move |(partition, set): (Arc<Partition>, Bytes)| {
            let size_bytes = set.len();
            convert(&partition, set, max_uncompressed_bytes).map_err(|error| {
                partition.traffic().count(Flow::ProduceRequests, 1);
                partition.traffic().count(Flow::FailedProduceRequests, 1);
                partition.traffic().count(Flow::BytesRejected, size_bytes as u64);
                warn!(%partition, %error, "messages of an old producer refused; check the producer and the network between");
                AppendFailure::new(code(&error), error.to_string())
            })
        };
        let converted = self.run(move || sets.into_iter().map(convert).collect()).await;
        // Only a stopping runtime cancels a blocking task.
        converted.unwrap_or_else(|_| {
            (0..count).map(|_| Err(AppendFailure::code(ErrorCode::NOT_LEADER_OR_FOLLOWER))).collect()
        })
    }
}

fn convert(partition: &Partition, set: Bytes, max_uncompressed_bytes: usize) -> Result<Option<Bytes>, MessageError> {
    if set.get(MAGIC_AT) == Some(&2) {
        return Ok(Some(set));
    }
    let config = partition.log().config();
    let max_message_bytes = config.max_message_bytes;
    let limits = UpLimits { max_message_bytes, max_uncompressed_bytes };
    let Some(converted) = up_convert(&set, config.compression, limits)? else { return Ok(None) };
    let size_bytes = converted.batch.len();
    if size_bytes > max_message_bytes {
        return Err(MessageError::TooLarge { size_bytes, max_bytes: max_message_bytes });
    }
    partition.traffic().count(Flow::ProduceConversions, converted.record_count as u64);
    Ok(Some(converted.batch.freeze()))
}

fn code(error: &MessageError) -> ErrorCode {
    match error {
        MessageError::TooLarge { .. } | MessageError::Compression(CodecError::TooLarge { .. }) => {
            ErrorCode::MESSAGE_TOO_LARGE
        }
        MessageError::InvalidTimestamp(_) => ErrorCode::INVALID_TIMESTAMP,
        MessageError::Invalid(_) => ErrorCode::INVALID_RECORD,
        MessageError::Truncated
        | MessageError::InvalidSize(_)
        | MessageError::UnsupportedMagic(_)
        | MessageError::Checksum
        | MessageError::Compression(CodecError::Corrupt(_)) => ErrorCode::CORRUPT_MESSAGE,
    }
}

//! Record batches: what producers send, logs keep and consumers get, byte for byte.
//!
//! [`Batch`] is a view of one whole batch where it lies; [`batches`] walks a run of them. [`patch`] rewrites the
//! fields a broker owns, in place; [`BatchBuilder`] makes batches from records. All of them know the format of Kafka
//! 0.11 and later (magic 2, KIP-98); [`legacy`] converts those before it.
//!
//! Parsing a batch looks at its header and nothing else, since a broker moves batches without looking inside. Whoever
//! does look inside says how many bytes the records may take once decompressed, and gets an error instead of more.

mod attributes;
mod batch;
mod builder;
mod compression;
mod control;
pub mod legacy;
pub mod patch;
mod record;
mod shape;
mod varint;

pub use attributes::{Codec, TimestampType};
pub use batch::{Batch, BatchError, Batches, batches};
pub use builder::{BatchBuilder, OffsetOutOfOrder};
pub use compression::{CodecError, compress, decompress};
pub use control::{ControlType, EndTxnMarker, MarkerPosition, control_batch};
pub use record::{Header, Headers, Record, RecordIter, RecordSet};
pub use shape::{NULL_KEYS_REPORTED, RecordsSummary, validate_records};

/// Bytes before the first record: the whole header of a batch.
pub const HEADER_LEN: usize = 61;

/// Bytes that a batch's own length field does not count: its base offset and that field.
pub const LOG_OVERHEAD: usize = 12;

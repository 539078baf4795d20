//! THE WIRE: bytes to values and back.
//!
//! What Kafka's clients and brokers say to each other: frames and headers, every message in every released version,
//! error codes, record batches and their codecs, and the records that coordinators keep in internal topics.
//!
//! Nothing here does I/O, reads a clock or knows what a broker decides. Decoding is total: any bytes give a value or
//! an error, never a panic, and never an allocation much larger than the bytes that were given.
//!
//! Start at `api.rs`, where messages are declared; `messages/` has a file per API, `internal/` what coordinators keep,
//! `records/` the batches.

pub mod api;
mod chunks;
mod error_code;
pub mod field;
#[cfg(feature = "arbitrary")]
pub mod fill;
pub mod frame;
pub mod internal;
pub mod messages;
pub mod records;
mod uuid;
pub mod wire;

pub use error_code::ErrorCode;
pub use uuid::{InvalidUuid, Uuid};

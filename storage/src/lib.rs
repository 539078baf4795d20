//! THE DISK: partition logs in Kafka's layout and formats.
//!
//! Segments with their indexes, compaction, leader epochs, producers and their
//! transactions, checkpoints, recovery after a crash. Synchronous:
//! callers decide on which thread a disk may block. It knows batches of records and files, and neither sockets nor who
//! leads what.
//!
//! Start at `log.rs`; `recovery.rs` says what a crash costs, `disk.rs` is the only door to the file system,
//! `files.rs` what everybody does with whole files.

mod append;
mod checkpoint;
mod cleaner;
mod committed;
mod config;
mod disk;
mod epochs;
mod error;
pub mod files;
mod index;
mod log;
mod log_dir;
mod log_dir_state;
mod lookup;
mod map;
mod new_names;
mod partition_metadata;
mod producers;
mod recovery;
mod recovery_segment;
mod restart;
mod retention;
mod scan;
mod segment;
mod sendable;
mod tail_cache;
mod transactions;
mod txn_index;
mod validate;
mod window;

pub use cleaner::{Cleanable, Compacted, Pace};
pub use config::{LogConfig, SharedLimits};
pub use disk::{Disk, DiskFile, OsDisk};
pub use error::{AppendError, ReadError, StorageError};
pub use log::{Appended, PartitionLog, ReadBatches};
pub use log_dir::{FoundPartition, LogDir, TopicPartition};
pub use log_dir_state::{LogDirState, OfflineReason};
pub use producers::{Applicant, ProducerState, TransactionCheck, Verification, VerificationGuard};
pub use retention::ClosedSegment;
pub use sendable::{FilePart, file_behind};
pub use transactions::{AbortedTransaction, TxnMarker};
pub use validate::AppendOrigin;

//! The write-ahead log: votes, entries, and what happened to them, in one serial order on disk.
//!
//! openraft needs votes and entries to become durable in the order it wrote them. So there is one series of files,
//! `wal-<number>.log`, each a list of records (`record.rs`), and one thread that writes and flushes (`writer.rs`).
//! Where each entry lies, and the entries that were written last, are kept in memory (`ledger.rs`). A file goes away
//! when every entry in it was purged, so each file begins with what must outlive the files before it. `recovery.rs`
//! reads it all back; `store.rs` is what openraft sees.

mod ledger;
mod record;
mod recovery;
mod store;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use store::WalStore;
#[cfg(test)]
pub(crate) use writer::WriterThread;

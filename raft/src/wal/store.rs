//! What openraft sees of the log.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use storage::{Disk, DiskFile};
use tokio::sync::oneshot;

use super::ledger::{FILE_BYTES_MAX, Found, Ledger, Plan, Position};
use super::writer::{self, Done, Job, Writer, WriterThread};
use super::{record, recovery};
use crate::error::RaftError;
use crate::frame;
use crate::types::{Entry, Failure, LogId, TypeConfig, Vote, read_failed, write_failed};

/// One read hands out no more than this, in bytes as they are on disk, unless a single entry is larger.
const READ_BYTES_MAX: usize = 8 << 20;

/// The log. Clones are the same log.
#[derive(Clone)]
pub(crate) struct WalStore {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    ledger: Arc<Mutex<Ledger>>,
    writer: Writer,
}

impl WalStore {
    /// Opens the log in `dir`, or begins one there. Blocks while it reads.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<WalStore, RaftError> {
        let (store, writer) = WalStore::recover(disk, dir, FILE_BYTES_MAX)?;
        writer.spawn().map_err(RaftError::io("start the writer of", &store.dir))?;
        Ok(store)
    }

    /// The log, and what writes it when it is run. A new file is begun when one would grow beyond `file_bytes_max`.
    pub(crate) fn recover(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        file_bytes_max: u64,
    ) -> Result<(WalStore, WriterThread), RaftError> {
        let recovered = recovery::recover(&*disk, &dir, file_bytes_max)?;
        if recovered.cut_bytes > 0 {
            tracing::warn!(
                bytes = recovered.cut_bytes,
                dir = %dir.display(),
                "cut the unfinished end off the metadata log: the last stop was not a clean one"
            );
        }
        let written_end = recovered.ledger.next_index().unwrap_or(0);
        let (writer, thread) = Writer::new(Arc::clone(&disk), dir.clone(), recovered.active, written_end);
        let ledger = Arc::new(Mutex::new(recovered.ledger));
        Ok((WalStore { disk, dir: dir.into(), ledger, writer }, thread))
    }

    /// The last entry that was purged: a snapshot must reach at least as far.
    pub(crate) fn purged(&self) -> Option<LogId> {
        self.ledger().purged
    }

    /// Writes what is only in memory. After it, the store is not written to again.
    pub(crate) async fn flush(&self) -> io::Result<()> {
        let plan = self.ledger().flush_committed();
        self.write(plan).await
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing panics while holding it; if something did, the process is gone: panics abort.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, plan: Plan) -> io::Result<()> {
        let (reply, done) = oneshot::channel();
        self.writer.send(Job { plan, last_index: None, done: Done::Reply(reply) }).await?;
        done.await.unwrap_or_else(|_| Err(io::Error::other("the metadata log is closed")))
    }

    async fn read(&self, start: u64, end: u64, bytes_max: usize) -> Result<Vec<Entry>, Failure> {
        let found = self.ledger().find(start, end, bytes_max);
        if found.iter().all(|found| matches!(found, Found::Cached(_))) {
            return load(&*self.disk, &self.dir, found).map_err(read_failed);
        }
        let (disk, dir) = (Arc::clone(&self.disk), Arc::clone(&self.dir));
        tokio::task::spawn_blocking(move || load(&*disk, &dir, found)).await.map_err(read_failed)?.map_err(read_failed)
    }
}

/// Fetches what was found. Blocks if any of it is on disk.
fn load(disk: &dyn Disk, dir: &Path, found: Vec<Found>) -> io::Result<Vec<Entry>> {
    let mut open = None;
    found
        .into_iter()
        .map(|found| match found {
            Found::Cached(entry) => Ok(Entry::clone(&entry)),
            Found::OnDisk(index, position) => {
                let file = match open.take() {
                    Some((number, file)) if number == position.file => file,
                    _ => disk.open(&writer::path(dir, position.file), false)?,
                };
                let entry = load_from_disk(&*file, index, position);
                open = Some((position.file, file));
                entry.map_err(|error| {
                    let path = writer::path(dir, position.file);
                    io::Error::new(error.kind(), format!("{}: entry {index} cannot be read: {error}", path.display()))
                })
            }
        })
        .collect()
}

fn load_from_disk(file: &dyn DiskFile, index: u64, position: Position) -> io::Result<Entry> {
    let bytes = recovery::read_record(file, position)?;
    let entry = match frame::decode(&bytes, position.seed) {
        Ok((record::ENTRY, payload)) => record::decode_entry(payload).map_err(io::Error::other)?,
        Ok(_) => return Err(io::Error::other("another record stands in its place")),
        Err(frame::ReadError::Bad(reason)) => return Err(io::Error::other(reason)),
        Err(frame::ReadError::Io(error)) => return Err(error),
    };
    if entry.log_id.index == index { Ok(entry) } else { Err(io::Error::other("another entry stands in its place")) }
}

impl RaftLogReader<TypeConfig> for WalStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, Failure> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start, end, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, Failure> {
        self.read(start, end, READ_BYTES_MAX).await
    }
}

impl RaftLogStorage<TypeConfig> for WalStore {
    type LogReader = WalStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, Failure> {
        let ledger = self.ledger();
        Ok(LogState { last_purged_log_id: ledger.purged, last_log_id: ledger.last })
    }

    async fn get_log_reader(&mut self) -> WalStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), Failure> {
        let plan = self.ledger().save_vote(*vote);
        self.write(plan).await.map_err(write_failed)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, Failure> {
        Ok(self.ledger().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), Failure> {
        self.ledger().save_committed(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, Failure> {
        Ok(self.ledger().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), Failure>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let (mut bytes, mut sizes) = (Vec::new(), Vec::with_capacity(entries.len()));
        for entry in &entries {
            let start = bytes.len();
            record::encode_entry(&mut bytes, entry).map_err(write_failed)?;
            let size = bytes.len() - start;
            if size > frame::HEADER_BYTES + frame::MAX_RECORD_BYTES {
                // Recovery would take it for garbage.
                let message = format!("entry {} has {size} bytes, more than a record can have", entry.log_id.index);
                return Err(write_failed(io::Error::new(io::ErrorKind::InvalidInput, message)));
            }
            sizes.push(u32::try_from(size).map_err(write_failed)?);
        }
        let last_index = entries.last().map(|entry| entry.log_id.index);
        let plan = {
            let mut ledger = self.ledger();
            check_contiguous(ledger.next_index(), &entries).map_err(write_failed)?;
            ledger.append(entries, bytes, &sizes, self.writer.written_end.load(Ordering::Acquire))
        };
        self.writer.send(Job { plan, last_index, done: Done::Flushed(callback) }).await.map_err(write_failed)
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), Failure> {
        let purged = self.ledger().purged;
        let last = match log_id.index.checked_sub(1) {
            Some(before) if purged.is_none_or(|purged| purged.index < before) => {
                let entries = self.read(before, log_id.index, usize::MAX).await?;
                entries.first().map(|entry| entry.log_id)
            }
            _ => purged,
        };
        let plan = self.ledger().truncate(log_id.index, last);
        self.write(plan).await.map_err(write_failed)?;
        // Entries will come again under these indexes, and must stay in memory until they are written.
        self.writer.written_end.store(log_id.index, Ordering::Release);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), Failure> {
        let plan = self.ledger().purge(log_id);
        self.write(plan).await.map_err(write_failed)
    }
}

/// Refuses to leave a hole: it would show only at the next start, when it is too late.
fn check_contiguous(next: Option<u64>, entries: &[Entry]) -> io::Result<()> {
    let mut next = next.or_else(|| entries.first().map(|entry| entry.log_id.index));
    for entry in entries {
        if next != Some(entry.log_id.index) {
            let message = format!("entry {} does not follow the log, which goes on at {next:?}", entry.log_id.index);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        next = next.map(|next| next + 1);
    }
    Ok(())
}

//! The thread that writes the log.
//!
//! It takes what waits, writes it with one call, flushes once, and then tells everybody in order: a slow disk makes
//! groups larger, not queues longer. After an error it writes nothing more. The kernel may have dropped the pages
//! that it could not flush, and report success the next time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::storage::LogFlushed;
use storage::{Disk, DiskFile, files};
use tokio::sync::{mpsc, oneshot};

use super::ledger::Plan;
use crate::types::TypeConfig;

/// Writes that may wait. openraft awaits most of them one by one, so it is rarely more than two.
const QUEUED_JOBS_MAX: usize = 64;

/// Whom to tell when it is durable.
pub(super) enum Done {
    Flushed(LogFlushed<TypeConfig>),
    Reply(oneshot::Sender<io::Result<()>>),
}

/// Something to write.
pub(super) struct Job {
    pub(super) plan: Plan,
    /// The last entry in it, if there are entries.
    pub(super) last_index: Option<u64>,
    pub(super) done: Done,
}

/// The file at the end of the log, and how many bytes of it are valid.
pub(super) struct ActiveFile {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) bytes: u64,
}

/// The way to the thread.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    /// Entries before this index can be read from their files.
    pub(super) written_end: Arc<AtomicU64>,
}

impl Writer {
    /// The way to whoever runs the second value; it ends when the last `Writer` is gone and everything is written.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        active: ActiveFile,
        written_end: u64,
    ) -> (Writer, WriterThread) {
        let (jobs, queue) = mpsc::channel(QUEUED_JOBS_MAX);
        let written_end = Arc::new(AtomicU64::new(written_end));
        let shared = Arc::clone(&written_end);
        let thread = WriterThread { disk, dir, active, queue, written_end: shared, failure: None };
        (Writer { jobs, written_end }, thread)
    }

    /// Hands over a job. It is dropped, and with it whoever waits for it, only if the thread has ended.
    pub(super) async fn send(&self, job: Job) -> io::Result<()> {
        self.jobs.send(job).await.map_err(|_| io::Error::other("the metadata log is closed"))
    }
}

/// The path of a file of the log.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("wal-{number:020}.log"))
}

/// What the thread does, and with what.
pub(crate) struct WriterThread {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    active: ActiveFile,
    queue: mpsc::Receiver<Job>,
    written_end: Arc<AtomicU64>,
    failure: Option<(io::ErrorKind, String)>,
}

impl WriterThread {
    pub(super) fn spawn(mut self) -> io::Result<()> {
        let thread = std::thread::Builder::new().name("metadata-log".to_owned());
        thread.spawn(move || {
            while let Some(first) = self.queue.blocking_recv() {
                self.write_group(first);
            }
        })?;
        Ok(())
    }

    /// Writes what waits, if anything does.
    #[cfg(test)]
    pub(crate) fn write_waiting(&mut self) -> bool {
        match self.queue.try_recv() {
            Ok(first) => {
                self.write_group(first);
                true
            }
            Err(_) => false,
        }
    }

    fn write_group(&mut self, first: Job) {
        let mut jobs = vec![first];
        while let Ok(job) = self.queue.try_recv() {
            jobs.push(job);
        }
        if self.failure.is_none()
            && let Err(error) = self.write_all(&jobs)
        {
            tracing::error!(%error, dir = %self.dir.display(), "the metadata log cannot be written, so the broker stops; check the disk (dmesg) and its free space, then start it again");
            self.failure = Some((error.kind(), error.to_string()));
        }
        for job in jobs {
            self.finish(job);
        }
    }

    fn write_all(&mut self, jobs: &[Job]) -> io::Result<()> {
        let mut group = Vec::new();
        for job in jobs {
            if let Some((number, head)) = &job.plan.roll {
                self.write(&group)?;
                group.clear();
                // The old file must be whole on disk before there is a new one: only the last may be torn.
                self.active.file.sync()?;
                self.active =
                    ActiveFile { file: files::create_file(&*self.disk, &path(&self.dir, *number))?, bytes: 0 };
                group.extend_from_slice(head);
            }
            if jobs.len() == 1 && group.is_empty() {
                self.write(&job.plan.bytes)?;
            } else {
                group.extend_from_slice(&job.plan.bytes);
            }
        }
        self.write(&group)?;
        self.active.file.sync()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.active.file.write_at(bytes, self.active.bytes)?;
        self.active.bytes += bytes.len() as u64;
        Ok(())
    }

    fn finish(&self, job: Job) {
        let result = match &self.failure {
            None => Ok(()),
            Some((kind, message)) => Err(io::Error::new(*kind, message.clone())),
        };
        if result.is_ok() {
            if let Some(index) = job.last_index {
                self.written_end.fetch_max(index + 1, Ordering::Release);
            }
            for number in job.plan.obsolete {
                let path = path(&self.dir, number);
                if let Err(error) = self.disk.remove_file(&path) {
                    tracing::warn!(%error, path = %path.display(), "an old file of the metadata log stays");
                }
            }
        }
        match job.done {
            Done::Flushed(callback) => callback.log_io_completed(result),
            // Whoever asked may have gone.
            Done::Reply(reply) => drop(reply.send(result)),
        }
    }
}

//! The power fails at any moment, and the process ends at any moment, while votes, entries and snapshots are written,
//! while entries are taken back and forgotten, while all of it is read back, and while the directory is formatted.
//!
//! Each seed is one life of a directory with several failures.

mod model;

use std::future::Future;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use fastrand::Rng;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::{RaftLogReader, RaftSnapshotBuilder};
use simdisk::{SimDisk, over_seeds};

use self::model::{History, Kept};
use crate::config::QuorumConfig;
use crate::error::RaftError;
use crate::quorum::{Directory, check_no_gap};
use crate::state_machine::StateMachine;
use crate::types::{Entry, LogId, Vote};
use crate::wal::{WalStore, WriterThread};

const SEEDS: u64 = 1_500;
const FORMATS: u64 = 1_000;
const LIVES: usize = 4;
const STEPS: usize = 40;
/// So small that there are several files.
const FILE_BYTES_MAX: u64 = 3_000;

type Stopped = Box<dyn std::error::Error>;

#[test]
fn what_was_acknowledged_is_there_in_its_order() {
    over_seeds("metadata log, votes and snapshots", SEEDS, 6_000, |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        // tokio would let a channel pretend to be full now and then, for fairness.
        runtime.block_on(tokio::task::unconstrained(Run::new(seed).go()))
    });
}

/// Everything that is open in one life.
struct Open {
    directory: Directory,
    machine: StateMachine,
    wal: WalStore,
    writer: WriterThread,
}

struct Run {
    rng: Rng,
    disk: SimDisk,
    history: History,
    /// From the first start that succeeded on.
    cluster_id: Option<String>,
}

impl Run {
    fn new(seed: u64) -> Run {
        Run { rng: Rng::with_seed(seed), disk: SimDisk::default(), history: History::default(), cluster_id: None }
    }

    async fn go(mut self) -> u64 {
        let mut states = 0;
        for _ in 0..LIVES {
            self.disk.fail_after(self.rng.u64(..150));
            // Whatever fails now fails for want of power.
            let _ = self.live().await;
            fail(&self.disk, &mut self.rng);
            while self.rng.u32(..3) == 0 {
                // Again, while it recovers.
                self.disk.fail_after(self.rng.u64(..20));
                let _ = self.open();
                fail(&self.disk, &mut self.rng);
            }
            self.inspect().await;
            states += 1;
            if self.rng.bool() {
                // What was seen once stays.
                fail(&self.disk, &mut self.rng);
                self.inspect().await;
                states += 1;
            }
        }
        states
    }

    fn open(&mut self) -> Result<Open, RaftError> {
        let disk = Arc::new(self.disk.clone());
        let directory = Directory::open(&QuorumConfig { disk: disk.clone(), ..QuorumConfig::new("/data", 1) })?;
        let known = self.cluster_id.get_or_insert_with(|| directory.meta.cluster_id.clone());
        assert_eq!(*known, directory.meta.cluster_id, "the cluster has another id");
        let machine = StateMachine::open(disk.clone(), directory.dir.clone())?;
        let (wal, writer) = WalStore::recover(disk, directory.dir.clone(), FILE_BYTES_MAX)?;
        check_no_gap(directory.dir.clone(), &wal, &machine)?;
        Ok(Open { directory, machine, wal, writer })
    }

    async fn live(&mut self) -> Result<(), Stopped> {
        let mut open = self.open()?;
        self.catch_up(&mut open).await;
        for _ in 0..STEPS {
            match self.rng.u32(..20) {
                0..12 => self.write_group(&mut open).await?,
                12..14 => self.truncate(&mut open).await?,
                14 | 15 => self.purge(&mut open).await?,
                16 => open.wal.save_committed(self.history.commit(&mut self.rng)).await?,
                _ => self.snapshot(&mut open).await?,
            }
        }
        drive(&mut open.writer, open.wal.flush()).await?;
        Ok(())
    }

    /// Votes and entries that are written together, and acknowledged together.
    async fn write_group(&mut self, open: &mut Open) -> Result<(), Stopped> {
        let mut waiting: Vec<Pin<Box<dyn Future<Output = bool>>>> = Vec::new();
        for _ in 0..self.rng.usize(1..4) {
            let mut wal = open.wal.clone();
            if self.rng.u32(..4) == 0 {
                let vote = self.history.vote(&mut self.rng);
                waiting.push(Box::pin(async move { wal.save_vote(&vote).await.is_ok() }));
            } else {
                let entries = self.history.append(&mut self.rng);
                waiting.push(Box::pin(async move { wal.blocking_append(entries).await.is_ok() }));
            }
            // In this order.
            assert!(futures_pending(waiting.last_mut().expect("one was pushed")).await);
        }
        assert!(open.writer.write_waiting());
        for one in waiting {
            if !one.await {
                return Err("no power".into());
            }
        }
        self.history.acknowledge();
        Ok(())
    }

    async fn truncate(&mut self, open: &mut Open) -> Result<(), Stopped> {
        if let Some(from) = self.history.truncate(&mut self.rng) {
            drive(&mut open.writer, open.wal.truncate(from)).await?;
            self.history.acknowledge();
        }
        Ok(())
    }

    async fn purge(&mut self, open: &mut Open) -> Result<(), Stopped> {
        if let Some(up_to) = self.history.purge(&mut self.rng) {
            drive(&mut open.writer, open.wal.purge(up_to)).await?;
            self.history.acknowledge();
        }
        Ok(())
    }

    async fn snapshot(&mut self, open: &mut Open) -> Result<(), Stopped> {
        self.history.commit_all();
        self.catch_up(open).await;
        open.machine.get_snapshot_builder().await.build_snapshot().await?;
        self.history.note_snapshot(open.machine.last_applied());
        Ok(())
    }

    /// Applies what is committed and was not yet.
    async fn catch_up(&self, open: &mut Open) {
        let entries = self.history.committed_after(open.machine.last_applied());
        open.machine.apply(entries).await.unwrap();
    }

    /// Starts after a failure and looks at everything; what was lost is forgotten here too.
    async fn inspect(&mut self) {
        let mut open = self.open().unwrap_or_else(|error| panic!("it does not start: {error}"));
        let state = open.wal.get_log_state().await.unwrap();
        let found = Kept {
            vote: open.wal.read_vote().await.unwrap(),
            purged: state.last_purged_log_id,
            entries: open.wal.try_get_log_entries(..).await.unwrap().into_iter().map(Arc::new).collect(),
        };
        assert_eq!(state.last_log_id, found.last(), "the log's end");
        let committed = open.wal.read_committed().await.unwrap();
        assert!(committed <= state.last_log_id, "{committed:?} is committed of {:?}", state.last_log_id);
        let snapshot = open.machine.last_applied();
        assert!(
            snapshot >= self.history.snapshot(),
            "{:?} is the newest snapshot, not {snapshot:?}",
            self.history.snapshot()
        );
        self.history.recovered(found, snapshot);
        self.catch_up(&mut open).await;
        assert_eq!(*open.machine.published().image(), self.history.image(), "the image is another");
        let lock = open.directory.lock;
        assert!(matches!(self.open().err(), Some(RaftError::InUse { .. })), "two at a time");
        drop(lock);
    }
}

/// The machine loses its power, or only the process is killed.
fn fail(disk: &SimDisk, rng: &mut Rng) {
    match rng.u32(..4) {
        0 => disk.end_process(),
        _ => disk.restart(rng),
    }
}

/// Whether it has to wait.
async fn futures_pending<T>(one: &mut Pin<Box<dyn Future<Output = T>>>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(one.as_mut().poll(cx).is_pending())).await
}

/// Runs the writer whenever `operation` waits for it.
async fn drive<T>(writer: &mut WriterThread, operation: impl Future<Output = T>) -> T {
    let mut operation = pin!(operation);
    std::future::poll_fn(|cx| {
        loop {
            let polled = operation.as_mut().poll(cx);
            if polled.is_ready() || !writer.write_waiting() {
                return polled;
            }
        }
    })
    .await
}

/// A directory is formatted once, whatever happens meanwhile.
#[test]
fn a_cluster_keeps_its_id_from_its_first_start_on() {
    over_seeds("meta.properties", FORMATS, 3_000, |seed| {
        let (mut rng, disk) = (Rng::with_seed(seed), SimDisk::default());
        let configured = rng.bool().then(|| "configured".to_owned());
        let config = QuorumConfig {
            disk: Arc::new(disk.clone()),
            cluster_id: configured.clone(),
            ..QuorumConfig::new(Path::new("/var/lib/ottla"), 3)
        };
        let mut known = None;
        let mut states = 0;
        for _ in 0..4 {
            if rng.u32(..4) > 0 {
                disk.fail_after(rng.u64(..16));
            }
            // Somebody may format it first.
            if rng.u32(..3) == 0 && crate::format(&config).is_ok() {
                fail(&disk, &mut rng);
                let written = storage::files::read_file(&disk, &config.dir.join("meta.properties")).unwrap();
                assert!(written.is_some(), "it was formatted, and is not any more");
            }
            if let Ok(Directory { meta, .. }) = Directory::open(&config) {
                assert_eq!(known.get_or_insert_with(|| meta.clone()), &meta, "it has other ids");
                assert!(configured.as_ref().is_none_or(|configured| *configured == meta.cluster_id));
            } else {
                fail(&disk, &mut rng);
                let Directory { meta, .. } = Directory::open(&config).unwrap();
                assert_eq!(known.get_or_insert_with(|| meta.clone()), &meta, "it has other ids");
            }
            states += 1;
            fail(&disk, &mut rng);
        }
        states
    });
}

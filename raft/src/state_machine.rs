//! The image, as openraft drives it: entries in, outcomes out, snapshots of it in between.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageIOError};
use state::cluster::Image;
use storage::Disk;
use tokio::sync::watch;

use crate::error::RaftError;
use crate::snapshot::{self, SnapshotFile};
use crate::types::{
    Entry, Failure, LogId, Member, Membership, Outcomes, RaftId, SnapshotMeta, TypeConfig, snapshot_failed,
};

/// The image as everybody sees it.
pub(crate) struct Published {
    image: ArcSwap<Image>,
    changed: watch::Sender<Arc<Image>>,
}

impl Published {
    fn new(image: Image) -> Published {
        let image = Arc::new(image);
        Published { image: ArcSwap::new(Arc::clone(&image)), changed: watch::Sender::new(image) }
    }

    pub(crate) fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Image>> {
        self.changed.subscribe()
    }

    fn set(&self, image: Image) {
        let image = Arc::new(image);
        self.image.store(Arc::clone(&image));
        self.changed.send_replace(image);
    }
}

/// The image, and how much of the log is in it.
pub(crate) struct StateMachine {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    image: Image,
    last_applied: Option<LogId>,
    membership: Membership,
    /// The newest snapshot on disk. Its file may be older than `last_applied`.
    newest: Newest,
    published: Arc<Published>,
}

type Newest = Arc<std::sync::Mutex<Option<(SnapshotMeta, PathBuf)>>>;

impl StateMachine {
    /// Loads the newest snapshot of `dir`, if there is one. Blocks while it reads.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<StateMachine, RaftError> {
        let mut machine = StateMachine {
            disk,
            dir: dir.into(),
            image: Image::default(),
            last_applied: None,
            membership: Membership::default(),
            newest: Newest::default(),
            published: Arc::new(Published::new(Image::default())),
        };
        if let Some(loaded) = snapshot::read_newest(&*machine.disk, &machine.dir)? {
            machine.image = loaded.image;
            machine.last_applied = loaded.meta.last_log_id;
            machine.membership = loaded.meta.last_membership.clone();
            set_newest(&machine.newest, loaded.meta, loaded.path);
            machine.published.set(machine.image.clone());
        }
        Ok(machine)
    }

    /// What readers look at.
    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    /// The last entry that the image holds.
    pub(crate) fn last_applied(&self) -> Option<LogId> {
        self.last_applied
    }

    fn apply_entry(&mut self, entry: Entry) -> Outcomes {
        self.last_applied = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => Outcomes::default(),
            EntryPayload::Normal(proposal) => {
                Outcomes(proposal.0.iter().map(|command| self.image.apply(command)).collect())
            }
            EntryPayload::Membership(membership) => {
                self.membership = Membership::new(Some(entry.log_id), membership);
                Outcomes::default()
            }
        }
    }
}

fn set_newest(newest: &Newest, meta: SnapshotMeta, path: PathBuf) {
    *newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((meta, path));
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), Failure> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Outcomes>, Failure>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let outcomes: Vec<Outcomes> = entries.into_iter().map(|entry| self.apply_entry(entry)).collect();
        if outcomes.iter().any(|outcomes| !outcomes.0.is_empty()) {
            // Before anybody hears of an outcome: who was answered sees what was done.
            self.published.set(self.image.clone());
        }
        Ok(outcomes)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        let meta = SnapshotMeta {
            last_log_id: self.last_applied,
            last_membership: self.membership.clone(),
            snapshot_id: snapshot::snapshot_id(self.last_applied.as_ref()),
        };
        SnapshotBuilder {
            disk: Arc::clone(&self.disk),
            dir: Arc::clone(&self.dir),
            image: self.image.clone(),
            meta,
            newest: Arc::clone(&self.newest),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, Failure> {
        Ok(Box::new(snapshot::receiving(&self.dir)))
    }

    async fn install_snapshot(
        &mut self,
        meta: &openraft::SnapshotMeta<RaftId, Member>,
        snapshot: Box<SnapshotFile>,
    ) -> Result<(), Failure> {
        let (disk, dir, meta) = (Arc::clone(&self.disk), Arc::clone(&self.dir), meta.clone());
        let installed = tokio::task::spawn_blocking(move || {
            let loaded = snapshot::read(&*disk, &snapshot.path)?;
            let path = snapshot::write(&*disk, &dir, &meta, &loaded.image)
                .map_err(RaftError::io("write a snapshot to", &dir))?;
            Ok::<_, RaftError>((meta, loaded.image, path))
        });
        let (meta, image, path) = installed.await.map_err(snapshot_failed)?.map_err(snapshot_failed)?;
        self.image = image;
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        set_newest(&self.newest, meta, path);
        self.published.set(self.image.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, Failure> {
        let newest = self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(newest.as_ref().map(|(meta, path)| Snapshot {
            meta: meta.clone(),
            snapshot: Box::new(SnapshotFile { path: path.clone() }),
        }))
    }
}

/// Writes a snapshot of an image while the machine goes on with the next.
pub(crate) struct SnapshotBuilder {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    image: Image,
    meta: SnapshotMeta,
    newest: Newest,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, Failure> {
        let (disk, dir) = (Arc::clone(&self.disk), Arc::clone(&self.dir));
        let (image, meta) = (self.image.clone(), self.meta.clone());
        let written = tokio::task::spawn_blocking(move || snapshot::write(&*disk, &dir, &meta, &image))
            .await
            .map_err(snapshot_failed)?;
        let path = written.map_err(|error| {
            let signature = Some(self.meta.signature());
            Failure::from(StorageIOError::write_snapshot(signature, AnyError::new(&error)))
        })?;
        set_newest(&self.newest, self.meta.clone(), path.clone());
        Ok(Snapshot { meta: self.meta.clone(), snapshot: Box::new(SnapshotFile { path }) })
    }
}

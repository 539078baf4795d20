//! The quorum as a broker sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::ServerState;
use protocol::Uuid;
use state::cluster::{Applied, Command, Image};
use storage::{Disk, files};
use tokio::sync::watch;

use crate::config::{METADATA_DIR, QuorumConfig};
use crate::error::{ProposeError, RaftError};
use crate::listing;
use crate::meta_properties::MetaProperties;
use crate::network::{Network, NoPeers, Transport};
use crate::proposals::Proposals;
use crate::state_machine::{Published, StateMachine};
use crate::types::{Member, Raft, RaftId, node_id, raft_id};
use crate::wal::WalStore;

/// How long a start may take: generous, because a disk may be slow and the log long.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Ends when it is dropped.
pub(crate) type Lock = Box<dyn Send + Sync>;

/// One member of the metadata quorum. Clones are the same member.
#[derive(Clone)]
pub struct Quorum(Arc<Inner>);

struct Inner {
    raft: Raft,
    proposals: Proposals,
    published: Arc<Published>,
    wal: WalStore,
    meta: MetaProperties,
    stopping: AtomicBool,
    /// Keeps other processes out of the directory until everything is on disk.
    lock: Mutex<Option<Lock>>,
}

/// Where the quorum stands, for metrics and DescribeQuorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumStatus {
    /// This node.
    pub node_id: i32,
    /// The leader, if there is one.
    pub leader_id: Option<i32>,
    /// The term of the last vote.
    pub term: u64,
    /// The last entry in the log.
    pub last_log_index: Option<u64>,
    /// The last entry in the image.
    pub last_applied_index: Option<u64>,
    /// The last entry in the newest snapshot.
    pub snapshot_index: Option<u64>,
    /// The last entry that was removed from the log.
    pub purged_index: Option<u64>,
    /// Members that vote, ids ascending.
    pub voters: Vec<QuorumMember>,
    /// Members that only follow, ids ascending.
    pub observers: Vec<QuorumMember>,
}

/// How far a member of the quorum is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumMember {
    /// Its node.id.
    pub node_id: i32,
    /// The id of its data directory.
    pub directory_id: Uuid,
    /// The last entry that it has on disk; `None` when there is none, and when only the leader knows and this node is
    /// not the leader.
    pub last_log_index: Option<u64>,
}

impl Quorum {
    /// Opens the data directory, or formats it, and takes office.
    ///
    /// When it returns, this node leads, [`Quorum::image`] holds everything that was ever acknowledged, and the
    /// controller epoch has been raised.
    pub async fn start(config: QuorumConfig) -> Result<Quorum, RaftError> {
        let quorum = Quorum::open(config, Arc::new(NoPeers)).await?;
        quorum.initialize().await?;
        match tokio::time::timeout(START_TIMEOUT, quorum.take_office()).await {
            Ok(result) => result?,
            Err(_) => {
                let reason = format!("no leader after {} s: {:?}", START_TIMEOUT.as_secs(), quorum.status());
                return Err(RaftError::NotStarted(reason));
            }
        }
        Ok(quorum)
    }

    /// The cluster as of the last command applied. Lock-free; hold it for one request, not longer.
    pub fn image(&self) -> Arc<Image> {
        self.0.published.image()
    }

    /// The same, for whoever must act on changes. Skips images that were replaced before anybody looked.
    pub fn watch_image(&self) -> watch::Receiver<Arc<Image>> {
        self.0.published.subscribe()
    }

    /// Does what a command asks, for all members.
    ///
    /// When it returns `Ok`, the command is durable and [`Quorum::image`] shows what came of it; whether its
    /// preconditions held is in the outcome. Dropping the future does not take the command back.
    pub async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        self.0.proposals.propose(command).await
    }

    /// The cluster's id. It never changes.
    pub fn cluster_id(&self) -> &str {
        &self.0.meta.cluster_id
    }

    /// The id of the data directory. It never changes.
    pub fn directory_id(&self) -> Uuid {
        self.0.meta.directory_id
    }

    /// The leader of the quorum, which is the controller, if there is one.
    pub fn leader_id(&self) -> Option<i32> {
        self.0.raft.metrics().borrow().current_leader.map(node_id)
    }

    /// Where the quorum stands.
    pub fn status(&self) -> QuorumStatus {
        let metrics = self.0.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let member = |(id, member): (&RaftId, &Member)| {
            let of_replica = || metrics.replication.as_ref()?.get(id)?.map(|log_id| log_id.index);
            QuorumMember {
                node_id: member.node_id,
                // It was written from an id; one that cannot be read any more is shown as none.
                directory_id: member.directory_id.parse().unwrap_or(Uuid::ZERO),
                last_log_index: if *id == metrics.id { metrics.last_log_index } else { of_replica() },
            }
        };
        let voter_ids: BTreeSet<RaftId> = membership.voter_ids().collect();
        let (voters, observers): (Vec<_>, Vec<_>) = membership.nodes().partition(|(id, _)| voter_ids.contains(id));
        QuorumStatus {
            node_id: node_id(metrics.id),
            leader_id: metrics.current_leader.map(node_id),
            term: metrics.current_term,
            last_log_index: metrics.last_log_index,
            last_applied_index: metrics.last_applied.map(|id| id.index),
            snapshot_index: metrics.snapshot.map(|id| id.index),
            purged_index: metrics.purged.map(|id| id.index),
            voters: voters.into_iter().map(member).collect(),
            observers: observers.into_iter().map(member).collect(),
        }
    }

    /// Waits until the quorum cannot go on, as after a failed write, and says why; forever if it is shut down.
    ///
    /// Nothing it was told is lost, but nothing more is accepted: the process must end with an error, so that
    /// somebody looks at the disk and a new start reads back what is durable.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        let inner = Arc::clone(&self.0);
        async move {
            let mut metrics = inner.raft.metrics();
            let reason = match metrics.wait_for(|metrics| metrics.running_state.is_err()).await {
                Ok(metrics) => match &metrics.running_state {
                    Err(fatal) => fatal.to_string(),
                    Ok(()) => String::new(),
                },
                Err(_) => "it ended without a word".to_owned(),
            };
            if inner.stopping.load(Ordering::Acquire) {
                std::future::pending::<()>().await;
            }
            reason
        }
    }

    /// Stops, and waits until everything is on disk. Proposals under way are answered with
    /// [`ProposeError::Stopped`]. May be called again.
    pub async fn shutdown(&self) {
        self.0.stopping.store(true, Ordering::Release);
        if let Err(error) = self.0.raft.shutdown().await {
            tracing::warn!(%error, "the metadata quorum did not stop cleanly");
        }
        if let Err(error) = self.0.wal.flush().await {
            tracing::warn!(%error, "the end of the metadata log was not flushed");
        }
        drop(self.0.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    pub(crate) async fn open(config: QuorumConfig, transport: Arc<dyn Transport>) -> Result<Quorum, RaftError> {
        let openraft = Arc::new(config.openraft()?);
        let id = raft_id(config.node_id);
        let propose_timeout = Duration::from_millis(config.propose_timeout_ms);
        let opened = tokio::task::spawn_blocking(move || Opened::open(&config)).await;
        let Opened { meta, lock, wal, machine } =
            opened.map_err(|error| RaftError::NotStarted(error.to_string()))??;
        let published = machine.published();
        let raft = Raft::new(id, openraft, Network(transport), wal.clone(), machine)
            .await
            .map_err(|error| RaftError::NotStarted(error.to_string()))?;
        let proposals = Proposals::spawn(raft.clone(), propose_timeout);
        let stopping = AtomicBool::new(false);
        let lock = Mutex::new(Some(lock));
        Ok(Quorum(Arc::new(Inner { raft, proposals, published, wal, meta, stopping, lock })))
    }

    #[cfg(test)]
    pub(crate) fn raft(&self) -> &Raft {
        &self.0.raft
    }

    /// Makes this node the only voter of a quorum that has none yet.
    async fn initialize(&self) -> Result<(), RaftError> {
        // Asked all the same, openraft writes an error to the log at every start but the first.
        let initialized =
            self.0.raft.is_initialized().await.map_err(|error| RaftError::NotStarted(error.to_string()))?;
        if initialized {
            return self.return_to_office().await;
        }
        let meta = &self.0.meta;
        let member = Member { node_id: meta.node_id, directory_id: meta.directory_id.to_string() };
        let members: BTreeMap<RaftId, Member> = BTreeMap::from([(raft_id(meta.node_id), member)]);
        self.0.raft.initialize(members).await.map_err(|error| RaftError::NotStarted(error.to_string()))
    }

    /// Stands for election, unless the last run ended in office: then openraft goes on where it was.
    async fn return_to_office(&self) -> Result<(), RaftError> {
        let not_started = |fatal: openraft::error::Fatal<RaftId>| RaftError::NotStarted(fatal.to_string());
        let state = self.0.raft.with_raft_state(|state| state.server_state).await.map_err(not_started)?;
        if state == ServerState::Leader {
            return Ok(());
        }
        // Nobody else votes here, so there is nobody to wait for.
        self.0.raft.trigger().elect().await.map_err(not_started)
    }

    /// Waits until this node leads, and until its first command is applied: everything before it is, then, too.
    async fn take_office(&self) -> Result<(), RaftError> {
        let mut metrics = self.0.raft.metrics();
        let running = metrics
            .wait_for(|metrics| metrics.state == ServerState::Leader || metrics.running_state.is_err())
            .await
            .map_err(|error| RaftError::NotStarted(error.to_string()))?
            .running_state
            .clone();
        running.map_err(|fatal| RaftError::NotStarted(fatal.to_string()))?;

        let not_started = |error: ProposeError| RaftError::NotStarted(error.to_string());
        let created = Command::ClusterCreated { cluster_id: self.0.meta.cluster_id.clone(), features: BTreeMap::new() };
        let elected = Command::ControllerElected { controller_id: self.0.meta.node_id };
        let (created, elected) = tokio::join!(self.propose(created), self.propose(elected));
        elected.map_err(not_started)?;
        for item in created.map_err(not_started)?.into_items() {
            item.map_err(|refusal| RaftError::NotStarted(refusal.message))?;
        }
        Ok(())
    }
}

/// What is read from disk before openraft starts.
struct Opened {
    meta: MetaProperties,
    lock: Lock,
    wal: WalStore,
    machine: StateMachine,
}

impl Opened {
    fn open(config: &QuorumConfig) -> Result<Opened, RaftError> {
        let Directory { dir, meta, lock } = Directory::open(config)?;
        let machine = StateMachine::open(Arc::clone(&config.disk), dir.clone())?;
        let wal = WalStore::open(Arc::clone(&config.disk), dir.clone())?;
        check_no_gap(dir, &wal, &machine)?;
        Ok(Opened { meta, lock, wal, machine })
    }
}

/// Makes a data directory this node's, before a broker is started on it: its first start finds the ids and keeps them.
/// One that is this node's already stays as it is. When it returns, that is durable.
///
/// # Errors
/// When the directory is another node's or cluster's, or the ids are not possible; the disk's.
pub fn format(config: &QuorumConfig) -> Result<(), RaftError> {
    config.check_node_id()?;
    own(config)?;
    // If it was there, the run that wrote it may have been killed before its name was durable.
    config.disk.sync_dir(&config.dir).map_err(RaftError::io("flush", &config.dir))
}

/// Whose the data directory is: ours, from now on if nobody's so far. Then its lock is held while the ids are written, so
/// that of two first starts at once only one says what they are.
fn own(config: &QuorumConfig) -> Result<MetaProperties, RaftError> {
    let (disk, cluster_id) = (&*config.disk, config.cluster_id.as_deref());
    files::create_dir(disk, &config.dir).map_err(RaftError::io("create", &config.dir))?;
    if let Some(known) = MetaProperties::read(disk, &config.dir, config.node_id, cluster_id)? {
        return Ok(known);
    }
    let _writing = lock(disk, &config.dir)?;
    MetaProperties::open(disk, &config.dir, config.node_id, cluster_id)
}

/// A data directory that is ours.
pub(crate) struct Directory {
    /// Where the log and the snapshots are.
    pub(crate) dir: PathBuf,
    pub(crate) meta: MetaProperties,
    pub(crate) lock: Lock,
}

impl Directory {
    pub(crate) fn open(config: &QuorumConfig) -> Result<Directory, RaftError> {
        let disk = &*config.disk;
        // Whose directory it is comes first: a wrong mount must not be touched.
        let meta = own(config)?;
        let dir = config.dir.join(METADATA_DIR);
        // This flushes the names beside it too: the run that wrote the ids may have been killed before theirs was durable.
        files::create_dir(disk, &dir).map_err(RaftError::io("create", &dir))?;
        let lock = lock(disk, &dir)?;
        remove_unfinished(disk, &dir)?;
        // A run that was killed may have left names that are visible and not durable yet.
        disk.sync_dir(&dir).map_err(RaftError::io("flush", &dir))?;
        Ok(Directory { dir, meta, lock })
    }
}

/// Between the snapshot and the log nothing may be missing.
pub(crate) fn check_no_gap(dir: PathBuf, wal: &WalStore, machine: &StateMachine) -> Result<(), RaftError> {
    let (purged, applied) = (wal.purged(), machine.last_applied());
    if purged <= applied {
        return Ok(());
    }
    let reason =
        format!("the log begins after {purged:?}, but the newest snapshot that can be read ends at {applied:?}");
    Err(RaftError::Corrupt { path: dir, position: 0, reason })
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Lock, RaftError> {
    let path: PathBuf = dir.join(".lock");
    disk.lock(&path).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => RaftError::InUse { path: dir.to_owned() },
        _ => RaftError::io("lock", &path)(error),
    })
}

/// Removes what a crash left half written.
fn remove_unfinished(disk: &dyn Disk, dir: &Path) -> Result<(), RaftError> {
    for path in listing::list(disk, dir, files::UNFINISHED_SUFFIX)? {
        // A quorum that this process has shut down may just have finished its last snapshot.
        files::remove_if_there(disk, &path).map_err(RaftError::io("remove", &path))?;
    }
    Ok(())
}

//! The broker: everything assembled, started in order, stopped in reverse.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::ArcSwap;
use raft::{METADATA_DIR, Quorum};
use state::cluster::{Command, Image, RegisterBroker, SecurityProtocol};
use storage::{LogDir, OsDisk};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::config::{BrokerConfig, ConfigSource};
use crate::controller;
use crate::conversion::Conversions;
use crate::coordinator::{Groups, Transactions};
use crate::declared_topics;
use crate::disk_work::{self, Writers};
use crate::fetch_session::SessionCache;
use crate::http::{Health, Http, Phase};
use crate::memory::ByteBudget;
use crate::metrics;
use crate::partition::{Cleaner, Flusher, Partitions, housekeeping, keep_checkpoints};
use crate::producer_ids::ProducerIds;
use crate::quota::Quotas;
use crate::server::{self, BoundListener, ConnectionInfo, Connections};
use crate::telemetry::Telemetry;

/// Why a broker did not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The configuration does not make sense; the text names the key and the cure.
    #[error("{0}")]
    Config(String),
    /// A port could not be taken.
    #[error("cannot listen on {address}: {source}; is another broker running? Set listeners to another address")]
    Listen {
        /// The listener as configured.
        address: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The port that `ottla.http.listener` names.
    #[error("cannot listen on {address} for HTTP: {source}; set ottla.http.listener to a free port, or to none")]
    ListenHttp {
        /// As configured.
        address: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The data directory.
    #[error("the data directory: {0}")]
    Storage(#[from] storage::StorageError),
    /// It has partitions, and nothing says whose they are.
    #[error("the data directory {} has partitions, such as {partition}, but no {METADATA_DIR}: Apache Kafka wrote it, or the metadata was lost. Nothing in it was touched. Set log.dirs to another directory and move the topics as docs/migration.md says, or restore {METADATA_DIR} from a copy", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// A partition in it.
        partition: String,
    },
    /// The metadata log.
    #[error("the metadata log: {0}")]
    Raft(#[from] raft::RaftError),
    /// No thread, no random bytes, no runtime.
    #[error("the operating system refused: {0}")]
    System(#[from] io::Error),
    /// The metadata log died while the broker ran.
    #[error("the metadata log stopped: {0}")]
    QuorumFailed(String),
}

/// A running broker, as handlers and tasks see it.
pub(crate) struct Broker {
    node_id: i32,
    clock: Clock,
    source: ConfigSource,
    config: ArcSwap<BrokerConfig>,
    quorum: Quorum,
    partitions: Partitions,
    groups: Groups,
    transactions: Transactions,
    sessions: SessionCache,
    producer_ids: ProducerIds,
    request_budget: Arc<ByteBudget>,
    answer_budget: Arc<ByteBudget>,
    conversions: Conversions,
    connections: Connections,
    quotas: Quotas,
    telemetry: Telemetry,
}

impl Broker {
    pub(crate) fn node_id(&self) -> i32 {
        self.node_id
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The configuration in force now.
    pub(crate) fn config(&self) -> arc_swap::Guard<Arc<BrokerConfig>> {
        self.config.load()
    }

    /// What was configured at start, and where each value came from.
    pub(crate) fn config_source(&self) -> &ConfigSource {
        &self.source
    }

    pub(crate) fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// The cluster as requests see it. What is in it is served.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.partitions.image()
    }

    pub(crate) fn partitions(&self) -> &Partitions {
        &self.partitions
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    pub(crate) fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    pub(crate) fn sessions(&self) -> &SessionCache {
        &self.sessions
    }

    pub(crate) fn producer_ids(&self) -> &ProducerIds {
        &self.producer_ids
    }

    pub(crate) fn request_budget(&self) -> &Arc<ByteBudget> {
        &self.request_budget
    }

    /// Memory of long answers to readers.
    pub(crate) fn answer_budget(&self) -> &Arc<ByteBudget> {
        &self.answer_budget
    }

    pub(crate) fn conversions(&self) -> &Conversions {
        &self.conversions
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Where a client finds a broker: the advertised address, or for ourselves without one, the address on which this
    /// very client reached us.
    pub(crate) fn endpoint_of(&self, broker_id: i32, connection: &ConnectionInfo) -> Option<(String, u16)> {
        if broker_id == self.node_id {
            // The configuration, not the listener as it was opened: what is advertised changes while the broker runs.
            let config = self.config();
            let listener = config.listeners.iter().find(|listener| listener.name == connection.listener.name);
            let came_by = || (connection.local.ip().to_canonical().to_string(), connection.local.port());
            return Some(listener.and_then(|listener| listener.advertised.clone()).unwrap_or_else(came_by));
        }
        let image = self.image();
        let listener = image.broker(broker_id)?.listener(&connection.listener.name)?;
        Some((listener.host.clone(), listener.port))
    }

    /// Lets partitions and configuration follow the cluster image. When it returns, requests see the new state.
    pub(crate) async fn reconcile(self: &Arc<Self>) {
        let broker = Arc::clone(self);
        // A panic in it was reported by the panic hook already.
        let reconciled = disk_work::run(Writers::Administrators, move || {
            broker.partitions.reconcile(|| {
                let image = broker.quorum.image();
                broker.quotas.follow(&image);
                broker.telemetry.follow(&image);
                match broker.source.resolve(&image, broker.node_id) {
                    Ok(config) => broker.config.store(Arc::new(config)),
                    Err(error) => error!(%error, "a dynamic configuration is not in force"),
                }
                (image, broker.config.load_full())
            })
        })
        .await;
        if reconciled.unwrap_or(false) {
            // Large files take long to remove, and nobody has to wait for it.
            let broker = Arc::clone(self);
            tokio::task::spawn_blocking(move || broker.partitions.remove_deleted());
        }
    }
}

/// A broker that serves, and the means to stop it.
pub struct RunningBroker {
    broker: Arc<Broker>,
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    flusher: Flusher,
    flusher_thread: JoinHandle<()>,
    cleaner: Cleaner,
    health: Arc<Health>,
    http: Http,
}

/// Starts a broker. Returns when it serves.
///
/// # Errors
/// [`BrokerError`], with the cure in its text.
pub async fn start(source: ConfigSource) -> Result<RunningBroker, BrokerError> {
    let started = Instant::now();
    let config = source.resolve(&Image::default(), -1).map_err(BrokerError::Config)?;
    // Ports first: a second broker on the same machine must fail before it touches the data.
    let listeners = bind_all(&config)?;
    refuse_foreign(config.data_dir())?;
    let health = Health::new();
    let http = Http::start(config.http.as_ref(), &health)
        .map_err(|(address, source)| BrokerError::ListenHttp { address, source })?;
    let quorum = Quorum::start(config.quorum()).await?;
    let node_id = config.node_id;
    let broker_epoch = register(&quorum, &config, &listeners).await?;

    let image = quorum.image();
    let config = Arc::new(source.resolve(&image, node_id).map_err(BrokerError::Config)?);
    let (flusher, flusher_thread) = Flusher::start()?;
    let log_dir = Arc::new(LogDir::open(Arc::new(OsDisk), config.data_dir(), config.shared_limits())?);
    let quotas = Quotas::new(config.quota_windows, &image);
    let telemetry = Telemetry::new(config.limits.client_series_bytes, &image);
    let partitions = Partitions::new(node_id, log_dir, image, Arc::clone(&config), flusher.clone());
    let mut seed = [0; 4];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let broker = Arc::new(Broker {
        node_id,
        clock: Clock::start(),
        request_budget: ByteBudget::new(config.limits.request_bytes),
        answer_budget: ByteBudget::new(config.limits.answer_bytes),
        conversions: Conversions::new(&config.limits),
        sessions: SessionCache::new(config.fetch_session_slots, u32::from_ne_bytes(seed)),
        source,
        config: ArcSwap::new(config),
        quorum,
        partitions,
        groups: Groups::default(),
        transactions: Transactions::default(),
        producer_ids: ProducerIds::new(node_id, broker_epoch),
        connections: Connections::default(),
        quotas,
        telemetry,
    });
    health.watch(&broker);
    health.enter(Phase::Recovering);
    let opening = Arc::clone(&broker);
    tokio::task::spawn_blocking(move || opening.partitions.open_existing()).await.map_err(io::Error::other)??;
    broker.groups.start_existing(&broker);
    broker.transactions.start_existing(&broker);

    let cleaner = Cleaner::start(Arc::clone(&broker))?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(metrics::keep_windows(stopped.clone()));
    tokio::spawn(housekeeping(Arc::clone(&broker), stopped.clone()));
    tokio::spawn(keep_checkpoints(Arc::clone(&broker), stopped.clone()));
    let addresses: Vec<_> = listeners.iter().map(|bound| bound.address).collect();
    let first_topics = broker.source.first_topics.clone();
    controller::create_first_topics(&broker, &first_topics).await;
    if let Some(path) = broker.source.get("ottla.topics.file") {
        declared_topics::apply(&broker, &path.value).await;
    }
    for bound in listeners {
        tokio::spawn(server::serve(Arc::clone(&broker), bound, stopped.clone()));
    }
    health.enter(Phase::Running);
    let (ms, topics) = (started.elapsed().as_millis() as u64, broker.image().topic_count());
    info!(node_id, topics, ms, listeners = ?addresses, "ready");
    Ok(RunningBroker { broker, addresses, stop, flusher, flusher_thread, cleaner, health, http })
}

/// Without metadata every partition would be one of no topic, and be set aside: whoever wrote it would not find it again.
fn refuse_foreign(path: &Path) -> Result<(), BrokerError> {
    if path.join(METADATA_DIR).exists() {
        return Ok(());
    }
    match LogDir::any_partition(&OsDisk, path)? {
        Some(partition) => Err(BrokerError::Foreign { path: path.to_owned(), partition: partition.to_string() }),
        None => Ok(()),
    }
}

fn bind_all(config: &BrokerConfig) -> Result<Vec<BoundListener>, BrokerError> {
    let bind = |listener: &Arc<crate::config::Listener>| {
        server::bind(Arc::clone(listener))
            .map_err(|source| BrokerError::Listen { address: listener.to_string(), source })
    };
    config.listeners.iter().map(bind).collect()
}

/// Tells the cluster where this broker is. Answers the epoch of the registration.
async fn register(quorum: &Quorum, config: &BrokerConfig, listeners: &[BoundListener]) -> Result<i64, BrokerError> {
    let image = quorum.image();
    let replaces_epoch = image.broker(config.node_id).map_or(-1, |known| known.epoch);
    let advertised = listeners.iter().map(|bound| {
        let (host, port) = match &bound.listener.advertised {
            Some((host, port)) => (host.clone(), *port),
            None => (bound.address.ip().to_string(), bound.address.port()),
        };
        let name = bound.listener.name.clone();
        state::cluster::Listener { name, host, port, security_protocol: SecurityProtocol::Plaintext }
    });
    let incarnation_id = controller::new_id().map_err(|_| io::Error::other("no random bytes"))?;
    let command = Command::RegisterBroker(RegisterBroker {
        broker_id: config.node_id,
        incarnation_id,
        directory_id: quorum.directory_id(),
        listeners: advertised.collect(),
        rack: config.rack.clone(),
        fenced: false,
        replaces_epoch,
    });
    let applied = quorum.propose(command).await.map_err(|error| BrokerError::QuorumFailed(error.to_string()))?;
    applied.into_broker_epoch().map_err(|refusal| BrokerError::QuorumFailed(refusal.to_string()))
}

impl RunningBroker {
    /// What handlers see.
    #[cfg(test)]
    pub(crate) fn inside(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// The addresses it listens on, in the order of `listeners`.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Its `node.id`.
    pub fn node_id(&self) -> i32 {
        self.broker.node_id
    }

    /// Where health and metrics are served, if they are.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.address()
    }

    /// Resolves if the broker cannot go on: the process must exit, and be started again.
    pub async fn failed(&self) -> BrokerError {
        BrokerError::QuorumFailed(self.broker.quorum.failed().await)
    }

    /// Stops serving, makes everything durable and marks the directory as cleanly shut down.
    ///
    /// # Errors
    /// The disk's; nothing acknowledged is lost, and the next start recovers.
    pub async fn stop(self) -> Result<(), BrokerError> {
        self.health.enter(Phase::Stopping);
        // Nobody listens any more when every task is gone, which is as good.
        let _ = self.stop.send(true);
        let (broker, flusher, thread, cleaner) = (self.broker, self.flusher, self.flusher_thread, self.cleaner);
        let closing = Arc::clone(&broker);
        let closed = tokio::task::spawn_blocking(move || {
            cleaner.stop();
            flusher.stop();
            if thread.join().is_err() {
                warn!("the flusher ended with a panic");
            }
            closing.partitions.close()
        });
        let result = closed.await.map_err(io::Error::other)?;
        broker.quorum.shutdown().await;
        result?;
        info!("stopped");
        Ok(())
    }
}

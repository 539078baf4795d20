//! The configuration in force: every key of the broker, typed, and checked against the others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raft::QuorumConfig;
use state::group::{Assignor, GroupConfig, MigrationPolicy};
use state::transaction::TransactionConfig;
use storage::SharedLimits;

use super::http_listener::HttpListener;
use super::key::Value;
use super::layers::{Layers, Source};
use super::limits::{self, Limits};
use super::listeners::{self, Listener};
use super::size::{VolumeShare, parse_size};
use super::source::Origin;
use super::topic_config::{TopicConfig, TopicValues};
use crate::quota::{QuotaWindows, Windows};

/// The number of a broker that was given none.
const DEFAULT_NODE_ID: i64 = 1;
/// What stays free of a record of `__consumer_offsets` for the batch around it, bytes.
const RECORD_OVERHEAD_BYTES: usize = 1024;

/// How logs are compacted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CleanerConfig {
    pub(crate) enable: bool,
    /// Between two searches for something to do.
    pub(crate) backoff: Duration,
    /// For the keys of the log that is compacted.
    pub(crate) map_bytes: usize,
    /// Read and written, at least 1.
    pub(crate) bytes_per_second: f64,
}

/// How `__transaction_state` is created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransactionsTopic {
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    pub(crate) segment_bytes: i32,
    pub(crate) min_isr: i32,
}

/// Settings of this broker.
#[derive(Clone, Debug)]
pub(crate) struct BrokerConfig {
    pub(crate) node_id: i32,
    pub(crate) rack: Option<String>,
    pub(crate) listeners: Vec<Arc<Listener>>,
    /// `None`: no health, no metrics.
    pub(crate) http: Option<HttpListener>,
    cluster_id: Option<String>,
    data_dir: PathBuf,
    pub(crate) limits: Limits,

    pub(crate) socket_request_max_bytes: usize,
    /// `None` leaves it to the kernel.
    pub(crate) socket_send_buffer_bytes: Option<usize>,
    /// `Duration::MAX` keeps idle connections for ever.
    pub(crate) connections_max_idle: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_ip: usize,
    pub(crate) fetch_max_bytes: usize,
    pub(crate) fetch_session_slots: usize,

    pub(crate) quota_windows: QuotaWindows,

    pub(crate) auto_create_topics_enable: bool,
    pub(crate) delete_topic_enable: bool,
    pub(crate) num_partitions: i32,
    pub(crate) default_replication_factor: i16,
    pub(crate) offsets_topic_num_partitions: i32,
    pub(crate) offsets_topic_replication_factor: i16,
    pub(crate) offsets_topic_segment_bytes: i32,
    pub(crate) group: GroupConfig,
    pub(crate) transactions_topic: TransactionsTopic,
    pub(crate) transaction: TransactionConfig,
    /// `transaction.partition.verification.enable`.
    pub(crate) transaction_partition_verification: bool,
    /// `add.partitions.to.txn.retry.backoff.ms` and `.max.ms`.
    pub(crate) add_partitions_backoff: (Duration, Duration),

    pub(crate) cleaner: CleanerConfig,
    pub(crate) log_retention_check_interval: Duration,
    /// `None`: cut from the size of the volume.
    pub(crate) log_reserve_bytes: Option<u64>,
    /// `ottla.log.retention.total.bytes`, if it is set.
    pub(crate) log_retention_total: Option<VolumeShare>,
    /// Groups and partitions that `/metrics` tells of one by one.
    pub(crate) metrics_groups_max: usize,
    pub(crate) metrics_partitions_max: usize,
    /// What a client may push at a time, compressed as it comes.
    pub(crate) telemetry_max_bytes: i32,
    pub(crate) producer_id_expiration_ms: u64,
    pub(crate) topic_defaults: TopicConfig,
    pub(crate) topic_values: TopicValues,
    /// What everything above came from, for those who describe it.
    pub(crate) layers: Layers,
}

impl BrokerConfig {
    /// Puts typed fields together out of layers of texts.
    ///
    /// # Errors
    /// What single values cannot show: listeners, directories, numbers that contradict each other; one sentence each.
    pub(crate) fn build(layers: Layers) -> Result<BrokerConfig, Vec<String>> {
        let mut problems = Vec::new();
        let mut keep = |problem: String| problems.push(problem);
        let values = Reader(&layers);
        let node_id = values.node_id().unwrap_or_else(|problem| {
            keep(problem);
            0
        });
        let listeners = values.listeners().unwrap_or_else(|problem| {
            keep(problem);
            Vec::new()
        });
        let http = values.http(listeners.first()).unwrap_or_else(|problem| {
            keep(problem);
            None
        });
        let data_dir = values.data_dir().unwrap_or_else(|problem| {
            keep(problem);
            PathBuf::new()
        });
        let limits = values.limits();
        let group = values.group(&limits);
        contradictions(&group).into_iter().for_each(|problem| keep(problem.into()));
        let producer_id_expiration_ms = values.unsigned("producer.id.expiration.ms");
        let topic_values = TopicConfig::default_values(&layers);
        let config = BrokerConfig {
            node_id,
            rack: values.text("broker.rack"),
            http,
            listeners: listeners.into_iter().map(Arc::new).collect(),
            cluster_id: values.text("ottla.cluster.id"),
            data_dir,
            limits: limits.clone(),
            socket_request_max_bytes: values.size("socket.request.max.bytes"),
            socket_send_buffer_bytes: usize::try_from(values.integer("socket.send.buffer.bytes")).ok(),
            connections_max_idle: values.duration("connections.max.idle.ms").unwrap_or(Duration::MAX),
            max_connections: values.size("max.connections"),
            max_connections_per_ip: values.size("max.connections.per.ip"),
            fetch_max_bytes: values.size("fetch.max.bytes"),
            fetch_session_slots: values.size("max.incremental.fetch.session.cache.slots"),
            quota_windows: values.quota_windows(),
            auto_create_topics_enable: values.flag("auto.create.topics.enable"),
            delete_topic_enable: values.flag("delete.topic.enable"),
            num_partitions: values.int("num.partitions"),
            default_replication_factor: values.short("default.replication.factor"),
            offsets_topic_num_partitions: values.int("offsets.topic.num.partitions"),
            offsets_topic_replication_factor: values.short("offsets.topic.replication.factor"),
            offsets_topic_segment_bytes: values.int("offsets.topic.segment.bytes"),
            group,
            transactions_topic: values.transactions_topic(),
            transaction: values.transaction(&limits),
            transaction_partition_verification: values.flag("transaction.partition.verification.enable"),
            add_partitions_backoff: values.add_partitions_backoff(),
            cleaner: values.cleaner(),
            log_retention_check_interval: Duration::from_millis(values.unsigned("log.retention.check.interval.ms")),
            log_reserve_bytes: layers.value("ottla.log.reserve.bytes").and_then(|value| match value {
                Value::Integer(bytes) => u64::try_from(bytes).ok(),
                _ => None,
            }),
            log_retention_total: values
                .text("ottla.log.retention.total.bytes")
                .and_then(|text| VolumeShare::parse(&text)),
            metrics_groups_max: values.size("ottla.metrics.groups.max"),
            metrics_partitions_max: values.size("ottla.metrics.partitions.max"),
            telemetry_max_bytes: values.int("telemetry.max.bytes"),
            producer_id_expiration_ms,
            topic_defaults: TopicConfig::of(&topic_values, producer_id_expiration_ms),
            topic_values,
            layers,
        };
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// What is allowed and probably not meant; one sentence each.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for listener in &self.listeners {
            let everywhere = listener.bind_address().is_ok_and(|address| address.ip().is_unspecified());
            if let Some((host, port)) = &listener.advertised
                && everywhere
                && (host == "localhost" || host.starts_with("127."))
            {
                doubts.push(format!(
                    "advertised.listeners tells every client to connect to {host}:{port}, which is wrong for those on \
                     other machines; leave it out, and each is told the address on which it came"
                ));
            }
        }
        for (key, replicas) in [
            ("default.replication.factor", self.default_replication_factor),
            ("offsets.topic.replication.factor", self.offsets_topic_replication_factor),
            ("transaction.state.log.replication.factor", self.transactions_topic.replication_factor),
        ] {
            if replicas > 1 {
                doubts.push(format!(
                    "{key}={replicas} cannot be met by one broker; topics get fewer replicas or are refused"
                ));
            }
        }
        doubts
    }

    /// Whether `text` may be advertised for the listeners there are.
    ///
    /// # Errors
    /// A sentence that names the entry and the cure.
    pub(crate) fn check_advertised(&self, text: &str) -> Result<(), String> {
        let unadvertised = |listener: &Arc<Listener>| Listener { advertised: None, ..(**listener).clone() };
        let mut listeners: Vec<_> = self.listeners.iter().map(unadvertised).collect();
        listeners::advertise(text, &mut listeners)
    }

    /// How the metadata quorum is set up.
    pub(crate) fn quorum(&self) -> QuorumConfig {
        QuorumConfig { cluster_id: self.cluster_id.clone(), ..QuorumConfig::new(&self.data_dir, self.node_id) }
    }

    /// Where the data lies.
    pub(crate) fn data_dir(&self) -> &PathBuf {
        &self.data_dir
    }

    /// What all logs share.
    pub(crate) fn shared_limits(&self) -> SharedLimits {
        SharedLimits {
            tail_cache_bytes: self.limits.tail_cache_bytes,
            mapped_bytes: usize::try_from(self.limits.mapped_window_bytes).unwrap_or(usize::MAX),
            ..SharedLimits::default()
        }
    }
}

/// What is wrong with the settings of groups, each of which may be right by itself.
fn contradictions(group: &GroupConfig) -> Vec<&'static str> {
    let checks = [
        (
            group.min_session_timeout_ms > group.max_session_timeout_ms,
            "group.min.session.timeout.ms is larger than group.max.session.timeout.ms",
        ),
        (group.consumer_assignors.is_empty(), "group.consumer.assignors names no assignor; say uniform,range"),
        (
            group.consumer_heartbeat_interval_ms >= group.consumer_session_timeout_ms,
            "group.consumer.heartbeat.interval.ms is not less than group.consumer.session.timeout.ms",
        ),
    ];
    checks.into_iter().filter_map(|(is_wrong, problem)| is_wrong.then_some(problem)).collect()
}

/// Values whose types the table vouches for.
struct Reader<'a>(&'a Layers);

impl Reader<'_> {
    fn integer(&self, name: &'static str) -> i64 {
        match self.0.value(name) {
            Some(Value::Integer(number)) => number,
            other => unreachable!("{name} is a number with a default in the table, not {other:?}"),
        }
    }

    fn unsigned(&self, name: &'static str) -> u64 {
        u64::try_from(self.integer(name)).unwrap_or(0)
    }

    fn size(&self, name: &'static str) -> usize {
        usize::try_from(self.integer(name)).unwrap_or(0)
    }

    fn list(&self, name: &'static str) -> Vec<String> {
        match self.0.value(name) {
            Some(Value::List(list)) => list,
            other => unreachable!("{name} is a list with a default in the table, not {other:?}"),
        }
    }

    fn int(&self, name: &'static str) -> i32 {
        i32::try_from(self.integer(name)).unwrap_or(i32::MAX)
    }

    fn short(&self, name: &'static str) -> i16 {
        i16::try_from(self.integer(name)).unwrap_or(i16::MAX)
    }

    /// `None` for a negative number, which is Kafka's "never".
    fn duration(&self, name: &'static str) -> Option<Duration> {
        u64::try_from(self.integer(name)).ok().map(Duration::from_millis)
    }

    fn flag(&self, name: &'static str) -> bool {
        self.0.value(name) == Some(Value::Boolean(true))
    }

    /// A text, or a list as it is written.
    fn text(&self, name: &'static str) -> Option<String> {
        self.0.value(name).map(|value| value.to_string())
    }

    fn quota_windows(&self) -> QuotaWindows {
        let windows = |samples, seconds| Windows {
            samples: self.unsigned(samples).max(1),
            window_ms: self.unsigned(seconds).max(1) * 1000,
        };
        QuotaWindows {
            clients: windows("quota.window.num", "quota.window.size.seconds"),
            mutations: windows("controller.quota.window.num", "controller.quota.window.size.seconds"),
        }
    }

    fn cleaner(&self) -> CleanerConfig {
        CleanerConfig {
            enable: self.flag("log.cleaner.enable"),
            backoff: Duration::from_millis(self.unsigned("log.cleaner.backoff.ms")),
            map_bytes: self.size("log.cleaner.dedupe.buffer.size"),
            bytes_per_second: match self.0.value("log.cleaner.io.max.bytes.per.second") {
                Some(Value::Double(rate)) => rate.max(1.0),
                other => unreachable!("a rate is a number with a default in the table, not {other:?}"),
            },
        }
    }

    fn node_id(&self) -> Result<i32, String> {
        let node_id = self.0.value("node.id").map(|_| self.integer("node.id"));
        let broker_id = Some(self.integer("broker.id")).filter(|id| *id >= 0);
        match (node_id, broker_id) {
            (Some(node), Some(broker)) if node != broker => {
                Err(format!("node.id={node} and broker.id={broker} contradict each other; set only node.id"))
            }
            (node, broker) => {
                let id = node.or(broker).unwrap_or(DEFAULT_NODE_ID);
                i32::try_from(id).map_err(|_| format!("node.id={id} is too large"))
            }
        }
    }

    fn listeners(&self) -> Result<Vec<Listener>, String> {
        let source = self.0.source();
        let place = |name: &'static str| move |problem: String| format!("{}: {problem}", source.place(name));
        let text = match (source.get("listeners"), source.get("advertised.listeners")) {
            (None, Some(setting)) => match setting.origin {
                Origin::Environment(_) => listeners::listeners_for(&setting.value),
                _ => "PLAINTEXT://:9092".into(),
            },
            _ => self.text("listeners").unwrap_or_default(),
        };
        let protocols = self.text("listener.security.protocol.map").unwrap_or_default();
        let protocols = listeners::parse_protocols(&protocols).map_err(place("listener.security.protocol.map"))?;
        let found =
            listeners::parse_listeners(&text, &protocols, &source.controller_listeners).map_err(place("listeners"))?;
        let mut outcome = Ok(());
        for (advertised, source) in self.0.values_of("advertised.listeners") {
            let mut advertising = found.clone();
            outcome = listeners::advertise(&advertised.to_string(), &mut advertising);
            if outcome.is_ok() {
                return Ok(advertising);
            }
            if source == Source::StaticBroker {
                break;
            }
            // What was set while the broker had other listeners is not in force: it must not keep it from starting.
            outcome = Ok(());
        }
        outcome.map_err(place("advertised.listeners"))?;
        Ok(found)
    }

    fn http(&self, kafka: Option<&Listener>) -> Result<Option<HttpListener>, String> {
        let setting = self.text("ottla.http.listener");
        HttpListener::resolve(setting.as_deref(), kafka)
            .map_err(|problem| format!("{}: {problem}", self.0.source().place("ottla.http.listener")))
    }

    fn data_dir(&self) -> Result<PathBuf, String> {
        let key = if self.0.value("log.dirs").is_some() { "log.dirs" } else { "log.dir" };
        match self.0.value(key) {
            Some(Value::List(dirs)) => match &dirs[..] {
                [dir] if !dir.is_empty() => Ok(PathBuf::from(dir)),
                _ => {
                    let (place, dirs) = (self.0.source().place(key), dirs.len());
                    Err(format!("{place} names {dirs} directories; one is supported, on a volume that is large enough"))
                }
            },
            other => unreachable!("{key} is a list in the table, not {other:?}"),
        }
    }

    fn limits(&self) -> Limits {
        let configured = self.text("ottla.memory.limit").and_then(|text| parse_size(&text));
        let memory_bytes = limits::memory_bytes(configured, None);
        let request_bytes = match self.integer("queued.max.request.bytes") {
            bytes if bytes > 0 => bytes as u64,
            _ => limits::request_bytes(memory_bytes),
        };
        Limits {
            memory_bytes,
            request_bytes: usize::try_from(request_bytes).unwrap_or(usize::MAX),
            answer_bytes: limits::answer_bytes(memory_bytes),
            tail_cache_bytes: self.size("ottla.tail.cache.bytes"),
            mapped_window_bytes: self.unsigned("ottla.mapped.window.bytes"),
            groups: limits::groups(memory_bytes),
            transactional_ids: limits::transactional_ids(memory_bytes),
            conversion_bytes: limits::conversion_bytes(memory_bytes),
            client_series_bytes: self.size("ottla.metrics.clients.bytes"),
            push_bytes: limits::push_bytes(memory_bytes),
        }
    }

    fn transactions_topic(&self) -> TransactionsTopic {
        TransactionsTopic {
            partitions: self.int("transaction.state.log.num.partitions"),
            replication_factor: self.short("transaction.state.log.replication.factor"),
            segment_bytes: self.int("transaction.state.log.segment.bytes"),
            min_isr: self.int("transaction.state.log.min.isr"),
        }
    }

    fn add_partitions_backoff(&self) -> (Duration, Duration) {
        let ms = |key| Duration::from_millis(self.unsigned(key));
        (ms("add.partitions.to.txn.retry.backoff.ms"), ms("add.partitions.to.txn.retry.backoff.max.ms"))
    }

    fn transaction(&self, limits: &Limits) -> TransactionConfig {
        TransactionConfig {
            max_timeout_ms: self.int("transaction.max.timeout.ms"),
            transactional_id_expiration_ms: self.integer("transactional.id.expiration.ms"),
            abort_timed_out_interval_ms: self.unsigned("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            remove_expired_interval_ms: self.unsigned("transaction.remove.expired.transaction.cleanup.interval.ms"),
            max_transactional_ids: limits.transactional_ids,
            ..TransactionConfig::default()
        }
    }

    fn group(&self, limits: &Limits) -> GroupConfig {
        let record_bytes = self.size("message.max.bytes").max(1 << 20).saturating_sub(RECORD_OVERHEAD_BYTES);
        GroupConfig {
            min_session_timeout_ms: self.int("group.min.session.timeout.ms"),
            max_session_timeout_ms: self.int("group.max.session.timeout.ms"),
            initial_rebalance_delay_ms: self.int("group.initial.rebalance.delay.ms"),
            max_size: self.size("group.max.size"),
            consumer_session_timeout_ms: self.int("group.consumer.session.timeout.ms"),
            consumer_heartbeat_interval_ms: self.int("group.consumer.heartbeat.interval.ms"),
            consumer_max_size: self.size("group.consumer.max.size"),
            consumer_assignors: self
                .list("group.consumer.assignors")
                .iter()
                .filter_map(|name| Assignor::from_name(name))
                .collect(),
            consumer_migration_policy: self
                .text("group.consumer.migration.policy")
                .and_then(|name| MigrationPolicy::from_name(&name))
                .unwrap_or_default(),
            offset_metadata_max_bytes: self.size("offset.metadata.max.bytes"),
            offsets_retention_ms: self.integer("offsets.retention.minutes").saturating_mul(60_000),
            offsets_retention_check_interval_ms: self.unsigned("offsets.retention.check.interval.ms"),
            max_groups: limits.groups,
            max_record_bytes: record_bytes.min(GroupConfig::default().max_record_bytes),
            ..GroupConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigInput, ConfigSource};

    fn build(set: &[&str], environment: &[(&str, &str)]) -> Result<BrokerConfig, String> {
        let input = ConfigInput {
            set: set.iter().map(|text| text.to_string()).collect(),
            environment: environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            ..Default::default()
        };
        let (source, _) = ConfigSource::load(&input).map_err(|error| error.to_string())?;
        BrokerConfig::build(Layers::fixed(&source)).map_err(|problems| problems.join("\n"))
    }

    #[test]
    fn without_settings_it_listens_on_loopback_and_keeps_data_here() {
        let config = build(&[], &[]).unwrap();
        assert_eq!((config.node_id, config.data_dir().as_path()), (1, std::path::Path::new("ottla-data")));
        assert_eq!(config.listeners[0].bind_address().unwrap(), "127.0.0.1:9092".parse().unwrap());
        assert_eq!(config.connections_max_idle, Duration::from_secs(600));
        assert_eq!(config.group.initial_rebalance_delay_ms, 0);
        assert_eq!(config.doubts(), [""; 0]);
    }

    #[test]
    fn numbers_of_the_broker_do_not_contradict_each_other() {
        assert_eq!(build(&["broker.id=7"], &[]).unwrap().node_id, 7);
        assert_eq!(build(&["broker.id=7", "node.id=7"], &[]).unwrap().node_id, 7);
        assert!(build(&["broker.id=7", "node.id=8"], &[]).unwrap_err().contains("contradict"));
    }

    #[test]
    fn one_directory_is_what_there_can_be() {
        assert_eq!(build(&["log.dirs=/a"], &[]).unwrap().data_dir().as_path(), std::path::Path::new("/a"));
        assert!(build(&["log.dirs=/a,/b"], &[]).unwrap_err().contains("2 directories"));
    }

    #[test]
    fn an_advertised_address_from_the_environment_opens_its_port_everywhere() {
        let config = build(&[], &[("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://kafka:19092")]).unwrap();
        let listener = &config.listeners[0];
        assert_eq!(listener.bind_address().unwrap(), "0.0.0.0:19092".parse().unwrap());
        assert_eq!(listener.advertised, Some(("kafka".into(), 19092)));
    }

    #[test]
    fn advertising_localhost_on_every_address_is_doubted() {
        let config = build(&["listeners=PLAINTEXT://:9092", "advertised.listeners=PLAINTEXT://localhost:9092"], &[]);
        assert!(config.unwrap().doubts()[0].contains("on other machines"));
    }
}

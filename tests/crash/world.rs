//! A data directory, the clients that work on it, and the brokers that live and die over it.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Cluster, TopicPartition, fetch_committed};

use crate::actors::{GROUP, LOAD, Member, PARTITIONS, Stage, Writer, delete_records};
use crate::broker_process::{BrokerProcess, OTTLA};
use crate::compacted::{COMPACTED, Keeper, check_compacted, create_compacted};
use crate::damage::Damage;
use crate::faulty::create;
use crate::ledger::{Discipline, Ledger};
use crate::made::Maker;
use crate::reader::read;

/// Until everybody has an answer after a restart.
const PATIENCE: Duration = Duration::from_secs(60);
const DISCIPLINES: [Discipline; 5] =
    [Discipline::Idempotent, Discipline::Idempotent, Discipline::Idempotent, Discipline::Retrying, Discipline::Once];

/// Of the load's topic: the least that the broker allows, and so is what it keeps in some worlds.
const SEGMENT_BYTES: usize = 1 << 20;
/// Damages between a kill and a restart are fewer than this.
const DAMAGES: u32 = 5;

/// What happened in a world, in counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Batches.
    pub(crate) acknowledged: u64,
    /// Records, each compared.
    pub(crate) read: u64,
    pub(crate) commits: u64,
    /// Of records.
    pub(crate) deletions: u64,
    /// Of topics.
    pub(crate) changes: u64,
    /// Runs of the cleaner.
    pub(crate) compactions: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.acknowledged += other.acknowledged;
        self.read += other.read;
        self.commits += other.commits;
        self.deletions += other.deletions;
        self.changes += other.changes;
        self.compactions += other.compactions;
    }

    /// Worlds in which nothing happened prove nothing. Of one alone not everything can be asked: a machine that is busy
    /// elsewhere may not get to it before each kill.
    pub(crate) fn was_worth_it(&self, worlds: u64) {
        let enough =
            [self.commits, self.deletions, self.changes, self.compactions].iter().all(|count| *count >= worlds);
        assert!(enough && self.acknowledged > 50 * worlds, "in {worlds} worlds only {self:?}");
    }
}

pub(crate) struct World {
    seed: u64,
    random: fastrand::Rng,
    /// Nobody only while one is being replaced.
    broker: Option<BrokerProcess>,
    settings: Vec<String>,
    cluster: Cluster,
    ledger: Arc<Mutex<Ledger>>,
    writers: Vec<Writer>,
    keepers: Vec<Keeper>,
    member: Option<Member>,
    maker: Option<Maker>,
    /// Logs that were compacted.
    compactions: u64,
    /// What happened, for the one who looks for the cause.
    story: Vec<String>,
}

impl World {
    pub(crate) async fn new(seed: u64) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let settings = vec![
            format!("listeners=PLAINTEXT://127.0.0.1:{}", free_port()),
            format!("log.segment.bytes={SEGMENT_BYTES}"),
            "offsets.topic.num.partitions=1".into(),
            "group.min.session.timeout.ms=500".into(),
            "group.initial.rebalance.delay.ms=0".into(),
            "log.cleaner.backoff.ms=10".into(),
            "log.retention.check.interval.ms=50".into(),
        ];
        let broker = BrokerProcess::start(&settings.iter().map(String::as_str).collect::<Vec<_>>());
        let cluster = Cluster::connect(&broker.address, "crash").await.unwrap();
        let retention_bytes = (random.u32(..3) == 0).then_some(SEGMENT_BYTES);
        create_load(&cluster, retention_bytes, random.bool()).await;
        let tombstones_expire = random.bool();
        create_compacted(&cluster, tombstones_expire).await;
        let mut writers = Vec::new();
        for (id, discipline) in (0..).zip(DISCIPLINES) {
            writers.push(Writer::new(id, discipline, &cluster, random.fork()).await);
        }
        let mut keepers = Vec::new();
        for (id, idempotent) in [(0, true), (1, false)] {
            keepers.push(Keeper::new(id, idempotent, &cluster, tombstones_expire, random.fork()).await);
        }
        let (member, maker) = (Some(Member::new(&cluster)), Some(Maker::new(random.fork())));
        let ledger = Arc::new(Mutex::new(Ledger { retention_bytes, ..Ledger::default() }));
        let (broker, compactions, story) = (Some(broker), 0, Vec::new());
        World { seed, random, broker, settings, cluster, ledger, writers, keepers, member, maker, compactions, story }
    }

    /// Load, a kill, perhaps damage, a restart, and a look at everything.
    pub(crate) async fn cycle(&mut self) {
        let stop = Arc::new(AtomicBool::new(false));
        let stage = Stage { cluster: self.cluster.clone(), ledger: Arc::clone(&self.ledger), stop: Arc::clone(&stop) };
        let writers: Vec<_> = self.writers.drain(..).map(|writer| tokio::spawn(writer.work(stage.clone()))).collect();
        let keepers: Vec<_> = self.keepers.drain(..).map(|keeper| tokio::spawn(keeper.work(stage.clone()))).collect();
        let member = self.member.take().unwrap();
        let member = tokio::spawn(member.work(stage.clone(), self.random.fork()));
        let maker = tokio::spawn(self.maker.take().unwrap().work(stage.clone()));
        let deleter = tokio::spawn(delete_records(stage.clone(), self.random.fork()));

        let after = Duration::from_millis(self.random.u64(10..150));
        tokio::time::sleep(after).await;
        self.story.push(format!("killed after {after:?}"));
        self.crash_and_restart(&stop);

        for writer in writers {
            self.writers.push(self.joined(writer).await);
        }
        for keeper in keepers {
            self.keepers.push(self.joined(keeper).await);
        }
        self.member = Some(self.joined(member).await);
        self.maker = Some(self.joined(maker).await);
        self.joined(deleter).await;
        self.check().await;
    }

    async fn joined<T>(&self, task: tokio::task::JoinHandle<T>) -> T {
        tokio::time::timeout(PATIENCE, task).await.expect("an answer after the restart").unwrap()
    }

    fn crash_and_restart(&mut self, stop: &AtomicBool) {
        let mut broker = self.broker.take().unwrap();
        broker.crash();
        stop.store(true, Ordering::Release);
        self.examine(&broker.log());
        for _ in 0..self.random.u32(..DAMAGES) {
            self.damage(&broker);
        }
        if self.random.u32(..4) == 0 {
            self.kill_while_starting(&broker);
            if self.random.bool() {
                self.damage(&broker);
            }
        }
        self.broker = Some(broker.restart());
    }

    fn examine(&mut self, log: &str) {
        assert_calm(log);
        self.compactions += log.lines().filter(|line| line.contains(" compacted ")).count() as u64;
    }

    fn damage(&mut self, broker: &BrokerProcess) {
        let (damage, partition) = match self.random.i32(-3..PARTITIONS) {
            -3 => (Damage::any_tail(&mut self.random), "ottla-metadata".to_string()),
            -2 => (Damage::any(&mut self.random), "__consumer_offsets-0".to_string()),
            -1 => (Damage::any(&mut self.random), format!("{COMPACTED}-0")),
            index => (Damage::any(&mut self.random), format!("{LOAD}-{index}")),
        };
        self.story.push(format!("{damage:?} at {partition}"));
        damage.apply(&broker.data_dir(), &partition, &mut self.random);
        if damage == Damage::LogStartsRemoved {
            self.ledger.lock().unwrap().starts_forgotten();
        }
    }

    /// A broker that does not live to the end of its recovery.
    fn kill_while_starting(&mut self, broker: &BrokerProcess) {
        let mut command = Command::new(OTTLA);
        command.args(["--set", &format!("log.dirs={}", broker.data_dir().display())]);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        let mut process = command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let after = Duration::from_micros(self.random.u64(..30_000));
        self.story.push(format!("killed {after:?} after its start"));
        std::thread::sleep(after);
        process.kill().unwrap();
        let said = process.wait_with_output().unwrap().stderr;
        self.examine(&String::from_utf8_lossy(&said));
    }

    async fn check(&mut self) {
        let places: Vec<TopicPartition> = (0..PARTITIONS).map(|index| TopicPartition::new(LOAD, index)).collect();
        let committed = fetch_committed(&self.cluster, GROUP, Some(&places)).await.unwrap();
        for place in &places {
            let contents = read(&self.cluster, LOAD, place.partition).await.unwrap();
            let committed = committed.get(place).map(|committed| committed.offset);
            self.ledger.lock().unwrap().check(place.partition, &contents, committed);
        }
        let read = check_compacted(&self.cluster, &mut self.keepers).await;
        self.ledger.lock().unwrap().read += read;
        self.maker.as_mut().unwrap().check(&self.cluster).await;
    }

    /// What was recovered from crashes survives a clean stop too. Answers what happened in this world.
    pub(crate) async fn end(mut self) -> Tally {
        let mut broker = self.broker.take().unwrap();
        self.story.push("stopped".into());
        assert!(broker.stop().success(), "{}", broker.log());
        self.examine(&broker.log());
        self.broker = Some(broker.restart());
        self.check().await;
        let ledger = self.ledger.lock().unwrap();
        let kept: u64 = self.keepers.iter().map(|keeper| keeper.acknowledged).sum();
        let changes = self.maker.as_ref().unwrap().changes;
        let acknowledged = ledger.acknowledged + kept;
        let (commits, deletions) = (ledger.commits, ledger.deletions);
        Tally { acknowledged, read: ledger.read, commits, deletions, changes, compactions: self.compactions }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.broker.as_ref().map(BrokerProcess::log).unwrap_or_default();
            eprintln!("OTTLA_SEED={}\n{}\nthe last broker:\n{log}", self.seed, self.story.join("\n"));
        }
    }
}

/// No crash, and nothing that a crash leaves, is a reason for an error or a panic.
pub(crate) fn assert_calm(log: &str) {
    let wrong = log.lines().find(|line| line.contains(" ERROR ") || line.contains("panicked at"));
    assert!(wrong.is_none(), "the broker says {wrong:?}:\n{log}");
}

/// One topic that keeps everything or deletes its oldest segments, in segments that grow full or old.
async fn create_load(cluster: &Cluster, retention_bytes: Option<usize>, short_segments: bool) {
    let retention_bytes = retention_bytes.map_or("-1".into(), |bytes| bytes.to_string());
    let segment_ms = if short_segments { "150" } else { "604800000" };
    let configs = [("retention.bytes", retention_bytes.as_str()), ("segment.ms", segment_ms)];
    create(cluster, LOAD, PARTITIONS, &configs).await;
}

/// A port that stays the broker's over restarts: below those that the system gives to anybody who asks.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 200) as u16 * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

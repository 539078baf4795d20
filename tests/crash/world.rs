//! A data directory, the clients that work on it, and the brokers that live and die over it.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Cluster, TopicPartition, fetch_committed};
use protocol::messages::CreateTopicsRequest;
use protocol::messages::create_topics::CreatableTopic;

use crate::actors::{GROUP, LOAD, Member, PARTITIONS, Stage, Writer, delete_records};
use crate::broker_process::{BrokerProcess, OTTLA};
use crate::damage::Damage;
use crate::ledger::{Discipline, Ledger};
use crate::made::Maker;
use crate::reader::read;

/// Until everybody has an answer after a restart.
const PATIENCE: Duration = Duration::from_secs(60);
const DISCIPLINES: [Discipline; 5] =
    [Discipline::Idempotent, Discipline::Idempotent, Discipline::Idempotent, Discipline::Retrying, Discipline::Once];

pub(crate) struct World {
    seed: u64,
    random: fastrand::Rng,
    /// Nobody only while one is being replaced.
    broker: Option<BrokerProcess>,
    settings: Vec<String>,
    cluster: Cluster,
    ledger: Arc<Mutex<Ledger>>,
    writers: Vec<Writer>,
    member: Option<Member>,
    maker: Option<Maker>,
    /// What happened, for the one who looks for the cause.
    story: Vec<String>,
}

impl World {
    pub(crate) async fn new(seed: u64) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let settings = vec![
            format!("listeners=PLAINTEXT://127.0.0.1:{}", free_port()),
            "log.segment.bytes=1048576".into(),
            "offsets.topic.num.partitions=1".into(),
            "group.min.session.timeout.ms=500".into(),
            "group.initial.rebalance.delay.ms=0".into(),
        ];
        let broker = BrokerProcess::start(&settings.iter().map(String::as_str).collect::<Vec<_>>());
        let cluster = Cluster::connect(&broker.address, "crash").await.unwrap();
        create_load(&cluster).await;
        let mut writers = Vec::new();
        for (id, discipline) in (0..).zip(DISCIPLINES) {
            writers.push(Writer::new(id, discipline, &cluster, random.fork()).await);
        }
        let (member, maker) = (Some(Member::new(&cluster)), Some(Maker::new(random.fork())));
        let (broker, ledger, story) = (Some(broker), Arc::default(), Vec::new());
        World { seed, random, broker, settings, cluster, ledger, writers, member, maker, story }
    }

    /// Load, a kill, perhaps damage, a restart, and a look at everything.
    pub(crate) async fn cycle(&mut self) {
        let stop = Arc::new(AtomicBool::new(false));
        let stage = Stage { cluster: self.cluster.clone(), ledger: Arc::clone(&self.ledger), stop: Arc::clone(&stop) };
        let writers: Vec<_> = self.writers.drain(..).map(|writer| tokio::spawn(writer.work(stage.clone()))).collect();
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
        for _ in 0..self.random.u32(..3) {
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

    fn damage(&mut self, broker: &BrokerProcess) {
        let damage = Damage::any(&mut self.random);
        let partition = match self.random.i32(0..PARTITIONS + 1) {
            PARTITIONS => "__consumer_offsets-0".to_string(),
            index => format!("{LOAD}-{index}"),
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
        let mut process = command.stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
        let after = Duration::from_micros(self.random.u64(..30_000));
        self.story.push(format!("killed {after:?} after its start"));
        std::thread::sleep(after);
        process.kill().unwrap();
        process.wait().unwrap();
    }

    async fn check(&mut self) {
        let places: Vec<TopicPartition> = (0..PARTITIONS).map(|index| TopicPartition::new(LOAD, index)).collect();
        let committed = fetch_committed(&self.cluster, GROUP, Some(&places)).await.unwrap();
        for place in &places {
            let contents = read(&self.cluster, LOAD, place.partition).await.unwrap();
            let committed = committed.get(place).map(|committed| committed.offset);
            self.ledger.lock().unwrap().check(place.partition, &contents, committed);
        }
        self.maker.as_mut().unwrap().check(&self.cluster).await;
    }

    /// A world in which nothing happened proves nothing.
    pub(crate) fn was_worth_it(&self) {
        let ledger = self.ledger.lock().unwrap();
        let changes = self.maker.as_ref().unwrap().changes;
        assert!(
            ledger.acknowledged > 50 && ledger.commits > 0 && ledger.deletions > 0 && changes > 0,
            "{} batches, {} commits, {} deletions, {changes} changes of topics",
            ledger.acknowledged,
            ledger.commits,
            ledger.deletions
        );
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

async fn create_load(cluster: &Cluster) {
    let topic =
        CreatableTopic { name: LOAD.into(), num_partitions: PARTITIONS, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert!(answer.topics.iter().all(|topic| !topic.error_code.is_error()), "{answer:?}");
}

/// A port that stays the broker's over restarts: below those that the system gives to anybody who asks.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 200) as u16 * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

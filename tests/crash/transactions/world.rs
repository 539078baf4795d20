//! The programs of one world, the brokers that live and die under them, and what is left when all is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use client::{Consumer, Isolation, StartOffset, TopicPartition};
use tokio::task::{JoinHandle, JoinSet};

use super::bank::{self, BANK, Books, Statement};
use super::checker::{Contents, check};
use super::history::{Place, Value};
use super::lists::{self, LISTS};
use super::pipeline::{self, INPUT, OUTPUT, OUTPUTS};
use super::producer::{LONG_MS, Manner, Producer, Understanding};
use super::stage::{PHASES, Stage, pause};
use super::tally::Tally;
use super::watchers::{latest, probe, read_along};
use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::damage::Damage;
use crate::faulty::create;
use crate::world::{assert_calm, free_port};

const APPENDERS: u32 = 3;
const READERS: u32 = 2;
/// How long a broker is waited for to be where it is to be killed.
const PATIENCE: Duration = Duration::from_secs(2);
/// Damages between a kill and a restart are fewer than this.
const DAMAGES: u32 = 3;
const INTERNAL: [&str; 3] = ["__transaction_state-0", "__transaction_state-1", "__consumer_offsets-0"];

fn places() -> Vec<Place> {
    let of = |topic: &'static str, count: i32| (0..count).map(move |index| (topic, index));
    of(LISTS, lists::PARTITIONS).chain(of(BANK, bank::PARTITIONS)).chain(of(OUTPUT, OUTPUTS)).collect()
}

pub(crate) struct World {
    seed: u64,
    random: fastrand::Rng,
    /// Nobody only while one is being replaced.
    broker: Option<BrokerProcess>,
    stage: Stage,
    actors: JoinSet<()>,
    feeder: JoinHandle<u64>,
    /// Set when nothing is fed any more.
    dry: Arc<AtomicBool>,
    tally: Tally,
    /// What happened, for the one who looks for the cause.
    story: Vec<String>,
}

impl World {
    pub(crate) async fn new(seed: u64) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let listener = format!("listeners=PLAINTEXT://127.0.0.1:{}", free_port());
        let settings = [
            listener.as_str(),
            "offsets.topic.num.partitions=1",
            "transaction.state.log.num.partitions=2",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms=20",
        ];
        let broker = BrokerProcess::start(&settings);
        let stage = Stage::new(&broker.address).await;
        for (topic, partitions) in [(LISTS, lists::PARTITIONS), (BANK, bank::PARTITIONS), (INPUT, 1), (OUTPUT, OUTPUTS)]
        {
            create(&stage.cluster, topic, partitions, &[]).await;
        }
        let (mut actors, dry) = (JoinSet::new(), Arc::<AtomicBool>::default());
        for appender in 0..APPENDERS {
            let appending = lists::append(stage.clone(), format!("appender-{appender}"), random.fork());
            actors.spawn(appending);
        }
        let other = async || stage.for_another().await;
        actors.spawn(lists::abandon(other().await, "abandoned".into(), random.fork()));
        actors.spawn(bank::transfer(other().await, random.fork()));
        actors.spawn(pipeline::copy(other().await, Arc::clone(&dry), random.fork()));
        for reader in 0..READERS {
            let stage = other().await;
            actors.spawn(async move { read_along(stage, reader, &places()).await });
        }
        let (prober, chance) = (other().await, random.fork());
        actors.spawn(async move { probe(prober, &places(), chance).await });
        let feeder = tokio::spawn(pipeline::feed(other().await, random.fork()));
        let (broker, tally, story) = (Some(broker), Tally::default(), Vec::new());
        World { seed, random, broker, stage, actors, feeder, dry, tally, story }
    }

    /// The broker works, is killed somewhere, suffers, and starts again; now and then it does not get far.
    pub(crate) async fn life(&mut self) {
        let (work_ms, phase) = (self.random.u64(20..300), PHASES[self.random.usize(..PHASES.len())]);
        // Short enough to hit what is under way, mostly.
        let later_max_us = 1 << self.random.u32(1..13);
        let later = Duration::from_micros(self.random.u64(..later_max_us));
        tokio::time::sleep(Duration::from_millis(work_ms)).await;
        let met = tokio::time::timeout(PATIENCE, self.stage.until(phase)).await.is_ok();
        std::thread::sleep(later);
        self.tally.killed(met.then_some(phase));
        self.story.push(format!("killed after {work_ms} ms and {later:?} after {phase:?}: {met}"));
        self.crash_and_restart();
        if self.random.u32(..5) == 0 {
            let later = Duration::from_micros(self.random.u64(..15_000));
            std::thread::sleep(later);
            self.story.push(format!("killed {later:?} after it was ready"));
            self.tally.killed(None);
            self.crash_and_restart();
        }
        while let Some(ended) = self.actors.try_join_next() {
            ended.unwrap();
        }
    }

    fn crash_and_restart(&mut self) {
        let mut broker = self.broker.take().unwrap();
        broker.crash();
        assert_calm(&broker.log());
        for _ in 0..self.random.u32(..DAMAGES) {
            let damage = Damage::any(&mut self.random);
            let mut partitions: Vec<String> = INTERNAL.map(str::to_owned).into();
            partitions.extend(places().into_iter().map(|(topic, index)| format!("{topic}-{index}")));
            let partition = &partitions[self.random.usize(..partitions.len())];
            self.story.push(format!("{damage:?} at {partition}"));
            damage.apply(&broker.data_dir(), partition, &mut self.random);
        }
        self.broker = Some(broker.restart());
    }

    /// Everybody ends what they can, what is left open is ended by others, and everything is compared.
    pub(crate) async fn end(mut self) -> Tally {
        self.stage.end();
        self.tally.copied = (&mut self.feeder).await.unwrap();
        self.dry.store(true, Ordering::Release);
        while let Some(ended) = tokio::time::timeout(2 * DEADLINE, self.actors.join_next()).await.expect("an end") {
            ended.unwrap();
        }
        let appenders = (0..APPENDERS).map(|appender| format!("appender-{appender}"));
        for transactional_id in appenders.chain(["banker".into(), "copier".into()]) {
            let manner = Manner { transactional_id, understanding: Understanding::New, timeout_ms: LONG_MS };
            Producer::init(self.stage.clone(), &manner).await;
        }
        if self.random.bool() {
            self.story.push("stopped".into());
            let mut broker = self.broker.take().unwrap();
            assert!(broker.stop().success(), "{}", broker.log());
            assert_calm(&broker.log());
            self.broker = Some(broker.restart());
        }
        self.compare().await;
        self.tally.clone()
    }

    async fn compare(&mut self) {
        let mut contents = BTreeMap::new();
        let mut payloads: BTreeMap<Place, Vec<String>> = BTreeMap::new();
        for place in places() {
            let (last_stable_offset, end_offset) = settled(&self.stage, place).await;
            let all = read(&self.stage, place, Isolation::ReadUncommitted).await;
            let committed = read(&self.stage, place, Isolation::ReadCommitted).await;
            self.tally.records += all.len() as u64;
            let named = |found: &[(i64, String)]| {
                found.iter().map(|(offset, text)| (*offset, Value::parse(text).map(|(value, _)| value))).collect()
            };
            let payload = |(_, text): &(i64, String)| Value::parse(text).map_or(String::new(), |(_, p)| p.to_owned());
            payloads.insert(place, committed.iter().map(payload).collect());
            let (all, committed) = (named(&all), named(&committed));
            contents.insert(place, Contents { committed, all, last_stable_offset, end_offset });
        }
        let violations = self.stage.with_history(|history| {
            self.tally.note(history);
            check(history, &contents)
        });
        let shown: Vec<String> = violations.iter().take(10).map(|(rule, what)| format!("{rule:?}: {what}")).collect();
        assert!(shown.is_empty(), "{} violations:\n{}", violations.len(), shown.join("\n"));
        let of_bank = payloads.iter().filter(|((topic, _), _)| *topic == BANK).flat_map(|(_, texts)| texts);
        let statements: Vec<Statement> = of_bank.map(|text| Statement::parse(text).expect("a statement")).collect();
        self.tally.transfers = Books::of(&statements).unwrap_or_else(|wrong| panic!("{wrong}")).transfers;
        let of_output = payloads.iter().filter(|((topic, _), _)| *topic == OUTPUT);
        let outputs: Vec<Vec<u64>> =
            of_output.map(|(_, texts)| texts.iter().map(|text| text.parse().expect("a number")).collect()).collect();
        pipeline::check(self.tally.copied, &outputs).unwrap_or_else(|wrong| panic!("{wrong}"));
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

/// Last stable offset and end, when they are the same; or as they are after a while, which is for the checker to judge.
async fn settled(stage: &Stage, place: Place) -> (i64, i64) {
    let begun = Instant::now();
    loop {
        let stable = latest(stage, place, Isolation::ReadCommitted).await;
        let end = latest(stage, place, Isolation::ReadUncommitted).await;
        if let (Some(stable), Some(end)) = (stable, end)
            && (stable == end || begun.elapsed() > DEADLINE)
        {
            return (stable, end);
        }
        assert!(begun.elapsed() < 2 * DEADLINE, "{place:?} is not led");
        pause().await;
    }
}

/// Everything that such readers find, from the first record on.
async fn read(stage: &Stage, (topic, index): Place, isolation: Isolation) -> Vec<(i64, String)> {
    let mut consumer = Consumer::new(&stage.cluster).isolation(isolation);
    consumer.assign(&[TopicPartition::new(topic, index)], StartOffset::Earliest).await.unwrap();
    let mut found = Vec::new();
    while !consumer.is_caught_up() {
        if let Some(record) = consumer.next(Duration::from_millis(50)).await.unwrap() {
            let value = record.value.as_deref().unwrap_or_default();
            found.push((record.offset, String::from_utf8_lossy(value).into_owned()));
        }
    }
    found
}

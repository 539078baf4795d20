//! How long a quorum of one takes to start, to decide, and to start again, and how much memory it holds.
//!
//! `cargo bench -p raft [directory]` prints a line each; the directory is where the disk to be measured is mounted.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::Uuid;
use raft::{Quorum, QuorumConfig};
use state::cluster::{Command, NewTopic, RegisterBroker};

const STARTS: u32 = 20;
const TOPICS: u32 = 1000;
const PROPOSALS: u32 = 2000;
const TOGETHER: u32 = 20_000;

fn main() {
    let at = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let at = at.unwrap_or_else(std::env::temp_dir).join(format!("ottla-bench-{}", std::process::id()));
    report("resident before", resident_kib(), "KiB");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(measure(&at));
    if let Err(error) = std::fs::remove_dir_all(&at) {
        eprintln!("{}: {error}", at.display());
    }
}

async fn measure(at: &Path) {
    let mut fresh = Vec::new();
    for i in 0..STARTS {
        let (quorum, took) = start(&at.join(i.to_string())).await;
        fresh.push(took);
        quorum.shutdown().await;
    }
    spread("start in an empty directory", fresh);
    let dir = at.join("0");
    spread("start again", restarts(&dir).await);

    let (quorum, _) = start(&dir).await;
    report("resident, idle", resident_kib(), "KiB");
    let epoch = register(&quorum).await;
    let mut created = Vec::new();
    let begun = Instant::now();
    for number in 0..TOPICS {
        created.push(timed(&quorum, topic(number)).await);
    }
    report("1,000 topics one by one", begun.elapsed().as_millis(), "ms");
    spread("a topic", created);
    let mut proposed = Vec::new();
    for _ in 0..PROPOSALS {
        proposed.push(timed(&quorum, producer_ids(epoch)).await);
    }
    spread("a proposal", proposed);
    let begun = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..TOGETHER {
        let quorum = quorum.clone();
        running.spawn(async move { quorum.propose(producer_ids(epoch)).await.is_ok() });
    }
    assert!(running.join_all().await.into_iter().all(|ok| ok));
    report("20,000 proposals at once", begun.elapsed().as_millis(), "ms");
    report("resident, 1,000 topics", resident_kib(), "KiB");
    let cpu = cpu_ticks();
    tokio::time::sleep(Duration::from_secs(5)).await;
    report("processor while idle for 5 s", (cpu_ticks() - cpu) * 10, "ms");
    quorum.shutdown().await;
    drop(quorum);
    spread("start again with 1,000 topics", restarts(&dir).await);
}

async fn start(dir: &Path) -> (Quorum, Duration) {
    let begun = Instant::now();
    let quorum = Quorum::start(QuorumConfig::new(dir, 1)).await.expect("a start");
    (quorum, begun.elapsed())
}

async fn restarts(dir: &Path) -> Vec<Duration> {
    let mut all = Vec::new();
    for _ in 0..STARTS {
        let (quorum, took) = start(dir).await;
        all.push(took);
        quorum.shutdown().await;
    }
    all
}

async fn timed(quorum: &Quorum, command: Command) -> Duration {
    let begun = Instant::now();
    quorum.propose(command).await.expect("a quorum that works");
    begun.elapsed()
}

async fn register(quorum: &Quorum) -> i64 {
    let command = Command::RegisterBroker(RegisterBroker {
        broker_id: 1,
        incarnation_id: Uuid([9; 16]),
        directory_id: quorum.directory_id(),
        listeners: Vec::new(),
        rack: None,
        fenced: false,
        replaces_epoch: -1,
    });
    quorum.propose(command).await.expect("a quorum that works").into_broker_epoch().expect("the first registration")
}

fn topic(number: u32) -> Command {
    let mut id = [1; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let name = format!("measured.topic.{number}");
    Command::CreateTopics(vec![NewTopic { name, id: Uuid(id), assignments: vec![vec![1]], configs: [].into() }])
}

fn producer_ids(broker_epoch: i64) -> Command {
    Command::AllocateProducerIds { broker_id: 1, broker_epoch, count: 1000 }
}

fn spread(what: &str, mut all: Vec<Duration>) {
    all.sort();
    let at = |share: usize| all[(all.len() - 1) * share / 100].as_micros();
    println!("{what:32} p50 {:>7} p99 {:>7} max {:>7} µs", at(50), at(99), at(100));
}

fn report(what: &str, value: impl std::fmt::Display, unit: &str) {
    println!("{what:32} {value:>7} {unit}");
}

/// VmRSS.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// User and system time, in ticks of 10 ms.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

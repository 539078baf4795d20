//! Rounds: each contender in turn, in another order each time, all workloads one after the other.

use std::fs;
use std::future::pending;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use client::Cluster;

use crate::contender::{Contender, Running};
use crate::measure::{Measure, Numbers, Table};
use crate::report::{self, Setting};
use crate::stream::{self, refuse_losses};
use crate::tree::{self, Machine};
use crate::usage::{PeakSampler, age, now_seconds};
use crate::workloads::{self, Kind, Row};
use crate::{Outcome, scenes};

/// Written and deleted before the first round: a page of a fresh virtual machine that is touched for the first time
/// costs many times a recycled one, and the first contender would pay for all.
const THROW_AWAY_BYTES: u64 = 1 << 30;

/// What to compare, and how.
pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// How long each workload is measured.
    pub(crate) seconds: f64,
    pub(crate) contenders: Vec<Contender>,
    /// Workloads whose name has one of these; the core when empty.
    pub(crate) only: Vec<String>,
    pub(crate) all: bool,
    /// Where the report goes.
    pub(crate) out: PathBuf,
}

impl Options {
    fn rows(&self) -> Vec<Row> {
        let is_wanted = |row: &Row| match &self.only[..] {
            [] => self.all || row.is_core,
            words => words.iter().any(|word| row.name.contains(word.as_str())),
        };
        workloads::rows(self.seconds).into_iter().filter(is_wanted).collect()
    }
}

/// Runs all rounds, writes the report after each, and says which bars were not reached.
///
/// # Errors
/// What keeps the whole from running; and, at the end, what could not be measured.
pub(crate) async fn compare(options: &Options) -> Outcome<()> {
    let has_kafka = options.contenders.iter().any(|who| matches!(who, Contender::Kafka | Contender::Kafka512m));
    tree::prepare(has_kafka)?;
    fs::create_dir_all(&options.out)?;
    let scratch = tempfile::tempdir_in(&options.out)?;
    touch_pages(scratch.path())?;
    let rows = options.rows();
    let mut table = Table::default();
    let setting = Setting {
        machine: Machine::describe(scratch.path()),
        rounds: options.rounds,
        seconds: options.seconds,
        taken_at_seconds: now_seconds(),
    };
    let begun = Instant::now();
    for round in 0..options.rounds {
        let mut order = options.contenders.clone();
        order.rotate_left(round % options.contenders.len());
        for contender in order {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, contender.name());
            let directory = scratch.path().join(format!("{round}-{}", contender.name()));
            let mut take = |workload: &str, result: Outcome<Numbers>| match result {
                Ok(numbers) => {
                    eprintln!("  {workload}: {}", report::line(&numbers));
                    table.add(round, workload, contender, &numbers);
                }
                Err(error) => {
                    eprintln!("  FAILED {workload}: {error}");
                    table.fail(round, contender, &format!("{workload}: {error}"));
                }
            };
            if let Err(error) = one_round(contender, &directory, &rows, &mut take).await {
                take("the whole round", Err(error));
            }
            fs::remove_dir_all(&directory)?;
        }
        report::write(&options.out, &setting, &table)?;
        eprintln!("{:.0} s so far; {}", begun.elapsed().as_secs_f64(), options.out.join("report.md").display());
    }
    print!("{}", report::verdicts(&table));
    match table.failures() {
        [] => Ok(()),
        failures => Err(format!("not everything was measured:\n{}", failures.join("\n")).into()),
    }
}

fn touch_pages(directory: &Path) -> Outcome<()> {
    let path = directory.join("throw-away");
    let mut file = fs::File::create(&path)?;
    let block = vec![1; 1 << 20];
    for _ in 0..THROW_AWAY_BYTES >> 20 {
        file.write_all(&block)?;
    }
    drop(file);
    Ok(fs::remove_file(path)?)
}

/// Everything on one contender, freshly started.
async fn one_round(
    contender: Contender,
    directory: &Path,
    rows: &[Row],
    take: &mut impl FnMut(&str, Outcome<Numbers>),
) -> Outcome<()> {
    fs::create_dir_all(directory)?;
    let running = contender.start(directory)?;
    if contender.is_broker() {
        scenes::first_record(&running.bootstrap).await?;
        take(workloads::START, Ok(Numbers::from([(Measure::Seconds, age(running.pid)?.as_secs_f64())])));
    }
    let cluster = Cluster::connect(&running.bootstrap, "benches").await?;
    for row in rows.iter().filter(|row| row.is_for(contender)) {
        take(&row.name, measure(row, &running, &cluster, directory).await);
    }
    Ok(())
}

async fn measure(row: &Row, running: &Running, cluster: &Cluster, directory: &Path) -> Outcome<Numbers> {
    let sampler = PeakSampler::start(running.pid);
    let mut numbers = match &row.kind {
        Kind::Load(workload) => stream::measure(workload, running).await?,
        Kind::CatchUp { backlog, read, cold } => {
            let written = load::run(&running.bootstrap, backlog, &mut |_| (), pending()).await?;
            refuse_losses(&written)?;
            if *cold {
                drop_pages(directory)?;
            }
            let numbers = stream::measure(read, running).await;
            scenes::delete(cluster, &read.topics.names).await?;
            numbers?
        }
        Kind::ThousandPartitions => scenes::thousand_partitions(cluster).await?,
        Kind::TopicStorm => scenes::topic_storm(cluster).await?,
        Kind::WideMetadata => scenes::wide_metadata(cluster).await?,
        Kind::Rebalance => scenes::rebalance(cluster).await?,
        Kind::IdleConnections => scenes::idle_connections(&running.bootstrap, running.pid).await?,
    };
    let peak = sampler.peak();
    numbers.insert(Measure::AnonymousMb, peak.anonymous as f64 / 1e6);
    numbers.insert(Measure::FileMb, peak.file as f64 / 1e6);
    Ok(numbers)
}

/// Takes the files of a directory out of the page cache, as far as they are on the disk.
fn drop_pages(directory: &Path) -> Outcome<()> {
    rustix::fs::sync();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            drop_pages(&path)?;
        } else if let Ok(file) = fs::File::open(&path) {
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}

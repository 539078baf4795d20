//! One contender's turn: all workloads one after the other.

use std::fs;
use std::future::pending;
use std::path::Path;

use client::Cluster;

use crate::contender::{Contender, Running};
use crate::flame::{self, Flame};
use crate::measure::{Measure, Numbers};
use crate::stream::{self, refuse_losses};
use crate::usage::{PeakSampler, age};
use crate::workloads::{self, Kind, Row};
use crate::{Outcome, drivers, scenes, transactions};

/// Who has its turn, on what.
pub(crate) struct Turn<'a> {
    pub(crate) contender: Contender,
    /// Which it may fill, and which is gone afterwards.
    pub(crate) directory: &'a Path,
    /// Ottla's binary.
    pub(crate) ottla: &'a Path,
    pub(crate) rows: &'a [Row],
    /// Whether stacks are sampled.
    pub(crate) flame: bool,
}

/// What a turn brings.
pub(crate) enum Taken {
    Numbers(Numbers),
    Flame(Flame),
    Failed(String),
}

/// A contender that runs, and a client's view of it.
struct Stage {
    running: Running,
    cluster: Cluster,
}

impl Turn<'_> {
    /// Everything, on a contender that is started at the beginning, and anew for those who want that. `take` hears of each
    /// workload.
    ///
    /// # Errors
    /// What belongs to no workload.
    pub(crate) async fn play(&self, take: &mut impl FnMut(&str, Taken)) -> Outcome<()> {
        let rows = self.rows.iter().filter(|row| row.is_for(self.contender));
        let (fresh, used): (Vec<&Row>, Vec<&Row>) = rows.partition(|row| row.is_fresh);
        if !used.is_empty() {
            fs::create_dir_all(self.directory)?;
            match self.start(take).await {
                Ok(stage) => {
                    for row in used {
                        self.one(row, &stage, take).await;
                    }
                }
                Err(error) => take("the whole round", Taken::Failed(error.to_string())),
            }
            fs::remove_dir_all(self.directory)?;
        }
        for row in fresh {
            fs::create_dir_all(self.directory)?;
            match self.start(&mut |_, _| ()).await {
                Ok(stage) => self.one(row, &stage, take).await,
                Err(error) => take(&row.name, Taken::Failed(error.to_string())),
            }
            fs::remove_dir_all(self.directory)?;
        }
        Ok(())
    }

    async fn start(&self, take: &mut impl FnMut(&str, Taken)) -> Outcome<Stage> {
        let running = self.contender.start(self.directory, self.ottla)?;
        if self.contender.is_broker() {
            scenes::first_record(&running.bootstrap).await?;
            let numbers = Numbers::from([(Measure::Seconds, age(running.pid)?.as_secs_f64())]);
            take(workloads::START, Taken::Numbers(numbers));
        }
        let cluster = Cluster::connect(&running.bootstrap, "benches").await?;
        Ok(Stage { running, cluster })
    }

    async fn one(&self, row: &Row, stage: &Stage, take: &mut impl FnMut(&str, Taken)) {
        let flame = if self.flame && self.contender.is_ottla() {
            match flame::Recording::start(stage.running.pid, self.directory) {
                Ok(recording) => Some(recording),
                Err(error) => {
                    take(&row.name, Taken::Failed(format!("no flame graph: {error}")));
                    None
                }
            }
        } else {
            None
        };
        match measure(row, stage, self.directory).await {
            Ok(numbers) => take(&row.name, Taken::Numbers(numbers)),
            Err(error) => take(&row.name, Taken::Failed(error.to_string())),
        }
        match flame.map(flame::Recording::finish) {
            Some(Ok(flame)) => take(&row.name, Taken::Flame(flame)),
            Some(Err(error)) => take(&row.name, Taken::Failed(format!("no flame graph: {error}"))),
            None => {}
        }
    }
}

async fn measure(row: &Row, stage: &Stage, directory: &Path) -> Outcome<Numbers> {
    let Stage { running, cluster } = stage;
    let sampler = PeakSampler::start(running.pid);
    let mut numbers = match &row.kind {
        Kind::Load(workload) => stream::measure(workload, running).await?,
        Kind::CatchUp { backlog, read, cold } => {
            let written = load::run(&running.bootstrap, backlog, &mut |_| (), pending()).await?;
            refuse_losses(&written)?;
            if *cold {
                rustix::fs::sync();
                drop_pages(directory)?;
            }
            let numbers = stream::measure(read, running).await;
            scenes::delete(cluster, &read.topics.names).await?;
            numbers?
        }
        Kind::Drive(drive) => drivers::run(drive, running, cluster).await?,
        Kind::ThousandPartitions => scenes::thousand_partitions(cluster).await?,
        Kind::TopicStorm => scenes::topic_storm(cluster).await?,
        Kind::WideMetadata => scenes::wide_metadata(cluster).await?,
        Kind::Rebalance => scenes::rebalance(cluster).await?,
        Kind::Transactions { producers, seconds } => transactions::commits(cluster, *producers, *seconds).await?,
        Kind::TransactionalIds => transactions::known_ids(cluster, running).await?,
        Kind::IdleConnections => scenes::idle_connections(&running.bootstrap).await?,
    };
    let peak = sampler.peak();
    numbers.insert(Measure::AnonymousMb, peak.anonymous as f64 / 1e6);
    numbers.insert(Measure::FileMb, peak.file as f64 / 1e6);
    numbers.insert(Measure::ResidentMb, peak.total as f64 / 1e6);
    Ok(numbers)
}

/// Takes the files of a directory out of the page cache, as far as they are on the disk.
fn drop_pages(directory: &Path) -> Outcome<()> {
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

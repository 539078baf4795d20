//! Rounds: each contender in turn, in another order each time.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::contender::Contender;
use crate::drivers::{self, Tool};
use crate::flame::Flame;
use crate::measure::Table;
use crate::report::{self, Report, Setting};
use crate::round::{Taken, Turn};
use crate::tree::{self, Machine};
use crate::usage::now_seconds;
use crate::workloads::{self, Kind, Row};
use crate::{Outcome, bars, descriptors, flame};

/// Written and deleted before the first round, twice: a page of a fresh virtual machine that is touched for the first time
/// costs many times a recycled one, and the first contender would pay for all.
const THROW_AWAY_BYTES_MAX: u64 = 4 << 30;
/// So much of the memory, where that is less.
const THROW_AWAY_PART: u64 = 4;
/// Where neither the user nor a file says how long a workload is measured.
const SECONDS: f64 = 4.0;

/// What to compare, and how.
pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// How long each workload is measured, if that was said.
    pub(crate) seconds: Option<f64>,
    pub(crate) contenders: Vec<Contender>,
    /// Groups of workloads, and parts of names; the core when empty.
    pub(crate) only: Vec<String>,
    pub(crate) all: bool,
    /// Workload files.
    pub(crate) files: Vec<PathBuf>,
    /// Whether stacks are sampled in the first round.
    pub(crate) flame: bool,
    /// Where the report goes.
    pub(crate) out: PathBuf,
}

impl Options {
    fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(SECONDS)
    }

    fn rows(&self) -> Outcome<Vec<Row>> {
        let is_wanted = |row: &Row| match &self.only[..] {
            [] => self.all || (row.is_core && self.files.is_empty()),
            words => words.iter().any(|word| row.is_meant(word)),
        };
        let mut rows: Vec<Row> = workloads::rows(self.seconds()).into_iter().filter(is_wanted).collect();
        for file in &self.files {
            rows.push(workloads::from_file(file, self.seconds)?);
        }
        match rows[..] {
            [] => Err(format!("no workload is called {}; `list` names them", self.only.join(" or ")).into()),
            _ => Ok(rows),
        }
    }
}

/// Runs all rounds, writes the report after each, and says which bars were not reached.
///
/// # Errors
/// What keeps the whole from running; and, at the end, what could not be measured.
pub(crate) async fn compare(options: &Options) -> Outcome<()> {
    let rows = options.rows()?;
    if options.flame {
        flame::check()?;
    }
    let ottla = prepare(options, &rows)?;
    fs::create_dir_all(&options.out)?;
    let scratch = tempfile::tempdir_in(&options.out)?;
    eprintln!("about {:.0} minutes", (estimate(options, &rows).as_secs_f64() / 60.0).ceil());
    let mut report = Report {
        setting: Setting {
            machine: describe(scratch.path())?,
            rounds: options.rounds,
            seconds: options.seconds(),
            taken_at_seconds: now_seconds(),
            has_symbols: options.flame,
        },
        table: Table::default(),
        flames: Vec::new(),
    };
    let begun = Instant::now();
    for round in 0..options.rounds {
        let mut order = options.contenders.clone();
        order.rotate_left(round % options.contenders.len());
        for contender in order {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, contender.name());
            let directory = scratch.path().join(format!("{round}-{}", contender.name()));
            let flame = options.flame && round == 0;
            let turn = Turn { contender, directory: &directory, ottla: &ottla, rows: &rows, flame };
            turn.play(&mut |workload, taken| report.take(round, contender, workload, taken)).await?;
        }
        report::write(&options.out, &report)?;
        eprintln!("{:.0} s so far; {}", begun.elapsed().as_secs_f64(), options.out.join("report.md").display());
    }
    print!("{}", report::verdicts(&bars::judge(&report.table)));
    match report.table.failures() {
        [] => Ok(()),
        failures => Err(format!("not everything was measured:\n{}", failures.join("\n")).into()),
    }
}

impl Report {
    fn take(&mut self, round: usize, contender: Contender, workload: &str, taken: Taken) {
        match taken {
            Taken::Numbers(numbers) => {
                eprintln!("  {workload}: {}", report::line(&numbers));
                self.table.add(round, workload, contender, &numbers);
            }
            Taken::Flame(Flame { svg }) => self.flames.push((workload.to_owned(), contender, svg)),
            Taken::Failed(error) => {
                eprintln!("  FAILED {workload}: {error}");
                self.table.fail(round, contender, &format!("{workload}: {error}"));
            }
        }
    }
}

/// Builds and brings what is needed; answers Ottla's binary.
fn prepare(options: &Options, rows: &[Row]) -> Outcome<PathBuf> {
    let wanted = rows.iter().map(Row::descriptors).max().unwrap_or(0);
    if let Some(advice) = descriptors::raise(wanted) {
        eprintln!("{advice}");
    }
    let ottla = tree::build(options.flame)?;
    if options.contenders.iter().any(|contender| contender.is_kafka()) {
        tree::fetch_kafka()?;
    }
    let tools = rows.iter().filter_map(|row| match &row.kind {
        Kind::Drive(drive) => Some(drive.tool),
        _ => None,
    });
    drivers::prepare(&tools.collect::<Vec<Tool>>())?;
    Ok(ottla)
}

/// About how long all rounds take.
fn estimate(options: &Options, rows: &[Row]) -> Duration {
    let mut round = Duration::ZERO;
    let contenders: BTreeSet<Contender> = options.contenders.iter().copied().collect();
    for contender in contenders {
        let rows = rows.iter().filter(|row| row.is_for(contender));
        let starts = 1 + rows.clone().filter(|row| row.is_fresh).count() as u32;
        round += contender.estimate() * starts + rows.map(Row::estimate).sum::<Duration>();
    }
    round * options.rounds as u32
}

/// The machine, and what the first touch of its memory costs.
fn describe(scratch: &Path) -> Outcome<Machine> {
    let mut machine = Machine::describe(scratch);
    let bytes = THROW_AWAY_BYTES_MAX.min(machine.memory_bytes / THROW_AWAY_PART);
    machine.memory.first_touch_mb_per_second = touch_pages(scratch, bytes)?;
    machine.memory.again_mb_per_second = touch_pages(scratch, bytes)?;
    Ok(machine)
}

/// Writes and deletes so much; answers how fast that went, MB/s.
fn touch_pages(directory: &Path, bytes: u64) -> Outcome<f64> {
    let path = directory.join("throw-away");
    let mut file = fs::File::create(&path)?;
    let block = vec![1; 1 << 20];
    let begun = Instant::now();
    for _ in 0..bytes >> 20 {
        file.write_all(&block)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    drop(file);
    fs::remove_file(path)?;
    Ok((bytes >> 20 << 20) as f64 / 1e6 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(only: &[&str]) -> Options {
        Options {
            rounds: 5,
            seconds: None,
            contenders: vec![Contender::Ottla, Contender::OttlaKafkaMode, Contender::Kafka, Contender::Limit],
            only: only.iter().map(|word| (*word).to_owned()).collect(),
            all: false,
            files: Vec::new(),
            flame: false,
            out: PathBuf::new(),
        }
    }

    #[test]
    fn what_runs_unasked_takes_at_most_half_an_hour() {
        let options = options(&[]);
        let rows = options.rows().unwrap();
        assert!(rows.iter().all(|row| row.is_core));
        let estimate = estimate(&options, &rows);
        assert!((600..=1700).contains(&estimate.as_secs()), "{estimate:?}");
    }

    #[test]
    fn a_word_that_means_nothing_is_told() {
        let refused = options(&["no such thing"]).rows().err().unwrap().to_string();
        assert!(refused.contains("no such thing") && refused.contains("list"), "{refused}");
    }
}

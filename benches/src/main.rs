//! Ottla, Apache Kafka and the machine's own limit, side by side: `cargo run --release -p benches -- compare`.
//!
//! Start at `compare.rs` (all rounds), `round.rs` (one of them) and `workloads/` (what is measured); `contender/` starts who
//! is measured, `limit/` is the limit, `bars.rs` says what has to be reached. The load comes from the `load` crate, which
//! `ottla perf` uses too, and from other people's clients (`drivers/`).

mod bars;
mod compare;
mod contender;
mod descriptors;
mod drivers;
mod flame;
mod gate;
mod limit;
mod measure;
mod report;
mod round;
mod scenes;
mod statistics;
mod stream;
mod transactions;
mod tree;
mod usage;
mod workloads;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use contender::Contender;

/// What went wrong, as a line for a person.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(name = "benches", about = "Ottla, Apache Kafka and the machine's own limit, side by side")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure the contenders in alternating rounds and write a report
    Compare {
        /// How often each contender has its turn
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// How long each workload is measured, after a warm-up of half of that; 4 unless a file says otherwise
        #[arg(long, value_parser = seconds)]
        seconds: Option<f64>,
        /// Who: ottla, ottla-kafka-mode, kafka, kafka-512m, limit
        #[arg(long, value_delimiter = ',', value_parser = contender, default_value = "ottla,ottla-kafka-mode,kafka,limit")]
        contenders: Vec<Contender>,
        /// Every workload and not just the core
        #[arg(long)]
        all: bool,
        /// A workload file of the OpenMessaging Benchmark, instead of the core; may be given several times
        #[arg(long = "workload", value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Sample Ottla's stacks with perf in the first round, and draw a flame graph of each workload
        #[arg(long)]
        flame: bool,
        /// Where the report goes
        #[arg(long, default_value = "target/benches")]
        out: PathBuf,
        /// Only these: groups (records, scenes, growth, drivers, files), or words of names
        words: Vec<String>,
    },
    /// Fail when the broker has come to cost much more than the limit: half a minute, for after a change
    Gate {
        /// Scratch files
        #[arg(long, default_value = "target/benches")]
        out: PathBuf,
    },
    /// Say which workloads there are
    List,
    /// Be the limit, with data in this directory, until killed
    Limit {
        /// Scratch files
        directory: PathBuf,
    },
}

fn contender(name: &str) -> Result<Contender, String> {
    let found = Contender::ALL.into_iter().find(|contender| contender.name() == name);
    found.ok_or_else(|| format!("it is one of {}", Contender::ALL.map(Contender::name).join(", ")))
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "it is a number of seconds from 0.1 to 3600".to_owned())
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome<()> {
    match command {
        Command::Limit { directory } => Ok(limit::serve(&directory)?),
        Command::List => {
            for row in workloads::rows(1.0) {
                println!("{} {:8} {}", if row.is_core { "*" } else { " " }, row.group.name(), row.name);
            }
            Ok(())
        }
        Command::Compare { rounds, seconds, contenders, all, files, flame, out, words: only } => {
            let options = compare::Options { rounds, seconds, contenders, only, all, files, flame, out };
            runtime()?.block_on(async {
                tokio::select! {
                    compared = compare::compare(&options) => compared,
                    // What it has started ends with it.
                    _ = tokio::signal::ctrl_c() => Err("interrupted; the report has the rounds that were complete".into()),
                }
            })
        }
        Command::Gate { out } => runtime()?.block_on(gate::gate(&out)),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

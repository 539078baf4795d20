//! The command line: what the program can be asked to do, and the tools among it.
//!
//! Starting a broker is somebody else's work: [`parse`] only says that it was asked for. The tools know the client and
//! the protocol, and of the broker no more than any other client does.
//!
//! Start at `arguments.rs`, the whole command line as data; each verb has a file of its own. What a tool was asked for
//! goes to standard output, everything else to standard error.

mod admin;
mod arguments;
mod clock;
mod cluster;
mod config;
mod consume;
mod doctor;
mod faces;
mod failure;
mod group;
mod interrupts;
mod log;
mod output;
mod perf;
mod print;
mod produce;
mod stdin;
mod subscription;
mod table;
mod topic;
mod topic_apply;

use std::process::ExitCode;

use clap_complete::Shell;
use client::Cluster;

pub use crate::arguments::{Invocation, Tool, parse};
use crate::arguments::{LogVerb, Verb};
pub use crate::faces::{BrokerSettings, FaceCall, run as run_face};
use crate::failure::Outcome;

/// How the tools introduce themselves to a broker.
const CLIENT_ID: &str = "ottla-cli";

/// Runs a tool to its end. Answers 0 when it did what it was asked to, 1 when it could not.
pub fn run(tool: Tool) -> ExitCode {
    let mut runtime = match &tool.verb {
        Verb::Perf(verb) => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(perf::threads(verb));
            runtime
        }
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let outcome = match runtime.enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(work(&tool));
            // A look-up of a name may still hang in the operating system, and nobody waits for it any more.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{}", failure.explain(&tool.bootstrap));
            ExitCode::FAILURE
        }
    }
}

async fn work(tool: &Tool) -> Outcome {
    let cluster = match &tool.verb {
        // It is for when nothing connects.
        Verb::Doctor(args) => return doctor::run(&tool.bootstrap, args).await,
        Verb::Log(LogVerb::Dump(args)) => return log::dump(args),
        // It has connections of its own.
        Verb::Perf(verb) => return perf::run(&tool.bootstrap, verb).await,
        _ => Cluster::connect(&tool.bootstrap, CLIENT_ID).await?,
    };
    match &tool.verb {
        Verb::Topic(verb) => topic::run(&cluster, verb).await,
        Verb::Produce(args) => produce::run(&cluster, args).await,
        Verb::Consume(args) => consume::run(&cluster, args).await,
        Verb::Group(verb) => group::run(&cluster, verb).await,
        Verb::Config(verb) => config::run(&cluster, verb).await,
        Verb::Cluster(output) => cluster::run(&cluster, *output).await,
        Verb::Doctor(args) => doctor::run(&tool.bootstrap, args).await,
        Verb::Perf(verb) => perf::run(&tool.bootstrap, verb).await,
        Verb::Log(LogVerb::Dump(args)) => log::dump(args),
    }
}

/// Prints the script that completes our command lines in a shell.
pub fn print_completion(shell: Shell) -> ExitCode {
    match output::say(&String::from_utf8_lossy(&arguments::completion(shell))) {
        Err(failure) if !failure.is_closed_pipe() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Prints lines, as everything that somebody asked for, to standard output.
pub fn print_lines(lines: &[&str]) -> ExitCode {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    match output::say(&text) {
        Err(failure) if !failure.is_closed_pipe() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

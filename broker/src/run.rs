//! A broker as a process: its runtime, its signals, its exit code.

use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use crate::broker::{BrokerError, start};
use crate::config::{ConfigInput, ConfigSource};
use crate::disk_work::BLOCKING_THREADS;
use crate::{logging, ready_lines};

const THREAD_STACK_BYTES: usize = 512 * 1024;
/// More than the processors: one may always be waiting for the disk (see `disk_work`).
const WORKERS_MORE: usize = 1;
/// How long a shutdown may wait for a stuck disk before the process ends anyway.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs a broker until SIGTERM or SIGINT; logs what goes wrong. Answers the exit code: 0 after a clean shutdown.
pub fn run(input: ConfigInput) -> ExitCode {
    let (source, warnings) = match ConfigSource::load(&input) {
        Ok(loaded) => loaded,
        Err(error) => {
            logging::init("info", "text");
            error.problems.iter().for_each(|problem| error!("{problem}"));
            return ExitCode::FAILURE;
        }
    };
    logging::init(&source.start_text("ottla.log.level"), &source.start_text("ottla.log.format"));
    warnings.iter().for_each(|warning| warn!("{warning}"));
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "no threads");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(serve(source));
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> std::io::Result<Runtime> {
    // Counts the processors that the cgroup's quota allows.
    let processors = available_parallelism().map_or(1, |count| count.get());
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors + WORKERS_MORE)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(THREAD_STACK_BYTES)
        .thread_name("ottla")
        .enable_all()
        .build()
}

async fn serve(source: ConfigSource) -> Result<(), BrokerError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let ready_lines = source.start_text("ottla.ready.lines") == "true";
    let running = start(source).await?;
    if ready_lines {
        ready_lines::print(running.node_id());
    }
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: stopping"),
        _ = interrupt.recv() => info!("SIGINT: stopping"),
        error = running.failed() => return Err(error),
    }
    running.stop().await
}

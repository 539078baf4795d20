//! A stream of records, and what the broker used for it.

use std::future::pending;

use load::{Latency, Phase, Progress, Side, Summary, Workload};

use crate::Outcome;
use crate::contender::Running;
use crate::measure::{Measure, Numbers};
use crate::usage::Usage;

/// What the broker used, and for how much, between two looks: those once a second that are wholly within what is
/// measured. The warm-up of a JVM is none of its steady state.
#[derive(Default)]
struct Window {
    first: Option<Usage>,
    last: Usage,
    seconds: f64,
    megabytes: f64,
}

impl Window {
    fn look(&mut self, pid: u32, progress: &Progress) {
        let Ok(usage) = Usage::of(pid) else { return };
        if progress.phase != Phase::Measuring {
            return;
        }
        if self.first.is_some() {
            self.seconds += 1.0;
            self.megabytes += progress.consumed.or(progress.produced).map_or(0.0, |pace| pace.megabytes);
        }
        self.first.get_or_insert(usage);
        self.last = usage;
    }

    fn cpu_seconds(&self) -> f64 {
        let first = self.first.unwrap_or(self.last);
        self.last.cpu.saturating_sub(first.cpu).as_secs_f64()
    }
}

/// Puts the load on it.
///
/// # Errors
/// It cannot be done, or records were refused or lost: a fast broker that loses records is not fast.
pub(crate) async fn measure(workload: &Workload, running: &Running) -> Outcome<Numbers> {
    let pid = running.pid;
    let before = Usage::of(pid)?;
    let mut window = Window::default();
    let mut look = |progress: &Progress| window.look(pid, progress);
    let summary = load::run(&running.bootstrap, workload, &mut look, pending()).await?;
    let after = Usage::of(pid)?;
    refuse_losses(&summary)?;
    // Consumers tell more than producers where there are both: what they have went both ways.
    let side = summary.consumed.as_ref().or(summary.produced.as_ref()).ok_or("nobody read or wrote")?;
    let mut numbers = side_numbers(side);
    latency(&mut numbers, summary.end_to_end.unwrap_or(side.latency));
    if summary.unsent > 0 {
        numbers.insert(Measure::Unsent, summary.unsent as f64);
    }
    let written = after.written_bytes - before.written_bytes;
    numbers.insert(Measure::DiskMb, written as f64 / 1e6);
    // What is over within two looks is seen as a whole, its warm-up included.
    let (cpu_seconds, seconds, megabytes) = match window.megabytes {
        0.0 => {
            let whole = side.records_with_warmup as f64 / side.records.max(1) as f64;
            let seconds = side.seconds + workload.warmup.as_secs_f64();
            ((after.cpu - before.cpu).as_secs_f64(), seconds, side.bytes as f64 / 1e6 * whole)
        }
        megabytes => (window.cpu_seconds(), window.seconds, megabytes),
    };
    let requests = side.requests as f64 * megabytes * 1e6 / side.bytes.max(1) as f64;
    numbers.insert(Measure::CpuSecondsPerGb, cpu_seconds / megabytes * 1e3);
    numbers.insert(Measure::CpuSecondsPerMillionRequests, cpu_seconds / requests * 1e6);
    numbers.insert(Measure::CpuPercent, cpu_seconds / seconds * 100.0);
    numbers.retain(|_, value| value.is_finite());
    Ok(numbers)
}

fn side_numbers(side: &Side) -> Numbers {
    Numbers::from([
        (Measure::MbPerSecond, side.megabytes_per_second),
        (Measure::RecordsPerSecond, side.records_per_second),
        (Measure::RequestsPerSecond, side.requests_per_second),
    ])
}

fn latency(numbers: &mut Numbers, latency: Latency) {
    numbers.extend([
        (Measure::P50Ms, latency.p50),
        (Measure::P99Ms, latency.p99),
        (Measure::P999Ms, latency.p99_9),
        (Measure::MaxMs, latency.max),
    ]);
}

/// # Errors
/// Records were refused, or did not arrive.
pub(crate) fn refuse_losses(summary: &Summary) -> Outcome<()> {
    let sides = [&summary.produced, &summary.consumed].into_iter().flatten();
    let errors: Vec<String> =
        sides.flat_map(|side| side.errors.iter().map(|(code, count)| format!("{count} × {code}"))).collect();
    if errors.is_empty() && summary.missing == 0 {
        return Ok(());
    }
    Err(format!("{} records did not arrive; {}", summary.missing, errors.join(", ")).into())
}

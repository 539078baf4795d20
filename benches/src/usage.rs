//! What a process uses, as Linux counts it.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two looks at a process's memory.
const SAMPLE: Duration = Duration::from_millis(50);

/// Since the process began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system, all threads; counted in ticks of 10 ms.
    pub(crate) cpu: Duration,
    /// Sent to a disk, or waiting in the page cache for it.
    pub(crate) written_bytes: u64,
}

impl Usage {
    /// # Errors
    /// The process has ended.
    pub(crate) fn of(pid: u32) -> io::Result<Usage> {
        let written = fs::read_to_string(format!("/proc/{pid}/io"))?;
        Ok(Usage { cpu: cpu(&stat(pid)?), written_bytes: field(&written, "write_bytes:") })
    }
}

/// Resident memory, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resident {
    /// What only this process has: heap, stacks.
    pub(crate) anonymous: u64,
    /// Mapped files, among them the program itself.
    pub(crate) file: u64,
    /// Both, and what it shares with other processes.
    pub(crate) total: u64,
}

impl Resident {
    pub(crate) fn of(pid: u32) -> io::Result<Resident> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name| 1024 * field(&status, name);
        Ok(Resident { anonymous: bytes("RssAnon:"), file: bytes("RssFile:"), total: bytes("VmRSS:") })
    }
}

/// Looks at a process's memory until it is dropped or asked.
pub(crate) struct PeakSampler {
    peak: Arc<[AtomicU64; 3]>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PeakSampler {
    pub(crate) fn start(pid: u32) -> PeakSampler {
        let (peak, ended) = (Arc::<[AtomicU64; 3]>::default(), Arc::<AtomicBool>::default());
        let (peaks, is_ended) = (Arc::clone(&peak), Arc::clone(&ended));
        let sample = move || {
            while !is_ended.load(Ordering::Relaxed)
                && let Ok(resident) = Resident::of(pid)
            {
                let Resident { anonymous, file, total } = resident;
                for (peak, now) in peaks.iter().zip([anonymous, file, total]) {
                    peak.fetch_max(now, Ordering::Relaxed);
                }
                std::thread::sleep(SAMPLE);
            }
        };
        PeakSampler { peak, ended, thread: Some(std::thread::spawn(sample)) }
    }

    /// The most that each kind had at any look.
    pub(crate) fn peak(&self) -> Resident {
        let [anonymous, file, total] = [0, 1, 2].map(|kind| self.peak[kind].load(Ordering::Relaxed));
        Resident { anonymous, file, total }
    }
}

impl Drop for PeakSampler {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How long ago the process began; its beginning is counted in ticks of 10 ms.
///
/// # Errors
/// The process has ended.
pub(crate) fn age(pid: u32) -> io::Result<Duration> {
    let started = ticks(stat(pid)?.get(STARTED));
    let uptime = fs::read_to_string("/proc/uptime")?;
    let uptime: f64 = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default();
    Ok(Duration::from_secs_f64(uptime).saturating_sub(started))
}

/// Places in /proc/PID/stat, counted from the state, which follows the name.
const USER: usize = 11;
const SYSTEM: usize = 12;
const STARTED: usize = 19;

fn stat(pid: u32) -> io::Result<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name stands in brackets and may have spaces.
    let (_, fields) = stat.rsplit_once(") ").ok_or(io::ErrorKind::InvalidData)?;
    Ok(fields.split(' ').map(str::to_owned).collect())
}

fn cpu(stat: &[String]) -> Duration {
    ticks(stat.get(USER)) + ticks(stat.get(SYSTEM))
}

fn ticks(field: Option<&String>) -> Duration {
    let ticks: u64 = field.and_then(|ticks| ticks.parse().ok()).unwrap_or_default();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Seconds since 1970, for names and reports.
pub(crate) fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_this_process() {
        let pid = std::process::id();
        let before = Usage::of(pid).unwrap().cpu;
        let mut sum = 0_u64;
        while Usage::of(pid).unwrap().cpu - before < Duration::from_millis(20) {
            sum = std::hint::black_box((0..100_000).fold(sum, u64::wrapping_add));
        }
        let resident = Resident::of(pid).unwrap();
        assert!(resident.anonymous > 0 && resident.file > 0, "{resident:?}");
        assert!(age(pid).unwrap() < Duration::from_secs(3600), "{:?}", age(pid));
        let sampler = PeakSampler::start(pid);
        while sampler.peak().anonymous == 0 {
            std::thread::yield_now();
        }
    }
}

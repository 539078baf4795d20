//! Where a broker's time goes during a workload, as a flame graph: `perf` samples its stacks, the rest is here.

mod draw;
mod fold;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use fold::Fold;

/// Samples a second of each thread. No divisor of anything that ticks.
const SAMPLES_PER_SECOND: &str = "499";

/// A drawn graph.
pub(crate) struct Flame {
    pub(crate) svg: String,
}

/// Whether there is a perf at all.
///
/// # Errors
/// What to install.
pub(crate) fn check() -> Result<(), String> {
    let mut perf = Command::new("perf");
    let found = perf.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => {
            Err("--flame samples stacks with perf, which is not here: on Debian it is in the package linux-perf".into())
        }
    }
}

/// Sampling under way. It ends when this is dropped.
pub(crate) struct Recording {
    perf: Child,
    data: PathBuf,
}

impl Recording {
    /// Begins to sample a process; what is sampled lies in `directory` until it is drawn.
    ///
    /// # Errors
    /// perf cannot be started.
    pub(crate) fn start(pid: u32, directory: &Path) -> Result<Recording, String> {
        let data = directory.join("perf.data");
        let mut perf = Command::new("perf");
        perf.args(["record", "--quiet", "--call-graph", "fp", "--freq", SAMPLES_PER_SECOND, "--pid", &pid.to_string()]);
        perf.arg("--output").arg(&data);
        perf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let perf = perf.spawn().map_err(|error| format!("perf: {error}"))?;
        Ok(Recording { perf, data })
    }

    /// Ends it and draws what was seen.
    ///
    /// # Errors
    /// perf has failed, as it does where it is not allowed to look; or has seen nothing.
    pub(crate) fn finish(mut self) -> Result<Flame, String> {
        self.interrupt();
        // It writes what it has and ends by the signal that it was given.
        self.perf.wait().map_err(|error| format!("perf: {error}"))?;
        let mut said = String::new();
        if let Some(stderr) = &mut self.perf.stderr {
            // What it had to say only helps to explain a failure.
            let _ = stderr.read_to_string(&mut said);
        }
        if !self.data.exists() {
            return Err(format!("perf record: {}", said.trim()));
        }
        let mut script = Command::new("perf");
        // Without inlined functions: finding those takes minutes.
        script.args(["script", "--no-inline", "--fields", "comm,ip,sym", "--input"]).arg(&self.data);
        let output = script.stdin(Stdio::null()).stderr(Stdio::null()).output();
        let output = output.map_err(|error| format!("perf script: {error}"))?;
        // One of its files may be gone already: then the next one is written over it.
        let _ = std::fs::remove_file(&self.data);
        let fold = Fold::of(&String::from_utf8_lossy(&output.stdout));
        match fold.samples() {
            0 => Err(format!("perf has no samples: {}", said.trim())),
            _ => Ok(Flame { svg: draw::svg(&fold) }),
        }
    }

    fn interrupt(&mut self) {
        if let Some(pid) = i32::try_from(self.perf.id()).ok().and_then(Pid::from_raw) {
            // It has ended by itself: that shows when it is waited for.
            let _ = kill_process(pid, Signal::INT);
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Ok(None) = self.perf.try_wait() {
            self.interrupt();
            let _ = self.perf.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A process that is always busy, until it is dropped.
    struct Busy(Child);

    impl Drop for Busy {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_busy_process_is_seen() {
        if let Err(missing) = check() {
            eprintln!("not tested: {missing}");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let busy = Busy(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut length = Duration::from_millis(200);
        loop {
            let recording = Recording::start(busy.0.id(), directory.path()).unwrap();
            std::thread::sleep(length);
            match recording.finish() {
                Ok(flame) => {
                    assert!(flame.svg.contains("<title>sh: "), "{}", flame.svg);
                    return;
                }
                Err(refused) if refused.contains("perf_event_paranoid") => {
                    eprintln!("not tested: {refused}");
                    return;
                }
                // It is slow to begin where much else runs.
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            length *= 2;
        }
    }
}

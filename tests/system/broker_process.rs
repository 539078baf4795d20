//! A broker in a process of its own, on a loopback port that it chose, in a directory that goes with the test.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::iter;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The binary under test.
pub(crate) const OTTLA: &str = env!("CARGO_BIN_EXE_ottla");
/// For anything to happen, on a machine that is busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running broker. It is killed when the test ends.
pub(crate) struct BrokerProcess {
    process: Child,
    /// Where it listens.
    pub(crate) address: String,
    /// What it logged so far.
    log: Arc<Mutex<String>>,
    /// Reads the log until the process has ended.
    follower: Option<JoinHandle<()>>,
    directory: Arc<TempDir>,
    /// The program and its first arguments, as it was started.
    program: Vec<OsString>,
    settings: Vec<String>,
    /// From the start of the process until it said that it is ready.
    pub(crate) ready_after: Duration,
}

impl BrokerProcess {
    /// Starts one on an empty directory, with `key=value` settings on top.
    pub(crate) fn start(settings: &[&str]) -> BrokerProcess {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let settings = settings.iter().map(|setting| setting.to_string()).collect();
        BrokerProcess::spawn(Command::new(OTTLA), directory, settings)
    }

    /// Starts one through `command`, whose last words are the broker's own.
    pub(crate) fn start_through(command: Command, directory: Arc<TempDir>) -> BrokerProcess {
        BrokerProcess::spawn(command, directory, Vec::new())
    }

    fn spawn(mut command: Command, directory: Arc<TempDir>, settings: Vec<String>) -> BrokerProcess {
        let begun = Instant::now();
        let program = iter::once(command.get_program()).chain(command.get_args()).map(OsString::from).collect();
        command.args(["--set", "listeners=PLAINTEXT://127.0.0.1:0"]);
        command.args(["--set", "ottla.http.listener=127.0.0.1:0"]);
        command.args(["--set", &format!("log.dirs={}", directory.path().join("data").display())]);
        for setting in &settings {
            command.args(["--set", setting]);
        }
        // They are ours, and to the broker they look like keys of its own.
        command.env_remove("OTTLA_SEED").env_remove("OTTLA_CYCLES");
        let mut process = command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the broker starts");
        let log = Arc::<Mutex<String>>::default();
        let (ready, follower) = follow(process.stderr.take().expect("it is piped"), Arc::clone(&log));
        match ready.recv_timeout(DEADLINE) {
            Ok(address) => {
                let (follower, ready_after) = (Some(follower), begun.elapsed());
                BrokerProcess { process, address, log, follower, directory, program, settings, ready_after }
            }
            Err(_) => {
                let _ = process.kill();
                panic!("the broker does not say where it listens:\n{}", log.lock().expect("nobody panicked"))
            }
        }
    }

    /// The same broker again, after it ended.
    pub(crate) fn restart(self) -> BrokerProcess {
        let (directory, settings, program) = (Arc::clone(&self.directory), self.settings.clone(), self.program.clone());
        drop(self);
        let (program, arguments) = program.split_first().expect("a program was started");
        let mut command = Command::new(program);
        command.args(arguments);
        BrokerProcess::spawn(command, directory, settings)
    }

    /// Where its data lies.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panicked").clone()
    }

    /// Waits until the log has a line with all of `words`, and answers it.
    pub(crate) fn await_line(&self, words: &[&str]) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| words.iter().all(|word| line.contains(word))) {
                return line.to_string();
            }
            assert!(begun.elapsed() < DEADLINE, "no line with {words:?} in:\n{log}");
            std::thread::yield_now();
        }
    }

    /// Where it serves health and metrics.
    pub(crate) fn http_address(&self) -> String {
        let line = self.await_line(&["over HTTP", "address="]);
        let (_, address) = line.split_once("address=").expect("it was looked for");
        address.trim().to_string()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The same without what is a file's, such as the program, which is large as tests build it.
    pub(crate) fn anonymous_bytes(&self) -> u64 {
        self.status_bytes("RssAnon:")
    }

    fn status_bytes(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("Linux says so");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }

    /// SIGTERM; waits until it ended.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("it is our child") {
                return status;
            }
            assert!(begun.elapsed() < DEADLINE, "it does not stop:\n{}", self.log());
            std::thread::yield_now();
        }
    }

    /// SIGKILL, as a crash. Its log is whole afterwards.
    pub(crate) fn crash(&mut self) {
        self.signal(Signal::KILL);
        self.process.wait().expect("it is our child");
        self.finish_log();
    }

    fn finish_log(&mut self) {
        if let Some(follower) = self.follower.take() {
            follower.join().expect("it only reads");
        }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("it runs");
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // A second panic would hide the first.
        if !std::thread::panicking() {
            self.finish_log();
            assert!(!self.log().contains("panicked at"), "the broker panicked:\n{}", self.log());
        }
    }
}

/// Reads the log as it comes; sends the address once it is there.
fn follow(stderr: impl std::io::Read + Send + 'static, log: Arc<Mutex<String>>) -> (Receiver<String>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let follower = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listeners=[")
                && let Some((address, _)) = rest.split_once(']')
            {
                // Nobody listens any more once the test has its address.
                let _ = sender.send(address.to_string());
            }
            let mut log = log.lock().expect("nobody panicked");
            log.push_str(&line);
            log.push('\n');
        }
    });
    (receiver, follower)
}

//! Containers of the image under test.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// For anything to happen, on a machine that is busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at a container.
const POLL: Duration = Duration::from_millis(20);
/// What the image prints when it serves.
pub(crate) const READY: &str = "Transitioning from RECOVERY to RUNNING";

/// The name of the loaded image, or `None`, with the reason printed, when these tests cannot run.
pub(crate) fn image() -> Option<&'static str> {
    static LOADED: OnceLock<Result<String, String>> = OnceLock::new();
    let Ok(path) = std::env::var("OTTLA_IMAGE") else {
        println!("skipped: OTTLA_IMAGE is not set; run cargo xtask image test");
        return None;
    };
    // Who runs the tests is no fault of the tree; everything else that is missing, CI installs.
    if rustix::process::geteuid().as_raw() != 0 {
        println!("skipped: only root may start containers here");
        return None;
    }
    match LOADED.get_or_init(|| load(&path)) {
        Ok(name) => Some(name),
        Err(reason) => {
            skip(reason);
            None
        }
    }
}

/// There is an image to test and no way to do it here, which in CI proves nothing.
pub(crate) fn skip(reason: &str) {
    assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "{reason}");
    println!("skipped: {reason}");
}

fn load(path: &str) -> Result<String, String> {
    let name = std::env::var("OTTLA_IMAGE_NAME").map_err(|_| "OTTLA_IMAGE_NAME is not set")?;
    for program in ["podman", "runc"] {
        if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
            return Err(format!("{program} is not installed"));
        }
    }
    let loaded = podman(&["load", "--input", path]);
    assert!(loaded.status.success(), "podman takes the image: {}", text(&loaded.stderr));
    Ok(name)
}

/// Runs podman to its end.
pub(crate) fn podman(words: &[&str]) -> Output {
    podman_command().args(words).stdin(Stdio::null()).output().expect("podman is installed")
}

/// podman with a storage of its own, without a daemon, systemd, or a file system that not every machine has.
fn podman_command() -> Command {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("podman");
    let mut command = Command::new("podman");
    command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
    command.args(["--events-backend", "file", "--root"]).arg(directory.join("root"));
    command.arg("--runroot").arg(directory.join("run"));
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `podman run` is told besides the image.
#[derive(Clone, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) options: &'a [&'a str],
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// Instead of the image's own command.
    pub(crate) command: &'a [&'a str],
}

/// A container, removed when the test ends.
pub(crate) struct Container {
    name: String,
    pub(crate) started: Instant,
}

impl Container {
    /// Starts one, in a network namespace with nothing but loopback.
    pub(crate) fn run(image: &str, wanted: &Wanted<'_>) -> Container {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ottla-test-{}-{number}", std::process::id());
        let mut command = podman_command();
        // podman asks for more than a container inside a container may have.
        command.args(["run", "--detach", "--network", "none", "--log-driver", "k8s-file", "--name", &name]);
        command.args(["--hostname", "box", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]);
        command.args(wanted.options);
        for (variable, value) in wanted.environment {
            command.arg("--env").arg(format!("{variable}={value}"));
        }
        command.arg(image).args(wanted.command).stdin(Stdio::null());
        let started = Instant::now();
        let output = command.output().expect("podman is installed");
        assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
        Container { name, started }
    }

    /// Standard output and standard error so far.
    pub(crate) fn logs(&self) -> (String, String) {
        let output = podman(&["logs", &self.name]);
        (text(&output.stdout), text(&output.stderr))
    }

    /// Waits until standard output has `awaited`. Answers all of it.
    pub(crate) fn wait_for(&self, awaited: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (out, err) = self.logs();
            if out.contains(awaited) {
                return out;
            }
            assert!(Instant::now() < deadline, "no {awaited:?} within {DEADLINE:?}:\n{out}\n{err}");
            assert!(self.is_running() || self.logs().0.contains(awaited), "it ended:\n{out}\n{err}");
            std::thread::sleep(POLL);
        }
    }

    /// Waits for the end. Answers the exit code.
    pub(crate) fn wait_for_end(&self) -> i32 {
        let deadline = Instant::now() + DEADLINE;
        while self.is_running() {
            assert!(Instant::now() < deadline, "still running after {DEADLINE:?}: {:?}", self.logs());
            std::thread::sleep(POLL);
        }
        self.inspect("{{.State.ExitCode}}").parse().expect("podman says a number")
    }

    pub(crate) fn is_running(&self) -> bool {
        self.inspect("{{.State.Running}}") == "true"
    }

    /// The process that the container is.
    pub(crate) fn pid(&self) -> u32 {
        self.inspect("{{.State.Pid}}").parse().expect("podman says a number")
    }

    pub(crate) fn inspect(&self, format: &str) -> String {
        let output = podman(&["inspect", "--format", format, &self.name]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    /// Runs a command inside. Answers exit code, standard output, standard error.
    pub(crate) fn exec(&self, command: &[&str]) -> (Option<i32>, String, String) {
        let mut words = vec!["exec", &*self.name];
        words.extend(command);
        let output = podman(&words);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Runs a script inside that has to succeed. Answers its output.
    pub(crate) fn sh(&self, script: &str) -> String {
        let (code, out, err) = self.exec(&["sh", "-c", script]);
        assert_eq!(code, Some(0), "{script}\n{out}\n{err}\n{:?}", self.logs());
        out
    }

    /// Puts a file into the container, as `docker cp` does: from outside, whoever the container's user is.
    pub(crate) fn put(&self, path: &str, content: &str) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, content.as_bytes()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(file.path(), mode).unwrap();
        let target = format!("{}:{path}", self.name);
        let output = podman(&["cp", file.path().to_str().unwrap(), &target]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Starts another container of `image` in this one's network, and outside its limits.
    pub(crate) fn beside(&self, image: &str, options: &[&str], command: &[&str]) -> Beside<'_> {
        let mut podman = podman_command();
        podman.args([
            "run",
            "--rm",
            "--log-driver",
            "none",
            "--ulimit",
            "nofile=4096:4096",
            "--ulimit",
            "nproc=4096:4096",
        ]);
        podman.arg("--network").arg(format!("container:{}", self.name)).args(options).arg(image).args(command);
        podman.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Beside { process: Some(podman.spawn().expect("podman is installed")), broker: self }
    }

    /// A record written and read again inside the container, through the broker at `address`.
    pub(crate) fn round_trip(&self, address: &str) {
        let script = format!(
            "export OTTLA_BOOTSTRAP_SERVER={address}; ottla topic create there-and-back --if-not-exists >&2 && \
             echo a:b | ottla produce there-and-back -k : >&2 && \
             ottla consume there-and-back --from-beginning -n 1 --print-key"
        );
        assert_eq!(self.sh(&script), "a\tb\n");
    }

    /// SIGTERM. Answers the exit code, and how long it took.
    pub(crate) fn stop(&self) -> (i32, Duration) {
        let pid = rustix::process::Pid::from_raw(self.pid() as i32).expect("a running container has a process");
        let asked = Instant::now();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        // Without podman in between, which itself takes a while to notice.
        while rustix::process::test_kill_process(pid).is_ok() && asked.elapsed() < DEADLINE {
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = asked.elapsed();
        (self.wait_for_end(), took)
    }
}

/// A program that runs beside a broker, ended when the test ends.
pub(crate) struct Beside<'c> {
    process: Option<Child>,
    broker: &'c Container,
}

impl Beside<'_> {
    /// Waits for its end, which has to be a good one. Answers its standard output.
    pub(crate) fn wait(mut self, within: Duration) -> String {
        let mut process = self.process.take().expect("it is waited for once");
        let id = process.id();
        let (out, err) = (process.stdout.take().expect("it is a pipe"), process.stderr.take().expect("it is a pipe"));
        let [out, err] = [Box::new(out) as Box<dyn Read + Send>, Box::new(err)].map(|mut pipe| {
            std::thread::spawn(move || {
                let mut text = String::new();
                let _ = pipe.read_to_string(&mut text);
                text
            })
        });
        let deadline = Instant::now() + within;
        let status = loop {
            if let Some(status) = process.try_wait().expect("it is our process") {
                break status;
            }
            if Instant::now() >= deadline {
                let _ = process.kill();
                panic!("process {id} beside the broker is not done after {within:?}: {:?}", self.broker.logs());
            }
            std::thread::sleep(POLL);
        };
        let (out, err) = (out.join().expect("it reads"), err.join().expect("it reads"));
        assert!(status.success(), "{status}\n{out}\n{err}\n{:?}", self.broker.logs());
        out
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // What runs in its network goes with it.
        podman(&["rm", "--force", "--volumes", "--depend", "--time", "0", &self.name]);
    }
}

//! The program in a process of its own, on a port of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

/// For anything to happen, on a machine that is busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A broker with a directory of its own. It is killed when the test ends.
pub(crate) struct Broker {
    process: Child,
    pub(crate) address: String,
    directory: TempDir,
}

impl Broker {
    /// A broker with an empty directory. `words` come first on its command line.
    pub(crate) fn start(words: &[&str]) -> Broker {
        let directory = tempfile::tempdir().unwrap();
        let (process, address) = start_process(&directory, "127.0.0.1:0", words);
        Broker { process, address, directory }
    }

    /// Asks it to stop, as Ctrl-C does, and starts it again with the same directory and port.
    pub(crate) fn restart(&mut self) {
        interrupt(&self.process);
        assert_eq!(self.process.wait().unwrap().code(), Some(0), "it stops cleanly when asked");
        (self.process, self.address) = start_process(&self.directory, &self.address, &[]);
    }
}

/// Answers the process and where it listens.
fn start_process(directory: &TempDir, listen: &str, words: &[&str]) -> (Child, String) {
    let mut process = ottla()
        .args(words)
        .args(["--set", "ottla.http.listener=none"])
        .args(["--set", &format!("listeners=PLAINTEXT://{listen}"), "--set", "num.partitions=1"])
        .args(["--set", &format!("log.dirs={}", directory.path().display())])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(process.stderr.take().unwrap());
    let address = listener(log).unwrap_or_else(|log| panic!("the broker does not say where it listens:\n{log}"));
    (process, address)
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn ottla() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.env_remove("OTTLA_BOOTSTRAP_SERVER").stdin(Stdio::null());
    command
}

/// Sends SIGINT.
pub(crate) fn interrupt(process: &Child) {
    let status = Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Reads the log until it says where the broker listens, and goes on reading so that the broker never waits.
fn listener(mut log: impl BufRead + Send + 'static) -> Result<String, String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut seen = String::new();
        loop {
            let before = seen.len();
            if log.read_line(&mut seen).unwrap_or(0) == 0 {
                let _ = sender.send(Err(seen));
                return;
            }
            let address = seen[before..].split_once("listeners=[").and_then(|(_, rest)| rest.split_once(']'));
            if let Some((address, _)) = address {
                let _ = sender.send(Ok(address.to_string()));
                break;
            }
        }
        let _ = std::io::copy(&mut log, &mut std::io::sink());
    });
    receiver.recv_timeout(DEADLINE).unwrap_or_else(|_| Err("nothing, and it still runs".into()))
}

//! Apache Kafka: a broker, and its clients and tools.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use tempfile::TempDir;

/// Whose files are compared; `KAFKA_VERSION` picks another.
const RELEASE: &str = "4.3.1";

/// Few partitions, and a cleaner that never rests.
const SETTINGS: &[&str] = &[
    "log.cleaner.backoff.ms=20",
    "offsets.topic.num.partitions=1",
    "transaction.state.log.num.partitions=1",
    "auto.create.topics.enable=false",
];

fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// A release that is on this machine.
pub(crate) struct Release {
    jars: PathBuf,
    xtask: PathBuf,
}

impl Release {
    /// `None`, with a line that says so, where there is none; it must be there where `CI` is set.
    pub(crate) fn find() -> Option<Release> {
        let release = env::var("KAFKA_VERSION").unwrap_or_else(|_| RELEASE.to_owned());
        let (jars, xtask) = (target().join("oracle").join(release), target().join("debug/xtask"));
        if jars.join(".complete").exists() && xtask.exists() {
            return Some(Release { jars, xtask });
        }
        assert!(env::var_os("CI").is_none(), "needs `cargo xtask oracle fetch`");
        eprintln!("skipped: `cargo xtask oracle fetch` brings Apache Kafka");
        None
    }

    /// A JVM that has the release's programs.
    pub(crate) fn java(&self) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.arg(format!("-Dlog4j2.configurationFile={}", self.jars.join("log4j2.properties").display()));
        java.arg("-cp").arg(self.jars.join("*"));
        java
    }

    /// Runs commands of `Clients.java`, each a list of words, in one process; answers what they printed.
    pub(crate) fn clients(&self, commands: &[Vec<String>]) -> Printed {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migration/Clients.java");
        let mut java = self.java();
        java.arg(program).args(commands.join(&",".to_owned()));
        let output = java.output().expect("a JDK runs the clients");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        Printed(text)
    }
}

/// A command of `Clients.java`.
pub(crate) fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What `Clients.java` printed.
pub(crate) struct Printed(pub(crate) String);

impl Printed {
    /// Lines of one kind about one topic, without these two words, in the order in which they came.
    pub(crate) fn of(&self, kind: &str, topic: &str) -> Vec<&str> {
        let start = format!("{kind} {topic} ");
        self.0.lines().filter_map(|line| line.strip_prefix(&start)).collect()
    }
}

/// A broker of its own, stopped when this is dropped.
pub(crate) struct Kafka<'r> {
    release: &'r Release,
    dir: TempDir,
    pub(crate) address: String,
}

impl Kafka<'_> {
    pub(crate) fn start(release: &Release) -> Kafka<'_> {
        let mut kafka = Kafka { release, dir: tempfile::tempdir().unwrap(), address: String::new() };
        kafka.restart();
        kafka
    }

    pub(crate) fn restart(&mut self) {
        let dir = self.dir.path().to_str().unwrap().to_owned();
        let words = [&["start", &dir, "--heap", "384m"], SETTINGS].concat();
        self.address = self.oracle(&words).trim().to_owned();
    }

    pub(crate) fn stop(&self) {
        self.oracle(&["stop", self.dir.path().to_str().unwrap()]);
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        self.oracle(&["kill", self.dir.path().to_str().unwrap(), "1"]);
        // Until it is gone, which is when `stop` ends.
        self.stop();
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("1/data")
    }

    /// What the broker complained of since it started.
    pub(crate) fn complaints(&self) -> String {
        fs::read_to_string(self.dir.path().join("1/out.log")).unwrap()
    }

    fn oracle(&self, words: &[&str]) -> String {
        let output = Command::new(&self.release.xtask).arg("oracle").args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Kafka<'_> {
    fn drop(&mut self) {
        let _ = Command::new(&self.release.xtask).args(["oracle", "stop"]).arg(self.dir.path()).output();
    }
}

//! What a start is asked for: topics of a mounted file, and the lines that others wait for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with other tests")]
mod process;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

use process::{DEADLINE, interrupt, ottla};

/// A broker whose output goes to files.
struct Started<'d> {
    process: Child,
    directory: &'d Path,
    address: String,
}

impl<'d> Started<'d> {
    /// Runs `command`, a broker with its data and its output below `directory`, until it serves.
    fn wait(mut command: Command, directory: &'d Path) -> Started<'d> {
        command.stdout(File::create(directory.join("out")).unwrap());
        command.stderr(File::create(directory.join("err")).unwrap());
        let mut process = command.spawn().unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let log = fs::read_to_string(directory.join("err")).unwrap();
            let address = log.split_once("listeners=[").and_then(|(_, rest)| rest.split_once(']'));
            if let Some((address, _)) = address {
                return Started { process, directory, address: address.into() };
            }
            assert!(Instant::now() < deadline && process.try_wait().unwrap().is_none(), "it does not serve:\n{log}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Stops it. Answers standard output and the log.
    fn stop(&mut self) -> (String, String) {
        interrupt(&self.process);
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
        ["out", "err"].map(|name| fs::read_to_string(self.directory.join(name)).unwrap()).into()
    }

    fn tool(&self, words: &[&str]) -> String {
        let output = ottla().args(words).env("OTTLA_BOOTSTRAP_SERVER", &self.address).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn settings(directory: &Path) -> String {
    format!("listeners=PLAINTEXT://127.0.0.1:0\nottla.http.listener=none\nlog.dirs={}/data\n", directory.display())
}

fn broker(directory: &Path) -> Command {
    fs::write(directory.join("server.properties"), settings(directory)).unwrap();
    let mut command = ottla();
    command.arg("broker").arg("--config").arg(directory.join("server.properties"));
    command
}

/// Replaces the files of a mounted ConfigMap as the kubelet does: a new directory, and one link that moves.
fn mount(volume: &Path, version: &str, files: &[(&str, &str)]) {
    fs::create_dir_all(volume.join(version)).unwrap();
    for (name, text) in files {
        fs::write(volume.join(version).join(name), text).unwrap();
        let _ = symlink(Path::new("..data").join(name), volume.join(name));
    }
    let _ = fs::remove_file(volume.join("..data"));
    symlink(version, volume.join("..data")).unwrap();
}

const STRIMZI: &str = "\
apiVersion: kafka.strimzi.io/v1beta2
kind: KafkaTopic
metadata:
  name: created
spec:
  partitions: 3
  replicas: 1
  config:
    retention.ms: 604800000
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
";

const OWN: &str = "\
topics:
  - orders
  - name: broken
    config: {retention.ms: soon}
  - name: wide
    replicas: 3
  - {name: twisted, partition: 3}
  - name: grows
    partitions: 2
";

#[test]
fn topics_of_a_mounted_directory_are_made_before_it_serves_and_followed_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let volume = directory.path().join("topics");
    mount(&volume, "..1", &[("a.yaml", STRIMZI), ("b.yaml", OWN)]);
    let start = |variable: &str| {
        let mut command = broker(directory.path());
        command.env(variable, &volume);
        Started::wait(command, directory.path())
    };
    let mut first = start("OTTLA_TOPICS_FILE");
    let topics = first.tool(&["topic", "list"]);
    for (name, made) in [("created", true), ("orders", true), ("grows", true), ("broken", false), ("wide", false)] {
        assert_eq!(topics.contains(name), made, "{name}: {topics}");
    }
    let created = first.tool(&["topic", "describe", "created"]);
    assert!(created.contains("604800000"), "{created}");
    let (_, log) = first.stop();
    // Each is told where it stands; a configuration map among them is no mistake.
    for (place, words) in
        [("b.yaml:3", "soon"), ("b.yaml:5", "replication factor"), ("b.yaml:7", "partition: not known")]
    {
        let line = log.lines().find(|line| line.contains(place)).unwrap_or_else(|| panic!("{place}: {log}"));
        assert!(line.contains("ERROR") && line.to_lowercase().contains(words), "{line}");
    }
    assert!(log.contains("a.yaml:10") || log.contains("a.yaml:11"), "{log}");
    assert_eq!(log.matches("ERROR").count(), 3, "{log}");

    // The same again changes nothing, and says so.
    let mut second = start("KAFKA_OTTLA_TOPICS_FILE");
    let (_, log) = second.stop();
    assert!(log.contains("unchanged=3") && !log.contains("topic created") && !log.contains("changed: "), "{log}");

    mount(
        &volume,
        "..2",
        &[("a.yaml", STRIMZI), ("b.yaml", "- {name: grows, partitions: 5, config: {segment.ms: 9}}")],
    );
    let mut third = start("OTTLA_TOPICS_FILE");
    assert_eq!(third.tool(&["topic", "describe", "grows", "-o", "json"]).matches("\"leader\"").count(), 5);
    assert!(third.tool(&["topic", "list"]).contains("orders"), "what no file declares stays");
    assert!(third.stop().1.contains("changed: partitions 2 -> 5, segment.ms set to 9"));
}

#[test]
fn a_topics_file_that_cannot_be_read_is_told_and_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("topics.yaml");
    for (text, words) in
        [(None, "No such file"), (Some("a: [1\nb: 2\n".to_owned()), ":2: "), (Some("#".repeat(1 << 21)), "1048576")]
    {
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let mut command = broker(directory.path());
        command.arg("--set").arg(format!("ottla.topics.file={}", path.display()));
        let mut started = Started::wait(command, directory.path());
        started.tool(&["topic", "create", "served", "--if-not-exists"]);
        let (_, log) = started.stop();
        let line = log.lines().find(|line| line.contains("ERROR")).unwrap_or_default();
        assert!(line.contains("topics.yaml") && line.contains(words), "{log}");
    }
}

#[test]
fn the_lines_of_kafkas_log_come_when_they_are_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut plain = Started::wait(broker(directory.path()), directory.path());
    assert_eq!(plain.stop().0, "", "a broker that nobody asked prints nothing");

    let mut asked = broker(directory.path());
    asked.env("OTTLA_READY_LINES", "true");
    let mut face = ottla();
    face.arg("kafka-server-start").arg(directory.path().join("server.properties"));
    for command in [asked, face] {
        let (out, _) = Started::wait(command, directory.path()).stop();
        assert!(out.contains("[KafkaServer id=1] started"), "{out}");
    }
    let mut quiet = ottla();
    quiet.arg("kafka-server-start").arg(directory.path().join("server.properties"));
    quiet.args(["--override", "ottla.ready.lines=false"]);
    assert_eq!(Started::wait(quiet, directory.path()).stop().0, "");
}

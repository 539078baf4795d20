//! MirrorMaker, configured as `docs/migration.md` says.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::kafka::{Printed, Release};

/// A running MirrorMaker. It is killed when this is dropped: it commits what it copied as it goes.
pub(crate) struct Mirror {
    process: Child,
    dir: TempDir,
}

impl Mirror {
    /// Copies `k-…` topics from Kafka to Ottla, and `o-…` topics back.
    pub(crate) fn start(release: &Release, kafka: &str, ottla: &str) -> Mirror {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mirror.properties");
        fs::write(&file, properties(kafka, ottla)).unwrap();
        let mut java = release.java();
        java.arg("org.apache.kafka.connect.mirror.MirrorMaker").arg(&file).stdin(Stdio::null());
        let log = fs::File::create(dir.path().join("log")).unwrap();
        java.stdout(log.try_clone().unwrap()).stderr(log);
        Mirror { process: java.spawn().unwrap(), dir }
    }

    /// What it complained of so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// The page's block, with our addresses and topics, both directions at once, and less patience.
fn properties(kafka: &str, ottla: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migration.md")).unwrap();
    let (_, block) = page.split_once("```properties\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let mut text = block.to_owned();
    let back = "ottla->kafka.enabled = true\nottla->kafka.topics = o-.*\nottla->kafka.groups = .*";
    for (from, to) in [
        ("kafka:9092", kafka),
        ("ottla:9092", ottla),
        ("orders|payments", "k-.*"),
        ("ottla->kafka.enabled = false", back),
        ("seconds = 5", "seconds = 1"),
    ] {
        assert!(text.contains(from), "docs/migration.md no longer says {from}");
        text = text.replace(from, to);
    }
    text
}

/// The copies have every record that counts, with its time, key, value and headers, and groups lost nothing.
pub(crate) fn assert_copied(topics: &[&str], copied: &Printed, expected: &Printed) {
    for topic in topics {
        let (found, wanted) = (contents(copied, topic), contents(expected, topic));
        assert!(!wanted.is_empty() && found == wanted, "{topic}: {found:#?} is not {wanted:#?}");
    }
    // It had read 40 records; some of them may come again.
    for place in copied.of("committed", "readers") {
        let mut words = place.split(' ');
        let (_, offset) = (words.next(), words.next().unwrap());
        assert!((0..=40).contains(&offset.parse::<i64>().unwrap()), "{place}");
    }
}

/// Committed records without their offsets and leader epochs.
fn contents<'p>(printed: &'p Printed, topic: &str) -> Vec<[&'p str; 4]> {
    let lines = printed.of("record", topic).into_iter().filter_map(|line| line.strip_prefix("read_committed "));
    let content = |line: &'p str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, timestamp, _, key, value, headers] = words[..] else { panic!("{line}") };
        [timestamp, key, value, headers]
    };
    lines.map(content).collect()
}

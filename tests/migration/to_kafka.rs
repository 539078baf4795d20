//! Logs of ours under Apache Kafka.

use std::fs;
use std::path::{Path, PathBuf};

use crate::kafka::{Printed, command};
use crate::places::{copy, files};

/// Puts our log of a topic in the place of Kafka's, which keeps its topic id.
pub(crate) fn take_over(ours: &Path, kafkas: &Path, topic: &str) {
    let name = format!("{topic}-0");
    let metadata = fs::read(kafkas.join(&name).join("partition.metadata")).unwrap();
    fs::remove_dir_all(kafkas.join(&name)).unwrap();
    copy(&ours.join(&name), &kafkas.join(&name));
    fs::write(kafkas.join(&name).join("partition.metadata"), metadata).unwrap();
}

/// A cluster counts producer ids from 0, and so does the other: new producers must not be taken for those of old.
pub(crate) fn forget_producers(kafkas: &Path, topic: &str) {
    for snapshot in files(&kafkas.join(format!("{topic}-0")), ".snapshot") {
        fs::remove_file(snapshot).unwrap();
    }
}

/// Nothing in the broker's log is about a log of ours.
pub(crate) fn assert_content(complaints: &str) {
    let about_logs = |line: &&str| {
        let levels = line.contains("WARN") || line.contains("ERROR") || line.contains("FATAL");
        levels
            && ["o-", "__consumer_offsets", "orrupt", "UnifiedLog", "LogLoader", "LogManager"]
                .iter()
                .any(|word| line.contains(word))
    };
    let found: Vec<&str> = complaints.lines().filter(about_logs).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// Kafka's consumer finds on Kafka what it found on Ottla.
pub(crate) fn assert_same(topic: &str, on_kafka: &Printed, on_ottla: &Printed) {
    for kind in ["record", "range", "time"] {
        let (found, expected) = (on_kafka.of(kind, topic), on_ottla.of(kind, topic));
        assert!(!expected.is_empty());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{topic}");
        }
        assert_eq!(found.len(), expected.len(), "{kind} {topic}");
    }
}

/// Every record of new producers came behind what was there, and none was taken for a copy.
pub(crate) fn assert_appended(topic: &str, found: &Printed) {
    let range = found.of("range", topic)[0];
    let end: i64 = range.rsplit(' ').next().unwrap().parse().unwrap();
    let offsets: Vec<i64> = found.of("appended", topic).iter().map(|offset| offset.parse().unwrap()).collect();
    assert_eq!(offsets, (end..end + 15).collect::<Vec<i64>>(), "{topic}");
}

/// What `DumpLogSegments` is to be asked about every file below a directory.
pub(crate) fn dumps(dir: &Path) -> Vec<Vec<String>> {
    let joined = |suffixes: &[&str], only: &str| {
        let all = suffixes.iter().flat_map(|suffix| files(dir, suffix));
        let names = all.filter(|path| is_segment(path) && path.to_string_lossy().contains(only));
        names.map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(",")
    };
    vec![
        command(&["dump-log", "--files", &joined(&[".log"], ""), "--deep-iteration"]),
        command(&["dump-log", "--files", &joined(&[".index", ".timeindex"], ""), "--index-sanity-check"]),
        command(&["dump-log", "--files", &joined(&[".index", ".timeindex"], ""), "--verify-index-only"]),
        command(&["dump-log", "--files", &joined(&[".log"], "__consumer_offsets"), "--offsets-decoder"]),
        command(&["dump-log", "--files", &joined(&[".snapshot"], "")]),
    ]
}

/// The files of partitions; an index of which nothing was needed is empty.
fn is_segment(path: &Path) -> bool {
    !path.to_string_lossy().contains("ottla-metadata") && fs::metadata(path).unwrap().len() > 0
}

/// Of all these dumps none told of damage, and all told something.
pub(crate) fn assert_clean(found: &Printed, dirs: &[PathBuf]) {
    let text = &found.0;
    for word in ["isvalid: false", "invalid bytes", "Mismatches", "Found", "rror"] {
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(word)).collect();
        assert!(lines.is_empty(), "{lines:#?}");
    }
    let count = |suffix: &str| -> usize {
        dirs.iter().map(|dir| files(dir, suffix).iter().filter(|path| is_segment(path)).count()).sum()
    };
    assert_eq!(text.matches("passed sanity check").count(), count(".index") + count(".timeindex"));
    for dir in dirs {
        let cleaned = fs::read_to_string(dir.join("cleaner-offset-checkpoint")).unwrap();
        assert!(cleaned.lines().any(|line| line.starts_with("__consumer_offsets 0 ")), "{cleaned}");
    }
    assert!(text.contains("\"group\":\"readers\"") && text.contains("producerId: "));
}

//! Workload files of the OpenMessaging Benchmark. They say what is sent and how many clients there are; how clients
//! behave is said here, as that benchmark's own settings for Kafka have it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use client::Acks;
use load::{Length, LoadError, OpenMessaging, Produce, Values, Workload};
use protocol::records::Codec;

use super::shapes::row;
use super::{Group, Kind, Row};

const EXAMPLE: &str = include_str!("../../workloads/1-topic-16-partitions-1kb.yaml");

/// Clients as the file's benchmark configures them for Kafka; values and counts come from the file.
fn clients() -> Produce {
    Produce {
        connections: 1,
        values: Values::random(1, 1.0),
        keys: 0,
        batch_bytes: 1 << 20,
        linger: Duration::from_millis(1),
        acks: Acks::All,
        codec: Codec::None,
        idempotent: true,
        rate: None,
        in_flight: 5,
        pre_encoded: false,
    }
}

/// A file as a workload. It lasts as long as it says, or `seconds` after a warm-up of half of that.
///
/// # Errors
/// What cannot be read or done, with the file's name.
pub(crate) fn from_file(path: &Path, seconds: Option<f64>) -> Result<Row, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    parse(&text, directory, seconds).map_err(|error| failed(&error))
}

/// The one that comes with the harness.
pub(super) fn example(seconds: f64) -> Option<Row> {
    parse(EXAMPLE, Path::new("."), Some(seconds)).ok()
}

fn parse(text: &str, directory: &Path, seconds: Option<f64>) -> Result<Row, LoadError> {
    let file = OpenMessaging::parse(text)?;
    let mut workload: Workload = file.workload(&clients(), directory, "benches")?;
    // There is one broker, and not the three that a broker's own default may be made for.
    if let Some(create) = &mut workload.topics.create {
        create.replication_factor = 1;
    }
    if let Some(seconds) = seconds {
        let length = Duration::from_secs_f64(seconds);
        workload = Workload { warmup: length / 2, length: Length::Time(length), ..workload };
    }
    workload.check()?;
    Ok(Row { group: Group::Files, ..row(&format!("file: {}", file.name), Kind::Load(Box::new(workload))) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_workload_of_the_length_asked_for() {
        let row = example(3.0).unwrap();
        assert_eq!((row.name.as_str(), row.is_meant("files")), ("file: 1 topic, 16 partitions, 1 KB", true));
        let Kind::Load(workload) = &row.kind else { panic!("no load") };
        assert_eq!(workload.length, Length::Time(Duration::from_secs(3)));
        assert!(workload.produce.is_some() && workload.consume.is_some());
    }

    #[test]
    fn a_file_lasts_as_long_as_it_says_and_is_refused_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("w.yaml");
        fs::write(&path, "name: own\ntestDurationMinutes: 2\nwarmupDurationMinutes: 1\n").unwrap();
        let Kind::Load(workload) = from_file(&path, None).unwrap().kind else { panic!("no load") };
        assert_eq!((workload.warmup.as_secs(), workload.length), (60, Length::Time(Duration::from_secs(120))));
        fs::write(&path, "name: own\npartitions: 2\n").unwrap();
        let refused = from_file(&path, None).err().unwrap();
        assert!(refused.contains("w.yaml: line 2: partitions is no key"), "{refused}");
    }
}

//! Apache Kafka's tools read what we wrote. Its broker does so in `tests/migration`, and writes for us to read.
//!
//! The release is the one that `cargo xtask oracle fetch` put into the target directory; without it these tests say
//! that they were skipped, and fail where `CI` is set.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod compacted;
mod lives;
mod rig;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use compacted::NoLimit;
use protocol::records::{BatchBuilder, Codec, batches};
use rig::{RigDisk, config, files, idempotent, open_one, read_all, tempdir};
use storage::{AppendOrigin, LogConfig, PartitionLog, TransactionCheck, TxnMarker};

/// The last release before the tool moved, and the newest.
const DUMPS: [(&str, &str); 2] =
    [("3.9.1", "kafka.tools.DumpLogSegments"), ("4.3.1", "org.apache.kafka.tools.DumpLogSegments")];

fn target_dir() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Where a release's jars are, or `None` when they are not here.
fn jars(test: &str, release: &str) -> Option<PathBuf> {
    let jars = target_dir().join("oracle").join(release);
    if jars.join(".complete").exists() {
        return Some(jars);
    }
    assert!(env::var_os("CI").is_none(), "{test} needs `KAFKA_VERSION={release} cargo xtask oracle fetch`");
    eprintln!("{test} skips {release}: `KAFKA_VERSION={release} cargo xtask oracle fetch` brings it");
    None
}

/// What a Java program of the release prints; it must succeed.
fn java(jars: &Path, class: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("java");
    command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(jars.join("*"));
    // A command line has less room than the names of many files need.
    let (words, dir) = ([&[class], arguments].concat().join("\n"), tempdir());
    fs::write(dir.path().join("words"), words).unwrap();
    command.arg(format!("@{}", dir.path().join("words").display()));
    let output = command.output().expect("a JDK runs the oracle");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{class}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn dump(jars: &Path, files: &[PathBuf], options: &[&str]) -> String {
    let (_, class) = DUMPS.iter().find(|(release, _)| jars.ends_with(release)).unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let joined = names.join(",");
    let arguments = [&["--files", joined.as_str()], options].concat();
    java(jars, class, &arguments)
}

/// A word of a dump's line: the value behind `name: `.
fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let (_, rest) = line.split_once(&format!("{name}: ")).unwrap_or_else(|| panic!("no {name} in {line}"));
    rest.split(' ').next().unwrap()
}

/// Everything of a batch that a dump shows.
type Shown = BTreeMap<&'static str, String>;

/// The batches in a dump.
fn shown_batches(dump: &str) -> Vec<Shown> {
    const FIELDS: [&str; 11] = [
        "baseOffset",
        "lastOffset",
        "count",
        "baseSequence",
        "lastSequence",
        "producerId",
        "producerEpoch",
        "partitionLeaderEpoch",
        "size",
        "compresscodec",
        "crc",
    ];
    let lines = dump.lines().filter(|line| line.starts_with("baseOffset: "));
    lines.map(|line| FIELDS.iter().map(|name| (*name, field(line, name).to_owned())).collect()).collect()
}

/// The same of batches that we hold.
fn our_batches(bytes: &[u8]) -> Vec<Shown> {
    let show = |batch: protocol::records::Batch<'_>| {
        BTreeMap::from([
            ("baseOffset", batch.base_offset().to_string()),
            ("lastOffset", batch.last_offset().to_string()),
            ("count", batch.record_count().to_string()),
            ("baseSequence", batch.base_sequence().to_string()),
            ("lastSequence", batch.last_sequence().to_string()),
            ("producerId", batch.producer_id().to_string()),
            ("producerEpoch", batch.producer_epoch().to_string()),
            ("partitionLeaderEpoch", batch.partition_leader_epoch().to_string()),
            ("size", batch.size_bytes().to_string()),
            ("compresscodec", batch.codec().name().to_owned()),
            ("crc", batch.crc().to_string()),
        ])
    };
    batches(bytes).map(|batch| show(batch.unwrap())).collect()
}

/// Several segments: every codec, an idempotent producer, two leader epochs.
fn write_some(log: &PartitionLog) {
    for (i, codec) in Codec::ALL.into_iter().cycle().take(40).enumerate() {
        let mut builder = BatchBuilder::new(0).codec(codec, None);
        for record in 0..5 {
            let value = format!("record {record} of batch {i}").repeat(10);
            builder.append(1_700_000_000_000 + i as i64 * 10, Some(b"key"), Some(value.as_bytes()), &[]);
        }
        let epoch = if i < 15 { 2 } else { 5 };
        log.append_as_leader(builder.build().freeze(), epoch, AppendOrigin::Client, 1_700_000_000_000).unwrap();
        if i % 4 == 0 {
            let batch = idempotent(4_000 + i as i64 % 3, 1, i as i32 / 12 * 2, 2);
            log.append_as_leader(batch, epoch, AppendOrigin::Client, 1_700_000_000_000).unwrap();
        }
    }
}

#[test]
fn kafka_reads_our_files() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let config = LogConfig { segment_bytes: 4_000, index_interval_bytes: 200, ..config() };
    let (dir, log) = open_one(&disk, path.path(), config);
    write_some(&log);
    let (ours, producers) = (read_all(&log, 0), log.producer_count());
    let (_, second_epoch) = log.end_offset_for_epoch(2).unwrap();
    log.close().unwrap();
    dir.close_clean(std::iter::once(&log)).unwrap();
    drop((dir, log));

    let epochs = fs::read_to_string(path.path().join("orders-0/leader-epoch-checkpoint")).unwrap();
    assert_eq!(epochs, format!("0\n2\n2 0\n5 {second_epoch}\n"));
    let points = fs::read_to_string(path.path().join("recovery-point-offset-checkpoint")).unwrap();
    assert_eq!(points, "0\n1\norders 0 220\n");
    for (release, _) in DUMPS {
        if let Some(jars) = jars("kafka_reads_our_files", release) {
            kafka_reads(&jars, path.path(), &ours, producers);
        }
    }
}

fn kafka_reads(jars: &Path, path: &Path, ours: &[u8], producers: usize) {
    let logs = files(path, ".log");
    assert!(logs.len() > 3);
    let text = dump(jars, &logs, &["--deep-iteration", "--print-data-log"]);
    assert_eq!(shown_batches(&text), our_batches(ours));
    assert!(!text.contains("isvalid: false") && !text.contains("invalid bytes"), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("payload: ")).count(), 40 * 5 + 10 * 2);

    let indexes = [files(path, ".index"), files(path, ".timeindex")].concat();
    let text = dump(jars, &indexes, &["--index-sanity-check"]);
    assert_eq!(text.matches("passed sanity check").count(), indexes.len(), "{text}");
    // Compared entry by entry with the batches.
    let text = dump(jars, &indexes, &["--verify-index-only"]);
    assert!(!text.contains("Mismatches") && !text.contains("Found"), "{text}");
    assert!(fs::metadata(&indexes[0]).unwrap().len() > 16);

    let snapshot = files(path, ".snapshot").pop().unwrap();
    let text = dump(jars, &[snapshot], &[]);
    let entries: Vec<&str> = text.lines().filter(|line| line.contains("producerId: ")).collect();
    assert_eq!(entries.len(), producers, "{text}");
    assert!(entries.iter().all(|line| field(line, "producerEpoch") == "1"), "{text}");
}

/// Keys that come again, tombstones, every codec, two producers of which one has only old records.
fn write_keys(log: &PartitionLog, round: i64) {
    for (i, codec) in (0..30i64).zip(Codec::ALL.into_iter().cycle()) {
        let mut builder = BatchBuilder::new(0).codec(codec, None);
        if i % 5 == 0 {
            builder = builder.producer(4_000 + i % 2, 1, ((round * 30 + i) / 10 * 4) as i32);
        }
        if (round, i) == (0, 1) {
            builder = builder.producer(9, 0, 0);
        }
        for record in 0..4 {
            let value = format!("round {round}, batch {i}").repeat(5);
            let key = format!("key {}", (i * 4 + record) % 61);
            let value = ((i + record) % 6 != 0).then_some(value.as_bytes());
            builder.append(1_700_000_000_000 + round * 1_000 + i * 10 + record, Some(key.as_bytes()), value, &[]);
        }
        log.append_as_leader(builder.build().freeze(), 3, AppendOrigin::Client, 1_700_000_000_000).unwrap();
    }
}

#[test]
fn kafka_reads_what_we_compacted() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let config = LogConfig {
        compact: true,
        min_cleanable_dirty_ppm: 0,
        delete_retention_ms: 5_000,
        segment_bytes: 4_000,
        index_interval_bytes: 200,
        ..config()
    };
    let (dir, log) = open_one(&disk, path.path(), config);
    let (mut before, mut after) = (0, 0);
    for round in 0..3 {
        write_keys(&log, round);
        // The first two passes meet tombstones, the third drops those of the first.
        let done = log.compact(1_700_000_000_000 + round * 4_000, 1 << 20, &NoLimit).unwrap().unwrap();
        (before, after) = (before + done.before_bytes, after + done.after_bytes);
    }
    assert!(after * 3 < before * 2);
    let ours = compacted::chunks(&log).concat();
    assert!(batches(&ours).any(|batch| batch.unwrap().has_delete_horizon()));
    assert!(batches(&ours).any(|batch| batch.unwrap().record_count() == 0), "a producer's last batch is empty");
    log.close().unwrap();
    dir.close_clean(std::iter::once(&log)).unwrap();
    for (release, _) in DUMPS {
        let Some(jars) = jars("kafka_reads_what_we_compacted", release) else { continue };
        let text = dump(&jars, &files(path.path(), ".log"), &["--deep-iteration", "--print-data-log"]);
        assert_eq!(shown_batches(&text), our_batches(&ours));
        assert!(!text.contains("isvalid: false") && !text.contains("invalid bytes"), "{text}");
        let mut indexes = [files(path.path(), ".index"), files(path.path(), ".timeindex")].concat();
        // A segment that has hardly anything left needs no index.
        indexes.retain(|index| fs::metadata(index).unwrap().len() > 0);
        assert!(indexes.len() > 3);
        let text = dump(&jars, &indexes, &["--index-sanity-check"]);
        assert_eq!(text.matches("passed sanity check").count(), indexes.len(), "{text}");
        let text = dump(&jars, &indexes, &["--verify-index-only"]);
        assert!(!text.contains("Mismatches") && !text.contains("Found"), "{text}");
    }
}

/// Seeds of logs that are looked at after each of their power failures.
const LIVES: u64 = 24;

/// Aborted and committed transactions of three producers, that go over segments.
fn write_transactions(log: &PartitionLog) {
    for i in 0..60i32 {
        let (id, round) = (i64::from(i % 3), i / 3);
        let mut builder = BatchBuilder::new(0).producer(id, 0, round).transactional();
        builder.append(1_700_000_000_000, Some(b"key"), Some(&[7; 50]), &[]);
        let (bytes, check) = (builder.build().freeze(), TransactionCheck::Off);
        log.append_in_transaction(bytes, 0, AppendOrigin::Client, check, 1_700_000_000_000).unwrap();
        if (round + i % 3) % 4 == 3 {
            let marker = TxnMarker {
                producer_id: id,
                producer_epoch: 0,
                coordinator_epoch: 9,
                committed: round % 5 == 0,
                transaction_version: 1,
            };
            log.append_marker(marker, 0, 1_700_000_000_000).unwrap();
        }
    }
}

#[test]
fn kafka_reads_our_transactions() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), LogConfig { segment_bytes: 1_000, ..config() });
    write_transactions(&log);
    let mut ours: Vec<(i64, i64)> = log
        .aborted_transactions(0, log.log_end_offset())
        .unwrap()
        .iter()
        .map(|txn| (txn.producer_id, txn.first_offset))
        .collect();
    let producers = log.producers();
    assert!(ours.len() > 8 && producers.iter().any(|known| known.current_txn_start_offset.is_some()));
    ours.sort_unstable();
    log.close().unwrap();
    dir.close_clean(std::iter::once(&log)).unwrap();
    for (release, _) in DUMPS {
        let Some(jars) = jars("kafka_reads_our_transactions", release) else { continue };
        let text = dump(&jars, &files(path.path(), ".txnindex"), &[]);
        let number = |line: &str, name| field(line, name).trim_end_matches(',').parse::<i64>().unwrap();
        let lines = text.lines().filter(|line| line.contains("lastStableOffset: "));
        let mut theirs: Vec<(i64, i64)> =
            lines.map(|line| (number(line, "producerId"), number(line, "firstOffset"))).collect();
        theirs.sort_unstable();
        assert_eq!(theirs, ours, "{text}");

        let text = dump(&jars, &files(path.path(), ".snapshot").split_off(1), &[]);
        for known in &producers {
            let line =
                text.lines().find(|line| line.starts_with(&format!("producerId: {} ", known.producer_id))).unwrap();
            assert_eq!(number(line, "coordinatorEpoch"), 9, "{line}");
            let first_offset = known.current_txn_start_offset.map(|offset| format!("OptionalLong[{offset}]"));
            let expected = first_offset.unwrap_or("OptionalLong.empty".to_owned());
            assert_eq!(field(line, "currentTxnFirstOffset"), expected, "{line}");
        }
        let text = dump(&jars, &files(path.path(), ".log"), &["--deep-iteration"]);
        assert!(text.contains("endTxnMarker: ABORT coordinatorEpoch: 9"), "{text}");
        assert!(!text.contains("isvalid: false"), "{text}");
    }
}

#[test]
fn kafka_reads_what_power_failures_left() {
    let (release, _) = DUMPS[1];
    let Some(jars) = jars("kafka_reads_what_power_failures_left", release) else { return };
    let path = tempdir();
    let states: Vec<lives::Left> = (0..LIVES).flat_map(|seed| lives::live(seed, path.path())).collect();
    let (mut all, mut indexes) = (Vec::new(), Vec::new());
    for left in &states {
        all.extend(files(&left.path, ".log"));
        all.extend(files(&left.path, ".snapshot"));
        for suffix in [".index", ".timeindex"] {
            indexes
                .extend(files(&left.path, suffix).into_iter().filter(|index| fs::metadata(index).unwrap().len() > 0));
        }
    }
    all.extend(indexes.iter().cloned());
    assert!(all.len() > 500 && indexes.len() > 100, "{} files, {} indexes", all.len(), indexes.len());
    let text = dump(&jars, &all, &["--deep-iteration", "--index-sanity-check"]);
    assert!(!text.contains("isvalid: false") && !text.contains("invalid bytes"), "{text}");
    assert_eq!(text.matches("passed sanity check").count(), indexes.len());
    assert!(text.lines().any(|line| line.contains("producerId: ") && line.contains("lastSequence")), "{text}");
    let mut found: BTreeMap<&Path, Vec<Shown>> = BTreeMap::new();
    for of_file in text.split("Dumping ").skip(1) {
        let (name, rest) = of_file.split_once('\n').unwrap();
        if name.ends_with(".log") {
            let dir = Path::new(name).parent().and_then(Path::parent).unwrap();
            found.entry(dir).or_default().extend(shown_batches(rest));
        }
    }
    for left in &states {
        let found = found.remove(&*left.path).unwrap_or_default();
        let first = found.len().saturating_sub(batches(&left.content).count());
        assert_eq!(found[first..], our_batches(&left.content), "{}", left.path.display());
        // What was deleted from the start of a segment is still in it.
        assert!(found[..first].iter().all(|batch| batch["lastOffset"].parse::<i64>().unwrap() < left.start));
    }
    let text = dump(&jars, &indexes, &["--verify-index-only"]);
    assert!(!text.contains("Mismatches") && !text.contains("Found"), "{text}");
}

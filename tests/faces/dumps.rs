//! The files of a partition as Kafka's tool shows them and as ours does: both read the same files.

use std::path::Path;

use super::process::Broker;
use super::{Said, face, real, script};

/// `T` is a directory with the files of a partition that has two segments, `D` one with a few records of all kinds, `O`
/// one of `__consumer_offsets`, `W` one where the files are wrong.
const LINES: &[&str] = &[
    "--files D/00000000000000000000.log",
    "--files D/00000000000000000000.log --print-data-log",
    "--files D/00000000000000000000.log --deep-iteration",
    "--files D/00000000000000000000.log --deep-iteration --skip-record-metadata",
    "--files D/00000000000000000000.log --print-data-log --skip-record-metadata",
    "--files D/00000000000000000000.log --max-bytes 100",
    "--files D/00000000000000000000.log --value-decoder-class org.apache.kafka.tools.api.StringDecoder",
    "--files D/00000000000000000000.log --value-decoder-class org.apache.kafka.tools.api.LongDecoder",
    "--files D/00000000000000000000.log --offsets-decoder",
    "--files D/00000000000000000000.log --transaction-log-decoder",
    "--files O/00000000000000000000.log --offsets-decoder",
    "--files O/00000000000000000000.log --transaction-log-decoder --skip-record-metadata",
    "--files T/00000000000000000000.index,T/00000000000000000000.timeindex",
    "--files T/00000000000000000000.index,T/00000000000000000000.timeindex --verify-index-only",
    "--files T/00000000000000000000.index,T/00000000000000000000.timeindex --index-sanity-check",
    "--files D/00000000000000000000.index,D/00000000000000000000.timeindex --index-sanity-check",
    "--files T/SNAPSHOT",
    "--files W/00000000000000000000.index",
    "--files W/00000000000000000000.timeindex",
    "--files W/00000000000000000000.index --index-sanity-check",
    "--files W/00000000000000000000.timeindex --index-sanity-check",
    "--files W/00000000000000000000.index --max-message-size 100",
    "--files W/00000000000000000000.txnindex",
    "--files W/00000000000000000005.txnindex",
    "--files W/00000000000000000300.snapshot",
    "--files W/00000000000000000000.log",
    "--files W/partition.metadata",
    "--files W/absent.log",
    "--files W/00000000000000000009.index",
    "--print-data-log",
];

/// What is wrong with files is said on standard error by a tool that goes on.
fn complaints(said: &Said) -> Vec<String> {
    let starts = ["Mismatches", "Found", "  ", "The following", "Indexed", "Snapshot ", "Non-consecutive", "Ignoring"];
    let lines = said.err.lines().filter(|line| starts.iter().any(|start| line.starts_with(start)));
    if said.code == 0 { lines.map(str::to_owned).collect() } else { Vec::new() }
}

/// Files of a partition, changed.
fn spoil(from: &Path, to: &Path) {
    for name in ["00000000000000000000.log", "00000000000000000000.index", "00000000000000000000.timeindex"] {
        let mut bytes = std::fs::read(from.join(name)).unwrap();
        match name.rsplit_once('.').unwrap().1 {
            // A record is gone from the middle, and half a batch from the end.
            "log" => {
                let first = 12 + usize::from(u16::from_be_bytes([bytes[10], bytes[11]]));
                let second = 12 + usize::from(u16::from_be_bytes([bytes[first + 10], bytes[first + 11]]));
                bytes.drain(first..first + second);
                bytes.truncate(bytes.len() - 40);
                // As long as before, so that the index still points to where batches were.
                let filler = bytes[..second].to_vec();
                bytes.splice(0..0, filler);
            }
            "index" => bytes[3] += 1,
            _ => bytes[7] ^= 1,
        }
        bytes.push(0);
        std::fs::write(to.join(name), bytes).unwrap();
    }
    let aborted: Vec<u8> = (0..68).map(|place| place % 7).collect();
    std::fs::write(to.join("00000000000000000000.txnindex"), &aborted).unwrap();
    std::fs::write(to.join("00000000000000000005.txnindex"), &aborted[..34]).unwrap();
    let snapshot = std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path());
    let snapshot = snapshot.filter(|path| path.extension().is_some_and(|suffix| suffix == "snapshot")).min().unwrap();
    let mut snapshot = std::fs::read(snapshot).unwrap();
    snapshot[20] ^= 1;
    std::fs::write(to.join("00000000000000000300.snapshot"), snapshot).unwrap();
}

#[test]
fn files_are_dumped_as_kafka_dumps_them() {
    let Ok(mut real) = real::Tools::start() else {
        assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "Apache Kafka's tools do not run");
        eprintln!("SKIPPED: there are no tools of Apache Kafka to compare with");
        return;
    };
    let broker = Broker::start(&["broker", "--set", "offsets.topic.num.partitions=1"]);
    let run = |name: &str, arguments: &str, input: &str| {
        let said = face(name, &script::words(arguments, &broker.address), input);
        assert_eq!(said.code, 0, "{said:?}");
        said.out
    };
    let write = "@ --topic d --reader-property parse.headers=true --reader-property parse.key=true";
    run("kafka-console-producer", write, "h:1,i:2\tk\tv\nj:\tk\tlater and longer\n");
    run("kafka-console-producer", "@ --topic d --compression-codec zstd --request-required-acks 1", "a\nb\n");
    run("kafka-console-consumer", "@ --topic d --group g --from-beginning --max-messages 2", "");
    run("kafka-topics", "@ --create --topic two --config segment.bytes=1048576", "");
    let load = "@ --topic two --num-records 1100 --record-size 1000 --throughput -1 --producer-props batch.size=3000";
    run("kafka-producer-perf-test", load, "");
    let dirs = run("kafka-log-dirs", "@ --describe --topic-list d", "");
    let dir = Path::new(dirs.split("\"logDir\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap());
    let wrong = tempfile::tempdir().unwrap();
    spoil(&dir.join("two-0"), wrong.path());
    let snapshots = std::fs::read_dir(dir.join("two-0")).unwrap().map(|entry| entry.unwrap().file_name());
    let snapshot = snapshots.map(|name| name.into_string().unwrap()).find(|name| name.ends_with(".snapshot")).unwrap();
    let mut different = 0;
    for line in LINES {
        let mut arguments = line.replace("SNAPSHOT", &snapshot);
        for (letter, place) in [("T/", "two-0/"), ("D/", "d-0/"), ("O/", "__consumer_offsets-0/")] {
            arguments = arguments.replace(letter, &format!("{}/{place}", dir.display()));
        }
        let arguments = script::words(&arguments.replace("W/", &format!("{}/", wrong.path().display())), "");
        let (ours, theirs) = (face("kafka-dump-log", &arguments, ""), real.run("dump-log", &arguments, ""));
        if (ours.code, &ours.out, complaints(&ours)) != (theirs.code, &theirs.out, complaints(&theirs)) {
            different += 1;
            let place = ours.out.lines().zip(theirs.out.lines()).position(|(ours, theirs)| ours != theirs);
            let place = place.unwrap_or(ours.out.lines().count().min(theirs.out.lines().count()));
            let shown = |said: &Said| (said.code, said.out.lines().nth(place).map(str::to_owned), said.err.clone());
            eprintln!("--- {line}, line {place}\nKafka's: {:#?}\nours:    {:#?}", shown(&theirs), shown(&ours));
        }
    }
    assert_eq!(different, 0, "command lines that answer differently; see above");
    let epochs =
        face("kafka-dump-log", &["--files".into(), format!("{}/d-0/leader-epoch-checkpoint", dir.display())], "");
    assert!(epochs.out.ends_with("leader-epoch-checkpoint\nepoch: 0 startOffset: 0\n"), "{epochs:?}");
    for refused in ["--cluster-metadata-decoder", "--value-decoder-class com.example.Own"] {
        let said = face("kafka-dump-log", &script::words(&format!("--files x.log {refused}"), ""), "");
        assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (1, "", 1), "{said:?}");
    }
}

//! Kafka's tools and our faces of them: the same command lines, each against an Ottla of its own, print the same.
//!
//! `script.rs` has the command lines, in the order in which they are given; `real.rs` runs Kafka's tools, all in one JVM;
//! `normal.rs` says what may differ. By hand: `cargo test --test faces`; `FACES_SHOW=1` prints everything that was said.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dumps;
mod formatted;
mod internal_topics;
mod normal;
#[allow(dead_code, reason = "other tests restart their brokers; these do not")]
#[path = "../process/mod.rs"]
mod process;
mod real;
mod script;
mod transactions;
mod verifiable;

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use process::{Broker, ottla};
use script::Step;
use tempfile::TempDir;

/// What a tool did.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Starting any tool may take so long, or twice what a start that does nothing takes at that time. The best of several
/// starts counts: the others say what else the machine is at.
const STARTUP_MAX: Duration = Duration::from_millis(10);
const STARTS_MAX: usize = 40;

/// A tool in a process of its own.
fn face(name: &str, arguments: &[String], input: &str) -> Said {
    let mut command = ottla();
    command.arg(name).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // A tool that fails early does not read its input.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let output = process.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// Members of the group `live`, which the script looks at. They are killed when the test ends.
struct Members(Vec<Child>);

impl Members {
    fn start(address: &str) -> Members {
        // Both sides have a position from the start, whatever the members come to.
        let reset = "--group live --topic keyed --reset-offsets --to-latest --execute @";
        assert_eq!(face("kafka-consumer-groups", &script::words(reset, address), "").code, 0);
        let member = |_| {
            let mut command = ottla();
            command.args(["consume", "keyed", "--group", "live", "-b", address]).stdout(Stdio::null());
            command.stderr(Stdio::null()).spawn().unwrap()
        };
        let members = Members((0..2).map(member).collect());
        let begun = Instant::now();
        loop {
            let said =
                face("kafka-consumer-groups", &script::words("--describe --group live --members @", address), "");
            let assigned = said.out.lines().filter(|line| line.starts_with("live ")).count();
            let waits = said.out.lines().any(|line| line.starts_with("live ") && line.trim_end().ends_with(" 0"));
            if assigned == 2 && !waits && !said.err.contains("rebalancing") {
                return members;
            }
            assert!(begun.elapsed() < process::DEADLINE, "{said:?}");
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for member in &mut self.0 {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

/// Directories for log.dirs, of which one was used by a broker, properties that name them, and the files of the script.
fn directories() -> TempDir {
    let made = tempfile::tempdir().unwrap();
    let path = |name: &str| made.path().join(name);
    std::fs::create_dir(path("used")).unwrap();
    let meta = "version=1\nnode.id=1\ncluster.id=AAAAAAAAQACAAAAAAAAAAQ\ndirectory.id=lli-npFDWne7u7KvToyZOw\n";
    std::fs::write(path("used/meta.properties"), meta).unwrap();
    const BOTH: &str = "process.roles=broker,controller\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n";
    const BROKER: &str = "process.roles=broker\nlisteners=PLAINTEXT://:9092\n";
    const VOTERS: &str = "controller.quorum.voters=1@localhost:9093\n";
    const SERVERS: &str = "controller.quorum.bootstrap.servers=localhost:9093\n";
    for (name, node_id, dirs, roles, quorum) in [
        ("new", 1, "new", BOTH, VOTERS),
        ("used", 1, "used", BOTH, VOTERS),
        ("both", 1, "used,other", BOTH, VOTERS),
        ("node-2", 2, "used", BOTH, "controller.quorum.voters=2@localhost:9093\n"),
        ("apart", 1, "apart", BOTH, "controller.quorum.voters=1@localhost:9093\nmetadata.log.dir=DIR/metadata\n"),
        ("alone", 1, "alone", BOTH, SERVERS),
        ("later", 1, "later", BOTH, SERVERS),
        ("nobody", 1, "nobody", BOTH, ""),
        ("broker", 1, "broker", BROKER, SERVERS),
        ("file", 1, "none.json", BOTH, VOTERS),
    ] {
        let dirs: Vec<String> = dirs.split(',').map(|dir| path(dir).display().to_string()).collect();
        let quorum = quorum.replace("DIR", &made.path().display().to_string());
        let settings = format!(
            "{roles}node.id={node_id}\n{quorum}controller.listener.names=CONTROLLER\nlog.dirs={}\n",
            dirs.join(",")
        );
        std::fs::write(path(&format!("{name}.properties")), settings).unwrap();
    }
    for (name, text) in script::FILES {
        std::fs::write(path(name), text).unwrap();
    }
    made
}

/// Plays the script against a broker of its own.
fn play(mut run: impl FnMut(&Step<'_>, &[String]) -> Said) -> Vec<(String, Said)> {
    let broker = Broker::start(&["broker"]);
    let directories = directories();
    let directory = directories.path().to_str().unwrap();
    let mut members = None;
    let mut answers = Vec::new();
    for line in script::LINES {
        let step = Step::of(line);
        if step.tool == "members" {
            members = Some(Members::start(&broker.address));
            continue;
        }
        if step.tool == "transaction" {
            let (id, topic) = step.arguments.split_once(' ').unwrap();
            transactions::leave_open(&broker.address, id, topic);
            continue;
        }
        let arguments = step.arguments.replace("TMP", directory);
        let mut said = run(&step, &script::words(&arguments, &broker.address));
        said.out = said.out.replace(directory, "TMP");
        said.err = said.err.replace(directory, "TMP");
        let port = broker.address.rsplit(':').next().unwrap();
        said.out = said.out.replace(&broker.address, "ADDRESS").replace(&format!(" {port} "), " PORT ");
        said.err = said.err.replace(&broker.address, "ADDRESS");
        answers.push((line.to_string(), said));
    }
    drop(members);
    answers
}

#[test]
fn faces_say_what_kafkas_tools_say() {
    let real = match real::Tools::start() {
        Ok(real) => real,
        Err(missing) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{missing}"),
        Err(missing) => {
            eprintln!("SKIPPED: {missing}, and without it there are no tools of Apache Kafka to compare with");
            return;
        }
    };
    let theirs = std::thread::spawn(move || {
        let mut real = real;
        play(|step, arguments| real.run(step.tool, arguments, &step.input))
    });
    let ours = play(|step, arguments| face(&format!("kafka-{}", step.tool), arguments, &step.input));
    let theirs = theirs.join().unwrap();
    let shows = std::env::var("FACES_SHOW").is_ok();
    let mut different = 0;
    for ((line, ours), (_, theirs)) in ours.into_iter().zip(theirs) {
        let step = Step::of(&line);
        let (normal_ours, normal_theirs) = (normal::of(&step, &ours), normal::of(&step, &theirs));
        if normal_ours != normal_theirs {
            different += 1;
            eprintln!("--- {line}\nKafka's: {normal_theirs:#?}\nours:    {normal_ours:#?}");
        }
        if shows {
            eprintln!("=== {line}\nKafka's: {theirs:?}\nours:    {ours:?}");
        }
    }
    assert_eq!(different, 0, "command lines that answer differently; see above");
}

#[test]
fn every_face_starts_fast_and_explains_itself() {
    let names = ottla().arg("--list-faces").output().unwrap();
    let names = String::from_utf8(names.stdout).unwrap();
    assert!(names.lines().any(|name| name == "kafka-topics"), "{names}");
    let mut took: Vec<Duration> = Vec::new();
    for name in names.lines() {
        if face(name, &["--version".into()], "").code != 0 {
            // One that says what to use instead, in one line.
            let said = face(name, &["--help".into()], "");
            assert_eq!((said.code, said.err.lines().count()), (1, 1), "{said:?}");
            continue;
        }
        let start = || {
            let begun = Instant::now();
            let said = face(name, &["--help".into()], "");
            let took = begun.elapsed();
            assert_eq!((said.code, said.err.as_str()), (0, ""), "{name} --help");
            assert!(said.out.starts_with(&format!("{name}: ")), "{}", said.out);
            took
        };
        let (mut best, mut nothing) = (start(), start_of_nothing());
        for _ in 1..STARTS_MAX {
            if best <= STARTUP_MAX {
                break;
            }
            (best, nothing) = (best.min(start()), nothing.min(start_of_nothing()));
        }
        assert!(best <= STARTUP_MAX.max(nothing * 2), "{name}: {best:?}, and {nothing:?} for nothing");
        took.push(best);
    }
    took.sort_unstable();
    println!("start-up of {} faces: median {:?}, slowest {:?}", took.len(), took[took.len() / 2], took[took.len() - 1]);
}

fn start_of_nothing() -> Duration {
    let begun = Instant::now();
    assert_eq!(face("--list-faces", &[], "").code, 0);
    begun.elapsed()
}

#[test]
fn a_broker_starts_as_kafkas_does_and_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let file = directory.path().join("server.properties");
    let settings =
        format!("listeners=PLAINTEXT://{address}\nlog.dirs={}\nnum.partitions=2\n", directory.path().display());
    std::fs::write(&file, settings).unwrap();
    let refused = face("cub", &script::words(&format!("kafka-ready -b {address} 1 0"), &address), "");
    assert_eq!(refused.code, 1, "nobody is there yet: {refused:?}");
    let mut command = ottla();
    command.arg("kafka-server-start.sh").arg(&file).args(["--override", "num.partitions=3"]);
    let broker = Members(vec![command.stderr(Stdio::null()).spawn().unwrap()]);
    let ready = face("cub", &script::words(&format!("kafka-ready -b {address} 1 60"), &address), "");
    assert_eq!(ready.code, 0, "{ready:?}");
    assert_eq!(face("kafka-topics", &script::words("@ --create --topic t", &address), "").code, 0);
    let described = face("kafka-topics", &script::words("@ --describe --topic t", &address), "");
    assert!(described.out.contains("PartitionCount: 3"), "--override wins: {}", described.out);
    drop(broker);
}

#[test]
fn the_perf_tools_say_what_they_reached() {
    let broker = Broker::start(&["broker"]);
    let run = |name: &str, arguments: &str| {
        let said = face(name, &script::words(arguments, &broker.address), "");
        assert_eq!(said.code, 0, "{said:?}");
        said.out
    };
    let produce = "--topic p --num-records 5000 --record-size 100 --throughput -1 --producer-props acks=all";
    let out = run("kafka-producer-perf-test", &format!("{produce} bootstrap.servers={}", broker.address));
    assert!(out.starts_with("5000 records sent, ") && out.ends_with(" ms 99.9th.\n"), "{out}");
    let transactional = "--num-records 1000 --record-size 100 --throughput 4000 --transaction-duration-ms 50";
    let out = run("kafka-producer-perf-test", &format!("@ --topic in-transactions {transactional}"));
    assert!(out.starts_with("1000 records sent, "), "{out}");
    // Every transaction was committed, the last one too; their markers are not among what is read.
    let reading = "@ --topic in-transactions --from-beginning --timeout-ms 5000 --max-messages 1000";
    let read = run("kafka-console-consumer", &format!("{reading} --isolation-level read_committed"));
    assert_eq!(read.lines().count(), 1000);
    let ends = run("kafka-get-offsets", "@ --topic in-transactions");
    let end: u64 = ends.lines().map(|line| line.rsplit(':').next().unwrap().parse::<u64>().unwrap()).sum();
    assert!((1002..=1100).contains(&end), "records, and a marker for each transaction: {ends}");
    let out = run("kafka-consumer-perf-test", "@ --topic p --messages 5000");
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split(", ").collect()).collect();
    assert_eq!((lines.len(), lines[0][0], lines[0].len(), lines[1].len()), (2, "start.time", 10, 10), "{out}");
    assert_eq!((lines[1][2], lines[1][4]), ("0.4768", "5000"), "MiB and records");
    let out = run("kafka-consumer-perf-test", "@ --topic p --messages 10 --group g --hide-header");
    assert_eq!(out.lines().count(), 1, "{out}");
}

#[test]
fn topics_that_come_later_are_included() {
    let broker = Broker::start(&["broker"]);
    for (group, word) in [("", "alone"), ("--group g", "in a group")] {
        let topic = format!("late{}", group.len());
        let reading = format!("@ --include late.* --from-beginning --max-messages 1 {group}");
        let reading = format!("{reading} --consumer-property metadata.max.age.ms=50");
        let mut command = ottla();
        command.arg("kafka-console-consumer").args(script::words(&reading, &broker.address));
        let mut reader = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let write = script::words(&format!("@ --topic {topic}"), &broker.address);
        assert_eq!(face("kafka-console-producer", &write, &format!("{word}\n")).code, 0);
        let mut said = String::new();
        reader.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((said.as_str(), reader.wait().unwrap().code()), (format!("{word}\n").as_str(), Some(0)));
        assert_eq!(
            face("kafka-topics", &script::words(&format!("@ --delete --topic {topic}"), &broker.address), "").code,
            0
        );
    }
}

#[test]
fn a_link_makes_a_face() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["kafka-topics", "kafka-topics.sh"] {
        let link = directory.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ottla"), &link).unwrap();
        let output = Command::new(link).arg("--version").output().unwrap();
        assert!(String::from_utf8(output.stdout).unwrap().starts_with("4.3.1 (Ottla"), "{name}");
    }
}

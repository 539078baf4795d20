//! Kafka's tools and our faces of them: the same command lines, each against an Ottla of its own, print the same.
//!
//! `script.rs` has the command lines, in the order in which they are given; `real.rs` runs Kafka's tools, all in one JVM;
//! `normal.rs` says what may differ. By hand: `cargo test --test faces`; `FACES_SHOW=1` prints everything that was said.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod normal;
#[path = "../process/mod.rs"]
mod process;
mod real;
mod script;

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use process::{Broker, ottla};
use script::Step;

/// What a tool did.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Starting any tool may take so long. The best of several starts counts: the others say what else the machine is at.
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
            let offsets = face("kafka-consumer-groups", &script::words("--describe --group live @", address), "");
            let is_committed = |line: &str| line.split_whitespace().nth(3).is_some_and(|offset| offset != "-");
            let commits = offsets.out.lines().filter(|line| line.starts_with("live ") && is_committed(line)).count();
            if assigned == 2 && !waits && commits == 2 && !said.err.contains("rebalancing") {
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

/// Plays the script against a broker of its own.
fn play(mut run: impl FnMut(&Step, &[String]) -> Said) -> Vec<(String, Said)> {
    let broker = Broker::start(&["broker"]);
    let mut members = None;
    let mut answers = Vec::new();
    for line in script::LINES {
        let step = Step::of(line);
        if step.tool == "members" {
            members = Some(Members::start(&broker.address));
            continue;
        }
        let mut said = run(&step, &script::words(step.arguments, &broker.address));
        said.out = said.out.replace(&broker.address, "ADDRESS");
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
        let start = |_| {
            let begun = Instant::now();
            let said = face(name, &["--help".into()], "");
            let took = begun.elapsed();
            assert_eq!((said.code, said.err.as_str()), (0, ""), "{name} --help");
            assert!(said.out.starts_with(&format!("{name}: ")), "{}", said.out);
            took
        };
        let mut best = start(0);
        for attempt in 1..STARTS_MAX {
            if best <= STARTUP_MAX {
                break;
            }
            best = best.min(start(attempt));
        }
        took.push(best);
    }
    took.sort_unstable();
    println!("start-up of {} faces: median {:?}, slowest {:?}", took.len(), took[took.len() / 2], took[took.len() - 1]);
    assert!(took.iter().all(|took| *took <= STARTUP_MAX), "{took:?}");
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

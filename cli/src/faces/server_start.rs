//! `kafka-server-start FILE --override k=v`, and `kafka-server-stop`.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::flags::{Flag, Parsed, switch, value};
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    value("override", "key=value", "One setting; may be repeated, and wins over the file"),
    switch("daemon", "Run in the background, with the output in $LOG_DIR/kafkaServer.out, or logs/kafkaServer.out"),
    switch("loggc", "No effect: there is no garbage collector"),
    value("name", "text", "No effect: there is no JVM to name"),
];

pub(crate) const STOP_FLAGS: &[Flag] = &[
    value("process-role", "role", "No effect: a process has every role"),
    value("node-id", "n", "Not possible: kill the process that you mean"),
];

/// Whoever starts Kafka by this name reads of its start on standard output.
const READY_LINES: &str = "ottla.ready.lines=true";

/// The broker's file and settings, the later of which win.
///
/// # Errors
/// When no file is named.
pub(crate) fn broker(parsed: &Parsed) -> Result<(PathBuf, Vec<String>), Failure> {
    match &parsed.words[..] {
        [file] => {
            let settings = std::iter::once(READY_LINES).chain(parsed.values("override"));
            Ok((file.into(), settings.map(str::to_owned).collect()))
        }
        _ => Err(Failure::Usage("USAGE: kafka-server-start server.properties [--override property=value]*".into())),
    }
}

/// Runs the same broker in a process of its own, which nobody waits for. What it says goes to a file; as with Kafka's
/// script, whether it came up is for its reader to see.
///
/// # Errors
/// When the file or the process cannot be made.
pub(crate) fn start_in_background(parsed: &Parsed) -> Outcome {
    let logs = std::env::var_os("LOG_DIR").map_or_else(|| PathBuf::from("logs"), PathBuf::from);
    let path = logs.join("kafkaServer.out");
    let unwritable = |error| Failure::Input(format!("{}: {error}; $LOG_DIR says where else it can be", path.display()));
    std::fs::create_dir_all(&logs).map_err(unwritable)?;
    let out = File::create(&path).map_err(unwritable)?;
    Command::new(std::env::current_exe()?)
        .arg("kafka-server-start")
        .args(in_foreground(parsed))
        .stdin(Stdio::null())
        .stderr(out.try_clone()?)
        .stdout(out)
        // An interrupt at the terminal is not for it.
        .process_group(0)
        .spawn()?;
    Ok(())
}

/// The command line of the process in the background: what was understood of this one, so that no way to write `--daemon`
/// gets there, where it would start one more.
fn in_foreground(parsed: &Parsed) -> Vec<&str> {
    let settings = parsed.values("override").flat_map(|setting| ["--override", setting]);
    settings.chain(["--"]).chain(parsed.words.iter().map(String::as_str)).collect()
}

/// Asks every broker of this user on this machine to stop: in a container there is one.
pub(crate) fn stop(parsed: &Parsed) -> Outcome {
    if parsed.has("node-id") {
        return Err(Failure::Input("--node-id is not possible: kill the process that you mean".into()));
    }
    let own = std::process::id();
    let mut stopped = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end while we look.
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        if id != own && is_broker(&line) {
            let process = i32::try_from(id).ok().and_then(Pid::from_raw);
            stopped += usize::from(process.is_some_and(|process| kill_process(process, Signal::TERM).is_ok()));
        }
    }
    match stopped {
        0 => {
            say("No kafka server to stop\n")?;
            Err(Failure::Said)
        }
        _ => Ok(()),
    }
}

/// Whether a command line, with zeros between its words, is that of a broker.
fn is_broker(line: &[u8]) -> bool {
    let words: Vec<String> =
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let name = |word: &String| {
        let name = word.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".sh").unwrap_or(name).to_string()
    };
    let first = words.first().map(name).unwrap_or_default();
    let second = words.get(1).map(String::as_str).unwrap_or_default();
    let runs_broker = matches!(second, "" | "broker" | "kafka-server-start" | "kafka-server-start.sh");
    first == "kafka-server-start" || (first == "ottla" && (runs_broker || second.starts_with("--")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_in_the_background_starts_no_other_one() {
        let flags: Vec<&Flag> = FLAGS.iter().collect();
        let parsed = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            Parsed::parse(&flags, &words).unwrap()
        };
        for written in ["-daemon", "--daemon", "--daem", "-d"] {
            let asked = parsed(&[written, "-name", "daemon", "server.properties", "--override", "a=b"]);
            let started = parsed(&in_foreground(&asked));
            assert!(asked.has("daemon") && !started.has("daemon"), "{written}");
            assert_eq!(broker(&started).unwrap(), broker(&asked).unwrap(), "{written}");
        }
    }

    #[test]
    fn a_broker_is_told_from_a_tool() {
        for line in
            ["ottla\0", "/bin/ottla\0broker\0--set\0a=b\0", "bin/kafka-server-start.sh\0f\0", "ottla\0--config\0f\0"]
        {
            assert!(is_broker(line.as_bytes()), "{line:?}");
        }
        for line in ["ottla\0topic\0list\0", "kafka-topics\0--list\0", "/bin/sh\0", "ottla\0kafka-server-stop\0", ""] {
            assert!(!is_broker(line.as_bytes()), "{line:?}");
        }
    }
}

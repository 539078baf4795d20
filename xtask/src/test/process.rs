//! Runs one check: its output into a log, its time bounded, its counts read from what it printed.

use super::plan::Check;
use super::summary::{Counts, Finished, Verdict};
use crate::paths;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(50);
/// Between the polite signal and the other one.
const GRACE: Duration = Duration::from_secs(10);

pub(crate) fn run(check: &Check) -> Finished {
    if let Some(missing) = check.needs.iter().find(|program| !is_installed(program)) {
        return Finished::missing(&check.name, missing);
    }
    let log = paths::target().join("test-logs").join(format!("{}.log", check.name.replace('/', "-")));
    let begun = Instant::now();
    let ended = spawn(check, &log).and_then(|child| wait(child, check.timeout));
    let text = fs::read(&log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let counts = counts(&text);
    let (verdict, remark) = match ended {
        Ok(Some(status)) if status.success() && counts.failed == 0 => (Verdict::Passed, String::new()),
        Ok(Some(status)) => (Verdict::Failed, status.to_string()),
        Ok(None) => (Verdict::Failed, format!("not done after {} s", check.timeout.as_secs())),
        Err(reason) => (Verdict::Failed, reason),
    };
    Finished {
        name: check.name.clone(),
        verdict,
        counts: counts.at_least_one(verdict == Verdict::Passed),
        took: begun.elapsed(),
        remark,
        log: Some(log),
        by_hand: by_hand(check),
    }
}

fn spawn(check: &Check, log: &Path) -> Result<Child, String> {
    let out = File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
    let err = out.try_clone().map_err(|e| format!("{}: {e}", log.display()))?;
    let (program, args) = check.command.split_first().ok_or("an empty command")?;
    let mut command = Command::new(program);
    command.args(args).envs(check.env.iter().map(|(key, value)| (key, value))).current_dir(paths::root());
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    command.spawn().map_err(|e| format!("{program}: {e}"))
}

/// How it ended, or nothing when it had to be ended.
pub(crate) fn wait(mut child: Child, timeout: Duration) -> Result<Option<ExitStatus>, String> {
    let deadline = Instant::now() + timeout;
    loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) => return Ok(Some(status)),
            None if Instant::now() < deadline => sleep(POLL),
            None => break,
        }
    }
    end(&mut child);
    Ok(None)
}

/// Ends a process with everything it started. Children share our terminal and its Ctrl-C, so there is no process group
/// to signal: the tree is read from /proc.
fn end(child: &mut Child) {
    let family = descendants(child.id());
    signal(&family, "TERM");
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        sleep(POLL);
    }
    signal(&family, "KILL");
    let _ = child.wait();
}

fn descendants(root: u32) -> Vec<u32> {
    let mut family = vec![root];
    let mut index = 0;
    while let Some(&parent) = family.get(index) {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        family.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        index += 1;
    }
    family
}

fn signal(pids: &[u32], name: &str) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).args(pids.iter().map(u32::to_string)).stderr(Stdio::null());
    let _ = kill.status();
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir: PathBuf| dir.join(program)).any(|file| file.is_file())
}

/// Counts as cargo's test harness prints them, and as our client suites do.
fn counts(text: &str) -> Counts {
    let mut sum = Counts::default();
    for line in text.lines() {
        if let Some(result) = line.trim_start().strip_prefix("test result: ") {
            sum.passed += before(result, " passed");
            sum.failed += before(result, " failed");
            sum.skipped += before(result, " ignored");
        } else if let Some(result) = line.strip_prefix("RESULT ") {
            sum.passed += after(result, "passed=");
            sum.failed += after(result, "failed=");
            sum.skipped += after(result, "skipped=");
        }
    }
    sum
}

fn before(line: &str, word: &str) -> u64 {
    let head = line.split(word).next().unwrap_or_default();
    head.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn after(line: &str, word: &str) -> u64 {
    let mut words = line.split_whitespace();
    words.find_map(|pair| pair.strip_prefix(word)).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn by_hand(check: &Check) -> String {
    if check.is_client {
        return format!("cargo build --profile fast && tests/{}/run", check.name);
    }
    let quoted = check.command.iter().map(|word| if word == "*" { "'*'" } else { word.as_str() });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_over_both_kinds_of_lines() {
        let text = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out\n\
                    noise\nRESULT passed=40 failed=2 skipped=1\n";
        assert_eq!(counts(text), Counts { passed: 52, failed: 2, skipped: 4 });
    }

    #[test]
    fn a_check_that_takes_too_long_is_ended_with_its_children() {
        let child = Command::new("sh").args(["-c", "sleep 1000 & wait"]).spawn().expect("sh exists");
        let family = descendants(child.id());
        let ended = wait(child, Duration::from_millis(300)).expect("a child can be waited for");
        assert!(ended.is_none());
        let gone =
            |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("sleep"));
        assert!(!family.iter().any(gone));
    }
}

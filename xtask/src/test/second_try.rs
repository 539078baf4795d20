//! A second try for a test that was red once, alone on the machine.
//!
//! Some 2,000 tests drive a dozen foreign clients, each with races of its own, on machines that stall. One of them that is red by
//! such luck says nothing of the change at hand, and one that is red for a reason is red again. What passed only now
//! is told in the table, with the words of the first try: it is a bug to be found, in the test or in the broker. Lints,
//! builds and planted bugs have no luck, and more than a few red tests are not luck either: they get no second try.

use super::plan::Check;
use super::process;
use super::summary::{self, FIRST_LOG, Finished, Verdict};
use std::fs;

/// Checks that are tried again.
const CHECKS_MAX: usize = 2;
/// Tests that are tried again in one of them.
const TESTS_MAX: usize = 3;

/// Tries again what failed, unless it was too much for bad luck.
pub(super) fn run(checks: &[Check], finished: &mut [Finished]) {
    let failed = finished.iter().filter(|done| done.is_failure()).count();
    if failed > CHECKS_MAX {
        return;
    }
    for done in finished.iter_mut().filter(|done| done.verdict == Verdict::Failed) {
        let Some(check) = checks.iter().find(|check| check.name == done.name) else { continue };
        if let Some(narrow) = again(check, done) {
            *done = settle(process::run(&narrow), done);
            summary::print_line(done);
        }
    }
}

/// What to run: a script as a whole, of cargo's tests those that were red.
fn again(check: &Check, done: &Finished) -> Option<Check> {
    let log = done.log.as_deref()?;
    let mut narrow = check.clone();
    if !check.is_script {
        let text = fs::read(log).ok()?;
        let red = red_tests(&String::from_utf8_lossy(&text)).filter(|red| red.len() <= TESTS_MAX)?;
        narrow.command.extend(["--".to_owned(), "--exact".to_owned()]);
        narrow.command.extend(red);
    }
    fs::rename(log, log.with_extension(FIRST_LOG)).ok()?;
    Some(narrow)
}

/// The names under each binary's last "failures:", if these tests are all that was wrong: every other binary compiled,
/// ran to its end, and was green.
fn red_tests(text: &str) -> Option<Vec<String>> {
    let lines_with = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    let binaries = lines_with("error: test failed, to rerun pass");
    if binaries == 0 || binaries != lines_with("test result: FAILED") || lines_with("error: could not compile") > 0 {
        return None;
    }
    // Cargo's last word, which it has only when it was told not to stop at the first red binary.
    if lines_with(&format!("error: {binaries} target")) != 1 {
        return None;
    }
    let mut names = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(name) if inside && !names.iter().any(|known| known == name) => names.push(name.to_owned()),
            Some(_) if inside => {}
            _ => inside = line == "failures:",
        }
    }
    Some(names)
}

fn settle(second: Finished, first: &Finished) -> Finished {
    let took = first.took + second.took;
    if second.verdict != Verdict::Passed {
        return Finished { took, ..second };
    }
    let mut counts = first.counts;
    counts.passed += counts.failed;
    counts.failed = 0;
    let remark = format!("only at the second try, was {}", first.remark);
    Finished { took, counts, remark, verdict: Verdict::PassedAgain, ..second }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: &str = "test a::b ... FAILED\n\nfailures:\n\n---- a::b stdout ----\n    left: 1\n\nfailures:\n    a::b\n    c\n\n\
                       test result: FAILED. 1 passed; 2 failed\n\nerror: test failed, to rerun pass `--test one`\n    indented\n";

    #[test]
    fn red_tests_are_read_from_what_cargo_prints() {
        let text = format!(
            "{RED}failures:\n    c\n\ntest result: FAILED.\nerror: test failed, to rerun pass `x`\nerror: 2 targets failed:\n"
        );
        assert_eq!(red_tests(&text), Some(vec!["a::b".to_owned(), "c".to_owned()]));
        assert!(red_tests(&format!("{RED}error: 1 target failed:\n    `-p x`\n")).is_some());
    }

    #[test]
    fn what_did_not_run_to_its_end_is_not_passed_over() {
        assert_eq!(red_tests(RED), None, "cargo was stopped");
        let crashed = format!("{RED}error: test failed, to rerun pass `--test crashed`\nerror: 2 targets failed:\n");
        assert_eq!(red_tests(&crashed), None, "a binary was ended by a signal");
        let broken = format!("{RED}error: could not compile `x`\nerror: 1 target failed:\n");
        assert_eq!(red_tests(&broken), None, "a binary is missing");
    }
}

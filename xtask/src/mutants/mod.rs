//! `cargo xtask mutants`: whether the tests notice the bugs that lose data in other people's logs.
//!
//! Each plant (`plants/`) breaks one line of a copy of the tree and names the one test that has to go red. A plant
//! that no longer fits the code, or does not compile, fails the command as a surviving one does: it proves nothing.
//! `docs/traps.md` says which trap each plant stands for.

mod plants;
mod seed;
mod tree;

use crate::paths;
use crate::test::process;
use plants::Plant;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tree::Tree;

/// The first build brings all dependencies with it.
const BUILD_TIMEOUT: Duration = Duration::from_secs(900);
/// A narrow test takes a few seconds; a bug that makes it hang is one that it does not catch.
const TEST_TIMEOUT: Duration = Duration::from_secs(120);

/// The packages that are compiled on top of all others: half of the work.
const UPPER: [&str; 2] = ["broker", "ottla"];

/// How many commits it takes, about, until every plant was tried by the test command.
const SHARES: usize = 3;

/// A test binary: a package, and one of its integration tests or `lib`.
type Target = (&'static str, &'static str);

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (times, words) = times(args)?;
    let wanted = match words {
        [flag] if flag == "--of-commit" => of_commit(&commit()?),
        words => wanted(words)?,
    };
    let (root, scratch) = (paths::root(), paths::target().join("mutants"));
    let stale = stale(&root);
    if !stale.is_empty() {
        return Err(format!("mutants: plants that do not fit the code any more:\n{}", stale.join("\n")));
    }
    let begun = Instant::now();
    let (upper, lower) = wanted.into_iter().partition(|plant| UPPER.contains(&plant.package));
    let rows = std::thread::scope(|scope| {
        let upper = scope.spawn(|| try_all(&root, &scratch.join("upper"), times, upper));
        let lower = try_all(&root, &scratch.join("lower"), times, lower)?;
        let upper = upper.join().map_err(|_| "mutants: a thread panicked".to_owned())??;
        Ok::<_, String>(upper.into_iter().chain(lower).collect::<Vec<Row>>())
    })?;
    print(&rows, begun.elapsed())
}

/// Tries plants one after the other, in one copy of the tree.
fn try_all(root: &Path, scratch: &Path, times: u32, plants: Vec<&'static Plant>) -> Result<Vec<Row>, String> {
    if plants.is_empty() {
        return Ok(Vec::new());
    }
    let tree = Tree::copy(root, &scratch.join("tree"))?;
    let bench = Bench { tree, build: scratch.join("build"), logs: scratch.join("logs"), times };
    fs::create_dir_all(&bench.logs).map_err(|e| format!("{}: {e}", bench.logs.display()))?;
    seed::copy(&paths::target(), &bench.build)?;
    bench.check_unplanted(&plants)?;
    let mut rows = Vec::new();
    for (place, plant) in plants.iter().enumerate() {
        let since = Instant::now();
        let verdict = bench.verdict(plant)?;
        let row = Row { plant, verdict, took: since.elapsed() };
        println!("{:>3} of {:>3}  {}", place + 1, plants.len(), row.line());
        rows.push(row);
    }
    Ok(rows)
}

/// How often each plant has to be caught, and the other words.
fn times(args: &[String]) -> Result<(u32, &[String]), String> {
    match args {
        [flag, number, words @ ..] if flag == "--times" => match number.parse() {
            Ok(times) if times > 0 => Ok((times, words)),
            _ => Err(format!("mutants: --times wants a number above 0, not {number}")),
        },
        words => Ok((1, words)),
    }
}

/// The plants whose names begin with one of the words, or all, those of one test binary together.
fn wanted(args: &[String]) -> Result<Vec<&'static Plant>, String> {
    if let Some(flag) = args.iter().find(|arg| arg.starts_with('-')) {
        return Err(format!(
            "mutants: unknown flag {flag}; usage: cargo xtask mutants [--times N] [--of-commit | NAME...]"
        ));
    }
    let is_wanted = |plant: &&Plant| args.is_empty() || args.iter().any(|word| plant.name.starts_with(word.as_str()));
    let mut found: Vec<&Plant> = plants::all().filter(is_wanted).collect();
    if found.is_empty() {
        return Err(format!("mutants: nothing is called {}", args.join(" or ")));
    }
    found.sort_by_key(|plant| target_of(plant));
    Ok(found)
}

/// What the test command tries: all that could cost exactly-once, and of the others a share that the commit's name
/// chooses, so that each has its turn and whoever tries a commit again tries the same. All of them take a third of the
/// time that the test command has, and what they try, the tests' sharpness, seldom changes.
fn of_commit(commit: &str) -> Vec<&'static Plant> {
    let share = commit.bytes().fold(0, |sum, byte| sum + usize::from(byte)) % SHARES;
    println!("plants of transactions, and share {share} of {SHARES} of the others, as {commit} says");
    let others = plants::others().enumerate().filter(|(place, _)| place % SHARES == share).map(|(_, plant)| plant);
    let mut found: Vec<&Plant> = plants::of_transactions().chain(others).collect();
    found.sort_by_key(|plant| target_of(plant));
    found
}

/// The name of the last commit.
fn commit() -> Result<String, String> {
    let answer = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(paths::root()).output();
    let answer = answer.map_err(|e| format!("git: {e}"))?;
    if !answer.status.success() {
        return Err(format!("mutants: git rev-parse: {}", String::from_utf8_lossy(&answer.stderr)));
    }
    Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}

fn target_of(plant: &Plant) -> Target {
    (plant.package, plant.target)
}

/// What is wrong with the plants, as the code is now: a line each.
pub(crate) fn stale(root: &Path) -> Vec<String> {
    let check = |plant: &Plant| match fs::read_to_string(root.join(plant.file)) {
        Err(error) => Some(format!("{}: {}: {error}", plant.name, plant.file)),
        Ok(text) => match text.matches(plant.find).count() {
            1 => None,
            count => Some(format!("{}: {} has {count} times: {}", plant.name, plant.file, plant.find)),
        },
    };
    plants::all().filter_map(check).collect()
}

/// Names of all plants, for whoever refers to them.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    plants::all().map(|plant| plant.name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Caught,
    Survived,
    /// The test did not end.
    Hung,
    /// It proves nothing.
    Uncompilable,
}

struct Row {
    plant: &'static Plant,
    verdict: Verdict,
    took: Duration,
}

impl Row {
    fn line(&self) -> String {
        let Plant { name, package, target, test, .. } = self.plant;
        let how = match self.verdict {
            Verdict::Caught => "caught by",
            Verdict::Survived => "SURVIVED",
            Verdict::Hung => "HANGS",
            Verdict::Uncompilable => "DOES NOT COMPILE, and so nothing by",
        };
        format!("{name:<38} {:>6.1} s  {how} {package} {target} {test}", self.took.as_secs_f64())
    }
}

/// Where plants are tried.
struct Bench {
    tree: Tree,
    build: PathBuf,
    logs: PathBuf,
    /// A test that catches a plant by luck is red for nothing some day, so it may be asked more often than once.
    times: u32,
}

impl Bench {
    /// A test that is red anyway proves nothing.
    fn check_unplanted(&self, plants: &[&'static Plant]) -> Result<(), String> {
        let mut tests: BTreeMap<Target, Vec<&str>> = BTreeMap::new();
        for plant in plants {
            let of_target = tests.entry(target_of(plant)).or_default();
            if !of_target.contains(&plant.test) {
                of_target.push(plant.test);
            }
        }
        for ((package, target), names) in &tests {
            println!("without plants: {package} {target}, {} tests", names.len());
            let log = self.logs.join(format!("without-{package}-{target}.log"));
            self.build((package, target), &log)?;
            let ended = self.test((package, target), names, &log)?;
            let text = fs::read_to_string(&log).unwrap_or_default();
            let all = format!("test result: ok. {} passed", names.len());
            if !ended.is_some_and(|status| status.success()) || !text.contains(&all) {
                return Err(format!("mutants: {package} {target} is red, or lacks a test: {}", log.display()));
            }
        }
        Ok(())
    }

    fn verdict(&self, plant: &'static Plant) -> Result<Verdict, String> {
        let log = self.logs.join(format!("{}.log", plant.name));
        let _planted = self.tree.plant(plant.file, plant.find, plant.replace)?;
        if let Err(error) = self.build(target_of(plant), &log) {
            println!("{}: {error}", plant.name);
            return Ok(Verdict::Uncompilable);
        }
        for _ in 0..self.times {
            match self.test(target_of(plant), &[plant.test], &log)? {
                None => return Ok(Verdict::Hung),
                Some(status) if status.success() => return Ok(Verdict::Survived),
                Some(_) => {}
            }
        }
        Ok(Verdict::Caught)
    }

    /// Compiles apart from testing, so that a compiler's error is not taken for a test's.
    fn build(&self, target: Target, log: &Path) -> Result<(), String> {
        let mut cargo = self.cargo(target);
        cargo.arg("--no-run");
        match self.execute(cargo, log, BUILD_TIMEOUT)? {
            Some(status) if status.success() => Ok(()),
            _ => Err(format!("it does not compile: {}", log.display())),
        }
    }

    fn test(&self, target: Target, names: &[&str], log: &Path) -> Result<Option<ExitStatus>, String> {
        let mut cargo = self.cargo(target);
        cargo.args(["--", "--exact"]).args(names);
        self.execute(cargo, log, TEST_TIMEOUT)
    }

    fn cargo(&self, (package, target): Target) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--locked", "--package", package]).current_dir(self.tree.root());
        match target {
            "lib" => cargo.arg("--lib"),
            name => cargo.args(["--test", name]),
        };
        // Nobody debugs a plant, and linking is most of the time.
        cargo.env("CARGO_TARGET_DIR", &self.build).env("CARGO_PROFILE_DEV_DEBUG", "false");
        cargo
    }

    /// How it ended, or nothing when it had to be ended.
    fn execute(&self, mut command: Command, log: &Path, timeout: Duration) -> Result<Option<ExitStatus>, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", log.display());
        let out = File::create(log).map_err(failed)?;
        command.stdin(Stdio::null()).stdout(out.try_clone().map_err(failed)?).stderr(out);
        process::wait(command.spawn().map_err(|e| format!("cargo: {e}"))?, timeout)
    }
}

fn print(rows: &[Row], took: Duration) -> Result<(), String> {
    println!();
    rows.iter().for_each(|row| println!("{}", row.line()));
    println!("{} plants in {:.1} s", rows.len(), took.as_secs_f64());
    let loose: Vec<&Row> = rows.iter().filter(|row| row.verdict != Verdict::Caught).collect();
    for row in &loose {
        println!(
            "\n{}: {}\nin {}: {}\nbecomes: {}",
            row.plant.name, row.plant.why, row.plant.file, row.plant.find, row.plant.replace
        );
    }
    println!("RESULT passed={} failed={} skipped=0", rows.len() - loose.len(), loose.len());
    if loose.is_empty() { Ok(()) } else { Err(format!("mutants: {} of {} are not caught", loose.len(), rows.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plants_fit_the_code() {
        let stale = stale(&paths::root());
        assert!(stale.is_empty(), "{}", stale.join("\n"));
    }

    #[test]
    fn every_plant_has_its_turn() {
        let mut tried: Vec<&str> = ["a", "b", "c"].into_iter().flat_map(of_commit).map(|plant| plant.name).collect();
        let of_transactions = plants::of_transactions().count();
        assert_eq!(tried.len(), plants::all().count() + 2 * of_transactions);
        tried.sort_unstable();
        tried.dedup();
        assert_eq!(tried.len(), plants::all().count());
    }

    #[test]
    fn names_are_unique_and_no_plant_changes_nothing() {
        let mut all: Vec<&str> = names().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), plants::all().count());
        assert!(plants::all().all(|plant| plant.find != plant.replace && !plant.why.is_empty()));
    }
}

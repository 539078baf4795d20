//! The long run of the crash test: `cargo xtask crash 10000`.

use std::process::Command;

use crate::paths;

/// Kills when no number is given.
const KILLS: &str = "10000";

/// Kills a broker so often, of the profile that is nearly as fast as release. `OTTLA_SEED` picks where to begin.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let kills = match args {
        [] => KILLS,
        [kills] if kills.parse::<u64>().is_ok_and(|kills| kills > 0) => kills,
        _ => return Err("usage: cargo xtask crash [KILLS]".into()),
    };
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--locked", "--profile", "fast", "--package", "ottla", "--test", "crash"]);
    cargo.args(["killed_again_and_again", "--", "--nocapture"]);
    let status = cargo.env("OTTLA_CYCLES", kills).current_dir(paths::root()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the crash test ended with {status}; it prints the seed that failed")),
        Err(error) => Err(format!("cargo: {error}")),
    }
}

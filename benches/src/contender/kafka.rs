//! Apache Kafka, brought and started by `cargo xtask oracle`.

use std::fs;
use std::path::Path;

use super::Running;
use crate::tree;

pub(super) fn start(directory: &Path, heap: &str) -> Result<Running, String> {
    let mut command = tree::xtask();
    command.args(["oracle", "start"]).arg(directory).args(["--heap", heap]).args(super::SETTINGS);
    let bootstrap = tree::output(command)?.trim().to_owned();
    let pid = fs::read_to_string(directory.join("1/pid")).map_err(|error| format!("its pid: {error}"))?;
    let pid = pid.trim().parse().map_err(|_| format!("{pid:?} is no pid"))?;
    let directory = directory.to_owned();
    let end = move || {
        let mut command = tree::xtask();
        command.args(["oracle", "stop"]).arg(&directory);
        // A broker that does not stop is killed by that; what remains shows in the next round's memory.
        let _ = tree::output(command);
    };
    Ok(Running { bootstrap, pid, end: Box::new(end) })
}

//! This program again, as the sink and source.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Running;

pub(super) fn start(directory: &Path) -> Result<Running, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.arg("limit").arg(directory.join("data"));
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let says = process.stdout.take().ok_or("its output is not piped")?;
    Running::await_listening(process, says, |line| line.strip_prefix("listening on ").map(str::to_owned))
}

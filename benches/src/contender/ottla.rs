//! The binary of this tree.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Running;

pub(super) fn start(directory: &Path, binary: &Path, durability: &str) -> Result<Running, String> {
    let mut command = Command::new(binary);
    command.args(["--set", "listeners=PLAINTEXT://127.0.0.1:0", "--set", "ottla.http.listener=none"]);
    command.args(["--set", &format!("log.dirs={}", directory.join("data").display())]);
    command.args(["--set", &format!("ottla.durability={durability}")]);
    for setting in super::SETTINGS {
        command.args(["--set", setting]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
    let log = process.stderr.take().ok_or("its log is not piped")?;
    Running::await_listening(process, log, |line| {
        let (_, address) = line.split_once("listeners=[")?;
        Some(address.split_once(']')?.0.to_owned())
    })
}

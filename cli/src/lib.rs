//! The command line: what the program can be asked to do, and the tools among it.
//!
//! Starting a broker is somebody else's work: [`parse`] only says that it was asked for. The tools know the client and
//! the protocol, and of the broker no more than any other client does.
//!
//! Start at `arguments.rs`, the whole command line as data; each verb has a file of its own.

mod arguments;

use std::process::ExitCode;

pub use arguments::{Invocation, Tool, parse};

/// Runs a tool to its end. Answers 0 when it did what it was asked to, 1 when it could not.
pub fn run(tool: Tool) -> ExitCode {
    let Tool { bootstrap, verb } = tool;
    eprintln!("{bootstrap} {verb:?}");
    ExitCode::FAILURE
}

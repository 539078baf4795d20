//! What the verifiable tools have in common: a line of JSON for everything that happens, and argparse's words.

use std::str::FromStr;

use serde::Serialize;

use super::flags::Parsed;
use crate::clock::now_ms;
use crate::failure::{Failure, Outcome};
use crate::output::say;

#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    timestamp: i64,
    name: &'a str,
    #[serde(flatten)]
    what: T,
}

/// Something that happened, of which there is no more to say.
#[derive(Serialize)]
pub(crate) struct Event {}

/// Prints what happened, in one line, at once.
pub(crate) fn say_event(name: &str, what: impl Serialize) -> Outcome {
    let mut line = serde_json::to_string(&Line { timestamp: now_ms(), name, what }).map_err(std::io::Error::from)?;
    line.push('\n');
    say(&line)
}

/// What Kafka's tools that read their arguments with argparse say.
pub(crate) fn argument_error(face: &str, text: &str) -> Failure {
    Failure::Usage(format!("{face}: error: {text}"))
}

/// A number among the arguments.
///
/// # Errors
/// When it is none.
pub(crate) fn number<T: FromStr>(parsed: &Parsed, face: &str, flag: &str) -> Result<Option<T>, Failure> {
    let number = |text: &str| {
        let invalid = || argument_error(face, &format!("argument --{flag}: could not convert '{text}' to a number"));
        text.parse().map_err(|_| invalid())
    };
    parsed.value(flag)?.map(number).transpose()
}

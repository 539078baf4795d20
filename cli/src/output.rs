//! Lists for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::arguments::{Format, OutputArgs};
use crate::failure::Outcome;

/// Prints `items` in the form that was asked for.
pub(crate) fn print_as<T: Serialize>(args: OutputArgs, items: &T, table: impl FnOnce(&T) -> String) -> Outcome {
    let text = match args.output {
        Format::Table => table(items),
        Format::Json => {
            let mut json = serde_json::to_string_pretty(items).map_err(io::Error::from)?;
            json.push('\n');
            json
        }
    };
    say(&text)
}

/// Prints text as it is. Unlike `print!`, a closed pipe is an error and no panic.
pub(crate) fn say(text: &str) -> Outcome {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Numbers with commas between them.
pub(crate) fn commas(numbers: &[i32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A number or nothing.
pub(crate) fn or_nothing<T: ToString>(number: Option<T>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

//! What came of it.

use std::fmt::Write as _;

use load::{Latency, Side, Summary};

use crate::arguments::OutputArgs;
use crate::failure::{Failure, Outcome};
use crate::output::print_as;

pub(super) fn print(output: OutputArgs, summary: &Summary) -> Outcome {
    print_as(output, summary, text)
}

/// Records that were refused or lost are no success, and the exit code says so.
pub(super) fn verdict(summary: &Summary) -> Outcome {
    let sides = [("produced", &summary.produced), ("consumed", &summary.consumed)];
    for (name, side) in sides {
        let Some(side) = side.as_ref().filter(|side| side.error_count() > 0) else { continue };
        return Err(Failure::Input(format!("not everything was {name}: {}", errors(side))));
    }
    match summary.missing {
        0 => Ok(()),
        missing => {
            Err(Failure::Input(format!("{} records were written and never came to the consumers", grouped(missing))))
        }
    }
}

fn text(summary: &Summary) -> String {
    let mut text = String::new();
    let unit = "ms";
    // Writing to a string cannot fail.
    for (name, what, side) in
        [("produced", "from due to acknowledged", &summary.produced), ("consumed", "of a fetch", &summary.consumed)]
    {
        let Some(side) = side else { continue };
        let _ = writeln!(
            text,
            "{name:<11} {} records in {:.2} s: {} records/s, {:.1} MB/s, {} requests/s",
            grouped(side.records),
            side.seconds,
            grouped(side.records_per_second as u64),
            side.megabytes_per_second,
            grouped(side.requests_per_second as u64),
        );
        if side.latency.count > 0 {
            let _ = writeln!(text, "{:<11} {}   {what}", "", latency(&side.latency, unit));
        }
        if side.error_count() > 0 {
            let _ = writeln!(text, "{:<11} errors: {}", "", errors(side));
        }
        if side.moved > 0 {
            let _ = writeln!(text, "{:<11} sent again, as their leader had moved: {}", "", grouped(side.moved));
        }
    }
    if let Some(end_to_end) = &summary.end_to_end {
        let _ = writeln!(text, "{:<11} {}   from due to read", "end to end", latency(end_to_end, unit));
    }
    let _ = writeln!(text, "{:<11} {:.2} s of CPU", "client", summary.client_cpu_seconds);
    if summary.unsent > 0 {
        let _ = writeln!(
            text,
            "THE RATE WAS NOT HELD: {} records were due and could not be sent; their latencies are in no figure above",
            grouped(summary.unsent)
        );
    }
    if summary.missing > 0 {
        let _ = writeln!(text, "MISSING: {} records never came to the consumers", grouped(summary.missing));
    }
    if summary.interrupted {
        let _ = writeln!(text, "interrupted before its end");
    }
    text
}

pub(super) fn latency(latency: &Latency, unit: &str) -> String {
    let Latency { mean, p50, p90, p99, p99_9, max, .. } = latency;
    format!("{unit}: mean {mean:.2}  p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p99_9:.2}  max {max:.2}")
}

fn errors(side: &Side) -> String {
    let one = |(reason, count): (&String, &u64)| format!("{reason} {}", grouped(*count));
    side.errors.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn an_error_and_a_missing_record_are_a_failure() {
        let good = Side { records: 5, ..Side::default() };
        let mut summary = Summary { produced: Some(good.clone()), ..Summary::default() };
        assert!(verdict(&summary).is_ok() && text(&summary).starts_with("produced    5 records in"));
        summary.missing = 1;
        assert!(verdict(&summary).is_err() && text(&summary).contains("MISSING: 1 records"));
        let bad = Side { errors: [("MESSAGE_TOO_LARGE".to_string(), 3)].into(), ..good };
        let summary = Summary { produced: Some(bad), ..Summary::default() };
        let failure = verdict(&summary).unwrap_err().to_string();
        assert!(failure.contains("MESSAGE_TOO_LARGE 3"), "{failure}");
    }
}

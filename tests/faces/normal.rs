//! What may differ between two clusters, and between two programs that say the same.

use super::Said;
use super::script::Step;

/// What is compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Normal {
    code: i32,
    out: Vec<String>,
    /// The line that says what is wrong, when nothing else does.
    err: Option<String>,
}

/// What comes after these is made anew by each cluster or depends on the clock; it ends where a word ends.
const MADE_ANEW: [&str; 10] = [
    "TopicId: ",
    "Cluster ID: ",
    "CreateTime:",
    "LogAppendTime:",
    "ottla-cli-",
    "\"logDir\":",
    "directory.id=",
    "log.dirs=",
    "\"directoryId\": ",
    "\"log_dirs\":[\"/",
];
/// Columns of tables about transactions that are made anew as well.
const COLUMNS_MADE_ANEW: [&str; 4] =
    ["ProducerId", "LastTimestamp", "CurrentTransactionStartTimeMs", "TransactionDurationMs"];
/// How usage errors of tools with sub-commands begin; the usage itself is ours to word.
const USAGE: [&str; 3] = ["usage: ", "error: ", "Command line error: "];
/// What a line begins with when all that follows is the cluster's own.
const OWN: [&str; 2] = ["ClusterId: ", "HighWatermark: "];
/// Java's words for an error that the broker gave as a bare code, where ours name the code; and what a hash map orders.
const WORDS_FOLLOW: [&str; 6] = [
    "is invalid: ",
    "failed due to ",
    "Valid states are: ",
    " takes one of these options: ",
    "since the following feature had an error: ",
    "org.apache.kafka.common.errors.",
];

pub(crate) fn of(step: &Step<'_>, said: &Said) -> Normal {
    let mut out: Vec<String> = said.out.lines().filter(|line| !is_noise(line)).map(line).collect();
    if let Some(place) = out.iter().position(|line| line.starts_with("Error: ")) {
        // What follows is where in a Java program it went wrong.
        out.truncate(place + 1);
    }
    if step.tool.ends_with("groups") && step.arguments.contains("--list") {
        // The widths follow the groups that are left out.
        out.iter_mut().for_each(|line| *line = line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if step.arguments.contains("--replication") {
        out.iter_mut().filter(|line| line.ends_with("Leader\t")).for_each(|line| *line = replica(line));
    }
    if step.tool == "transactions" {
        out = producers(&out);
    }
    if step.is_unordered {
        out.sort_unstable();
    }
    let shows_err = out.iter().all(String::is_empty) && said.code != 0;
    let is_usage = |line: &&str| USAGE.iter().any(|begin| line.starts_with(begin));
    let err = said
        .err
        .lines()
        .map(str::trim_end)
        .find(|line| !line.is_empty() && !is_noise(line))
        .map(|text| if is_usage(&text) { "<usage>".into() } else { line(text) });
    Normal { code: said.code, out, err: err.filter(|_| shows_err) }
}

/// Advice of one release about the next, groups that the console consumer makes up, and records as a Java class prints them.
fn is_noise(line: &str) -> bool {
    line.contains("is deprecated and will be removed")
        || line.starts_with("The consumer rebalance protocol")
        || line.starts_with("console-consumer-")
        || line.starts_with("Bootstrap metadata: ")
}

/// A member of the quorum: its directory, its position and its times are its own; how they are laid out is not.
fn replica(line: &str) -> String {
    const OWN_COLUMNS: [usize; 4] = [1, 2, 4, 5];
    let cell = |(place, cell): (usize, &str)| match cell {
        cell if OWN_COLUMNS.contains(&place) => format!("<{} wide, age {}>", cell.len(), cell.contains(" ms ago")),
        cell => cell.to_string(),
    };
    line.split('\t').enumerate().map(cell).collect::<Vec<_>>().join("\t")
}

/// What of a table about transactions is alike in two clusters: widths, and whether there is a number.
fn producers(table: &[String]) -> Vec<String> {
    let columns: Vec<&str> =
        table.first().map(|line| line.split('\t').map(str::trim_end).collect()).unwrap_or_default();
    let cell = |(place, cell): (usize, &str)| match columns.get(place) {
        Some(column) if COLUMNS_MADE_ANEW.contains(column) && cell.trim_end().parse::<i64>().is_ok() => {
            format!("<{} wide>", cell.len())
        }
        _ => cell.to_owned(),
    };
    let line = |line: &String| line.split('\t').enumerate().map(cell).collect::<Vec<_>>().join("\t");
    table.iter().map(line).collect()
}

fn line(text: &str) -> String {
    if let Some(own) = OWN.iter().find(|own| text.starts_with(**own)) {
        return format!("{own}*");
    }
    if let Some((what, _why)) = text.split_once(": ").filter(|(what, _)| what.starts_with("Failed to ")) {
        return format!("{what}: *");
    }
    // What a Java program dies of.
    let text = text.trim_start_matches("org.apache.kafka.common.KafkaException: ");
    let text = text.trim_start_matches("org.apache.kafka.common.config.ConfigException: ");
    let mut text = text.trim_start_matches("java.lang.RuntimeException: ").to_string();
    for marker in MADE_ANEW {
        let mut from = 0;
        while let Some(place) = text[from..].find(marker) {
            let begin = from + place + marker.len();
            let end = text[begin..].find(['\t', ' ', ',', '|', '}']).map_or(text.len(), |length| begin + length);
            text.replace_range(begin..end, "*");
            from = begin;
        }
    }
    for marker in WORDS_FOLLOW {
        if let Some(place) = text.find(marker) {
            let begin = place + marker.len();
            let end = text[begin..].find(':').map_or(text.len(), |length| begin + length);
            // The name of the exception stays, as far as there is one.
            text.truncate(if marker.ends_with('.') { end } else { begin });
        }
    }
    text
}

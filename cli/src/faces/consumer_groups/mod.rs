//! `kafka-consumer-groups`.

mod delete;
mod describe;
mod list;
mod places;
mod reset;
mod when;

use client::Cluster;
use regex_lite::RegexBuilder;

use super::errors::{client_words, exception};
use super::flags::{Flag, Parsed, java_only, switch, value};
use super::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connect, one_action};
use crate::admin::groups;
use crate::failure::{Failure, Outcome};
use crate::output::say;

/// A compiled regular expression may take this many bytes.
const PATTERN_MAX_BYTES: usize = 1 << 20;

/// Where `--reset-offsets` may move a group to.
const SCENARIOS: [&str; 8] =
    ["to-offset", "shift-by", "to-datetime", "by-duration", "to-earliest", "to-latest", "to-current", "from-file"];

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    switch("list", "List groups, one name a line"),
    switch("describe", "Show the offsets of groups, or their members or states"),
    switch("delete", "Delete groups without members"),
    switch("reset-offsets", "Move groups without members elsewhere"),
    switch("delete-offsets", "Forget the offsets of a group in a topic"),
    value("validate-regex", "regex", "Say whether this is a regular expression"),
    value("group", "name", "The group; may be repeated"),
    switch("all-groups", "All groups"),
    value("topic", "name[:0,1]", "A topic, or some of its partitions; may be repeated"),
    switch("all-topics", "With --reset-offsets, whatever the group has offsets of"),
    switch("members", "With --describe, members instead of offsets"),
    switch("offsets", "With --describe, offsets: as without it"),
    value("state", "states", "With --describe, states instead of offsets; with --list, only groups in these")
        .optional(),
    value("type", "types", "With --list, show types, or only groups of these").optional(),
    switch("verbose", "With --describe, more columns"),
    switch("dry-run", "With --reset-offsets, only show what would be"),
    switch("execute", "With --reset-offsets, do it"),
    switch("export", "With --reset-offsets, print a file for --from-file"),
    value("to-offset", "n", "To this offset"),
    value(
        "from-file",
        "file",
        "To the offsets in this file: topic,partition,offset, with the group first when there are several",
    ),
    value("to-datetime", "moment", "To the first record at or after YYYY-MM-DDThh:mm:ss.sss"),
    value("by-duration", "duration", "To the first record since so long ago, as P1DT2H3M4S"),
    switch("to-earliest", "To the first record"),
    switch("to-latest", "To the end"),
    switch("to-current", "To where the group is, or to the end where it has been nowhere"),
    value("shift-by", "n", "Forward by n records, or back when n is negative"),
    java_only("timeout"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let actions = ["list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"];
    let listed = "--list, --describe, --delete, --reset-offsets, --delete-offsets, --validate-regex";
    let action = one_action(parsed, &actions, listed)?;
    if action == "validate-regex" {
        return validate(parsed.required("validate-regex")?);
    }
    check(parsed, action)?;
    let done = match connect(parsed).await {
        Ok(cluster) => match action {
            "list" => list::run(&cluster, parsed).await,
            "describe" => describe::run(&cluster, parsed).await,
            "delete" => delete::groups(&cluster, parsed).await,
            "reset-offsets" => reset::run(&cluster, parsed).await,
            _ => delete::offsets(&cluster, parsed).await,
        },
        Err(failure) => Err(failure),
    };
    match done {
        // Kafka writes these to standard output, and ends with 0.
        Err(Failure::Client(error)) if error.code().is_some() => {
            let words = if action == "reset-offsets" { client_words(&error) } else { exception(&error) };
            complain(&format!("Executing consumer group command failed due to {words}"))
        }
        done => done,
    }
}

/// Needs no broker, and ends with 0 either way, as Kafka's tool does.
fn validate(text: &str) -> Outcome {
    match RegexBuilder::new(text).size_limit(PATTERN_MAX_BYTES).build() {
        Ok(_) => say(&format!("The regular expression `{text}` is valid.\n")),
        Err(error) => say(&format!("The regular expression `{text}` is invalid: {error}.\n")),
    }
}

/// What goes with what.
fn check(parsed: &Parsed, action: &'static str) -> Outcome {
    let usage = |text: String| Err(Failure::Usage(text));
    parsed.required("bootstrap-server")?;
    let has_groups = parsed.has("group") || parsed.has("all-groups");
    match action {
        "describe" | "delete" | "reset-offsets" if !has_groups => {
            return usage(format!("Option [{action}] takes one of these options: [group], [all-groups]"));
        }
        "delete-offsets" if !(parsed.has("group") && parsed.has("topic")) => {
            return usage("Option [delete-offsets] takes the following options: [topic], [group]".into());
        }
        _ => {}
    }
    let views = ["members", "offsets", "state"];
    if action == "describe" && views.iter().filter(|view| parsed.has(view)).count() > 1 {
        return usage("Option [describe] takes at most one of these options: [members], [offsets], [state]".into());
    }
    if action == "describe" && parsed.value("state")?.is_some() {
        return usage("Option [describe] does not take a value for [state]".into());
    }
    if action == "reset-offsets" && parsed.has("dry-run") && parsed.has("execute") {
        return usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]".into());
    }
    for scenario in SCENARIOS {
        let others: Vec<&str> = SCENARIOS.into_iter().filter(|other| *other != scenario).collect();
        parsed.excludes(scenario, &others)?;
    }
    parsed.excludes("group", &["all-groups", "list"])?;
    parsed.excludes("topic", &["list", "describe", "delete"])
}

/// Kafka's errors about single groups go to standard output.
fn complain(text: &str) -> Outcome {
    say(&format!("\nError: {text}\n"))
}

/// The groups that `--group` and `--all-groups` choose.
async fn chosen(cluster: &Cluster, parsed: &Parsed) -> Result<Vec<String>, Failure> {
    if parsed.has("all-groups") {
        let all = groups::list(cluster).await?;
        return Ok(all.into_iter().filter(groups::is_of_consumers).map(|group| group.group_id).collect());
    }
    let mut names: Vec<String> = parsed.values("group").map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

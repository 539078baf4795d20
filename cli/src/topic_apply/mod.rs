//! `ottla topic apply`: make topics what files declare, as often as one likes.
//!
//! The `declared` crate reads the files and compares what they declare with what is there, `carry_out.rs` speaks with the
//! cluster. What fails does not keep the others from being done.

mod carry_out;

use std::path::Path;

use client::Cluster;
use declared::{Change, Declared, Found, Plan, Source};
use serde::Serialize;

use crate::arguments::{Format, TopicApplyArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{print_as, say};

/// The most that a file, or the files of a directory, may have, bytes. Ten thousand topics need a quarter of it.
const BYTES_MAX: u64 = 8 << 20;

/// What became of one topic.
#[derive(Serialize)]
struct Applied {
    topic: String,
    /// `FILE:LINE`.
    source: String,
    result: Verdict,
    /// For a topic that is created, all that it gets.
    changes: Vec<Change>,
    error: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Created,
    Changed,
    Unchanged,
    Failed,
}

pub(crate) async fn run(cluster: &Cluster, args: &TopicApplyArgs) -> Outcome {
    let (topics, mut applied) = declarations(args)?;
    let is_text = args.output.output == Format::Table;
    for topic in topics {
        let done = apply(cluster, &topic, args.dry_run).await;
        if is_text {
            report(&done, args.dry_run)?;
        }
        applied.push(done);
    }
    if !is_text {
        print_as(args.output, &applied, |_| String::new())?;
    }
    let failed = applied.iter().filter(|done| done.result == Verdict::Failed).count();
    match (failed, applied.len()) {
        (0, 0) => Err(Failure::Input("no topic is declared there".into())),
        (0, _) => Ok(()),
        (failed, all) => Err(Failure::Input(format!("{failed} of {all} topics failed; what can be done was done"))),
    }
}

/// The topics to apply, and what failed before that. Tells what is left alone.
fn declarations(args: &TopicApplyArgs) -> Result<(Vec<Declared>, Vec<Applied>), Failure> {
    let mut topics = Vec::new();
    let mut failed = Vec::new();
    let mut sources = Vec::new();
    for path in &args.files {
        sources.extend(read(path)?);
    }
    for found in declared::read(&sources) {
        match found {
            Found::Topic(topic) => topics.push(topic),
            Found::Skipped { what, place } => eprintln!("ottla: skipped {what} ({place})"),
            Found::Bad { what, place, reason } => {
                let (result, source) = (Verdict::Failed, place.to_string());
                let done = Applied { topic: what, source, result, changes: Vec::new(), error: Some(reason) };
                if args.output.output == Format::Table {
                    complain(&done);
                }
                failed.push(done);
            }
        }
    }
    Ok((topics, failed))
}

/// The texts of a file or a directory, or of standard input, which is `-`.
fn read(path: &Path) -> Result<Vec<Source>, Failure> {
    let sources = if path == Path::new("-") {
        declared::read_stream("stdin", std::io::stdin().lock(), BYTES_MAX).map(|source| vec![source])
    } else {
        declared::read_path(path, BYTES_MAX)
    };
    sources.map_err(|error| Failure::Input(error.to_string()))
}

async fn apply(cluster: &Cluster, topic: &Declared, dry_run: bool) -> Applied {
    let (result, changes, error) = match carry_out::existing(cluster, &topic.name).await {
        Err(error) => (Verdict::Failed, Vec::new(), Some(Failure::from(error))),
        Ok(existing) => match declared::plan(topic, existing.as_ref()) {
            Plan::Nothing => (Verdict::Unchanged, Vec::new(), None),
            Plan::Refuse(reason) => (Verdict::Failed, Vec::new(), Some(Failure::Input(reason))),
            Plan::Create => {
                let error = carry_out::create(cluster, topic, dry_run).await.err().map(Failure::from);
                (Verdict::Created, contents(topic), error)
            }
            Plan::Change(changes) => {
                let error = carry_out::change(cluster, &topic.name, &changes, dry_run).await.err().map(Failure::from);
                (Verdict::Changed, changes, error)
            }
        },
    };
    let result = if error.is_some() { Verdict::Failed } else { result };
    let changes = if error.is_some() { Vec::new() } else { changes };
    let error = error.map(|failure| failure.with_cure());
    Applied { topic: topic.name.clone(), source: topic.place.to_string(), result, changes, error }
}

/// All that a new topic gets.
fn contents(topic: &Declared) -> Vec<Change> {
    let numbers = [
        (declared::PARTITIONS, topic.partitions.map(|count| count.to_string())),
        ("replicas", topic.replicas.map(|count| count.to_string())),
    ];
    let numbers = numbers.into_iter().filter_map(|(what, to)| to.map(|to| (what.to_string(), to)));
    let settings = topic.config.iter().map(|(name, value)| (name.clone(), value.clone()));
    numbers.chain(settings).map(|(what, to)| Change { what, from: None, to: Some(to) }).collect()
}

/// One line, and in a dry run the difference below it.
fn report(done: &Applied, dry_run: bool) -> Outcome {
    let name = &done.topic;
    let changes = done.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (done.result, dry_run) {
        (Verdict::Failed, _) => {
            complain(done);
            Ok(())
        }
        (Verdict::Unchanged, _) => say(&format!("{name}: unchanged\n")),
        (Verdict::Created, false) => say(&format!("{name}: created\n")),
        (Verdict::Changed, false) => say(&format!("{name}: changed: {changes}\n")),
        (Verdict::Created, true) => say(&format!("{name}: would be created\n{}", difference(&done.changes))),
        (Verdict::Changed, true) => say(&format!("{name}: would be changed\n{}", difference(&done.changes))),
    }
}

fn complain(done: &Applied) {
    eprintln!("ottla: {} ({}): {}", done.topic, done.source, done.error.as_deref().unwrap_or_default());
}

fn difference(changes: &[Change]) -> String {
    let line = |sign: char, what: &str, value: &Option<String>| {
        value.as_ref().map_or_else(String::new, |value| format!("  {sign} {what}: {value}\n"))
    };
    changes.iter().map(|c| line('-', &c.what, &c.from) + &line('+', &c.what, &c.to)).collect()
}

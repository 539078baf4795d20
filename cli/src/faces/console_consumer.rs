//! `kafka-console-consumer`.

use std::io::Write;
use std::time::Duration;

use client::{FetchedRecord, Isolation};

use super::flags::{Flag, Parsed, switch, value};
use super::formatter::Formatter;
use super::pattern::Pattern;
use super::properties::Properties;
use super::{BOOTSTRAP_SERVER, connect_with};
use crate::arguments::ReadArgs;
use crate::consume;
use crate::failure::{Failure, Outcome};
use crate::output::say;
use crate::subscription::ReadSettings;

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    value("topic", "name", "Print this topic"),
    value("include", "regex", "Print the topics of these names, also those that are made later").or(&["whitelist"]),
    value("partition", "n", "Only this partition"),
    value("offset", "n", "With --partition, where to begin: a number, earliest or latest"),
    switch("from-beginning", "Begin with the first record where the group has no position"),
    value("group", "name", "Read as a member of this group, which remembers its position"),
    value("max-messages", "n", "End after so many records"),
    value("timeout-ms", "ms", "End when no record came for so long"),
    value("command-property", "key=value", "A setting of the consumer; may be repeated").or(&["consumer-property"]),
    value("command-config", "file", "Settings of the consumer").or(&["consumer.config"]),
    value(
        "formatter",
        "class",
        "One of Kafka's own: Default-, Logging-, NoOp-, Offsets-, GroupMetadata- or TransactionLogMessageFormatter",
    ),
    value("formatter-property", "key=value", "print.key, print.timestamp, key.separator and so on; may be repeated")
        .or(&["property"]),
    value("formatter-config", "file", "The same in a file"),
    value("key-deserializer", "class", "What keys are"),
    value("value-deserializer", "class", "What values are"),
    value("isolation-level", "level", "read_uncommitted, as without it, or read_committed"),
    switch("skip-message-on-error", "Go on when a record cannot be printed"),
    switch("enable-systest-events", "Say shutdown_complete at the end"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let mut settings = Properties::load(parsed.value("command-config")?)?.add(parsed.values("command-property"))?;
    settings.require_plaintext()?;
    let mut args = read_args(parsed, &mut settings)?;
    *args.settings = read_settings(parsed, &mut settings)?;
    let formatter = Formatter::new(parsed)?;
    let cluster = connect_with(parsed.required("bootstrap-server")?, &mut settings).await?;
    settings.mention_unused("kafka-console-consumer");
    let skips = parsed.has("skip-message-on-error");
    let mut write = |out: &mut dyn Write, record: &FetchedRecord| match formatter.write(out, record) {
        Err(error) if skips && error.kind() == std::io::ErrorKind::InvalidData => {
            eprintln!("Error processing message, skipping this message: {error}");
            Ok(())
        }
        written => written,
    };
    let (count, outcome) = consume::read(&cluster, &args, &mut write).await;
    eprintln!("Processed a total of {count} messages");
    if parsed.has("enable-systest-events") {
        say("shutdown_complete\n")?;
    }
    outcome
}

fn read_settings(parsed: &Parsed, settings: &mut Properties) -> Result<ReadSettings, Failure> {
    let of_settings = settings.take("isolation.level");
    let isolation = match parsed.value("isolation-level")?.or(of_settings.as_deref()) {
        None | Some("read_uncommitted") => Isolation::ReadUncommitted,
        Some("read_committed") => Isolation::ReadCommitted,
        Some(other) => {
            return Err(Failure::Input(format!(
                "Invalid value {other} for configuration isolation.level: String must be one of: read_committed, \
                 read_uncommitted"
            )));
        }
    };
    let look_interval = settings.take("metadata.max.age.ms").map(|age| {
        let invalid = |_| Failure::Input(format!("metadata.max.age.ms={age}: a number of milliseconds"));
        age.parse().map(Duration::from_millis).map_err(invalid)
    });
    Ok(ReadSettings {
        include: parsed.value("include")?.map(Pattern::new).transpose()?,
        include_internal: settings.take_flag("exclude.internal.topics") == Some(false),
        look_interval: look_interval.transpose()?,
        isolation,
    })
}

fn read_args(parsed: &Parsed, settings: &mut Properties) -> Result<ReadArgs, Failure> {
    let usage = |text: &str| Failure::Usage(text.into());
    if parsed.has("topic") == parsed.has("include") {
        return Err(usage("Exactly one of the following arguments is required: [topic], [include]"));
    }
    let partition = parsed.number::<i32>("partition")?;
    if partition.is_some() && !parsed.has("topic") {
        return Err(usage("The topic is required when partition is specified."));
    }
    if parsed.has("offset") && parsed.has("from-beginning") {
        return Err(usage("Options from-beginning and offset cannot be specified together."));
    }
    if parsed.has("offset") && partition.is_none() {
        return Err(usage("The partition is required when offset is specified."));
    }
    let of_settings = settings.take("group.id");
    let group = parsed.value("group")?.map(str::to_owned).or(of_settings);
    if group.is_some() && partition.is_some() {
        return Err(usage("Options group and partition cannot be specified together."));
    }
    let mut args = ReadArgs {
        topics: parsed.value("topic")?.map(str::to_owned).into_iter().collect(),
        partition: partition.into_iter().collect(),
        from_beginning: parsed.has("from-beginning"),
        max_messages: parsed.number("max-messages")?,
        timeout_ms: parsed.number("timeout-ms")?,
        group,
        create: true,
        ..ReadArgs::default()
    };
    match settings.take("auto.offset.reset").as_deref() {
        None | Some("latest") => {}
        Some("earliest") => args.from_beginning = true,
        Some(other) => {
            return Err(Failure::Input(format!("auto.offset.reset={other}: only earliest and latest are possible")));
        }
    }
    match parsed.value("offset")? {
        None => {}
        Some(text) if text.eq_ignore_ascii_case("earliest") => args.from_beginning = true,
        Some(text) if text.eq_ignore_ascii_case("latest") => args.from_beginning = false,
        Some(text) => {
            let invalid = || {
                Failure::Usage(format!(
                    "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a \
                     non-negative long."
                ))
            };
            args.offset = Some(text.parse().ok().filter(|offset| *offset >= 0).ok_or_else(invalid)?);
        }
    }
    Ok(args)
}

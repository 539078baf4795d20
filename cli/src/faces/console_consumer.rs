//! `kafka-console-consumer`.

use std::io::Write;

use client::{Cluster, FetchedRecord};

use super::flags::{Flag, Parsed, java_only, switch, value};
use super::pattern::Pattern;
use super::properties::Properties;
use super::record_format::RecordFormat;
use super::{BOOTSTRAP_SERVER, connect_with};
use crate::admin::topics;
use crate::arguments::ReadArgs;
use crate::consume;
use crate::failure::{Failure, Outcome};

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    value("topic", "name", "Print this topic"),
    value("include", "regex", "Print the topics that there are of these names").or(&["whitelist"]),
    value("partition", "n", "Only this partition"),
    value("offset", "n", "With --partition, where to begin: a number, earliest or latest"),
    switch("from-beginning", "Begin with the first record where the group has no position"),
    value("group", "name", "Read as a member of this group, which remembers its position"),
    value("max-messages", "n", "End after so many records"),
    value("timeout-ms", "ms", "End when no record came for so long"),
    value("command-property", "key=value", "A setting of the consumer; may be repeated").or(&["consumer-property"]),
    value("command-config", "file", "Settings of the consumer").or(&["consumer.config"]),
    value("formatter", "class", "kafka.tools.DefaultMessageFormatter, LoggingMessageFormatter or NoOpMessageFormatter"),
    value("formatter-property", "key=value", "print.key, print.timestamp, key.separator and so on; may be repeated")
        .or(&["property"]),
    value("formatter-config", "file", "The same in a file"),
    value("key-deserializer", "class", "What keys are"),
    value("value-deserializer", "class", "What values are"),
    value(
        "isolation-level",
        "level",
        "read_uncommitted; read_committed is the same as long as there are no transactions",
    ),
    switch("skip-message-on-error", "Go on when a record cannot be printed"),
    java_only("systest-events"),
    switch("enable-systest-events", "No effect here: it is for Kafka's own tests"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let mut settings = Properties::load(parsed.value("command-config")?)?.add(parsed.values("command-property"))?;
    settings.require_plaintext()?;
    let mut args = read_args(parsed, &mut settings)?;
    let format = format(parsed)?;
    let cluster = connect_with(parsed.required("bootstrap-server")?, &mut settings).await?;
    settings.mention_unused("kafka-console-consumer");
    if let Some(pattern) = parsed.value("include")? {
        args.topics = matching(&cluster, &Pattern::new(pattern)?).await?;
    }
    let skips = parsed.has("skip-message-on-error");
    let mut write = |out: &mut dyn Write, record: &FetchedRecord| match &format {
        Format::Nothing => Ok(()),
        Format::Default(format) => skip_invalid(format.write(out, record), skips),
        Format::Logging(format) => {
            write!(out, "{}:{}, ", kind(record), record.timestamp_ms)?;
            skip_invalid(format.write(out, record), skips)
        }
    };
    let (count, outcome) = consume::read(&cluster, &args, &mut write).await;
    eprintln!("Processed a total of {count} messages");
    outcome
}

fn kind(record: &FetchedRecord) -> &'static str {
    match record.timestamp_type {
        protocol::records::TimestampType::CreateTime => "CreateTime",
        protocol::records::TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn skip_invalid(written: std::io::Result<()>, skips: bool) -> std::io::Result<()> {
    match written {
        Err(error) if skips && error.kind() == std::io::ErrorKind::InvalidData => {
            eprintln!("Error processing message, skipping this message: {error}");
            Ok(())
        }
        written => written,
    }
}

/// How records are printed.
enum Format {
    Default(RecordFormat),
    /// With the timestamp in front.
    Logging(RecordFormat),
    Nothing,
}

fn format(parsed: &Parsed) -> Result<Format, Failure> {
    let given = parsed.values("formatter-property");
    let mut settings = Properties::load(parsed.value("formatter-config")?)?.add(given)?;
    for (flag, key) in [("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")] {
        if let Some(class) = parsed.value(flag)? {
            settings = settings.add(std::iter::once(format!("{key}={class}").as_str()))?;
        }
    }
    let format = RecordFormat::new(&mut settings)?;
    settings.mention_unused("kafka-console-consumer");
    let class = parsed.value("formatter")?.unwrap_or("DefaultMessageFormatter");
    match class.rsplit('.').next() {
        Some("DefaultMessageFormatter") => Ok(Format::Default(format)),
        Some("LoggingMessageFormatter") => Ok(Format::Logging(format)),
        Some("NoOpMessageFormatter") => Ok(Format::Nothing),
        _ => Err(Failure::Input(format!(
            "{class} is a Java class, which cannot be loaded here; there are DefaultMessageFormatter, \
             LoggingMessageFormatter and NoOpMessageFormatter; `ottla consume --json` prints JSON"
        ))),
    }
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

async fn matching(cluster: &Cluster, pattern: &Pattern) -> Result<Vec<String>, Failure> {
    let found = topics::list(cluster).await?.into_iter().filter(|topic| !topic.is_internal);
    let names: Vec<String> = found.map(|topic| topic.name).filter(|name| pattern.matches(name)).collect();
    match names.is_empty() {
        false => Ok(names),
        true => Err(Failure::Input("no topic matches --include; `kafka-topics --list` shows those there are".into())),
    }
}

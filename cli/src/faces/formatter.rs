//! How the console consumer prints a record: Kafka's message formatters, by the names of their classes.

use std::io::{self, Write};

use client::FetchedRecord;
use protocol::records::TimestampType;

use super::coordinator_records::Coordinator;
use super::flags::Parsed;
use super::properties::Properties;
use super::record_format::RecordFormat;
use crate::failure::Failure;

/// Where Kafka has, or had, its formatters.
const PACKAGES: [&str; 5] = [
    "org.apache.kafka.tools.consumer.",
    "kafka.tools.",
    "kafka.coordinator.group.GroupMetadataManager$",
    "kafka.coordinator.transaction.TransactionLog$",
    "",
];

/// A formatter.
pub(crate) enum Formatter {
    Default(RecordFormat),
    /// The same, with a line in the log for each.
    Logging(RecordFormat),
    Nothing,
    /// Committed offsets in `__consumer_offsets`.
    Offsets,
    /// Groups in `__consumer_offsets`.
    Groups,
    /// Transactions in `__transaction_state`.
    Transactions,
}

impl Formatter {
    /// The one that `--formatter` names, with its settings.
    ///
    /// # Errors
    /// When it is not one of Kafka's.
    pub(crate) fn new(parsed: &Parsed) -> Result<Formatter, Failure> {
        let given = parsed.values("formatter-property");
        let mut settings = Properties::load(parsed.value("formatter-config")?)?.add(given)?;
        for (flag, key) in [("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")] {
            if let Some(class) = parsed.value(flag)? {
                settings = settings.add(std::iter::once(format!("{key}={class}").as_str()))?;
            }
        }
        let class = parsed.value("formatter")?.unwrap_or("DefaultMessageFormatter");
        let formatter = match PACKAGES.iter().find_map(|package| class.strip_prefix(package)) {
            Some("DefaultMessageFormatter") => Formatter::Default(RecordFormat::new(&mut settings)?),
            Some("LoggingMessageFormatter") => Formatter::Logging(RecordFormat::new(&mut settings)?),
            Some("NoOpMessageFormatter") => Formatter::Nothing,
            Some("OffsetsMessageFormatter") => Formatter::Offsets,
            Some("GroupMetadataMessageFormatter") => Formatter::Groups,
            Some("TransactionLogMessageFormatter") => Formatter::Transactions,
            _ => {
                return Err(Failure::Input(format!(
                    "{class} is a Java class, which cannot be loaded here; there are DefaultMessageFormatter, \
                     LoggingMessageFormatter, NoOpMessageFormatter, OffsetsMessageFormatter, \
                     GroupMetadataMessageFormatter and TransactionLogMessageFormatter; `ottla consume --json` prints JSON"
                )));
            }
        };
        settings.mention_unused("kafka-console-consumer");
        Ok(formatter)
    }

    /// Writes one record.
    ///
    /// # Errors
    /// When it cannot be written; [`io::ErrorKind::InvalidData`] when it is not what the formatter is for.
    pub(crate) fn write(&self, out: &mut dyn Write, record: &FetchedRecord) -> io::Result<()> {
        match self {
            Formatter::Nothing => Ok(()),
            Formatter::Default(format) => format.write(out, record),
            Formatter::Logging(format) => {
                format.write(out, record)?;
                log(record);
                Ok(())
            }
            Formatter::Offsets => coordinator(out, record, Coordinator::Group, false),
            Formatter::Groups => coordinator(out, record, Coordinator::Group, true),
            Formatter::Transactions => coordinator(out, record, Coordinator::Transaction, false),
        }
    }
}

fn coordinator(out: &mut dyn Write, record: &FetchedRecord, of: Coordinator, wants_groups: bool) -> io::Result<()> {
    let Some(key) = &record.key else { return Ok(()) };
    let read = of.read(key, record.value.as_ref(), false).map_err(|reason| {
        let text = format!("Could not read record at offset {} due to: {reason}", record.offset);
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    match read.filter(|printed| of == Coordinator::Transaction || printed.is_group() == wants_groups) {
        Some(printed) => out.write_all(printed.formatted().as_bytes()),
        None => Ok(()),
    }
}

fn log(record: &FetchedRecord) {
    let kind = match record.timestamp_type {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    let text = |bytes: &Option<bytes::Bytes>| match bytes {
        None => "null".to_string(),
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    };
    eprintln!("{kind}:{}, key:{}, value:{}", record.timestamp_ms, text(&record.key), text(&record.value));
}

//! What the bytes of a record are shown as.

use bytes::Bytes;
use protocol::internal;
use protocol::records::Record;

use super::super::coordinator_records::Coordinator;
use super::super::flags::Parsed;
use crate::failure::Failure;

/// Refused, each with its reason.
const ABSENT: [(&str, &str); 3] = [
    (
        "cluster-metadata-decoder",
        "the metadata of this cluster is in a log of its own kind (openraft), not in one of Kafka's; kafka-topics and \
         kafka-configs show what is in it, and Kafka's own tool reads the metadata log of a Kafka",
    ),
    ("share-group-state-decoder", "there are no share groups yet; Kafka's own tool reads their log"),
    ("remote-log-metadata-decoder", "there is no remote storage; Kafka's own tool reads its metadata"),
];

/// How records are shown.
pub(super) enum Decoder {
    Plain { key: Class, value: Class },
    Of(Coordinator),
}

/// Kafka's classes for plain records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Text,
    Integer,
    Long,
}

impl Decoder {
    /// # Errors
    /// When one is asked for that is not here.
    pub(super) fn new(parsed: &Parsed) -> Result<Decoder, Failure> {
        if let Some((flag, reason)) = ABSENT.iter().find(|(flag, _)| parsed.has(flag)) {
            return Err(Failure::Input(format!("--{flag} is not possible: {reason}")));
        }
        if parsed.has("offsets-decoder") {
            return Ok(Decoder::Of(Coordinator::Group));
        }
        if parsed.has("transaction-log-decoder") {
            return Ok(Decoder::Of(Coordinator::Transaction));
        }
        let class = |flag| parsed.value(flag).and_then(|class| class.map_or(Ok(Class::Text), Class::of));
        Ok(Decoder::Plain { key: class("key-decoder-class")?, value: class("value-decoder-class")? })
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Decoder::Plain { .. })
    }

    /// Key and payload as text, where there is something to show.
    ///
    /// # Errors
    /// When the record cannot be one of its topic.
    pub(super) fn show(&self, record: &Record<'_>) -> Result<(Option<String>, Option<String>), Failure> {
        match self {
            Decoder::Plain { key, value } => {
                let shown = |class: &Class, bytes: Option<&[u8]>| bytes.map(|bytes| class.show(bytes)).transpose();
                Ok((shown(key, record.key)?, shown(value, record.value)?))
            }
            Decoder::Of(coordinator) => coordinator_record(*coordinator, record),
        }
    }
}

fn coordinator_record(
    coordinator: Coordinator,
    record: &Record<'_>,
) -> Result<(Option<String>, Option<String>), Failure> {
    let offset = record.offset;
    let Some(key) = record.key.map(Bytes::copy_from_slice) else {
        return Err(Failure::Input(format!(
            "Failed to decode message at offset {offset} using the specified decoder (message had a missing key)"
        )));
    };
    let value = record.value.map(Bytes::copy_from_slice);
    Ok(match coordinator.read(&key, value.as_ref(), true) {
        Ok(Some(printed)) => {
            let value = match printed.value {
                Some((version, data)) => format!(r#"{{"version":"{version}","data":{data}}}"#),
                None => "<DELETE>".into(),
            };
            (Some(format!(r#"{{"type":"{}","data":{}}}"#, printed.key_type, printed.key)), Some(value))
        }
        Ok(None) => {
            let key_type = internal::version_of(&key).unwrap_or(-1);
            (Some(format!("Unknown record type {key_type} at offset {offset}, skipping.")), None)
        }
        Err(reason) => (Some(format!("Error at offset {offset}, skipping. {reason}")), None),
    })
}

impl Class {
    fn of(name: &str) -> Result<Class, Failure> {
        let known = name.strip_prefix("org.apache.kafka.tools.api.").or_else(|| name.strip_prefix("kafka.serializer."));
        match known.unwrap_or(name) {
            "StringDecoder" => Ok(Class::Text),
            "IntegerDecoder" => Ok(Class::Integer),
            "LongDecoder" => Ok(Class::Long),
            _ => Err(Failure::Input(format!(
                "{name} is a Java class, which cannot be loaded here; there are StringDecoder, IntegerDecoder and \
                 LongDecoder"
            ))),
        }
    }

    fn show(self, bytes: &[u8]) -> Result<String, Failure> {
        let short = || Failure::Input(format!("{} bytes are no {self:?}", bytes.len()));
        Ok(match self {
            Class::Text => String::from_utf8_lossy(bytes).into_owned(),
            Class::Integer => i32::from_be_bytes(*bytes.first_chunk().ok_or_else(short)?).to_string(),
            Class::Long => i64::from_be_bytes(*bytes.first_chunk().ok_or_else(short)?).to_string(),
        })
    }
}

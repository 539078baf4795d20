//! The records that coordinators keep in `__consumer_offsets` and `__transaction_state`, as JSON.

use bytes::Bytes;
use protocol::internal::{
    self, GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue, TransactionLogKey,
    TransactionLogValue, Versioned,
};

use super::record_json::{json, json_opened};

/// The types of keys in `__consumer_offsets` that classic groups make.
const LEGACY_OFFSET: i16 = 0;
const OFFSET: i16 = 1;
const GROUP: i16 = 2;
/// The one type of key in `__transaction_state`.
const TRANSACTION: i16 = 0;

/// Whose records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coordinator {
    Group,
    Transaction,
}

/// A key and perhaps a value, with what stands in front of each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) key_type: i16,
    pub(crate) key: String,
    pub(crate) value: Option<(i16, String)>,
}

/// What the record of this type is made of; `None` for a type that is not known here.
type Schema = (fn(&Bytes) -> Json, fn(&Bytes) -> Json, std::ops::RangeInclusive<i16>);
type Json = Result<String, protocol::wire::DecodeError>;

impl Coordinator {
    fn schema(self, key_type: i16) -> Option<Schema> {
        match (self, key_type) {
            (Coordinator::Group, LEGACY_OFFSET) => Some((json::<OffsetCommitKey>, json::<OffsetCommitValue>, 0..=0)),
            (Coordinator::Group, OFFSET) => {
                Some((json::<OffsetCommitKey>, json::<OffsetCommitValue>, OffsetCommitValue::VERSIONS))
            }
            (Coordinator::Group, GROUP) => {
                Some((json::<GroupMetadataKey>, json::<GroupMetadataValue>, GroupMetadataValue::VERSIONS))
            }
            (Coordinator::Transaction, TRANSACTION) => {
                Some((json::<TransactionLogKey>, json::<TransactionLogValue>, TransactionLogValue::VERSIONS))
            }
            _ => None,
        }
    }

    /// The record, or nothing if its type is not known here. With `opens`, what members of a group said to each other
    /// is opened too.
    ///
    /// # Errors
    /// In Kafka's words.
    pub(crate) fn read(self, key: &Bytes, value: Option<&Bytes>, opens: bool) -> Result<Option<Printed>, String> {
        let key_type = internal::version_of(key).ok_or("Could not read version from key's buffer.")?;
        let Some((read_key, mut read_value, versions)) = self.schema(key_type) else { return Ok(None) };
        if opens && (self, key_type) == (Coordinator::Group, GROUP) {
            read_value = json_opened::<GroupMetadataValue>;
        }
        let broken = |version: i16, what: &str, error: protocol::wire::DecodeError| {
            format!("Could not read record with version {version} from {what}'s buffer due to: {error}.")
        };
        let key = read_key(key).map_err(|error| broken(key_type, "key", error))?;
        let Some(bytes) = value else { return Ok(Some(Printed { key_type, key, value: None })) };
        let version = internal::version_of(bytes).ok_or("Could not read version from value's buffer.")?;
        if !versions.contains(&version) {
            return Err(format!("Found an unknown record version {version} for {key_type} type"));
        }
        let value = read_value(bytes).map_err(|error| broken(version, "value", error))?;
        Ok(Some(Printed { key_type, key, value: Some((version, value)) }))
    }
}

impl Printed {
    /// Whether it is a group's metadata, and no committed offset.
    pub(crate) fn is_group(&self) -> bool {
        self.key_type == GROUP
    }

    /// As the message formatters of the console consumer print it, which end no line.
    pub(crate) fn formatted(&self) -> String {
        let value = match &self.value {
            None => "null".to_string(),
            Some((version, data)) => format!(r#"{{"version":{version},"data":{data}}}"#),
        };
        format!(r#"{{"key":{{"type":{},"data":{}}},"value":{value}}}"#, self.key_type, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(coordinator: Coordinator, key: &'static [u8], value: Option<&'static [u8]>) -> Result<String, String> {
        let value = value.map(Bytes::from_static);
        let printed = coordinator.read(&Bytes::from_static(key), value.as_ref(), false)?;
        Ok(printed.map(|printed| printed.formatted()).unwrap_or_default())
    }

    #[test]
    fn records_are_formatted_as_kafkas_formatters_do() {
        let key = b"\0\x01\0\x01g\0\x01t\0\0\0\x03";
        let expected = r#"{"key":{"type":1,"data":{"group":"g","topic":"t","partition":3}},"value":null}"#;
        assert_eq!(read(Coordinator::Group, key, None).unwrap(), expected);
        let expected = r#"{"key":{"type":0,"data":{"transactionalId":"x"}},"value":null}"#;
        assert_eq!(read(Coordinator::Transaction, b"\0\0\0\x01x", None).unwrap(), expected);
        assert_eq!(read(Coordinator::Transaction, key, None).unwrap(), "", "a type of another topic");
        let unknown = read(Coordinator::Group, key, Some(b"\0\x63")).unwrap_err();
        assert_eq!(unknown, "Found an unknown record version 99 for 1 type");
        assert_eq!(read(Coordinator::Group, b"", None).unwrap_err(), "Could not read version from key's buffer.");
        assert!(read(Coordinator::Group, b"\0\x01\0\x09", None).unwrap_err().contains("from key's buffer due to: "));
    }
}

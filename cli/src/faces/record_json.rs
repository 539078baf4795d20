//! What is written inside records, as the JSON that Kafka's own converters make of it: fields in the order of the
//! schema, bytes in base64, and of tagged fields only those that are there.

use bytes::Bytes;
use protocol::Uuid;
use protocol::api::fields;
use protocol::field::{FieldInfo, Kind, StructInfo};
use protocol::internal::{self, ConsumerProtocolAssignment, ConsumerProtocolSubscription, Versioned};
use protocol::wire::{DecodeError, Decoder};

/// What members of this kind of group tell each other has a schema of its own.
const CONSUMER: &str = "consumer";

/// The message in these bytes, its version in front, as JSON.
///
/// # Errors
/// [`DecodeError`].
pub(crate) fn json<V: Versioned>(bytes: &Bytes) -> Result<String, DecodeError> {
    write::<V>(bytes, false)
}

/// As [`json`]; what consumers say to each other within is opened too, as far as it can be read.
///
/// # Errors
/// [`DecodeError`].
pub(crate) fn json_opened<V: Versioned>(bytes: &Bytes) -> Result<String, DecodeError> {
    write::<V>(bytes, true)
}

fn write<V: Versioned>(bytes: &Bytes, opens: bool) -> Result<String, DecodeError> {
    // The typed reading bounds what the lengths may ask for; the walk below sees the same bytes.
    internal::decode::<V>(bytes.clone())?;
    let mut decoder = Decoder::new(bytes.clone());
    let version = decoder.i16()?;
    let is_flexible = V::FLEXIBLE_FROM.is_some_and(|first| version >= first);
    let mut walk = Walk { decoder, version, is_flexible, opens, protocol_type: None };
    let mut text = String::new();
    walk.structure(&mut text, V::INFO)?;
    Ok(text)
}

/// The bytes of one message, from field to field.
struct Walk {
    decoder: Decoder,
    version: i16,
    is_flexible: bool,
    opens: bool,
    protocol_type: Option<String>,
}

impl Walk {
    fn structure(&mut self, out: &mut String, info: &StructInfo) -> Result<(), DecodeError> {
        let all = fields(info);
        let mut written: Vec<Option<String>> = vec![None; all.len()];
        for (field, slot) in all.iter().zip(&mut written) {
            if field.meta.is_plain_in(self.version) {
                let mut text = String::new();
                self.value(&mut text, field, &field.kind)?;
                *slot = Some(text);
            }
        }
        if self.is_flexible {
            for _ in 0..self.decoder.uvarint()? {
                let (tag, size) = (self.decoder.uvarint()?, self.decoder.uvarint()? as usize);
                let bytes = self.decoder.take(size)?;
                let known = |field: &FieldInfo| field.meta.tag == Some(tag) && field.meta.is_tagged_in(self.version);
                if let Some(place) = all.iter().position(known) {
                    let rest = std::mem::replace(&mut self.decoder, Decoder::new(bytes));
                    let mut text = String::new();
                    self.value(&mut text, &all[place], &all[place].kind)?;
                    written[place] = Some(text);
                    self.decoder = rest;
                }
            }
        }
        out.push('{');
        let present = all.iter().zip(written).filter_map(|(field, text)| Some((field, text?)));
        for (place, (field, text)) in present.enumerate() {
            let comma = if place > 0 { "," } else { "" };
            out.push_str(&format!("{comma}\"{}\":{text}", camel(field.name)));
        }
        out.push('}');
        Ok(())
    }

    fn value(&mut self, out: &mut String, field: &FieldInfo, kind: &Kind) -> Result<(), DecodeError> {
        match kind {
            Kind::Primitive("int8") => out.push_str(&self.decoder.i8()?.to_string()),
            Kind::Primitive("int16") => out.push_str(&self.decoder.i16()?.to_string()),
            Kind::Primitive("int32") => out.push_str(&self.decoder.i32()?.to_string()),
            Kind::Primitive("int64") => out.push_str(&self.decoder.i64()?.to_string()),
            Kind::Primitive("bool") => out.push_str(if self.decoder.i8()? != 0 { "true" } else { "false" }),
            Kind::Primitive("uuid") => {
                let mut id = [0; 16];
                id.copy_from_slice(&self.decoder.take(16)?);
                out.push_str(&quoted(&Uuid(id).to_string()));
            }
            Kind::Primitive("string") => match self.length(false)? {
                None => out.push_str("null"),
                Some(length) => {
                    let text = String::from_utf8_lossy(&self.decoder.take(length)?).into_owned();
                    out.push_str(&quoted(&text));
                    if field.name == "protocol_type" {
                        self.protocol_type = Some(text);
                    }
                }
            },
            // Bytes, and what else is only a length and that many of them.
            Kind::Primitive(_) => match self.length(true)? {
                None => out.push_str("null"),
                Some(length) => {
                    let bytes = self.decoder.take(length)?;
                    let text = self.opened(field.name, &bytes);
                    out.push_str(&text.unwrap_or_else(|| quoted(&base64(&bytes))));
                }
            },
            Kind::Array(inner) => match self.length(true)? {
                None => out.push_str("null"),
                Some(count) => {
                    out.push('[');
                    for place in 0..count {
                        out.push_str(if place > 0 { "," } else { "" });
                        self.value(out, field, inner)?;
                    }
                    out.push(']');
                }
            },
            Kind::Struct(info) => self.structure(out, info)?,
        }
        Ok(())
    }

    fn length(&mut self, is_wide: bool) -> Result<Option<usize>, DecodeError> {
        if self.is_flexible {
            return Ok((self.decoder.uvarint()? as usize).checked_sub(1));
        }
        let length = if is_wide { self.decoder.i32()? } else { self.decoder.i16()?.into() };
        Ok(usize::try_from(length).ok())
    }

    /// What a member of a group of consumers said, or was assigned.
    fn opened(&self, field: &str, bytes: &Bytes) -> Option<String> {
        if !self.opens || self.protocol_type.as_deref() != Some(CONSUMER) {
            return None;
        }
        match field {
            "subscription" => json::<ConsumerProtocolSubscription>(bytes).ok(),
            "assignment" => json::<ConsumerProtocolAssignment>(bytes).ok(),
            _ => None,
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut text = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (first, rest) = part.split_at(part.len().min(1));
        text.push_str(&first.to_uppercase());
        text.push_str(rest);
    }
    text
}

/// As RFC 4648 has it, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let three = [0, 1, 2].map(|place| u32::from(chunk.get(place).copied().unwrap_or(0)));
        let bits = three[0] << 16 | three[1] << 8 | three[2];
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { letter as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use protocol::internal::{
        GroupMetadataValue, MemberMetadata, OffsetCommitValue, PartitionsSchema, TransactionLogValue, encode,
    };

    use super::*;

    #[test]
    fn fields_are_those_of_the_version() {
        let value = OffsetCommitValue {
            offset: 9,
            leader_epoch: 0,
            metadata: "m\"".into(),
            commit_timestamp: 7,
            expire_timestamp: 8,
            topic_id: Uuid(std::array::from_fn(|place| place as u8)),
        };
        let at = |version| json::<OffsetCommitValue>(&encode(&value, version)).unwrap();
        assert_eq!(at(1), r#"{"offset":9,"metadata":"m\"","commitTimestamp":7,"expireTimestamp":8}"#);
        assert_eq!(at(3), r#"{"offset":9,"leaderEpoch":0,"metadata":"m\"","commitTimestamp":7}"#);
        let tagged =
            r#"{"offset":9,"leaderEpoch":0,"metadata":"m\"","commitTimestamp":7,"topicId":"AAECAwQFBgcICQoLDA0ODw"}"#;
        assert_eq!(at(4), tagged);
    }

    #[test]
    fn a_transaction_is_written_as_kafka_writes_it() {
        let value = TransactionLogValue {
            producer_id: 1,
            producer_epoch: 2,
            transaction_timeout_ms: 100,
            transaction_status: 1,
            transaction_partitions: Some(vec![PartitionsSchema { topic: "t".into(), partition_ids: vec![0, 4] }]),
            client_transaction_version: 2,
            ..TransactionLogValue::default()
        };
        let expected = r#"{"producerId":1,"producerEpoch":2,"transactionTimeoutMs":100,"transactionStatus":1,"transactionPartitions":[{"topic":"t","partitionIds":[0,4]}],"transactionLastUpdateTimestampMs":0,"transactionStartTimestampMs":0,"clientTransactionVersion":2}"#;
        assert_eq!(json::<TransactionLogValue>(&encode(&value, 1)).unwrap(), expected);
        let nobody = TransactionLogValue { transaction_partitions: None, ..value };
        assert!(json::<TransactionLogValue>(&encode(&nobody, 0)).unwrap().contains(r#""transactionPartitions":null"#));
    }

    #[test]
    fn members_are_opened_only_where_they_are_consumers() {
        let subscription = ConsumerProtocolSubscription { topics: vec!["t".into()], ..Default::default() };
        let member = MemberMetadata {
            subscription: encode(&subscription, 0),
            assignment: Bytes::from_static(b"\xff"),
            ..MemberMetadata::default()
        };
        let group = |protocol_type: &str| GroupMetadataValue {
            protocol_type: protocol_type.into(),
            members: vec![member.clone()],
            ..GroupMetadataValue::default()
        };
        let opened = json_opened::<GroupMetadataValue>(&encode(&group("consumer"), 3)).unwrap();
        assert!(opened.contains(r#""subscription":{"topics":["t"],"userData":null},"assignment":"/w==""#), "{opened}");
        for text in [
            json_opened::<GroupMetadataValue>(&encode(&group("connect"), 3)).unwrap(),
            json::<GroupMetadataValue>(&encode(&group("consumer"), 3)).unwrap(),
        ] {
            assert!(text.contains(r#""subscription":"AAAAAAABAAF0/////w==""#), "{text}");
        }
        assert!(json::<GroupMetadataValue>(&Bytes::from_static(b"\0\x03\0\xff")).is_err());
    }

    #[test]
    fn base64_is_padded() {
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }
}

//! Records as lines of text.

use std::io::{self, Write};

use bytes::Bytes;
use client::FetchedRecord;
use serde::Serialize;

use crate::arguments::PrintArgs;

#[derive(Serialize)]
struct JsonRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<JsonHeader<'a>>,
}

#[derive(Serialize)]
struct JsonHeader<'a> {
    name: &'a str,
    value: Option<String>,
}

/// Writes one record as one line: what was asked for, in the order and form of Kafka's console consumer, and last the
/// value. Bytes are written as they are; in JSON, those that are not UTF-8 become replacement characters.
pub(crate) fn write_record(
    out: &mut (impl Write + ?Sized),
    args: &PrintArgs,
    record: &FetchedRecord,
) -> io::Result<()> {
    if args.json {
        serde_json::to_writer(&mut *out, &json(record))?;
        return out.write_all(b"\n");
    }
    if args.print_timestamp {
        write!(out, "Timestamp:{}\t", record.timestamp_ms)?;
    }
    if args.print_partition {
        write!(out, "Partition:{}\t", record.partition)?;
    }
    if args.print_offset {
        write!(out, "Offset:{}\t", record.offset)?;
    }
    if args.print_headers {
        write_headers(out, record)?;
        out.write_all(b"\t")?;
    }
    if args.print_key {
        out.write_all(or_null(&record.key))?;
        out.write_all(b"\t")?;
    }
    out.write_all(or_null(&record.value))?;
    out.write_all(b"\n")
}

fn write_headers(out: &mut (impl Write + ?Sized), record: &FetchedRecord) -> io::Result<()> {
    if record.headers.is_empty() {
        return out.write_all(b"NO_HEADERS");
    }
    for (place, (name, value)) in record.headers.iter().enumerate() {
        out.write_all(if place == 0 { b"" } else { b"," })?;
        write!(out, "{name}:")?;
        out.write_all(or_null(value))?;
    }
    Ok(())
}

fn or_null(bytes: &Option<Bytes>) -> &[u8] {
    bytes.as_deref().unwrap_or(b"null")
}

fn json(record: &FetchedRecord) -> JsonRecord<'_> {
    let text = |bytes: &Option<Bytes>| bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    JsonRecord {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        key: text(&record.key),
        value: text(&record.value),
        headers: record.headers.iter().map(|(name, value)| JsonHeader { name, value: text(value) }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use protocol::records::TimestampType;

    use super::*;

    fn printed(args: PrintArgs, key: Option<&'static str>, headers: &[(&str, Option<&'static str>)]) -> String {
        let header = |(name, value): &(&str, Option<&'static str>)| (name.to_string(), value.map(Bytes::from));
        let record = FetchedRecord {
            topic: "t".into(),
            partition: 1,
            offset: 42,
            timestamp_ms: 7,
            timestamp_type: TimestampType::CreateTime,
            key: key.map(Bytes::from),
            value: Some("v".into()),
            headers: headers.iter().map(header).collect(),
        };
        let mut line = Vec::new();
        write_record(&mut line, &args, &record).unwrap();
        String::from_utf8(line).unwrap()
    }

    fn nothing() -> PrintArgs {
        PrintArgs {
            print_key: false,
            print_partition: false,
            print_offset: false,
            print_timestamp: false,
            print_headers: false,
            json: false,
        }
    }

    #[test]
    fn lines_hold_what_was_asked_for() {
        assert_eq!(printed(nothing(), Some("k"), &[]), "v\n");
        let key = PrintArgs { print_key: true, ..nothing() };
        assert_eq!(printed(key.clone(), Some("k"), &[]), "k\tv\n");
        assert_eq!(printed(key, None, &[]), "null\tv\n");
        let all = PrintArgs {
            print_key: true,
            print_partition: true,
            print_offset: true,
            print_timestamp: true,
            print_headers: true,
            json: false,
        };
        let expected = "Timestamp:7\tPartition:1\tOffset:42\ta:1,b:null\tk\tv\n";
        assert_eq!(printed(all.clone(), Some("k"), &[("a", Some("1")), ("b", None)]), expected);
        assert_eq!(printed(all, None, &[]), "Timestamp:7\tPartition:1\tOffset:42\tNO_HEADERS\tnull\tv\n");
    }

    #[test]
    fn json_holds_everything() {
        let json = PrintArgs { json: true, ..nothing() };
        let expected = r#"{"topic":"t","partition":1,"offset":42,"timestamp_ms":7,"key":null,"value":"v","headers":[{"name":"a","value":"1"}]}"#;
        assert_eq!(printed(json, None, &[("a", Some("1"))]), format!("{expected}\n"));
    }
}

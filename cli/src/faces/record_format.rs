//! Records as the console consumer prints them: what `print.*` asks for, in Kafka's order.

use std::borrow::Cow;
use std::io::{self, Write};

use bytes::Bytes;
use client::FetchedRecord;
use protocol::records::TimestampType;

use super::properties::Properties;
use crate::failure::Failure;

/// How records are printed.
pub(crate) struct RecordFormat {
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: String,
    line_separator: String,
    headers_separator: String,
    null_literal: String,
    key_type: Deserializer,
    value_type: Deserializer,
    headers_type: Deserializer,
}

/// What bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deserializer {
    AsIs,
    Integer,
    Long,
    Short,
    Float,
    Double,
    Boolean,
    Uuid,
}

impl RecordFormat {
    /// What the settings of Kafka's DefaultMessageFormatter say.
    ///
    /// # Errors
    /// When they name a class that is not here.
    pub(crate) fn new(settings: &mut Properties) -> Result<RecordFormat, Failure> {
        let mut flag = |key: &str, otherwise| settings.take_flag(key).unwrap_or(otherwise);
        let (timestamp, partition, offset) =
            (flag("print.timestamp", false), flag("print.partition", false), flag("print.offset", false));
        let (delivery, epoch, headers) =
            (flag("print.delivery", false), flag("print.epoch", false), flag("print.headers", false));
        let (key, value) = (flag("print.key", false), flag("print.value", true));
        let mut text = |key: &str, otherwise: &str| settings.take(key).unwrap_or_else(|| otherwise.into());
        Ok(RecordFormat {
            timestamp,
            partition,
            offset,
            delivery,
            epoch,
            headers,
            key,
            value,
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: text("null.literal", "null"),
            key_type: Deserializer::of(settings.take("key.deserializer"))?,
            value_type: Deserializer::of(settings.take("value.deserializer"))?,
            headers_type: Deserializer::of(settings.take("headers.deserializer"))?,
        })
    }

    /// Writes one record.
    ///
    /// # Errors
    /// When it cannot be written, or bytes are not what they are said to be.
    pub(crate) fn write(&self, out: &mut dyn Write, record: &FetchedRecord) -> io::Result<()> {
        let mut columns: Vec<Cow<'_, [u8]>> = Vec::new();
        if self.timestamp {
            columns.push(match record.timestamp_type {
                _ if record.timestamp_ms < 0 => Cow::Borrowed(b"NO_TIMESTAMP" as &[u8]),
                TimestampType::CreateTime => Cow::Owned(format!("CreateTime:{}", record.timestamp_ms).into_bytes()),
                TimestampType::LogAppendTime => {
                    Cow::Owned(format!("LogAppendTime:{}", record.timestamp_ms).into_bytes())
                }
            });
        }
        let mut column = |is_asked: bool, text: &dyn Fn() -> String| {
            columns.extend(is_asked.then(|| Cow::Owned(text().into_bytes())));
        };
        column(self.partition, &|| format!("Partition:{}", record.partition));
        column(self.offset, &|| format!("Offset:{}", record.offset));
        // Kafka's console consumer does not hand these two through either.
        column(self.delivery, &|| "Delivery:NOT_PRESENT".into());
        column(self.epoch, &|| "Epoch:NOT_PRESENT".into());
        if self.headers {
            columns.push(Cow::Owned(self.headers(record)?));
        }
        if self.key {
            columns.push(self.text(self.key_type, &record.key)?);
        }
        if self.value {
            columns.push(self.text(self.value_type, &record.value)?);
        }
        for (place, column) in columns.iter().enumerate() {
            if place > 0 {
                out.write_all(self.key_separator.as_bytes())?;
            }
            out.write_all(column)?;
        }
        out.write_all(self.line_separator.as_bytes())
    }

    fn headers(&self, record: &FetchedRecord) -> io::Result<Vec<u8>> {
        if record.headers.is_empty() {
            return Ok(b"NO_HEADERS".to_vec());
        }
        let mut text = Vec::new();
        for (place, (name, value)) in record.headers.iter().enumerate() {
            text.extend_from_slice(if place == 0 { b"" } else { self.headers_separator.as_bytes() });
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            text.extend_from_slice(&self.text(self.headers_type, value)?);
        }
        Ok(text)
    }

    fn text<'a>(&'a self, kind: Deserializer, bytes: &'a Option<Bytes>) -> io::Result<Cow<'a, [u8]>> {
        match bytes {
            None => Ok(Cow::Borrowed(self.null_literal.as_bytes())),
            Some(bytes) => kind.read(bytes),
        }
    }
}

impl Deserializer {
    fn of(class: Option<String>) -> Result<Deserializer, Failure> {
        let Some(class) = class else { return Ok(Deserializer::AsIs) };
        let name = class.rsplit('.').next().unwrap_or(&class);
        Ok(match name.strip_suffix("Deserializer").unwrap_or(name) {
            "String" | "ByteArray" | "Bytes" | "ByteBuffer" => Deserializer::AsIs,
            "Integer" => Deserializer::Integer,
            "Long" => Deserializer::Long,
            "Short" => Deserializer::Short,
            "Float" => Deserializer::Float,
            "Double" => Deserializer::Double,
            "Boolean" => Deserializer::Boolean,
            "UUID" => Deserializer::Uuid,
            _ => {
                return Err(Failure::Input(format!(
                    "{class} is a Java class, which cannot be loaded here; there are the deserializers of String, \
                     ByteArray, Integer, Long, Short, Float, Double, Boolean and UUID"
                )));
            }
        })
    }

    fn read(self, bytes: &[u8]) -> io::Result<Cow<'_, [u8]>> {
        let size = |error: std::array::TryFromSliceError| {
            let text = format!("{} bytes are no {self:?}: {error}", bytes.len());
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let text = match self {
            Deserializer::AsIs => return Ok(Cow::Borrowed(bytes)),
            Deserializer::Integer => i32::from_be_bytes(bytes.try_into().map_err(size)?).to_string(),
            Deserializer::Long => i64::from_be_bytes(bytes.try_into().map_err(size)?).to_string(),
            Deserializer::Short => i16::from_be_bytes(bytes.try_into().map_err(size)?).to_string(),
            Deserializer::Float => format!("{:?}", f32::from_be_bytes(bytes.try_into().map_err(size)?)),
            Deserializer::Double => format!("{:?}", f64::from_be_bytes(bytes.try_into().map_err(size)?)),
            Deserializer::Boolean => (<[u8; 1]>::try_from(bytes).map_err(size)?[0] != 0).to_string(),
            // Java's serializer writes a UUID as its text.
            Deserializer::Uuid => return Ok(Cow::Borrowed(bytes)),
        };
        Ok(Cow::Owned(text.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(settings: &[&str], key: Option<&'static [u8]>) -> String {
        let mut settings = Properties::default().add(settings.iter().copied()).unwrap();
        let record = FetchedRecord {
            topic: "t".into(),
            partition: 1,
            offset: 42,
            timestamp_ms: 7,
            timestamp_type: TimestampType::CreateTime,
            key: key.map(Bytes::from_static),
            value: Some("v".into()),
            headers: vec![("a".into(), None), ("b".into(), Some("2".into()))],
        };
        let mut line = Vec::new();
        RecordFormat::new(&mut settings).unwrap().write(&mut line, &record).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn columns_have_kafkas_order() {
        assert_eq!(printed(&[], None), "v\n");
        let all = ["print.timestamp", "print.partition", "print.offset", "print.headers", "print.key"];
        let all: Vec<String> = all.iter().map(|key| format!("{key}=true")).collect();
        let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(printed(&all, Some(b"k")), "CreateTime:7\tPartition:1\tOffset:42\ta:null,b:2\tk\tv\n");
        all.extend(["key.separator=|", "headers.separator=;", "null.literal=~", "print.value=false"]);
        assert_eq!(printed(&all, None), "CreateTime:7|Partition:1|Offset:42|a:~;b:2|~\n");
    }

    #[test]
    fn bytes_are_read_as_java_types() {
        let key = |class: &str, bytes| printed(&["print.key=true", &format!("key.deserializer={class}")], Some(bytes));
        assert_eq!(
            key("org.apache.kafka.common.serialization.LongDeserializer", &[0, 0, 0, 0, 0, 0, 1, 0]),
            "256\tv\n"
        );
        assert_eq!(key("org.apache.kafka.common.serialization.StringDeserializer", b"k"), "k\tv\n");
        let mut unknown = Properties::default().add(["value.deserializer=com.example.Own"].into_iter()).unwrap();
        assert!(RecordFormat::new(&mut unknown).is_err());
    }
}

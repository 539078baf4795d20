//! `kafka-console-producer`.

use std::io::IsTerminal;

use bytes::Bytes;
use client::Acks;
use protocol::records::Codec;

use super::flags::{Flag, Parsed, java_only, switch, value};
use super::properties::Properties;
use super::{BOOTSTRAP_SERVER, connect_with};
use crate::failure::{Failure, Outcome};
use crate::produce::{Line, Writing, split, write};

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    value("topic", "name", "Write to this topic"),
    value("compression-codec", "codec", "none, gzip (when nothing follows), snappy, lz4 or zstd").optional(),
    value("request-required-acks", "acks", "-1 or all (without it), 1 or 0"),
    value("reader-property", "key=value", "parse.key, key.separator, parse.headers and so on; may be repeated")
        .or(&["property"]),
    value("reader-config", "file", "The same in a file"),
    value("command-property", "key=value", "A setting of the producer; may be repeated").or(&["producer-property"]),
    value("command-config", "file", "Settings of the producer").or(&["producer.config"]),
    value("line-reader", "class", "Only Kafka's LineMessageReader"),
    switch("sync", "No effect here: each bundle of lines is acknowledged before the next is sent"),
    java_only("batch-size"),
    java_only("message-send-max-retries"),
    java_only("retry-backoff-ms"),
    java_only("timeout"),
    java_only("request-timeout-ms"),
    java_only("metadata-expiry-ms"),
    java_only("max-block-ms"),
    java_only("max-memory-bytes"),
    java_only("max-partition-memory-bytes"),
    java_only("socket-buffer-size"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let topic = parsed.required("topic")?;
    let bootstrap = parsed.required("bootstrap-server")?;
    let mut settings = Properties::load(parsed.value("command-config")?)?.add(parsed.values("command-property"))?;
    settings.require_plaintext()?;
    let reader = Reader::new(parsed)?;
    let codec = match parsed.value("compression-codec")? {
        Some(codec) => Some(codec.to_string()),
        None if parsed.has("compression-codec") => Some("gzip".into()),
        None => settings.take("compression.type"),
    };
    let codec = codec.as_deref().unwrap_or("none");
    let compression = Codec::from_name(codec)
        .ok_or_else(|| Failure::Usage(format!("Unknown compression name: {codec}; none, gzip, snappy, lz4 or zstd")))?;
    let acks = match parsed.value("request-required-acks")?.map(str::to_owned).or(settings.take("acks")).as_deref() {
        None | Some("all" | "-1") => Acks::All,
        Some("1") => Acks::Leader,
        Some("0") => Acks::None,
        Some(other) => return Err(Failure::Usage(format!("acks {other}: -1 or all, 1 or 0"))),
    };
    let is_idempotent = settings.take_flag("enable.idempotence").unwrap_or(acks == Acks::All);
    if is_idempotent && acks != Acks::All {
        return Err(Failure::Input("Must set acks to all in order to use the idempotent producer.".into()));
    }
    let writing = Writing {
        topic,
        acks,
        compression,
        partition: None,
        idempotent: is_idempotent,
        prompt: std::io::stdin().is_terminal().then_some(">"),
    };
    let cluster = connect_with(bootstrap, &mut settings).await?;
    settings.mention_unused("kafka-console-producer");
    write(&cluster, &writing, &|line, number| reader.read(&line, number)).await
}

/// How a line is taken apart.
struct Reader {
    parses_key: bool,
    parses_headers: bool,
    ignores_errors: bool,
    key_separator: String,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    null_marker: Option<String>,
}

impl Reader {
    fn new(parsed: &Parsed) -> Result<Reader, Failure> {
        if let Some(class) = parsed.value("line-reader")?
            && class.rsplit('.').next() != Some("LineMessageReader")
        {
            return Err(Failure::Input(format!(
                "{class} is a Java class, which cannot be loaded here; there is LineMessageReader"
            )));
        }
        let given = parsed.values("reader-property");
        let mut settings = Properties::load(parsed.value("reader-config")?)?.add(given)?;
        let mut flag = |key: &str| settings.take_flag(key).unwrap_or(false);
        let (parses_key, parses_headers, ignores_errors) =
            (flag("parse.key"), flag("parse.headers"), flag("ignore.error"));
        let mut text = |key: &str, otherwise: &str| settings.take(key).unwrap_or_else(|| otherwise.into());
        let reader = Reader {
            parses_key,
            parses_headers,
            ignores_errors,
            key_separator: text("key.separator", "\t"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            headers_key_separator: text("headers.key.separator", ":"),
            null_marker: settings.take("null.marker"),
        };
        settings.mention_unused("kafka-console-producer");
        reader.check()?;
        Ok(reader)
    }

    /// # Errors
    /// When two of the texts are the same and a line could mean either.
    fn check(&self) -> Outcome {
        let named = [
            ("headers.delimiter", Some(&self.headers_delimiter)),
            ("headers.separator", Some(&self.headers_separator)),
            ("headers.key.separator", Some(&self.headers_key_separator)),
            ("null.marker", self.null_marker.as_ref()),
        ];
        for (place, (one, text)) in named.iter().enumerate() {
            let same = named[place + 1..].iter().find(|(_, other)| text.is_some() && other == text);
            if let Some((other, _)) = same {
                return Err(Failure::Input(format!("{one} and {other} may not be equal")));
            }
        }
        match self.null_marker.as_ref() == Some(&self.key_separator) {
            true => Err(Failure::Input("null.marker and key.separator may not be equal".into())),
            false => Ok(()),
        }
    }

    fn read(&self, line: &Bytes, number: usize) -> Result<Line, Failure> {
        let mut rest = line.clone();
        let mut part = |is_asked: bool, separator: &str, name: &str| {
            if !is_asked {
                return Ok(None);
            }
            match split(&rest, separator) {
                Some((before, after)) => {
                    rest = after;
                    Ok(Some(before))
                }
                None if self.ignores_errors => Ok(None),
                None => {
                    let text = String::from_utf8_lossy(line);
                    Err(Failure::Input(format!("No {name} found on line number {number}: '{text}'")))
                }
            }
        };
        let headers = part(self.parses_headers, &self.headers_delimiter, "headers delimiter")?;
        let key = part(self.parses_key, &self.key_separator, "key separator")?;
        let headers = match headers.and_then(|headers| self.not_null(headers)) {
            Some(headers) => self.headers(&headers, number)?,
            None => Vec::new(),
        };
        Ok(Line { key: key.and_then(|key| self.not_null(key)), value: self.not_null(rest), headers })
    }

    fn not_null(&self, text: Bytes) -> Option<Bytes> {
        let is_null = self.null_marker.as_ref().is_some_and(|marker| text == marker.as_bytes());
        (!is_null).then_some(text)
    }

    fn headers(&self, text: &Bytes, number: usize) -> Result<Vec<(String, Option<Bytes>)>, Failure> {
        let (mut headers, mut rest) = (Vec::new(), Some(text.clone()));
        while let Some(pairs) = rest {
            let (pair, after) = match split(&pairs, &self.headers_separator) {
                Some((pair, after)) => (pair, Some(after)),
                None => (pairs, None),
            };
            rest = after;
            let name = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            headers.push(match split(&pair, &self.headers_key_separator) {
                Some((key, _)) if self.not_null(key.clone()).is_none() => {
                    let marker = name(&key);
                    return Err(Failure::Input(format!(
                        "Header keys should not be equal to the null marker '{marker}' as they can't be null"
                    )));
                }
                Some((key, value)) => (name(&key), self.not_null(value)),
                None if self.ignores_errors => (name(&pair), None),
                None => {
                    let pair = name(&pair);
                    return Err(Failure::Input(format!(
                        "No header key separator found in pair '{pair}' on line number {number}"
                    )));
                }
            });
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(words: &str) -> Result<Reader, String> {
        let words: Vec<String> =
            words.split_whitespace().flat_map(|word| ["--property".to_string(), word.to_string()]).collect();
        let flags: Vec<&Flag> = FLAGS.iter().collect();
        Reader::new(&Parsed::parse(&flags, &words).unwrap()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_line_has_headers_key_and_value() {
        let reader = reader("parse.key=true parse.headers=true null.marker=NULL").unwrap();
        let line = reader.read(&"a:1,b:NULL\tk\tv\tw".into(), 1).unwrap();
        let headers = vec![("a".to_string(), Some(Bytes::from("1"))), ("b".to_string(), None)];
        assert_eq!(line, Line { key: Some("k".into()), value: Some("v\tw".into()), headers });
        assert_eq!(reader.read(&"NULL\tNULL\tNULL".into(), 1).unwrap(), Line::default());
        let refused = reader.read(&"a:1".into(), 7).unwrap_err().to_string();
        assert_eq!(refused, "No headers delimiter found on line number 7: 'a:1'");
        let refused = reader.read(&"a\tk\tv".into(), 7).unwrap_err().to_string();
        assert_eq!(refused, "No header key separator found in pair 'a' on line number 7");
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        assert!(reader("headers.delimiter=,").is_err());
        assert!(reader("null.marker=:").is_err());
        assert!(reader("parse.key=true key.separator=: null.marker=").is_ok());
    }
}

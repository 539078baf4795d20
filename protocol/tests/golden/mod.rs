//! The corpus: what the files of frames say.

pub(crate) mod corpus;

use std::fmt;
use std::ops::RangeInclusive;

use bytes::Bytes;
use protocol::api::ApiInfo;
use protocol::messages;

const FILES: [&str; 2] = [include_str!("frames-4.3.1.txt"), include_str!("frames-3.9.1.txt")];

/// One line: bytes that Kafka's classes wrote, the same in all of `versions`.
pub(crate) struct Golden {
    pub(crate) key: i16,
    pub(crate) versions: RangeInclusive<i16>,
    /// `request`, `response`, `request_header` or `response_header`.
    pub(crate) kind: &'static str,
    /// `full`, `null` or `default`.
    pub(crate) value: &'static str,
    pub(crate) bytes: Bytes,
}

impl Golden {
    pub(crate) fn all() -> impl Iterator<Item = Golden> {
        FILES.iter().flat_map(|file| file.lines()).map(Golden::read)
    }

    fn read(line: &'static str) -> Golden {
        let words: Vec<&'static str> = line.split(' ').collect();
        let [key, versions, kind, value, hex] = words[..] else { panic!("five words: {line}") };
        let number = |text: &str| text.parse::<i16>().unwrap_or_else(|_| panic!("a number: {line}"));
        let (first, last) = versions.split_once("..").unwrap_or((versions, versions));
        Golden { key: number(key), versions: number(first)..=number(last), kind, value, bytes: from_hex(hex) }
    }

    pub(crate) fn api(&self) -> &'static ApiInfo {
        messages::ALL.iter().find(|api| api.key == self.key).unwrap_or_else(|| panic!("no API {}", self.key))
    }
}

impl fmt::Display for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {} {}", self.api().name, self.versions, self.kind, self.value)
    }
}

fn from_hex(text: &str) -> Bytes {
    if text == "-" {
        return Bytes::new();
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hexadecimal")).collect()
}

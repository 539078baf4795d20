//! Settings of Kafka's clients: files of `key=value` lines, and the same on the command line.

use std::collections::BTreeMap;

use crate::failure::Failure;

/// A file of properties may have this many bytes.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Settings, of which each is asked for once, so that those nobody asked for can be named.
#[derive(Debug, Default)]
pub(crate) struct Properties(BTreeMap<String, String>);

impl Properties {
    /// The file that a flag names, if it was given.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn load(path: Option<&str>) -> Result<Properties, Failure> {
        let mut properties = Properties::default();
        if let Some(path) = path {
            properties.0.extend(parse(&read_file(path)?));
        }
        Ok(properties)
    }

    /// Adds `key=value` settings, which win over those of the file.
    ///
    /// # Errors
    /// When one has no `=`.
    pub(crate) fn add<'a>(mut self, settings: impl Iterator<Item = &'a str>) -> Result<Properties, Failure> {
        for setting in settings {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(Failure::Usage(format!("Invalid command line properties: {setting}")));
            };
            self.0.insert(key.trim().into(), value.into());
        }
        Ok(self)
    }

    /// Takes one setting out.
    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// Takes one setting out; whether it says true.
    pub(crate) fn take_flag(&mut self, key: &str) -> Option<bool> {
        self.take(key).map(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// Takes out what says how to connect.
    ///
    /// # Errors
    /// When it is anything but plaintext: better than to send in the clear what was meant to be encrypted.
    pub(crate) fn require_plaintext(&mut self) -> Result<(), Failure> {
        match self.take("security.protocol") {
            Some(protocol) if !protocol.trim().eq_ignore_ascii_case("PLAINTEXT") => Err(Failure::Input(format!(
                "security.protocol={protocol} is not possible yet: only PLAINTEXT is; take it out, or use Kafka's own tools"
            ))),
            _ => Ok(()),
        }
    }

    /// Names on standard error what nobody asked for.
    pub(crate) fn mention_unused(&self, face: &str) {
        for key in self.0.keys() {
            eprintln!("{face}: the setting {key} has no effect here");
        }
    }

    /// What is left.
    pub(crate) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

/// Reads a small file.
///
/// # Errors
/// When it is not there, is larger than 1 MiB, or is not text.
pub(crate) fn read_file(path: &str) -> Result<String, Failure> {
    let size = std::fs::metadata(path).map(|metadata| metadata.len());
    match size.and_then(|size| if size > FILE_MAX_BYTES { Ok(None) } else { std::fs::read_to_string(path).map(Some) }) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(Failure::Input(format!("{path}: larger than {FILE_MAX_BYTES} bytes"))),
        Err(error) => Err(Failure::Input(format!("{path}: {error}"))),
    }
}

/// The lines of a properties file: `#` and `!` begin comments, `=` or `:` follow the key, a backslash joins lines.
fn parse(text: &str) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let mut pending = String::new();
    for line in text.lines() {
        let line = line.trim_start();
        if pending.is_empty() && (line.starts_with(['#', '!']) || line.is_empty()) {
            continue;
        }
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            pending.push_str(&line[..line.len() - 1]);
            continue;
        }
        pending.push_str(line);
        let whole = std::mem::take(&mut pending);
        let (key, value) = whole.split_once(['=', ':']).unwrap_or((&whole, ""));
        settings.push((key.trim().to_string(), unescape(value.trim_start())));
    }
    settings
}

fn unescape(value: &str) -> String {
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => text.extend(characters.next().map(|escaped| match escaped {
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                other => other,
            })),
            (plain, false) => text.push(plain),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_java_reads_them() {
        let text = "# c\n a = 1\nb:2\n\n!x\nlong=one,\\\n   two\ntab=\\t\nempty\n";
        let expected = [("a", "1"), ("b", "2"), ("long", "one,two"), ("tab", "\t"), ("empty", "")];
        let expected: Vec<_> = expected.map(|(key, value)| (key.to_string(), value.to_string())).into();
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn encryption_is_refused_and_not_forgotten() {
        let with = |setting| Properties::default().add([setting].into_iter()).unwrap().require_plaintext();
        assert!(with("security.protocol=PLAINTEXT").is_ok());
        assert!(with("security.protocol=SASL_SSL").unwrap_err().to_string().contains("SASL_SSL"));
        assert!(Properties::default().add(["nothing"].into_iter()).is_err());
    }
}

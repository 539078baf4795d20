//! Java's .properties files, as `java.util.Properties` reads them.

/// One assignment of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Property {
    pub(crate) key: String,
    pub(crate) value: String,
    /// The line where it begins, from 1.
    pub(crate) line: usize,
}

/// Reads a file. Bytes that are not UTF-8 are taken as Latin-1, which is what Java does with all of them.
///
/// # Errors
/// The line and the reason, for a broken `\u` escape.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Property>, String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_string(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    logical_lines(&text).into_iter().map(|(number, line)| property(number, &line)).collect()
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Lines without comments and blanks, those that end in an odd number of backslashes joined with the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, natural) in text.split('\n').enumerate() {
        let natural = natural.trim_start_matches(is_space);
        if open.is_none() && (natural.is_empty() || natural.starts_with(['#', '!'])) {
            continue;
        }
        let (number, mut line) = open.take().unwrap_or((index + 1, String::new()));
        let backslashes = natural.len() - natural.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            line.push_str(&natural[..natural.len() - 1]);
            open = Some((number, line));
        } else {
            line.push_str(natural);
            lines.push((number, line));
        }
    }
    lines.extend(open);
    lines
}

/// Splits at the first `=`, `:` or space that is not escaped. `key = value`, `key:value` and `key value` are the same.
fn property(line: usize, text: &str) -> Result<Property, String> {
    let mut escaped = false;
    let end = text.find(|c: char| {
        let ends = !escaped && (is_space(c) || c == '=' || c == ':');
        escaped = c == '\\' && !escaped;
        ends
    });
    let (key, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.trim_start_matches(is_space);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(is_space);
    let unescaped = |text| unescape(text).ok_or_else(|| format!("line {line}: a \\u escape needs four hex digits"));
    Ok(Property { key: unescaped(key)?, value: unescaped(rest)?, line })
}

fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let mut buffer = [0; 2];
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    let digits = chars.as_str().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                    units.push(u16::from_str_radix(digits?, 16).ok()?);
                    chars = chars.as_str()[4..].chars();
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => break,
            },
            c => c,
        };
        units.extend_from_slice(c.encode_utf16(&mut buffer));
    }
    // Escapes name UTF-16 units: a character outside the basic plane is two of them.
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let properties = parse(text.as_bytes()).unwrap();
        let pairs: Vec<_> = properties.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
        assert_eq!(pairs, expected, "{text:?}");
    }

    #[test]
    fn separators() {
        for text in ["a=b", "a:b", "a b", "a = b", "a : b", "  a\t=\tb", "a\u{c}b", "a   b"] {
            check(text, &[("a", "b")]);
        }
        check("a==b", &[("a", "=b")]);
        check("a = :b", &[("a", ":b")]);
        check("a", &[("a", "")]);
        check("a=", &[("a", "")]);
        check("=b", &[("", "b")]);
        check("listeners=PLAINTEXT://:9092", &[("listeners", "PLAINTEXT://:9092")]);
        check("a=b  ", &[("a", "b  ")]);
    }

    #[test]
    fn comments_and_blank_lines() {
        check("# a=b\n! c=d\n\n   \n  # e=f\ng=h # not a comment", &[("g", "h # not a comment")]);
        check("# a comment goes on for one line only \\\na=b", &[("a", "b")]);
    }

    #[test]
    fn continued_lines() {
        check("a=b,\\\n   c,\\\r\n\td", &[("a", "b,c,d")]);
        check("a\\\n=b", &[("a", "b")]);
        check("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]);
        check("a=b\\\n# still the value", &[("a", "b# still the value")]);
        check("a=b\\", &[("a", "b")]);
        check("a=b\\\n\nc=d", &[("a", "b"), ("c", "d")]);
    }

    #[test]
    fn escapes() {
        check(r"a\ b=c", &[("a b", "c")]);
        check(r"a\=b=c", &[("a=b", "c")]);
        check(r"a\:b:c", &[("a:b", "c")]);
        check(r"path=C:\\data\tx\q", &[("path", "C:\\data\txq")]);
        check(r"a=\u0041\u00e9\uD83D\uDE00", &[("a", "Aé😀")]);
        assert_eq!(parse(b"x=1\na=\\u00g1").unwrap_err(), "line 2: a \\u escape needs four hex digits");
        assert!(parse("a=\\u00é".as_bytes()).is_err());
    }

    #[test]
    fn line_ends_encodings_and_numbers() {
        check("a=1\r\nb=2\rc=3\n", &[("a", "1"), ("b", "2"), ("c", "3")]);
        let latin = parse(b"a=caf\xe9").unwrap();
        assert_eq!(latin[0].value, "café");
        check("\u{feff}a=ü", &[("a", "ü")]);
        let lines: Vec<_> = parse(b"\n#\na=\\\n1\nb=2").unwrap().iter().map(|p| p.line).collect();
        assert_eq!(lines, [3, 5]);
    }
}

//! The command lines of Kafka's tools: `--flag value`, `--flag=value`, any beginning of a flag that is no other's, flags
//! that repeat, and words between them for the tools that have sub-commands.

use std::fmt::Write;
use std::str::FromStr;

use crate::failure::Failure;

/// A flag that a tool knows.
pub(crate) struct Flag {
    /// By which the tool asks for it, without hyphens.
    pub(crate) name: &'static str,
    /// Other ways to write it: what it was called in other releases, or a letter.
    pub(crate) also: &'static [&'static str],
    pub(crate) takes: Takes,
    /// One line for people.
    pub(crate) help: &'static str,
}

/// What follows a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    /// A value, of which the text says what it is.
    Value(&'static str),
    /// A value, or nothing when another flag follows.
    Optional(&'static str),
    /// Any number of values, up to the next flag.
    Several(&'static str),
}

/// A flag without a value.
pub(crate) const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag { name, also: &[], takes: Takes::Nothing, help }
}

/// A flag with a value.
pub(crate) const fn value(name: &'static str, what: &'static str, help: &'static str) -> Flag {
    Flag { name, also: &[], takes: Takes::Value(what), help }
}

/// A flag that tunes what is inside of the Java clients: taken, so that command lines work as they are.
pub(crate) const fn java_only(name: &'static str) -> Flag {
    Flag {
        name,
        also: &[],
        takes: Takes::Value("value"),
        help: "No effect here: it tunes the inside of the Java client",
    }
}

impl Flag {
    /// The same flag under further names.
    pub(crate) const fn or(mut self, also: &'static [&'static str]) -> Flag {
        self.also = also;
        self
    }

    /// The same flag, whose value may be left out.
    pub(crate) const fn optional(mut self) -> Flag {
        if let Takes::Value(what) = self.takes {
            self.takes = Takes::Optional(what);
        }
        self
    }

    /// The same flag, which takes all values that follow.
    pub(crate) const fn several(mut self) -> Flag {
        if let Takes::Value(what) = self.takes {
            self.takes = Takes::Several(what);
        }
        self
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.also.iter().copied())
    }
}

/// A command line as it was understood.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// Flags in their order, under their first names.
    found: Vec<(&'static str, Option<String>)>,
    /// The words between them.
    pub(crate) words: Vec<String>,
}

impl Parsed {
    /// # Errors
    /// In Kafka's words, as scripts look for them.
    pub(crate) fn parse(flags: &[&Flag], arguments: &[String]) -> Result<Parsed, Failure> {
        let mut parsed = Parsed { found: Vec::new(), words: Vec::new() };
        let mut rest = arguments.iter().map(String::as_str).peekable();
        while let Some(argument) = rest.next() {
            let Some(written) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
                parsed.words.push(argument.into());
                continue;
            };
            if written.is_empty() {
                parsed.words.extend(rest.map(str::to_owned));
                break;
            }
            let (name, attached) = match written.split_once('=') {
                Some((name, attached)) => (name, Some(attached.to_string())),
                None => (written, None),
            };
            let flag = find(flags, name)?;
            let is_value = |next: &&str| !next.starts_with('-') || next.parse::<f64>().is_ok();
            match flag.takes {
                Takes::Nothing if attached.is_some() => {
                    return Err(Failure::Usage(format!("Option {name} does not take an argument")));
                }
                Takes::Nothing => parsed.found.push((flag.name, None)),
                Takes::Value(_) => {
                    let value = attached.or_else(|| rest.next().map(str::to_owned));
                    let missing = || Failure::Usage(format!("Option {name} requires an argument"));
                    parsed.found.push((flag.name, Some(value.ok_or_else(missing)?)));
                }
                Takes::Optional(_) => {
                    let value = attached.or_else(|| rest.next_if(is_value).map(str::to_owned));
                    parsed.found.push((flag.name, value));
                }
                Takes::Several(_) => {
                    parsed.found.extend(attached.map(|value| (flag.name, Some(value))));
                    while let Some(value) = rest.next_if(is_value) {
                        parsed.found.push((flag.name, Some(value.into())));
                    }
                }
            }
        }
        Ok(parsed)
    }

    /// Whether a flag was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.found.iter().any(|(found, _)| *found == name)
    }

    /// The first flag that is none of these, for tools whose sub-commands have flags of their own.
    pub(crate) fn other_than(&self, known: &[&str]) -> Option<&'static str> {
        self.found.iter().map(|(found, _)| *found).find(|found| !known.contains(found))
    }

    /// The one value of a flag.
    ///
    /// # Errors
    /// When it was given twice.
    pub(crate) fn value<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Failure> {
        let mut values = self.values(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => {
                Err(Failure::Usage(format!("Found multiple arguments for option {name}, but you asked for only one")))
            }
        }
    }

    /// All values of a flag.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.found.iter().filter(move |(found, _)| *found == name).filter_map(|(_, value)| value.as_deref())
    }

    /// The values of several flags, as they were given; none where a flag has none.
    pub(crate) fn in_order<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = Option<&'a str>> {
        self.found.iter().filter(|(found, _)| names.contains(found)).map(|(_, value)| value.as_deref())
    }

    /// The value of a flag that has to be there.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn required<'a>(&'a self, name: &'a str) -> Result<&'a str, Failure> {
        self.value(name)?.ok_or_else(|| Failure::Usage(format!("Missing required argument \"[{name}]\"")))
    }

    /// The value of a flag as a number, or as whatever else is written as text.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        let number = |text: &str| {
            text.parse().map_err(|_| Failure::Input(format!("Cannot parse argument '{text}' of option {name}")))
        };
        self.value(name)?.map(number).transpose()
    }

    /// # Errors
    /// When one of `others` was given together with `name`.
    pub(crate) fn excludes(&self, name: &str, others: &[&str]) -> Result<(), Failure> {
        match others.iter().find(|other| self.has(name) && self.has(other)) {
            Some(other) => Err(Failure::Usage(format!("Option \"[{name}]\" can't be used with option \"[{other}]\""))),
            None => Ok(()),
        }
    }
}

/// The flag of this name, or the only one that begins so.
fn find<'a>(flags: &[&'a Flag], name: &str) -> Result<&'a Flag, Failure> {
    if let Some(flag) = flags.iter().find(|flag| flag.names().any(|known| known == name)) {
        return Ok(flag);
    }
    let mut candidates = flags.iter().filter(|flag| flag.names().any(|known| known.starts_with(name)));
    match (candidates.next(), candidates.next()) {
        (Some(flag), None) => Ok(flag),
        _ if name == "zookeeper" => Err(Failure::Usage(
            "zookeeper is not a recognized option: there is no ZooKeeper, give --bootstrap-server host:9092 instead"
                .into(),
        )),
        _ => Err(Failure::Usage(format!("{name} is not a recognized option"))),
    }
}

/// The flags as a table for people.
pub(crate) fn describe(flags: &[&Flag]) -> String {
    let written = |flag: &&Flag| {
        let hyphens = |name: &str| if name.len() == 1 { format!("-{name}") } else { format!("--{name}") };
        let names: Vec<String> = flag.names().map(hyphens).collect();
        let value = match flag.takes {
            Takes::Nothing => String::new(),
            Takes::Value(what) => format!(" <{what}>"),
            Takes::Optional(what) => format!(" [{what}]"),
            Takes::Several(what) => format!(" <{what}>..."),
        };
        format!("{}{value}", names.join(", "))
    };
    let mut text = String::new();
    for flag in flags {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}\n        {}", written(flag), flag.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Flag = value("topic", "name", "");
    const TOPIC_ID: Flag = value("topic-id", "id", "");
    const LIST: Flag = switch("list", "");
    const STATE: Flag = value("state", "state", "").optional();
    const PROPS: Flag = value("producer-props", "k=v", "").several();
    const SERVER: Flag = value("bootstrap-server", "host:port", "").or(&["broker-list", "b"]);

    fn parse(words: &str) -> Result<Parsed, String> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let flags = [&TOPIC, &TOPIC_ID, &LIST, &STATE, &PROPS, &SERVER];
        Parsed::parse(&flags, &words).map_err(|failure| failure.to_string())
    }

    #[test]
    fn flags_are_written_in_many_ways() {
        for words in ["--topic t --list", "--topic=t -list", "--list --topic t", "-topic t --li"] {
            let parsed = parse(words).unwrap();
            assert_eq!((parsed.value("topic").unwrap(), parsed.has("list")), (Some("t"), true), "{words}");
        }
        for words in ["--bootstrap-server k:1", "--broker-list k:1", "-b k:1", "--boot k:1", "--bootstrap-server=k:1"] {
            assert_eq!(parse(words).unwrap().value("bootstrap-server").unwrap(), Some("k:1"), "{words}");
        }
        let parsed = parse("list --topic --list --topic a=b").unwrap();
        assert_eq!(parsed.values("topic").collect::<Vec<_>>(), ["--list", "a=b"], "a value is taken as it is");
        assert_eq!(parsed.words, ["list"]);
        let parsed = parse("--state --list").unwrap();
        assert!(parsed.has("state") && parsed.has("list") && parsed.value("state").unwrap().is_none());
        assert_eq!(parse("--state Empty").unwrap().value("state").unwrap(), Some("Empty"));
        let parsed = parse("--producer-props a=1 b=2 --topic t").unwrap();
        assert_eq!(parsed.values("producer-props").collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!(parsed.other_than(&["topic"]), Some("producer-props"));
        assert_eq!(parsed.other_than(&["topic", "producer-props"]), None);
    }

    #[test]
    fn what_is_wrong_is_said_as_scripts_expect_it() {
        assert_eq!(parse("--nonsense").unwrap_err(), "nonsense is not a recognized option");
        assert_eq!(parse("--to t").unwrap_err(), "to is not a recognized option", "it may be either");
        assert_eq!(parse("--topic").unwrap_err(), "Option topic requires an argument");
        assert!(parse("--zookeeper z:1").unwrap_err().contains("--bootstrap-server"));
        let parsed = parse("--topic x --list").unwrap();
        let refused = parsed.number::<i32>("topic").unwrap_err().to_string();
        assert_eq!(refused, "Cannot parse argument 'x' of option topic");
        let refused = parsed.excludes("topic", &["state", "list"]).unwrap_err().to_string();
        assert_eq!(refused, "Option \"[topic]\" can't be used with option \"[list]\"");
        assert!(parse("--topic a --topic b").unwrap().value("topic").is_err());
    }
}

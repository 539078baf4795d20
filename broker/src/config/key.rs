//! What a configuration key is: its type, its range, who may change it, and how its text becomes a value.
//!
//! Texts of errors are Kafka's, because tools and people search for them.

use std::fmt;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfigKey {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The value when nobody sets one; `None` is Kafka's null.
    pub(crate) default: Option<&'static str>,
    /// Whether `limits.rs` gives a better default, once it knows how much memory there is.
    pub(crate) from_memory: bool,
    pub(crate) check: Check,
    pub(crate) update: Update,
    /// For a topic key, the broker keys that give its default, the strongest first.
    pub(crate) synonyms: &'static [Synonym],
    /// Why only the default is accepted, for keys that Kafka's tools expect to see and we do not act on.
    pub(crate) default_only: Option<&'static str>,
    /// For people; also what DescribeConfigs answers as documentation (KIP-569).
    pub(crate) doc: &'static str,
}

/// The type of a value, numbered as in DescribeConfigs (KIP-569).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Kind {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
}

/// Who may change a key while the broker runs (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    /// Only before start.
    ReadOnly,
    /// While running, for one broker or for all of them at once.
    ClusterWide,
    /// While running, for one broker.
    PerBroker,
    /// While running: a topic's own setting.
    Topic,
}

/// A broker key that gives a topic key its default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Synonym {
    pub(crate) broker_key: &'static str,
    /// The topic's unit counted in the broker key's: minutes to milliseconds is 60,000.
    pub(crate) factor: i64,
}

/// Which values of the type are allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Check {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// Within the range, or exactly the third value.
    BetweenOr(i64, i64, i64),
    /// 0.0 to 1.0.
    Ratio,
    OneOf(&'static [&'static str]),
    /// Every element of the list.
    EachOneOf(&'static [&'static str]),
    /// Says what is wrong with a text.
    Text(fn(&str) -> Result<(), String>, &'static str),
}

/// A value that has its type and passed its check.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Boolean(bool),
    /// Int, Short and Long.
    Integer(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}

impl ConfigKey {
    /// A broker key, read at start unless a later call says otherwise.
    pub(crate) const fn broker(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> ConfigKey {
        let mut key = ConfigKey::unset(name, kind, doc);
        key.default = Some(default);
        key
    }

    /// A broker key without a default.
    pub(crate) const fn unset(name: &'static str, kind: Kind, doc: &'static str) -> ConfigKey {
        ConfigKey {
            name,
            kind,
            default: None,
            from_memory: false,
            check: Check::Any,
            update: Update::ReadOnly,
            synonyms: &[],
            default_only: None,
            doc,
        }
    }

    /// A topic key whose default comes from `synonyms`, or else is `default`.
    pub(crate) const fn topic(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        synonyms: &'static [Synonym],
        doc: &'static str,
    ) -> ConfigKey {
        let mut key = ConfigKey::broker(name, kind, default, doc);
        key.update = Update::Topic;
        key.synonyms = synonyms;
        key
    }

    pub(crate) const fn check(mut self, check: Check) -> ConfigKey {
        self.check = check;
        self
    }

    pub(crate) const fn at_least(self, least: i64) -> ConfigKey {
        self.check(Check::AtLeast(least))
    }

    pub(crate) const fn sized_by_memory(mut self) -> ConfigKey {
        self.from_memory = true;
        self
    }

    pub(crate) const fn cluster_wide(mut self) -> ConfigKey {
        self.update = Update::ClusterWide;
        self
    }

    pub(crate) const fn per_broker(mut self) -> ConfigKey {
        self.update = Update::PerBroker;
        self
    }

    /// Refuses every value but the default, for `reason`.
    pub(crate) const fn default_only(mut self, reason: &'static str) -> ConfigKey {
        self.default_only = Some(reason);
        self
    }

    /// Reads a text as a value of this key.
    ///
    /// # Errors
    /// Kafka's sentence about what is wrong, naming key and value.
    pub(crate) fn parse(&self, text: &str) -> Result<Value, String> {
        let value = self.kind.parse(text).map_err(|why| self.invalid(&text, &why))?;
        self.check.test(&value).map_err(|why| self.invalid(&value, &why))?;
        Ok(value)
    }

    /// As [`ConfigKey::parse`], and refuses what we would not act on.
    ///
    /// # Errors
    /// As [`ConfigKey::parse`], or the reason why only the default is accepted.
    pub(crate) fn parse_supported(&self, text: &str) -> Result<Value, String> {
        let value = self.parse(text)?;
        match self.default_only {
            Some(reason) if !self.is_default(&value) => Err(self.invalid(&value, reason)),
            _ => Ok(value),
        }
    }

    /// Whether `value` is what the table says anyway.
    pub(crate) fn is_default(&self, value: &Value) -> bool {
        self.default.and_then(|text| self.kind.parse(text).ok()).is_some_and(|default| default == *value)
    }

    fn invalid(&self, value: &dyn fmt::Display, why: &str) -> String {
        format!("Invalid value {value} for configuration {}: {why}", self.name)
    }
}

impl Kind {
    /// Kafka's name of the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Int => "INT",
            Kind::Short => "SHORT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
        }
    }

    fn parse(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let integer = |least: i64, most: i64| {
            let number = text.parse::<i64>().ok().filter(|number| (least..=most).contains(number));
            number.map(Value::Integer).ok_or_else(|| format!("Not a number of type {}", self.name()))
        };
        match self {
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            Kind::Boolean => Err("Expected value to be either true or false".into()),
            Kind::String => Ok(Value::Text(text.into())),
            Kind::Int => integer(i64::from(i32::MIN), i64::from(i32::MAX)),
            Kind::Short => integer(i64::from(i16::MIN), i64::from(i16::MAX)),
            Kind::Long => integer(i64::MIN, i64::MAX),
            Kind::Double => match text.parse::<f64>() {
                Ok(number) if !number.is_nan() => Ok(Value::Double(number)),
                _ => Err("Not a number of type DOUBLE".into()),
            },
            Kind::List => Ok(Value::List(split_list(text))),
        }
    }
}

/// The elements of a comma separated list; an empty text is an empty list.
pub(crate) fn split_list(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.is_empty() { Vec::new() } else { text.split(',').map(|part| part.trim().to_string()).collect() }
}

impl Check {
    fn test(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Check::Any, _) => Ok(()),
            (Check::AtLeast(least), Value::Integer(number)) => in_range(*number, least, i64::MAX),
            (Check::Between(least, most), Value::Integer(number)) => in_range(*number, least, most),
            (Check::BetweenOr(least, most, other), Value::Integer(number)) => {
                if *number == other || (least..=most).contains(number) {
                    return Ok(());
                }
                Err(format!("Value must be between {least} and {most} or equal to {other}"))
            }
            (Check::Ratio, Value::Double(number)) if *number < 0.0 => Err("Value must be at least 0".into()),
            (Check::Ratio, Value::Double(number)) if *number > 1.0 => Err("Value must be no more than 1".into()),
            (Check::Ratio, Value::Double(_)) => Ok(()),
            (Check::OneOf(words), Value::Text(text)) => one_of(words, text),
            (Check::EachOneOf(words), Value::List(list)) => list.iter().try_for_each(|text| one_of(words, text)),
            (Check::Text(test, _), Value::Text(text)) => test(text),
            (Check::Text(test, _), Value::List(list)) => list.iter().try_for_each(|text| test(text)),
            (check, value) => unreachable!("the table gives {check:?} to a key whose values look like {value:?}"),
        }
    }
}

impl fmt::Display for Check {
    /// Kafka's notation for a range, for the reference page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::Any => Ok(()),
            Check::AtLeast(least) => write!(f, "[{least},...]"),
            Check::Between(least, most) => write!(f, "[{least},...,{most}]"),
            Check::BetweenOr(least, most, other) => write!(f, "[{least},...,{most}] or {other}"),
            Check::Ratio => write!(f, "[0,...,1]"),
            Check::OneOf(words) | Check::EachOneOf(words) => write!(f, "[{}]", words.join(", ")),
            Check::Text(_, syntax) => write!(f, "{syntax}"),
        }
    }
}

fn in_range(number: i64, least: i64, most: i64) -> Result<(), String> {
    if number < least {
        Err(format!("Value must be at least {least}"))
    } else if number > most {
        Err(format!("Value must be no more than {most}"))
    } else {
        Ok(())
    }
}

fn one_of(words: &[&str], text: &str) -> Result<(), String> {
    if words.contains(&text) { Ok(()) } else { Err(format!("String must be one of: {}", words.join(", "))) }
}

impl fmt::Display for Value {
    /// As Kafka writes a value into DescribeConfigs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Double(value) => write!(f, "{value:?}"),
            Value::Text(value) => f.write_str(value),
            Value::List(values) => f.write_str(&values.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(key: ConfigKey, text: &str) -> Result<String, String> {
        key.parse(text).map(|value| value.to_string())
    }

    fn key(kind: Kind, check: Check) -> ConfigKey {
        ConfigKey::unset("k", kind, "").check(check)
    }

    #[test]
    fn numbers_keep_to_their_type_and_range() {
        let at_least_one = key(Kind::Int, Check::AtLeast(1));
        assert_eq!(parsed(at_least_one, " 7 "), Ok("7".into()));
        assert_eq!(parsed(at_least_one, "+7"), Ok("7".into()));
        let invalid = |why: &str| Err(format!("Invalid value {why}"));
        assert_eq!(parsed(at_least_one, "0"), invalid("0 for configuration k: Value must be at least 1"));
        assert_eq!(parsed(at_least_one, "x"), invalid("x for configuration k: Not a number of type INT"));
        assert_eq!(parsed(at_least_one, ""), invalid(" for configuration k: Not a number of type INT"));
        assert_eq!(
            parsed(at_least_one, "2147483648"),
            invalid("2147483648 for configuration k: Not a number of type INT")
        );
        let level = key(Kind::Int, Check::BetweenOr(1, 9, -1));
        assert_eq!(parsed(level, "-1"), Ok("-1".into()));
        assert_eq!(parsed(level, "0"), invalid("0 for configuration k: Value must be between 1 and 9 or equal to -1"));
        let short = key(Kind::Short, Check::Between(-5, 22));
        assert_eq!(parsed(short, "23"), invalid("23 for configuration k: Value must be no more than 22"));
        assert_eq!(parsed(short, "40000"), invalid("40000 for configuration k: Not a number of type SHORT"));
        assert_eq!(parsed(key(Kind::Long, Check::Any), "9223372036854775807"), Ok("9223372036854775807".into()));
        assert!(parsed(key(Kind::Long, Check::Any), "9223372036854775808").is_err());
    }

    #[test]
    fn ratios_print_like_javas_doubles() {
        let ratio = key(Kind::Double, Check::Ratio);
        assert_eq!(parsed(ratio, "0.50"), Ok("0.5".into()));
        assert_eq!(parsed(ratio, "1"), Ok("1.0".into()));
        assert_eq!(
            parsed(ratio, "2"),
            Err("Invalid value 2.0 for configuration k: Value must be no more than 1".into())
        );
        assert_eq!(
            parsed(ratio, "NaN"),
            Err("Invalid value NaN for configuration k: Not a number of type DOUBLE".into())
        );
    }

    #[test]
    fn booleans_ignore_case_and_know_no_synonyms() {
        let flag = key(Kind::Boolean, Check::Any);
        assert_eq!(parsed(flag, " TRUE"), Ok("true".into()));
        for wrong in ["yes", "1", ""] {
            let sentence = "for configuration k: Expected value to be either true or false";
            assert_eq!(parsed(flag, wrong), Err(format!("Invalid value {wrong} {sentence}")));
        }
    }

    #[test]
    fn lists_are_trimmed_and_checked_by_element() {
        let policy = key(Kind::List, Check::EachOneOf(&["compact", "delete"]));
        assert_eq!(parsed(policy, "delete, compact"), Ok("delete,compact".into()));
        assert_eq!(parsed(policy, ""), Ok(String::new()));
        assert_eq!(
            parsed(policy, "Delete"),
            Err("Invalid value Delete for configuration k: String must be one of: compact, delete".into())
        );
    }

    #[test]
    fn what_we_do_not_act_on_may_only_have_its_default() {
        let key = ConfigKey::broker("k", Kind::Boolean, "false", "").default_only("There is no tiered storage.");
        assert!(key.parse("true").is_ok());
        assert!(key.parse_supported("FALSE").is_ok());
        assert_eq!(
            key.parse_supported("true"),
            Err("Invalid value true for configuration k: There is no tiered storage.".into())
        );
    }
}

//! The one table of configuration. Parsing, DescribeConfigs, AlterConfigs and the reference page come from it.
//!
//! To add a key: one row in `broker_keys.rs`, `transaction_keys.rs`, `topic_keys.rs` or `ottla_keys.rs`, and one line that reads it into
//! `BrokerConfig` or `TopicConfig`. A field nobody uses is a compiler warning, which is how a key that is not enforced
//! is noticed.

use super::broker_keys::{GROUP_KEYS, LOG_KEYS, SERVER_KEYS};
use super::key::ConfigKey;
use super::ottla_keys::OTTLA_KEYS;
use super::topic_keys::TOPIC_KEYS;
use super::transaction_keys::TRANSACTION_KEYS;

/// Every key of the broker, ours after Kafka's.
pub(crate) fn broker_keys() -> impl Iterator<Item = &'static ConfigKey> {
    SERVER_KEYS.iter().chain(GROUP_KEYS).chain(LOG_KEYS).chain(TRANSACTION_KEYS).chain(OTTLA_KEYS)
}

/// Every key of a topic.
pub(crate) fn topic_keys() -> impl Iterator<Item = &'static ConfigKey> {
    TOPIC_KEYS.iter()
}

/// The broker key called `name`.
pub(crate) fn broker_key(name: &str) -> Option<&'static ConfigKey> {
    broker_keys().find(|key| key.name == name)
}

/// The topic key called `name`.
pub(crate) fn topic_key(name: &str) -> Option<&'static ConfigKey> {
    topic_keys().find(|key| key.name == name)
}

/// Broker keys that give `name` its value when it has none itself, `name` included, the strongest first: a broker may
/// say retention in milliseconds, minutes or hours.
pub(crate) fn family(name: &str) -> impl Iterator<Item = &'static ConfigKey> {
    let first = topic_keys().find(|key| key.synonyms.first().is_some_and(|synonym| synonym.broker_key == name));
    let names: Vec<&str> = match first {
        Some(topic) => topic.synonyms.iter().map(|synonym| synonym.broker_key).collect(),
        None => vec![name],
    };
    names.into_iter().filter_map(broker_key)
}

/// The known name that looks most like `name`, if one is close.
pub(crate) fn nearest(name: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let allowed = (name.len() / 4).max(2);
    names.map(|known| (distance(name, known), known)).filter(|(distance, _)| *distance <= allowed).min().map(|(_, k)| k)
}

/// Edits between two names.
fn distance(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::key::Update;

    #[test]
    fn names_are_unique_and_defaults_pass_their_own_checks() {
        for keys in [broker_keys().collect::<Vec<_>>(), topic_keys().collect()] {
            let names: BTreeSet<_> = keys.iter().map(|key| key.name).collect();
            assert_eq!(names.len(), keys.len());
            for key in keys {
                if let Some(default) = key.default {
                    key.parse(default).unwrap();
                }
                assert!(key.doc.ends_with('.') && !key.doc.contains("  "), "{}: {}", key.name, key.doc);
            }
        }
    }

    #[test]
    fn only_topic_keys_have_synonyms_and_those_are_broker_keys() {
        assert!(broker_keys().all(|key| key.synonyms.is_empty() && key.update != Update::Topic));
        for key in topic_keys() {
            assert_eq!(key.update, Update::Topic);
            for synonym in key.synonyms {
                let broker = broker_key(synonym.broker_key).unwrap();
                assert_eq!(broker.default_only, key.default_only, "{}", key.name);
            }
        }
    }

    #[test]
    fn families_are_told_by_their_strongest_name() {
        let names = |name| family(name).map(|key| key.name).collect::<Vec<_>>();
        assert_eq!(names("log.retention.ms"), ["log.retention.ms", "log.retention.minutes", "log.retention.hours"]);
        assert_eq!(names("log.retention.hours"), ["log.retention.hours"]);
        assert_eq!(names("num.partitions"), ["num.partitions"]);
    }

    #[test]
    fn a_typing_error_finds_its_key() {
        let names = || broker_keys().map(|key| key.name);
        assert_eq!(nearest("ottla.memory.limits", names()), Some("ottla.memory.limit"));
        assert_eq!(nearest("num.partition", names()), Some("num.partitions"));
        assert_eq!(nearest("something.else", names()), None);
    }
}

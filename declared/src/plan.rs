//! What has to happen so that a topic is as declared. Pure: no cluster, no clock.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::topics::Declared;

/// A topic as it is.
#[derive(Debug)]
pub struct Existing {
    /// At least 1.
    pub partitions: i32,
    /// Of its first partition.
    pub replicas: i16,
    /// What is set for this topic alone; a value that the broker keeps secret is none.
    pub config: BTreeMap<String, Option<String>>,
}

/// What has to happen.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is not there.
    Create,
    /// In the order in which it is done; at least one.
    Change(Vec<Change>),
    /// It is as declared.
    Nothing,
    /// It cannot be done, and why.
    Refuse(String),
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `partitions`, or the name of a setting.
    pub what: String,
    /// None when it was not set.
    pub from: Option<String>,
    /// None goes back to the broker's default.
    pub to: Option<String>,
}

/// The name of the change that is none of a setting.
pub const PARTITIONS: &str = "partitions";

/// Compares what is declared with what is there.
pub fn plan(declared: &Declared, existing: Option<&Existing>) -> Plan {
    let Some(existing) = existing else { return Plan::Create };
    let mut changes = Vec::new();
    if let Some(partitions) = declared.partitions {
        let from = existing.partitions;
        if partitions < from {
            return Plan::Refuse(format!(
                "it has {from} partitions and {partitions} are declared: Kafka cannot remove partitions, because their \
                 records would be lost; declare {from}, or create a new topic and copy what you need"
            ));
        }
        if partitions > from {
            changes.push(Change {
                what: PARTITIONS.into(),
                from: Some(from.to_string()),
                to: Some(partitions.to_string()),
            });
        }
    }
    if let Some(replicas) = declared.replicas
        && replicas != existing.replicas
    {
        return Plan::Refuse(format!(
            "it has {} replicas and {replicas} are declared: replicas of a topic that exists are not moved from here; \
             declare {}, or leave replicas out",
            existing.replicas, existing.replicas
        ));
    }
    changes.extend(settings(declared, existing));
    if changes.is_empty() { Plan::Nothing } else { Plan::Change(changes) }
}

fn settings(declared: &Declared, existing: &Existing) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, value) in &declared.config {
        let from = existing.config.get(name);
        if from != Some(&Some(value.clone())) {
            changes.push(Change { what: name.clone(), from: from.cloned().flatten(), to: Some(value.clone()) });
        }
    }
    for (name, value) in &existing.config {
        if !declared.config.contains_key(name) {
            changes.push(Change { what: name.clone(), from: value.clone(), to: None });
        }
    }
    changes
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{} {from} -> {to}", self.what),
            (None, Some(to)) => write!(f, "{} set to {to}", self.what),
            (Some(from), None) => write!(f, "{} {from} -> default", self.what),
            (None, None) => write!(f, "{} -> default", self.what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::Place;

    fn declared(partitions: Option<i32>, replicas: Option<i16>, config: &[(&str, &str)]) -> Declared {
        let config = config.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let place = Place { file: "f".into(), line: 1 };
        Declared { name: "t".into(), place, partitions, replicas, config }
    }

    fn existing(config: &[(&str, &str)]) -> Existing {
        let config = config.iter().map(|(name, value)| (name.to_string(), Some(value.to_string()))).collect();
        Existing { partitions: 3, replicas: 1, config }
    }

    #[test]
    fn what_is_as_declared_stays() {
        let there = existing(&[("a", "1")]);
        assert_eq!(plan(&declared(Some(3), Some(1), &[("a", "1")]), Some(&there)), Plan::Nothing);
        assert_eq!(plan(&declared(None, None, &[("a", "1")]), Some(&there)), Plan::Nothing);
        assert_eq!(plan(&declared(None, None, &[]), None), Plan::Create);
    }

    #[test]
    fn settings_are_set_changed_and_removed() {
        let there = existing(&[("change", "1"), ("keep", "1"), ("remove", "1")]);
        let wanted = declared(Some(5), None, &[("add", "2"), ("change", "2"), ("keep", "1")]);
        let Plan::Change(changes) = plan(&wanted, Some(&there)) else { panic!("it differs") };
        let said: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["partitions 3 -> 5", "add set to 2", "change 1 -> 2", "remove 1 -> default"]);
    }

    #[test]
    fn what_would_lose_records_or_move_replicas_is_refused() {
        for wanted in [declared(Some(2), None, &[("a", "1")]), declared(Some(9), Some(3), &[])] {
            assert!(matches!(plan(&wanted, Some(&existing(&[]))), Plan::Refuse(_)));
        }
    }
}

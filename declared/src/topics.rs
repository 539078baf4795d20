//! Topics as files declare them: Strimzi's KafkaTopic, and a list of our own.
//!
//! Strimzi has dropped v1beta2, but the files are everywhere; both versions have the same `spec`. What a file says and
//! we do not know is an error, because a misspelt key would otherwise be a setting that silently is not made.

use std::collections::BTreeMap;
use std::fmt;

use crate::sources::Source;
use crate::yaml::{self, Node, Value};

/// The group of Strimzi's kinds.
const STRIMZI: &str = "kafka.strimzi.io/";
/// Those of its versions whose KafkaTopic we know.
const STRIMZI_VERSIONS: [&str; 2] = ["v1beta2", "v1"];
/// With this annotation Strimzi leaves a topic alone.
const MANAGED: &str = "strimzi.io/managed";
/// Lists of Kubernetes in lists: nobody nests them, and an end is needed.
const LIST_DEPTH_MAX: usize = 4;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As the source is called.
    pub file: String,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A topic as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Not empty; whether it is a legal name, the broker says.
    pub name: String,
    /// Where its settings begin.
    pub place: Place,
    /// None leaves the number to the broker, or as it is.
    pub partitions: Option<i32>,
    /// None leaves the number to the broker, or as it is.
    pub replicas: Option<i16>,
    /// All that is set for the topic; what is not here has the broker's default.
    pub config: BTreeMap<String, String>,
}

/// What a document turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A topic, the first of its name.
    Topic(Declared),
    /// Something else, and why it is left alone.
    Skipped {
        /// Kind, name and reason.
        what: String,
        /// Where it begins.
        place: Place,
    },
    /// Something that was meant as a topic.
    Bad {
        /// Kind and name, as far as it has them.
        what: String,
        /// Where the mistake is.
        place: Place,
        /// One sentence.
        reason: String,
    },
}

/// Everything that the sources declare, in their order. Of two topics of one name the second is bad.
pub fn read(sources: &[Source]) -> Vec<Found> {
    let mut first = BTreeMap::new();
    let mut found: Vec<Found> = sources.iter().flat_map(|source| read_file(&source.name, &source.text)).collect();
    for found in &mut found {
        let Found::Topic(Declared { name, place, .. }) = found else { continue };
        match first.get(name) {
            None => {
                first.insert(name.clone(), place.clone());
            }
            Some(first) => {
                let reason = format!("it is declared at {first} already, and that is what counts");
                *found = Found::Bad { what: name.clone(), place: place.clone(), reason };
            }
        }
    }
    found
}

/// Everything that a file declares. A file that is no YAML is one bad thing.
fn read_file(file: &str, text: &str) -> Vec<Found> {
    let reader = Reader { file };
    match yaml::documents(text) {
        Ok(documents) => documents.iter().flat_map(|document| reader.document(document, 0)).collect(),
        Err(error) => {
            let place = Place { file: file.into(), line: error.line };
            vec![Found::Bad { what: "the file".into(), place, reason: error.reason }]
        }
    }
}

struct Reader<'f> {
    file: &'f str,
}

impl Reader<'_> {
    fn document(&self, node: &Node, depth: usize) -> Vec<Found> {
        match &node.value {
            // An empty document, as after a last `---`.
            Value::Null => Vec::new(),
            Value::List(items) => items.iter().map(|item| self.own(item)).collect(),
            Value::Map(_) if get(node, "kind").is_some() => self.object(node, depth),
            Value::Map(entries) => match entries.as_slice() {
                [(key, Node { value: Value::List(items), .. })] if key == "topics" => {
                    items.iter().map(|item| self.own(item)).collect()
                }
                _ => vec![self.bad(node, "the document", "neither an object with a kind nor a list under topics")],
            },
            Value::Text(_) => {
                vec![self.bad(node, "the document", "neither an object with a kind nor a list of topics")]
            }
        }
    }

    /// An object of Kubernetes.
    fn object(&self, node: &Node, depth: usize) -> Vec<Found> {
        let kind = scalar(node, "kind").unwrap_or_default();
        let version = scalar(node, "apiVersion").unwrap_or_default();
        let name = get(node, "metadata").and_then(|metadata| scalar(metadata, "name")).unwrap_or_default();
        let what = format!("{kind} {name}").trim_end().to_string();
        let items = get(node, "items").map(|items| &items.value);
        if let (true, Some(Value::List(items))) = (kind.ends_with("List"), items) {
            if depth == LIST_DEPTH_MAX {
                return vec![self.bad(node, &what, "lists in lists in lists")];
            }
            return items.iter().flat_map(|item| self.document(item, depth + 1)).collect();
        }
        let Some(strimzi) = version.strip_prefix(STRIMZI).filter(|_| kind == "KafkaTopic") else {
            return vec![Found::Skipped {
                what: format!("{what}, which is no KafkaTopic of Strimzi"),
                place: self.at(node),
            }];
        };
        if !STRIMZI_VERSIONS.contains(&strimzi) {
            let reason = format!("apiVersion {version} is not known; {STRIMZI}v1 and {STRIMZI}v1beta2 are");
            return vec![self.bad(node, &what, &reason)];
        }
        let annotations = get(node, "metadata").and_then(|metadata| get(metadata, "annotations"));
        if annotations.and_then(|annotations| scalar(annotations, MANAGED)).is_some_and(|managed| managed == "false") {
            return vec![Found::Skipped { what: format!("{what}, whose {MANAGED} is false"), place: self.at(node) }];
        }
        let empty = Node { line: node.line, value: Value::Map(Vec::new()) };
        let spec = get(node, "spec").unwrap_or(&empty);
        vec![match self.topic(spec, name, "topicName") {
            Ok(topic) => Found::Topic(topic),
            Err((place, reason)) => Found::Bad { what, place, reason },
        }]
    }

    /// An item of our own list: a name alone, or a map.
    fn own(&self, node: &Node) -> Found {
        let name = match &node.value {
            Value::Text(name) => name.as_str(),
            _ => scalar(node, "name").unwrap_or_default(),
        };
        let empty = Node { line: node.line, value: Value::Map(Vec::new()) };
        let spec = if matches!(node.value, Value::Text(_)) { &empty } else { node };
        match self.topic(spec, name, "name") {
            Ok(topic) => Found::Topic(topic),
            Err((place, reason)) => Found::Bad { what: format!("topic {name}").trim_end().into(), place, reason },
        }
    }

    fn topic(&self, spec: &Node, name: &str, name_key: &str) -> Result<Declared, (Place, String)> {
        let Value::Map(entries) = &spec.value else { return Err((self.at(spec), "not a map of settings".into())) };
        let mut topic = Declared {
            name: name.into(),
            place: self.at(spec),
            partitions: None,
            replicas: None,
            config: BTreeMap::new(),
        };
        for (key, node) in entries {
            let problem = |reason: String| (self.at(node), format!("{key}: {reason}"));
            match (key.as_str(), &node.value) {
                (_, Value::Null) => {}
                ("partitions", Value::Text(text)) => topic.partitions = Some(count(text).map_err(problem)?),
                ("replicas", Value::Text(text)) => topic.replicas = Some(count(text).map_err(problem)?),
                ("config", Value::Map(settings)) => topic.config = self.settings(settings)?,
                (key, Value::Text(text)) if key == name_key => topic.name = text.clone(),
                ("partitions" | "replicas" | "config", _) => return Err(problem("of the wrong kind".into())),
                _ => {
                    let reason = format!("not known here; {name_key}, partitions, replicas and config are");
                    return Err(problem(reason));
                }
            }
        }
        if topic.name.is_empty() {
            return Err((self.at(spec), "it has no name".into()));
        }
        Ok(topic)
    }

    /// A list is the setting's value with commas, as in `cleanup.policy: [compact, delete]`; null is no setting.
    fn settings(&self, settings: &[(String, Node)]) -> Result<BTreeMap<String, String>, (Place, String)> {
        let mut config = BTreeMap::new();
        for (key, node) in settings {
            let text = match &node.value {
                Value::Null => continue,
                Value::Text(text) => Some(text.trim().to_string()),
                Value::List(items) => {
                    let texts: Option<Vec<&str>> = items.iter().map(text_of).collect();
                    texts.map(|texts| texts.join(","))
                }
                Value::Map(_) => None,
            };
            let Some(text) = text else {
                return Err((self.at(node), format!("{key}: a number, a text or a list of them is needed")));
            };
            config.insert(key.clone(), text);
        }
        Ok(config)
    }

    fn bad(&self, node: &Node, what: &str, reason: &str) -> Found {
        Found::Bad { what: what.into(), place: self.at(node), reason: reason.into() }
    }

    fn at(&self, node: &Node) -> Place {
        Place { file: self.file.into(), line: node.line }
    }
}

fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|(there, _)| there == key).map(|(_, node)| node)
}

fn scalar<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    get(node, key).and_then(text_of)
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn count<T: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    text.parse().ok().filter(|number| *number >= T::from(1)).ok_or_else(|| format!("{text} is no number from 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIMZI_FILE: &str = "\
apiVersion: kafka.strimzi.io/v1beta2
kind: KafkaTopic
metadata:
  name: todo-created
  labels:
    strimzi.io/cluster: todo-kafka
spec:
  topicName: todo.tasks.created
  partitions: 3
  replicas: 3
  config:
    retention.ms: 604800000
    compression.type: snappy
    preallocate: true
    min.insync.replicas: \"2\"
    cleanup.policy: [compact, delete]
    segment.ms: null
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata: {name: plain}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
---
";

    #[test]
    fn strimzis_topics_of_both_versions_are_read_and_other_kinds_named() {
        let found = read_file("f", STRIMZI_FILE);
        let [Found::Topic(created), Found::Topic(plain), Found::Skipped { what, place }] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (created.name.as_str(), created.partitions, created.replicas),
            ("todo.tasks.created", Some(3), Some(3))
        );
        let config: Vec<String> = created.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            config,
            [
                "cleanup.policy=compact,delete",
                "compression.type=snappy",
                "min.insync.replicas=2",
                "preallocate=true",
                "retention.ms=604800000",
            ]
        );
        assert_eq!((plain.name.as_str(), plain.partitions, plain.replicas), ("plain", None, None));
        assert!(what.starts_with("Deployment web") && place.to_string() == "f:23", "{what} {place}");
    }

    #[test]
    fn our_own_list_has_names_or_maps() {
        let text = "topics:\n  - orders\n  - name: clicks\n    partitions: 6\n    config: {retention.ms: 1000}\n";
        let bare = text.replacen("topics:\n", "", 1);
        for text in [text, &bare] {
            let found = read_file("f", text);
            let [Found::Topic(orders), Found::Topic(clicks)] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((orders.name.as_str(), orders.partitions), ("orders", None));
            assert_eq!((clicks.name.as_str(), clicks.partitions), ("clicks", Some(6)));
            assert_eq!(clicks.config["retention.ms"], "1000");
        }
        let kubectls = "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[{\"apiVersion\":\"kafka.strimzi.io/v1\",\
                        \"kind\":\"KafkaTopic\",\"metadata\":{\"name\":\"t\"},\"spec\":{\"partitions\":2}}]}";
        assert!(matches!(read_file("f", kubectls).as_slice(), [Found::Topic(topic)] if topic.partitions == Some(2)));
    }

    #[test]
    fn mistakes_are_named_with_their_line_and_spoil_nothing_else() {
        for (text, line, words) in [
            ("- {name: a, partition: 3}\n- b\n", 1, "partition: not known"),
            ("- name: a\n  partitions: 0\n- b\n", 2, "0 is no number"),
            ("- name: a\n  replicas: 40000\n- b\n", 2, "40000 is no number"),
            ("- {partitions: 3}\n- b\n", 1, "no name"),
            ("- name: a\n  config:\n    x: {y: z}\n- b\n", 3, "x: a number"),
            ("- name: a\n  config: 3\n- b\n", 2, "config: of the wrong kind"),
        ] {
            let found = read_file("f", text);
            let [Found::Bad { place, reason, .. }, Found::Topic(b)] = found.as_slice() else {
                panic!("{text}{found:?}")
            };
            assert!(place.line == line && reason.contains(words) && b.name == "b", "{text}{found:?}");
        }
        let old = "apiVersion: kafka.strimzi.io/v1alpha1\nkind: KafkaTopic\n";
        for (text, words) in [(old, "v1alpha1 is not known"), ("a: 1\n", "neither"), ("text\n", "neither"), ("[", "")] {
            let found = read_file("f", text);
            assert!(
                matches!(found.as_slice(), [Found::Bad { reason, .. }] if reason.contains(words)),
                "{text}{found:?}"
            );
        }
        let unmanaged = "apiVersion: kafka.strimzi.io/v1\nkind: KafkaTopic\n\
                         metadata: {name: t, annotations: {strimzi.io/managed: \"false\"}}\n";
        assert!(matches!(read_file("f", unmanaged).as_slice(), [Found::Skipped { .. }]));
    }
}

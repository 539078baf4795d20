//! An answer as a tree of names and texts, read out of its `Debug` form: one comparison serves every message.

use std::collections::BTreeMap;
use std::fmt;

/// A value of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tree {
    /// A number, a name, null.
    Atom(String),
    /// A text, without its quotes and with its escapes.
    Text(String),
    List(Vec<Tree>),
    /// Fields in wire order.
    Struct(Vec<(String, Tree)>),
}

impl Tree {
    pub(crate) fn atom(text: impl Into<String>) -> Tree {
        Tree::Atom(text.into())
    }

    /// Reads what `{:?}` prints of messages, which are structs, lists, options, texts and words.
    pub(crate) fn read(debug: &str) -> Tree {
        let mut reader = Reader { rest: debug };
        let tree = reader.value();
        assert!(reader.rest.is_empty(), "not understood: {}", reader.rest);
        tree
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Struct(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The bare text of a leaf.
    pub(crate) fn text(&self) -> &str {
        match self {
            Tree::Atom(text) | Tree::Text(text) => text,
            _ => "",
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Atom(text) => f.write_str(text),
            Tree::Text(text) => write!(f, "\"{text}\""),
            Tree::List(items) => {
                f.write_str("[")?;
                for (place, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Tree::Struct(fields) => {
                f.write_str("{")?;
                for (place, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}: {value}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self, token: &str) -> bool {
        let found = self.rest.starts_with(token);
        if found {
            self.rest = &self.rest[token.len()..];
        }
        found
    }

    fn expect(&mut self, token: &str) {
        assert!(self.skip(token), "no {token:?} at: {}", self.rest);
    }

    fn value(&mut self) -> Tree {
        if self.skip("[") {
            return Tree::List(self.until("]", Reader::value));
        }
        if self.skip("\"") || self.skip("b\"") {
            return self.quoted();
        }
        let end = self.rest.find([',', ' ', '(', ')', ']', '}']).unwrap_or(self.rest.len());
        let word = self.rest[..end].to_string();
        self.rest = &self.rest[end..];
        if self.skip(" { ") {
            return Tree::Struct(self.until(" }", |reader| {
                let colon = reader.rest.find(": ").expect("a field has a name");
                let name = reader.rest[..colon].to_string();
                reader.rest = &reader.rest[colon + 2..];
                (name, reader.value())
            }));
        }
        if word == "Records" {
            let end = self.rest.find(')').expect("records close") + 1;
            self.rest = &self.rest[end..];
            return Tree::Atom(word);
        }
        if self.skip("(") {
            let value = self.value();
            self.expect(")");
            return value;
        }
        Tree::Atom(word)
    }

    fn until<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        while !self.skip(close) {
            items.push(item(self));
            self.skip(", ");
        }
        items
    }

    fn quoted(&mut self) -> Tree {
        let mut escaped = false;
        let end = self.rest.bytes().position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let end = end.expect("a text ends");
        let text = self.rest[..end].to_string();
        self.rest = &self.rest[end + 1..];
        Tree::Text(text)
    }
}

/// Where two trees differ, and what each says there.
pub(crate) fn differences(kafka: &Tree, ottla: &Tree) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    compare("", kafka, ottla, &mut found);
    found
}

fn compare(path: &str, kafka: &Tree, ottla: &Tree, found: &mut Vec<(String, String, String)>) {
    match (kafka, ottla) {
        (Tree::Struct(left), Tree::Struct(right)) if left.len() == right.len() => {
            for ((name, left), (_, right)) in left.iter().zip(right) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&path, left, right, found);
            }
        }
        (Tree::List(left), Tree::List(right)) => compare_lists(path, left, right, found),
        _ if kafka != ottla => found.push((path.to_string(), kafka.to_string(), ottla.to_string())),
        _ => {}
    }
}

/// Items are told apart by what names them, or else by their place.
fn compare_lists(path: &str, left: &[Tree], right: &[Tree], found: &mut Vec<(String, String, String)>) {
    let mut keyed: BTreeMap<String, [Option<&Tree>; 2]> = BTreeMap::new();
    for (side, items) in [left, right].into_iter().enumerate() {
        for (place, item) in items.iter().enumerate() {
            let mut key = key_of(item).map_or_else(|| place.to_string(), |(_, key)| key);
            while keyed.get(&key).is_some_and(|sides| sides[side].is_some()) {
                key.push('\'');
            }
            keyed.entry(key).or_default()[side] = Some(item);
        }
    }
    for (key, sides) in keyed {
        let path = format!("{path}[{key}]");
        match sides {
            [Some(left), Some(right)] => compare(&path, left, right, found),
            [left, right] => {
                let show = |side: Option<&Tree>| side.map_or_else(|| "nothing".to_string(), Tree::to_string);
                found.push((path, show(left), show(right)));
            }
        }
    }
}

/// What names an item of a list, by the field it stands in.
const KEYS: &[&str] = &[
    "name",
    "topic",
    "topic_id",
    "partition_index",
    "index",
    "partition",
    "group_id",
    "member_id",
    "resource_name",
    "node_id",
    "broker_id",
    "api_key",
    "key",
    "log_dir",
    "batch_index",
    "entity_type",
    "user",
    // Of a quota: whose it is.
    "entity",
];

pub(crate) fn key_of(item: &Tree) -> Option<(&'static str, String)> {
    let text = |value: &Tree| match value {
        Tree::List(_) => value.to_string(),
        value => value.text().to_string(),
    };
    let keys = KEYS.iter().filter_map(|key| item.field(key).map(|value| (*key, text(value))));
    // A topic that goes by its id has an empty name.
    let mut found: Vec<_> = keys.collect();
    let place = found.iter().position(|(_, key)| !key.is_empty()).unwrap_or(0);
    (!found.is_empty()).then(|| found.swap_remove(place))
}

//! YAML, and JSON with it, as a small tree that knows its lines.
//!
//! Scalars stay the text they were written as: what a topic's setting is, the broker decides, and 604800000 must not
//! become 6.048e8 on the way.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// How deep lists and maps may stand in one another.
const DEPTH_MAX: usize = 64;
/// Nodes in one file, with each use of an anchor counted whole: a few lines of anchors can unfold to billions.
const NODES_MAX: usize = 200_000;
/// So many bytes of a text that an anchor repeats count as one more node.
const NODE_BYTES: usize = 64;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; no key is there twice.
    Map(Vec<(String, Node)>),
}

/// Why a file cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) reason: String,
}

/// The documents of a file.
///
/// # Errors
/// When it is not YAML, when a map has a key twice, and when it is deeper or larger than any list of topics.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Unreadable> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.take(event, span)?,
            Err(error) => return Err(unreadable(error.marker().line(), error.info())),
        }
    }
    Ok(builder.documents)
}

fn unreadable(line: usize, reason: impl Into<String>) -> Unreadable {
    Unreadable { line, reason: reason.into() }
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

/// A list or a map of which not all has come.
struct Open {
    anchor: usize,
    node: Node,
    /// Of the entry whose value comes next.
    key: Option<String>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unreadable> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.weigh(1, line)?;
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let is_null = is_plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if is_null { Value::Null } else { Value::Text(text.into_owned()) };
                self.add(Node { line, value }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(Node { line, value: Value::List(Vec::new()) }, anchor),
            Event::MappingStart(anchor, _) => self.begin(Node { line, value: Value::Map(Vec::new()) }, anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.add(open.node, open.anchor),
                None => Err(unreadable(line, "something ends that has not begun")),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.weigh(count(&node), line)?;
                    self.add(Node { line, ..node }, 0)
                }
                None => Err(unreadable(line, "an alias stands inside what it names")),
            },
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), Unreadable> {
        self.weigh(1, node.line)?;
        if self.open.len() == DEPTH_MAX {
            return Err(unreadable(node.line, format!("more than {DEPTH_MAX} lists and maps in one another")));
        }
        self.open.push(Open { anchor, node, key: None });
        Ok(())
    }

    fn weigh(&mut self, nodes: usize, line: usize) -> Result<(), Unreadable> {
        self.nodes += nodes;
        let is_too_much = self.nodes > NODES_MAX;
        if is_too_much { Err(unreadable(line, format!("more than {NODES_MAX} values in one file"))) } else { Ok(()) }
    }

    /// Puts a whole node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Unreadable> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::Map(entries), Some(key)) => entries.push((key, node)),
            (Value::Map(entries), None) => {
                let Value::Text(key) = node.value else { return Err(unreadable(node.line, "a key that is no text")) };
                if entries.iter().any(|(there, _)| *there == key) {
                    return Err(unreadable(node.line, format!("{key} is here twice")));
                }
                open.key = Some(key);
            }
            (Value::List(items), _) => items.push(node),
            (Value::Null | Value::Text(_), _) => return Err(unreadable(node.line, "a value inside a scalar")),
        }
        Ok(())
    }
}

/// How many nodes a use of an anchor adds.
fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Null => 0,
        Value::Text(text) => text.len() / NODE_BYTES,
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(entries) => entries.iter().map(|(key, node)| key.len() / NODE_BYTES + count(node)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(node: &Node) -> &str {
        match &node.value {
            Value::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    fn entry<'n>(node: &'n Node, key: &str) -> &'n Node {
        let Value::Map(entries) = &node.value else { panic!("{node:?}") };
        &entries.iter().find(|(there, _)| there == key).expect(key).1
    }

    #[test]
    fn scalars_stay_as_written_and_know_their_lines() {
        let documents = documents("a: 604800000\nb: 0.50\nc: true\nd: ~\ne: \"null\"\n---\n- x\n- [1, 2]\n").unwrap();
        assert_eq!(documents.len(), 2);
        let (first, second) = (&documents[0], &documents[1]);
        assert_eq!(["a", "b", "c", "e"].map(|key| text(entry(first, key))), ["604800000", "0.50", "true", "null"]);
        assert_eq!(entry(first, "d").value, Value::Null);
        assert_eq!(entry(first, "c").line, 3);
        assert!(matches!(&second.value, Value::List(items) if items.len() == 2 && items[1].line == 8), "{second:?}");
    }

    #[test]
    fn anchors_work_and_cannot_explode() {
        let documents_of = documents("a: &x {k: v}\nb: *x\n").unwrap();
        assert_eq!(text(entry(entry(&documents_of[0], "b"), "k")), "v");
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        let refused = documents(&bomb).unwrap_err();
        assert!(refused.reason.contains("200000 values"), "{refused:?}");
        assert!(documents("a: &a [*a]\n").is_err(), "a list inside itself");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        assert_eq!(documents("a: 1\na: 2\n").unwrap_err(), unreadable(2, "a is here twice"));
        assert_eq!(documents("a: [1\nb: 2\n").unwrap_err().line, 2);
        assert!(documents(&"[".repeat(65)).unwrap_err().reason.contains("64 lists"));
        assert!(documents(&"[".repeat(100_000)).is_err());
        assert_eq!(documents("").unwrap(), []);
    }

    #[test]
    fn a_long_text_cannot_be_repeated_without_end() {
        let long = "x".repeat(100_000);
        let times = |times: usize| documents(&format!("- &a {long}\n{}", "- *a\n".repeat(times)));
        times(100).unwrap();
        assert!(times(1000).unwrap_err().reason.contains("values in one file"));
        let keys = format!("- &a {{? {long} : 1}}\n{}", "- *a\n".repeat(1000));
        assert!(documents(&keys).unwrap_err().reason.contains("values in one file"));
    }
}

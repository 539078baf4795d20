//! Kafka's message schemas, read from their JSON.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::Value;

/// A file: a request, a response, or something else with versions.
#[derive(Clone)]
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) is_request: bool,
    pub(crate) api_key: Option<i16>,
    pub(crate) flexible: Versions,
    pub(crate) fields: Vec<SchemaField>,
    valid: Versions,
    newest_is_unstable: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct SchemaField {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) versions: Versions,
    pub(crate) nullable: Versions,
    pub(crate) tag: Option<u32>,
    pub(crate) default: Option<String>,
    tagged: Versions,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Primitive(String),
    Array(Box<Type>),
    Struct(String, Vec<SchemaField>),
}

/// `first..=last`; none when `last` is smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Versions {
    pub(crate) first: i16,
    pub(crate) last: i16,
}

impl PartialEq for SchemaField {
    fn eq(&self, other: &SchemaField) -> bool {
        self.name == other.name && self.kind == other.kind && self.versions == other.versions
    }
}

impl Versions {
    const NONE: Versions = Versions { first: 0, last: -1 };

    fn parse(text: &str) -> Versions {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("a version: {text:?}"));
        match (text, text.strip_suffix('+'), text.split_once('-')) {
            ("none", ..) => Versions::NONE,
            (_, Some(first), _) => Versions { first: number(first), last: i16::MAX },
            (_, _, Some((first, last))) => Versions { first: number(first), last: number(last) },
            _ => Versions { first: number(text), last: number(text) },
        }
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }
}

impl Schema {
    /// The versions that a release serves without being told to.
    pub(crate) fn stable_versions(&self) -> RangeInclusive<i16> {
        self.valid.first..=self.valid.last - i16::from(self.newest_is_unstable)
    }
}

impl SchemaField {
    pub(crate) fn is_plain_in(&self, version: i16) -> bool {
        self.versions.contains(version) && !self.tagged.contains(version)
    }

    pub(crate) fn is_tagged_in(&self, version: i16) -> bool {
        self.versions.contains(version) && self.tagged.contains(version)
    }

    pub(crate) fn tag_as(&mut self, tag: u32, since: i16) {
        (self.tag, self.tagged) = (Some(tag), Versions { first: since, last: i16::MAX });
    }

    /// The default as Rust prints it; `None` for structs, whose fields have their own.
    pub(crate) fn default_in_rust(&self, optional: bool) -> Option<String> {
        let default = self.default.as_deref();
        // A text that may be null is null unless Kafka says otherwise: our one exception.
        if default == Some("null") || (optional && default.is_none() && self.kind.is("string")) {
            return Some("None".to_owned());
        }
        // Kafka's own rule: records are null until there are some.
        if self.kind.is("records") {
            return Some(if optional { "None" } else { "Records(0 bytes)" }.to_owned());
        }
        let value = match &self.kind {
            Type::Struct(..) => return None,
            Type::Array(_) => "[]".to_owned(),
            Type::Primitive(name) => match name.as_str() {
                "string" => format!("{:?}", default.unwrap_or_default()),
                "bytes" => "b\"\"".to_owned(),
                "uuid" => "A".repeat(22),
                "bool" => default.unwrap_or("false").to_lowercase(),
                "float64" => format!("{:?}", default.unwrap_or("0").parse::<f64>().expect("a number")),
                _ => integer(default.unwrap_or("0")).to_string(),
            },
        };
        Some(if optional { format!("Some({value})") } else { value })
    }
}

impl Type {
    fn is(&self, primitive: &str) -> bool {
        matches!(self, Type::Primitive(name) if name == primitive)
    }
}

fn integer(text: &str) -> i64 {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).expect("a number"),
        None => text.parse().unwrap_or_else(|_| panic!("a number: {text:?}")),
    }
}

/// Every schema of a directory, by name.
pub(crate) fn read_all(dir: &Path) -> BTreeMap<String, Schema> {
    let files = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())).flatten();
    files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter_map(|path| read(&path))
        .map(|schema| (schema.name.clone(), schema))
        .collect()
}

fn read(path: &Path) -> Option<Schema> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // A comment is a whole line in all of Kafka's files.
    let json: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let json: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // A few files list the kinds of control records and such; they have no fields.
    let fields = json.get("fields")?;
    let structs: BTreeMap<&str, &Value> = array(json.get("commonStructs"))
        .iter()
        .map(|common| (text_of(common, "name").expect("structs have names"), &common["fields"]))
        .collect();
    Some(Schema {
        name: text_of(&json, "name").expect("schemas have names").to_owned(),
        is_request: text_of(&json, "type") == Some("request"),
        api_key: json.get("apiKey").and_then(Value::as_i64).map(|key| key as i16),
        valid: Versions::parse(text_of(&json, "validVersions").expect("schemas have versions")),
        flexible: text_of(&json, "flexibleVersions").map_or(Versions::NONE, Versions::parse),
        newest_is_unstable: json.get("latestVersionUnstable") == Some(&Value::Bool(true)),
        fields: read_fields(fields, &structs),
    })
}

fn read_fields(fields: &Value, structs: &BTreeMap<&str, &Value>) -> Vec<SchemaField> {
    let versions = |field: &Value, key| text_of(field, key).map_or(Versions::NONE, Versions::parse);
    array(Some(fields))
        .iter()
        .map(|field| SchemaField {
            name: text_of(field, "name").expect("fields have names").to_owned(),
            kind: read_type(text_of(field, "type").expect("fields have types"), field, structs),
            // A field may say only where it is tagged.
            versions: versions(field, if field.get("versions").is_some() { "versions" } else { "taggedVersions" }),
            nullable: versions(field, "nullableVersions"),
            tagged: versions(field, "taggedVersions"),
            tag: field.get("tag").and_then(Value::as_u64).map(|tag| tag as u32),
            default: field.get("default").map(|default| match default {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
        })
        .collect()
}

fn read_type(name: &str, field: &Value, structs: &BTreeMap<&str, &Value>) -> Type {
    if let Some(element) = name.strip_prefix("[]") {
        return Type::Array(Box::new(read_type(element, field, structs)));
    }
    if name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Type::Primitive(name.to_owned());
    }
    let fields = field.get("fields").or_else(|| structs.get(name).copied());
    Type::Struct(name.to_owned(), read_fields(fields.unwrap_or_else(|| panic!("no struct {name}")), structs))
}

fn array(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// Kafka's name for a field, as ours.
pub(crate) fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let after_small = i > 0 && !letters[i - 1].is_uppercase();
        let before_small = i > 0 && letters.get(i + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && (after_small || before_small) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

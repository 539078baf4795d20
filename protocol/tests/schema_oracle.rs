//! Every message against Kafka's own schemas, field by field and version by version.
//!
//! The schemas lie in the jars of Kafka's releases and are taken out by `cargo xtask oracle schemas`; somewhere else if
//! `OTTLA_KAFKA_SCHEMAS` says so. Two releases together have every version that was ever released: 3.9 still has those
//! that 4.0 dropped. Without schemas the test says that it was skipped, and fails where `CI` is set.

mod schema;

use std::collections::BTreeMap;
use std::env;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use protocol::field::{FieldInfo, Kind, StructInfo};
use protocol::{internal, messages};
use schema::{Schema, SchemaField, Type, snake_case};

const NEWEST: &str = "4.3.1";
const RELEASES: [&str; 2] = ["3.9.1", NEWEST];

/// What only brokers and controllers say to each other, and is not declared here.
const BETWEEN_BROKERS: &[i16] = &[4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82, 83, 84, 85, 86, 87];

/// By that name until 4.1; its one version then is the first of today's API.
const FORMER_NAMES: &[&str] = &["ListClientMetricsResourcesRequest"];

/// One message as we declare it.
struct Declared {
    info: &'static StructInfo,
    versions: RangeInclusive<i16>,
    flexible_from: Option<i16>,
    key: Option<i16>,
    /// Whose schema says which versions are released.
    versions_of: &'static str,
}

fn schemas_dir() -> Option<PathBuf> {
    let dir = env::var_os("OTTLA_KAFKA_SCHEMAS").map(PathBuf::from).unwrap_or_else(|| {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("oracle/schemas")
    });
    RELEASES.iter().all(|release| dir.join(release).is_dir()).then_some(dir)
}

/// The schemas of each release, by name, or `None` when there are none here.
fn releases(test: &str) -> Option<Vec<BTreeMap<String, Schema>>> {
    let Some(dir) = schemas_dir() else {
        let told_to = env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1");
        assert!(!told_to, "{test}: no schemas; run `cargo xtask oracle schemas` first");
        println!("SKIPPED {test}: no schemas here; `cargo xtask oracle schemas` fetches them");
        return None;
    };
    Some(RELEASES.iter().map(|release| schema::read_all(&dir.join(release))).collect())
}

fn declared() -> Vec<Declared> {
    let apis = messages::ALL.iter().flat_map(|api| {
        [api.request, api.response].map(|info| Declared {
            info,
            versions: api.versions.clone(),
            flexible_from: api.flexible_from,
            key: Some(api.key),
            versions_of: api.request.name,
        })
    });
    let records = internal::ALL.iter().map(|record| Declared {
        info: record.fields,
        versions: record.versions.clone(),
        flexible_from: record.flexible_from,
        key: None,
        versions_of: record.fields.name,
    });
    apis.chain(records).collect()
}

#[test]
fn messages_are_those_of_kafka() {
    let Some(releases) = releases("messages_are_those_of_kafka") else { return };
    let mut differences = Vec::new();
    for message in declared() {
        let mut released: Vec<i16> = Vec::new();
        for (release, schemas) in RELEASES.iter().zip(&releases) {
            let Some(schema) = schemas.get(message.info.name) else { continue };
            let versions = schemas[message.versions_of].stable_versions();
            // Since 4.1 the version in front of a key stands in the schema's place of an API key.
            match schema.api_key.filter(|_| message.key.is_none() && message.info.name.ends_with("Key")) {
                Some(version) => released.push(version),
                None => released.extend(versions.clone()),
            }
            for version in versions {
                let place = format!("{} v{version} ({release})", message.info.name);
                compare_message(&message, schema, version, &place, &mut differences);
            }
        }
        released.sort();
        released.dedup();
        if released != message.versions.clone().collect::<Vec<_>>() {
            differences.push(format!("{}: declared {:?}, released {released:?}", message.info.name, message.versions));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn every_api_of_kafka_is_declared_or_known_to_be_between_brokers() {
    let Some(releases) = releases("every_api_of_kafka_is_declared_or_known_to_be_between_brokers") else { return };
    for schemas in &releases {
        for schema in schemas.values().filter(|schema| schema.is_request) {
            let key = schema.api_key.expect("requests have a key");
            let api = messages::ALL.iter().find(|api| api.key == key);
            match api {
                Some(api) if FORMER_NAMES.contains(&schema.name.as_str()) => assert_eq!(api.key, key),
                Some(api) => assert_eq!(api.request.name, schema.name),
                None => assert!(BETWEEN_BROKERS.contains(&key), "{} ({key}) is not declared", schema.name),
            }
            assert_eq!(format!("{}Request", messages::api_name(key)), renamed(&schema.name));
        }
    }
    let newest = releases.last().expect("there are releases");
    for api in messages::ALL {
        assert!(newest.contains_key(api.request.name), "{} is not Kafka's", api.name);
        assert!(newest.contains_key(api.response.name), "{} is not Kafka's", api.name);
        assert_eq!(format!("{}Request", api.name), api.request.name);
        assert!(!BETWEEN_BROKERS.contains(&api.key), "{} is declared", api.name);
    }
}

fn renamed(name: &str) -> &str {
    if FORMER_NAMES.contains(&name) { "ListConfigResourcesRequest" } else { name }
}

fn compare_message(message: &Declared, schema: &Schema, version: i16, place: &str, differences: &mut Vec<String>) {
    if message.key.is_some() && message.key != schema.api_key {
        differences.push(format!("{place}: key {:?}, in Kafka {:?}", message.key, schema.api_key));
    }
    let flexible = message.flexible_from.is_some_and(|first| version >= first);
    if flexible != schema.flexible.contains(version) {
        differences.push(format!("{place}: flexible {flexible}, not so in Kafka"));
    }
    compare_struct(message.info, &schema.fields, version, place, differences);
}

fn compare_struct(
    ours: &'static StructInfo,
    kafka: &[SchemaField],
    version: i16,
    place: &str,
    differences: &mut Vec<String>,
) {
    let ours = (ours.fields)();
    let plain: Vec<_> = ours.iter().filter(|field| field.meta.is_plain_in(version)).collect();
    let kafka_plain: Vec<_> = kafka.iter().filter(|field| field.is_plain_in(version)).collect();
    let names: Vec<_> = plain.iter().map(|field| name(field)).collect();
    let kafka_names: Vec<_> = kafka_plain.iter().map(|field| snake_case(&field.name)).collect();
    if names != kafka_names {
        differences.push(format!("{place}: fields {names:?}, in Kafka {kafka_names:?}"));
        return;
    }
    let mut pairs: Vec<_> = plain.into_iter().zip(kafka_plain).collect();

    let tagged: BTreeMap<_, _> =
        ours.iter().filter(|f| f.meta.is_tagged_in(version)).map(|f| (f.meta.tag, f)).collect();
    let kafka_tagged: BTreeMap<_, _> = kafka.iter().filter(|f| f.is_tagged_in(version)).map(|f| (f.tag, f)).collect();
    // A later release may add tags to a version that is out already: that is what tags are for.
    let missing_in_kafka = tagged.keys().any(|tag| !kafka_tagged.contains_key(tag)) && place.contains(NEWEST);
    if kafka_tagged.keys().any(|tag| !tagged.contains_key(tag)) || missing_in_kafka {
        differences.push(format!("{place}: tags {:?}, in Kafka {:?}", tagged.keys(), kafka_tagged.keys()));
        return;
    }
    pairs.extend(kafka_tagged.into_iter().map(|(tag, kafka)| (tagged[&tag], kafka)));
    for (ours, kafka) in pairs {
        compare_field(ours, kafka, version, &format!("{place}.{}", ours.name), differences);
    }
}

fn name(field: &FieldInfo) -> String {
    field.name.trim_start_matches("r#").to_owned()
}

fn compare_field(ours: &FieldInfo, kafka: &SchemaField, version: i16, place: &str, differences: &mut Vec<String>) {
    if name(ours) != snake_case(&kafka.name) {
        differences.push(format!("{place}: tagged, in Kafka {}", kafka.name));
    }
    let nullable = ours.optional && ours.meta.layout(version, true).nullable;
    if nullable != kafka.nullable.contains(version) {
        differences.push(format!("{place}: null allowed {nullable}, not so in Kafka"));
    }
    let default = kafka.default_in_rust(ours.optional);
    if default.as_ref().is_some_and(|default| *default != ours.default && !(default == "0" && ours.default == "NONE")) {
        differences.push(format!("{place}: default {}, in Kafka {default:?}", ours.default));
    }
    compare_kind(&ours.kind, &kafka.kind, version, place, differences);
}

fn compare_kind(ours: &Kind, kafka: &Type, version: i16, place: &str, differences: &mut Vec<String>) {
    match (ours, kafka) {
        (Kind::Primitive(ours), Type::Primitive(kafka)) if ours == kafka => {}
        (Kind::Array(ours), Type::Array(kafka)) => compare_kind(ours, kafka, version, place, differences),
        // Where a request and its answer use one name for two structs, ours have longer ones.
        (Kind::Struct(ours), Type::Struct(name, fields)) if ours.name.ends_with(name.as_str()) => {
            compare_struct(ours, fields, version, place, differences);
        }
        _ => differences.push(format!("{place}: {ours:?}, in Kafka {kafka:?}")),
    }
}

#[test]
fn differences_are_found() {
    let Some(releases) = releases("differences_are_found") else { return };
    let heartbeat = declared().into_iter().find(|message| message.info.name == "HeartbeatRequest").unwrap();
    let found = |change: &dyn Fn(&mut Schema)| {
        let mut schema = releases[1]["HeartbeatRequest"].clone();
        change(&mut schema);
        let mut differences = Vec::new();
        for version in 0..=4 {
            compare_message(&heartbeat, &schema, version, NEWEST, &mut differences);
        }
        differences.len()
    };
    assert_eq!(found(&|_| {}), 0);
    assert_eq!(found(&|schema| schema.api_key = Some(13)), 5);
    assert_eq!(found(&|schema| schema.flexible.first = 3), 1);
    assert_eq!(found(&|schema| schema.fields.swap(0, 1)), 5);
    assert_eq!(found(&|schema| schema.fields[3].versions.first = 2), 1);
    assert_eq!(found(&|schema| schema.fields[3].nullable.first = 4), 1);
    assert_eq!(found(&|schema| schema.fields[1].default = Some("-1".to_owned())), 5);
    assert_eq!(found(&|schema| schema.fields[1].kind = Type::Primitive("int64".to_owned())), 5);
    assert_eq!(found(&|schema| schema.fields[3].tag_as(0, 4)), 1);
    assert_eq!(found(&|schema| schema.fields.truncate(3)), 2);
}

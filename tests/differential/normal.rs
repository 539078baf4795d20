//! What may differ between two brokers that answer alike: ids, clocks, addresses, and the words of a message.

use std::any::Any;

use protocol::messages::FetchResponse;
use protocol::messages::describe_quorum::DescribeQuorumResponse;
use protocol::records::batches;
use protocol::wire::Records;

use crate::side::{Answer, Side};
use crate::tree::{Tree, key_of};

/// The answer as a tree in which only what matters is left.
pub(crate) fn normal<R: std::fmt::Debug + Any>(side: &Side, answer: &Answer<R>) -> Tree {
    match answer {
        Answer::Response(response) => {
            let mut tree = Tree::read(&format!("{response:?}"));
            if let Some(fetched) = (response as &dyn Any).downcast_ref::<FetchResponse>() {
                let mut records = fetched.responses.iter().flat_map(|topic| &topic.partitions).map(|p| &p.records);
                put_records(&mut tree, &mut records);
            }
            let mut generated = Vec::new();
            let is_quorum = (response as &dyn Any).is::<DescribeQuorumResponse>();
            normalise(&mut tree, "", &mut Scope { side, is_quorum, generated: &mut generated });
            tree
        }
        Answer::Closed => Tree::atom("closed"),
        Answer::Late => Tree::atom("no answer"),
        Answer::Silent => Tree::atom("silent"),
        Answer::Unreadable(error) => Tree::atom(format!("unreadable: {error}")),
    }
}

/// Lists whose order says nothing: the partitions of a member, and what it subscribes to.
const SETS: &[&str] = &["partitions", "subscribed_topic_names"];

struct Scope<'a> {
    side: &'a Side,
    /// Whether offsets are those of the metadata log, of which each broker has its own.
    is_quorum: bool,
    /// Member ids that nobody has named yet, in the order in which they appear.
    generated: &'a mut Vec<String>,
}

fn normalise(tree: &mut Tree, name: &str, scope: &mut Scope<'_>) {
    match tree {
        Tree::Struct(fields) => {
            for (name, value) in fields {
                normalise(value, name, scope);
            }
        }
        Tree::List(items) => {
            for item in items.iter_mut() {
                normalise(item, name, scope);
            }
            if items.first().is_some_and(|item| key_of(item).is_some()) {
                items.sort_by_key(|item| key_of(item).map(|(_, key)| key));
            } else if SETS.contains(&name) && items.iter().all(|item| matches!(item, Tree::Atom(_) | Tree::Text(_))) {
                items.sort_by_key(|item| item.text().to_string());
            }
        }
        Tree::Atom(_) | Tree::Text(_) => leaf(tree, name, scope),
    }
}

fn leaf(tree: &mut Tree, name: &str, scope: &mut Scope<'_>) {
    let text = tree.text().to_string();
    let sign = |text: &str| match text.parse::<i64>() {
        Ok(number) if number > 0 => Tree::atom("<above 0>"),
        Ok(number) if number < -1 => Tree::atom("<below -1>"),
        _ => Tree::atom(text),
    };
    let masked = match name {
        "throttle_time_ms" => Tree::atom("<time>"),
        "host" | "cluster_id" | "log_dir" | "client_host" if !text.is_empty() && text != "None" => Tree::atom("<own>"),
        "port"
        | "total_bytes"
        | "usable_bytes"
        | "log_append_time_ms"
        | "session_id"
        | "last_fetch_timestamp"
        | "last_caught_up_timestamp"
        | "last_timestamp"
        | "transaction_start_time_ms" => sign(&text),
        // A slow start costs Kafka's quorum elections, each of which is an epoch.
        "high_watermark" | "log_end_offset" | "leader_epoch" if scope.is_quorum => sign(&text),
        "producer_id" if text != "-1" => Tree::atom("<id>"),
        "error_message" | "batch_index_error_message" | "documentation" if !matches!(&*text, "None" | "NONE" | "") => {
            Tree::atom("<words>")
        }
        "topic_id" => topic_id(&text, scope.side),
        "member_id" | "leader" | "name" | "protocol_data" | "key" => member(tree, &text, scope),
        _ => return,
    };
    *tree = masked;
}

fn topic_id(text: &str, side: &Side) -> Tree {
    if text == "AAAAAAAAAAAAAAAAAAAAAA" {
        return Tree::atom("<none>");
    }
    match side.topic_name(text) {
        Some(name) => Tree::atom(format!("<id of {name}>")),
        None if *text == side.topic_id("").to_string() => Tree::atom("<unknown id>"),
        None => Tree::atom("<new id>"),
    }
}

/// The client or instance id, and a random UUID.
fn is_generated(text: &str) -> bool {
    let uuid = text.len().checked_sub(36).and_then(|start| text.get(start..)).unwrap_or_default();
    let hyphens: Vec<usize> = uuid.match_indices('-').map(|(place, _)| place).collect();
    hyphens == [8, 13, 18, 23] && uuid.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn member(tree: &Tree, text: &str, scope: &mut Scope<'_>) -> Tree {
    if let Some(alias) = scope.side.alias_of(text) {
        return Tree::atom(format!("<{alias}>"));
    }
    if !is_generated(text) {
        return tree.clone();
    }
    let place = scope.generated.iter().position(|known| known == text).unwrap_or_else(|| {
        scope.generated.push(text.to_string());
        scope.generated.len() - 1
    });
    Tree::atom(format!("<new member {place}>"))
}

/// Says of record batches what is in them. A batch that is cut off at the end is nothing, as it is to clients.
fn put_records(tree: &mut Tree, records: &mut dyn Iterator<Item = &Option<Records>>) {
    match tree {
        Tree::Struct(fields) => {
            for (name, value) in fields {
                if name == "records" {
                    if let Some(records) = records.next().expect("as many records as partitions") {
                        *value = describe(&records.clone().into_bytes());
                    }
                } else {
                    put_records(value, records);
                }
            }
        }
        Tree::List(items) => items.iter_mut().for_each(|item| put_records(item, records)),
        _ => {}
    }
}

fn describe(bytes: &[u8]) -> Tree {
    let described = batches(bytes).map_while(Result::ok).map(|batch| {
        let append_time = batch.timestamp_type() == protocol::records::TimestampType::LogAppendTime;
        // The checksum covers the clock of the broker, and the id of the producer.
        let crc = if append_time || batch.has_producer_id() { 0 } else { batch.crc() };
        Tree::atom(format!(
            "{}..={} epoch {} attributes {:#x} records {} bytes {} sequence {}/{} crc {crc:08x} valid {}",
            batch.base_offset(),
            batch.last_offset(),
            batch.partition_leader_epoch(),
            batch.attributes(),
            batch.record_count(),
            batch.size_bytes(),
            batch.producer_epoch(),
            batch.base_sequence(),
            batch.is_crc_valid(),
        ))
    });
    Tree::List(described.collect())
}

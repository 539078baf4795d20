//! A subscription to what clients measure: which metrics, how often, of which clients.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use protocol::{ErrorCode, Uuid};
use regex_lite::{Regex, RegexBuilder};
use state::cluster::Refusal;

use crate::config::validate_client_metrics;

/// The interval of a client that matches no subscription, and of a subscription that names none.
pub(super) const DEFAULT_INTERVAL_MS: u32 = 300_000;
/// The prefix that stands for every metric.
const ALL_METRICS: &str = "*";
/// What a compiled expression may take, bytes: with as many as there may be it is some 24 MiB.
const PATTERN_BYTES_MAX: usize = 16 << 10;
/// Longer texts of a client match nothing: expressions are tried one after the other while others wait, bytes.
const MATCHED_BYTES_MAX: usize = 256;
/// What Kafka calls the software of a client that does not say what it is.
const UNKNOWN: &str = "unknown";

/// By what a subscription tells clients apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Selector {
    InstanceId,
    Id,
    SoftwareName,
    SoftwareVersion,
    SourceAddress,
    SourcePort,
}

impl Selector {
    fn from_name(name: &str) -> Option<Selector> {
        match name {
            "client_instance_id" => Some(Selector::InstanceId),
            "client_id" => Some(Selector::Id),
            "client_software_name" => Some(Selector::SoftwareName),
            "client_software_version" => Some(Selector::SoftwareVersion),
            "client_source_address" => Some(Selector::SourceAddress),
            "client_source_port" => Some(Selector::SourcePort),
            _ => None,
        }
    }
}

/// Who asks or pushes, as his connection tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    /// Empty when it sent none.
    pub(crate) client_id: &'a str,
    /// The name and the version of its software, if it told (KIP-511).
    pub(crate) software: Option<(&'a str, &'a str)>,
    pub(crate) peer: SocketAddr,
}

impl Client<'_> {
    /// Whether an expression matches the whole of what it is about. Nobody without a client id has one that matches.
    fn is_matched(&self, selector: Selector, pattern: &Regex, instance_id: Uuid) -> bool {
        let (name, version) = self.software.unwrap_or((UNKNOWN, UNKNOWN));
        let matches = |text: &str| text.len() <= MATCHED_BYTES_MAX && pattern.is_match(text);
        match selector {
            Selector::InstanceId => pattern.is_match(&instance_id.to_string()),
            Selector::Id => !self.client_id.is_empty() && matches(self.client_id),
            Selector::SoftwareName => matches(name),
            Selector::SoftwareVersion => matches(version),
            Selector::SourceAddress => pattern.is_match(&self.peer.ip().to_canonical().to_string()),
            Selector::SourcePort => pattern.is_match(&self.peer.port().to_string()),
        }
    }
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    metrics: Vec<String>,
    interval_ms: u32,
    /// All of them must match.
    patterns: BTreeMap<Selector, Regex>,
}

impl Subscription {
    /// Reads the settings of a CLIENT_METRICS resource.
    ///
    /// # Errors
    /// What is wrong with them, with Kafka's codes and sentences.
    pub(crate) fn of(configs: &BTreeMap<String, String>) -> Result<Subscription, Refusal> {
        let values = validate_client_metrics(configs)?;
        let mut patterns = BTreeMap::new();
        for entry in &values.matches {
            let (selector, pattern) = parse_match(entry).ok_or_else(|| {
                Refusal::new(ErrorCode::INVALID_CONFIG, format!("Illegal client matching pattern: {entry}"))
            })?;
            patterns.insert(selector, pattern);
        }
        Ok(Subscription { metrics: values.metrics, interval_ms: values.interval_ms, patterns })
    }

    fn is_about(&self, client: &Client<'_>, instance_id: Uuid) -> bool {
        self.patterns.iter().all(|(selector, pattern)| client.is_matched(*selector, pattern, instance_id))
    }
}

/// `selector=expression`; only the first `=` may stand there.
fn parse_match(entry: &str) -> Option<(Selector, Regex)> {
    let (name, pattern) = entry.trim_end_matches('=').split_once('=')?;
    if pattern.contains('=') {
        return None;
    }
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().ok();
    let (selector, pattern) = (Selector::from_name(name.trim())?, pattern.trim());
    // By itself first: what is around it must not make a broken one whole.
    build(pattern)?;
    Some((selector, build(&format!("^(?:{pattern})$"))?))
}

/// What a client is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Prefixes of names, ascending, without duplicates; `*` alone for all of them.
    pub(super) metrics: BTreeSet<String>,
    pub(super) interval_ms: u32,
}

impl Wanted {
    /// What all subscriptions that are about a client want together: all their metrics, as often as the most eager.
    pub(super) fn of(subscriptions: &[Subscription], client: &Client<'_>, instance_id: Uuid) -> Wanted {
        let mut wanted = Wanted { metrics: BTreeSet::new(), interval_ms: DEFAULT_INTERVAL_MS };
        for subscription in subscriptions.iter().filter(|subscription| subscription.is_about(client, instance_id)) {
            wanted.metrics.extend(subscription.metrics.iter().cloned());
            wanted.interval_ms = wanted.interval_ms.min(subscription.interval_ms);
        }
        if wanted.metrics.contains(ALL_METRICS) {
            wanted.metrics = BTreeSet::from([ALL_METRICS.to_owned()]);
        }
        wanted
    }

    /// The id of the subscription: other for another client, other metrics and another interval.
    pub(super) fn id(&self, instance_id: Uuid) -> i32 {
        let metrics: Vec<_> = self.metrics.iter().map(String::as_str).collect();
        let text = format!("[{}]{}", metrics.join(", "), self.interval_ms);
        let (words, _) = instance_id.0.as_chunks::<4>();
        let hash = words.iter().fold(0, |hash, word| hash ^ u32::from_be_bytes(*word));
        (crc32c::crc32c(text.as_bytes()) ^ hash).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn client<'a>() -> Client<'a> {
        Client {
            client_id: "orders",
            software: Some(("apache-kafka-java", "4.3.1")),
            peer: "192.0.2.1:4711".parse().unwrap(),
        }
    }

    fn wants(matches: &str) -> bool {
        let subscription = Subscription::of(&configs(&[("metrics", "a"), ("match", matches)])).unwrap();
        !Wanted::of(&[subscription], &client(), Uuid([7; 16])).metrics.is_empty()
    }

    #[test]
    fn clients_are_matched_by_what_is_known_of_them() {
        for matches in [
            "",
            "client_id=orders",
            "client_id=ord.*",
            "client_software_name=apache-kafka-java,client_software_version=4\\.[0-9]+\\..*",
            " client_source_address = 192\\.0\\.2\\.1 , client_source_port=47.1",
            "client_instance_id=BwcHBwcHBwcHBwcHBwcHBw",
            "client_instance_id=[A-Za-z0-9_-]{22}",
            "client_id=nobody,client_id=orders",
        ] {
            assert!(wants(matches), "{matches}");
        }
        for matches in [
            "client_id=order",
            "client_id=rders",
            "client_id=orders,client_software_name=librdkafka",
            "client_source_port=471",
            "client_id=orders,client_id=nobody",
        ] {
            assert!(!wants(matches), "{matches}");
        }
        let unknown = Client { client_id: "", software: None, ..client() };
        let about = |matches| Subscription::of(&configs(&[("match", matches)])).unwrap().is_about(&unknown, Uuid::ZERO);
        assert!(about("client_software_name=unknown") && !about("client_id=.*"));
    }

    #[test]
    fn what_is_no_match_is_refused() {
        let long = format!("client_id={}", "(a{100}){100}");
        for matches in [
            "client_id",
            "client_id=",
            "=a",
            "user=a",
            "client_id=a=b",
            "client_id=(",
            "client_id=a)(b",
            "CLIENT_ID=a",
            &long,
        ] {
            let refused = Subscription::of(&configs(&[("match", matches)])).unwrap_err();
            let expected =
                Refusal::new(ErrorCode::INVALID_CONFIG, format!("Illegal client matching pattern: {matches}"));
            assert_eq!(refused, expected);
        }
    }

    #[test]
    fn subscriptions_add_up() {
        let of = |pairs: &[(&str, &str)]| Subscription::of(&configs(pairs)).unwrap();
        let id = Uuid([7; 16]);
        let nothing = Wanted::of(&[], &client(), id);
        assert_eq!((nothing.metrics.len(), nothing.interval_ms), (0, DEFAULT_INTERVAL_MS));
        let slow = Wanted::of(&[of(&[("metrics", "a"), ("interval.ms", "3600000")])], &client(), id);
        assert_eq!(slow.interval_ms, DEFAULT_INTERVAL_MS, "as Kafka has it");
        let two =
            [of(&[("metrics", "b,a"), ("interval.ms", "5000")]), of(&[("metrics", "c,a"), ("interval.ms", "100")])];
        let both = Wanted::of(&two, &client(), id);
        assert_eq!(both.metrics.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(both.interval_ms, 100);
        let all = Wanted::of(&[of(&[("metrics", "a")]), of(&[("metrics", "*")])], &client(), id);
        assert_eq!(all.metrics, BTreeSet::from(["*".to_owned()]));

        let mut other = id;
        other.0[15] += 1;
        let ids = BTreeSet::from([nothing.id(id), slow.id(id), both.id(id), all.id(id), all.id(other)]);
        assert_eq!(ids.len(), 5);
        assert_eq!(
            both.id(id),
            Wanted::of(&[of(&[("metrics", "a,b,c"), ("interval.ms", "100")])], &client(), id).id(id)
        );
    }
}

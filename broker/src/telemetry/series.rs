//! What clients pushed, as /metrics tells it: the last value of each series, within a budget of bytes.
//!
//! A client's series leave when it was silent for three of its intervals, or soon after it said good-bye, and a gauge when
//! it was not pushed for as long; before that, when there is no room, those of the client that was silent for longest. What
//! has to leave for others, and points that are left out, are counted.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::ops::Bound;
use std::sync::Arc;

use protocol::Uuid;

use super::otlp::{Attribute, Measure, Point, Sink};

/// Series of one client; what is beyond is left out.
const SERIES_PER_CLIENT_MAX: usize = 2_000;
/// Names of metrics that are longer are left out, bytes.
const NAME_BYTES_MAX: usize = 128;
/// What one client may have of the room for all, one part in so many: nobody can take the others' series away.
const SHARES: usize = 4;
/// Attributes with longer names are left out, bytes.
const LABEL_NAME_BYTES_MAX: usize = 64;
/// Longer values are cut, bytes.
const LABEL_VALUE_BYTES_MAX: usize = 256;
/// Attributes of one series that are told.
const LABELS_MAX: usize = 16;
/// What a series, a family and a client take besides their texts, bytes: entries of maps, and what allocators add.
const SERIES_BYTES: usize = 128;
const FAMILY_BYTES: usize = 512;
const CLIENT_BYTES: usize = 256;
/// What clients' names begin with, and ours do not.
const KAFKAS_PREFIX: &str = "org.apache.kafka.";
const PREFIX: &str = "ottla_client_";
const TOTAL: &str = "_total";
/// The labels of the client itself.
const OWN_LABELS: [&str; 2] = ["client_id", "client_instance_id"];

/// Why points were left out, or series had to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Series of clients that were silent for longest, when others needed the room.
    pub(crate) evicted: u64,
    /// Points of a client that has too many series, or for which there was no room.
    pub(crate) limit: u64,
    /// Points whose metric has no name, too long a one, or one that another client uses for another kind.
    pub(crate) name: u64,
    /// Metrics that are neither gauges nor sums, and changes that are no numbers.
    pub(crate) kind: u64,
}

/// The samples of one name, for a scrape.
#[derive(Debug, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: Arc<str>,
    pub(crate) is_counter: bool,
    /// Labels of the client and of the series as they are written, and the value.
    pub(crate) samples: Vec<(Arc<str>, Box<str>, f64)>,
}

/// The series of one name.
#[derive(Debug)]
struct Known {
    is_counter: bool,
    series: BTreeMap<(Uuid, Box<str>), Sample>,
}

#[derive(Debug)]
struct Sample {
    value: f64,
    pushed_ms: u64,
}

#[derive(Debug)]
struct Pusher {
    labels: Arc<str>,
    series: usize,
    /// What they take.
    series_bytes: usize,
    pushed_ms: u64,
    expires_ms: u64,
}

impl Pusher {
    /// Whether what was pushed then is too old to be told.
    fn has_outlived(&self, pushed_ms: u64, now_ms: u64) -> bool {
        pushed_ms.saturating_add(self.expires_ms.saturating_sub(self.pushed_ms)) <= now_ms
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Series {
    families: BTreeMap<Arc<str>, Known>,
    clients: HashMap<Uuid, Pusher>,
    used_bytes: usize,
    max_bytes: usize,
    dropped: Dropped,
}

impl Series {
    pub(super) fn new(max_bytes: usize) -> Series {
        Series {
            families: BTreeMap::new(),
            clients: HashMap::new(),
            used_bytes: 0,
            max_bytes,
            dropped: Dropped::default(),
        }
    }

    /// Takes what a client pushes, which is told until `expires_ms`, or until it pushes again.
    pub(super) fn of<'s>(&'s mut self, id: Uuid, client_id: &str, now_ms: u64, expires_ms: u64) -> impl Sink + use<'s> {
        if !self.clients.contains_key(&id) {
            let id_label = (OWN_LABELS[1], Attribute::Text(&id.to_string()));
            let labels = Arc::from(label_text(&[(OWN_LABELS[0], Attribute::Text(client_id)), id_label], &[]));
            let bytes = CLIENT_BYTES + str::len(&labels);
            // Where there is no room for a client, there is none for its series.
            if self.make_room(bytes, id) {
                self.used_bytes += bytes;
                self.clients.insert(id, Pusher { labels, series: 0, series_bytes: 0, pushed_ms: now_ms, expires_ms });
            }
        }
        self.seen(id, now_ms, expires_ms);
        Pushed { series: self, id, now_ms }
    }

    /// A client pushed, perhaps nothing.
    pub(super) fn seen(&mut self, id: Uuid, now_ms: u64, expires_ms: u64) {
        if let Some(client) = self.clients.get_mut(&id) {
            (client.pushed_ms, client.expires_ms) = (now_ms, expires_ms);
        }
    }

    /// Forgets clients whose time is over, and gauges that theirs do not push any more. They were told for as long as they
    /// should.
    pub(super) fn expire(&mut self, now_ms: u64) {
        let expired = |(id, client): (&Uuid, &Pusher)| (client.expires_ms <= now_ms).then_some(*id);
        let expired: Vec<_> = self.clients.iter().filter_map(expired).collect();
        expired.into_iter().for_each(|id| {
            self.remove(id);
        });
        let (clients, mut freed) = (&mut self.clients, 0);
        self.families.retain(|name, known| {
            let is_counter = known.is_counter;
            known.series.retain(|(id, labels), sample| {
                let Some(client) = clients.get_mut(id) else { return true };
                let stays = is_counter || !client.has_outlived(sample.pushed_ms, now_ms);
                if !stays {
                    let bytes = SERIES_BYTES + labels.len();
                    client.series -= 1;
                    client.series_bytes -= bytes;
                    freed += bytes;
                }
                stays
            });
            let is_empty = known.series.is_empty();
            freed += if is_empty { FAMILY_BYTES + name.len() } else { 0 };
            !is_empty
        });
        self.used_bytes = self.used_bytes.saturating_sub(freed);
    }

    /// The family that follows a name, names ascending.
    pub(super) fn family_after(&self, name: Option<&str>) -> Option<Family> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        let (name, known) = self.families.range::<str, _>((from, Bound::Unbounded)).next()?;
        let sample = |((id, labels), sample): (&(Uuid, Box<str>), &Sample)| {
            Some((Arc::clone(&self.clients.get(id)?.labels), labels.clone(), sample.value))
        };
        let samples = known.series.iter().filter_map(sample).collect();
        Some(Family { name: Arc::clone(name), is_counter: known.is_counter, samples })
    }

    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Series, and the clients that have some.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.clients.values().map(|client| client.series).sum(), self.clients.len())
    }

    pub(super) fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn record(&mut self, id: Uuid, point: &Point<'_>, now_ms: u64) {
        let Measure { is_monotonic, is_delta } = point.measure;
        if is_delta && !point.value.is_finite() {
            // It would never be a number again.
            self.dropped.kind += 1;
            return;
        }
        let Some(name) = name_of(point.metric, is_monotonic) else {
            self.dropped.name += 1;
            return;
        };
        let known = self.families.get_mut(name.as_str());
        if known.as_ref().is_some_and(|known| known.is_counter != is_monotonic) {
            self.dropped.name += 1;
            return;
        }
        let key = (id, label_text(point.attributes, &OWN_LABELS));
        // A counter that is told to fall was counted wrongly; it stays.
        let value = if is_delta && is_monotonic { point.value.max(0.0) } else { point.value };
        if let Some(sample) = known.and_then(|known| known.series.get_mut(&key)) {
            sample.value = if is_delta { sample.value + value } else { value };
            sample.pushed_ms = now_ms;
            return;
        }
        self.add(&name, is_monotonic, key, Sample { value, pushed_ms: now_ms });
    }

    /// A series that was not there.
    fn add(&mut self, name: &str, is_counter: bool, key: (Uuid, Box<str>), sample: Sample) {
        let id = key.0;
        let family_bytes = if self.families.contains_key(name) { 0 } else { FAMILY_BYTES + name.len() };
        let bytes = SERIES_BYTES + key.1.len();
        let share_bytes = self.max_bytes / SHARES;
        let has_share = self
            .clients
            .get(&id)
            .is_some_and(|client| client.series < SERIES_PER_CLIENT_MAX && client.series_bytes + bytes <= share_bytes);
        if !has_share || !self.make_room(bytes + family_bytes, id) {
            self.dropped.limit += 1;
            return;
        }
        // Whoever made room may have taken the family with him.
        if !self.families.contains_key(name) {
            self.families.insert(Arc::from(name), Known { is_counter, series: BTreeMap::new() });
            self.used_bytes += FAMILY_BYTES + name.len();
        }
        if let (Some(known), Some(client)) = (self.families.get_mut(name), self.clients.get_mut(&id)) {
            known.series.insert(key, sample);
            client.series += 1;
            client.series_bytes += bytes;
            self.used_bytes += bytes;
        }
    }

    /// Lets those go who were silent for longest, but not `id`, until there is room. Answers whether there is.
    fn make_room(&mut self, bytes: usize, id: Uuid) -> bool {
        // With room for a family that goes with the last of its series, and is then needed again.
        while self.used_bytes + bytes + FAMILY_BYTES + NAME_BYTES_MAX > self.max_bytes {
            let others = self.clients.iter().filter(|(other, _)| **other != id);
            let Some((oldest, _)) = others.min_by_key(|(_, client)| client.pushed_ms) else { return false };
            self.dropped.evicted += self.remove(*oldest) as u64;
        }
        true
    }

    /// Removes a client, and answers how many series went with it.
    fn remove(&mut self, id: Uuid) -> usize {
        let Some(client) = self.clients.remove(&id) else { return 0 };
        let mut freed = CLIENT_BYTES + client.labels.len();
        let next = u128::from_be_bytes(id.0).checked_add(1).map(|next| Uuid(next.to_be_bytes()));
        self.families.retain(|name, known| {
            let end = next.map_or(Bound::Unbounded, |next| Bound::Excluded((next, Box::default())));
            let of_client = known.series.extract_if((Bound::Included((id, Box::default())), end), |_, _| true);
            freed += of_client.map(|((_, labels), _)| SERIES_BYTES + labels.len()).sum::<usize>();
            let is_empty = known.series.is_empty();
            freed += if is_empty { FAMILY_BYTES + name.len() } else { 0 };
            !is_empty
        });
        self.used_bytes = self.used_bytes.saturating_sub(freed);
        client.series
    }
}

/// A push on its way.
struct Pushed<'a> {
    series: &'a mut Series,
    id: Uuid,
    now_ms: u64,
}

impl Sink for Pushed<'_> {
    fn point(&mut self, point: &Point<'_>) {
        self.series.record(self.id, point, self.now_ms);
    }

    fn unread(&mut self) {
        self.series.dropped.kind += 1;
    }
}

/// The name under which a metric is told: `org.apache.kafka.producer.record.send.total` is
/// `ottla_client_producer_record_send_total`. Counters end as Prometheus wants them to.
fn name_of(metric: &str, is_counter: bool) -> Option<String> {
    let metric = metric.strip_prefix(KAFKAS_PREFIX).unwrap_or(metric);
    if metric.is_empty() || metric.len() > NAME_BYTES_MAX - PREFIX.len() - TOTAL.len() {
        return None;
    }
    let mut name = String::from(PREFIX);
    name.extend(metric.chars().map(plain));
    if is_counter && !name.ends_with(TOTAL) {
        name.push_str(TOTAL);
    }
    Some(name)
}

/// What may stand in a name.
fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() { c } else { '_' }
}

/// Attributes as labels, as they are written: by name, each name once, without `taken` ones.
fn label_text(attributes: &[(&str, Attribute<'_>)], taken: &[&str]) -> Box<str> {
    let mut labels = BTreeMap::new();
    for (name, value) in attributes {
        // Before anything is made of it. And to Prometheus an empty value is no label.
        if !(1..=LABEL_NAME_BYTES_MAX).contains(&name.len()) || matches!(value, Attribute::Text("")) {
            continue;
        }
        let mut label: String = name.chars().map(plain).collect();
        if label.starts_with(|c: char| c.is_ascii_digit()) {
            label.insert(0, '_');
        }
        // Two underscores are Prometheus's own.
        if labels.len() < LABELS_MAX && !label.starts_with("__") && !taken.contains(&&*label) {
            labels.insert(label, *value);
        }
    }
    let mut text = String::new();
    for (name, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = match value {
            Attribute::Text(value) => {
                let value = &value[..value.floor_char_boundary(LABEL_VALUE_BYTES_MAX)];
                write!(text, "{comma}{name}=\"{}\"", escaped(value))
            }
            Attribute::Boolean(value) => write!(text, "{comma}{name}=\"{value}\""),
            Attribute::Integer(value) => write!(text, "{comma}{name}=\"{value}\""),
            Attribute::Double(value) => write!(text, "{comma}{name}=\"{value}\""),
        };
    }
    text.into()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

//! Asks both brokers the same and notes where they answer differently.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::thread::sleep;
use std::time::{Duration, Instant};

use protocol::api::Request;
use protocol::messages::*;

use crate::known;
use crate::normal::normal;
use crate::side::{Answer, Side};
use crate::tree::{Tree, differences};

/// Apache Kafka acknowledges a change before all of it shows; this long after the last one it may be asked again.
const CATCH_UP: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
/// Longer than either broker takes to find out anything that it finds out by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// What both answered, where it could be read.
pub(crate) struct Both<R> {
    pub(crate) kafka: Option<R>,
    pub(crate) ottla: Option<R>,
}

/// A place where they differ; the versions in which they do.
type Difference = (String, &'static str, String, String, String);

/// The two brokers.
pub(crate) struct Pair {
    pub(crate) kafka: Side,
    pub(crate) ottla: Side,
    scenario: String,
    versions: BTreeMap<i16, RangeInclusive<i16>>,
    differences: Vec<(Difference, Vec<i16>)>,
    known_hits: Vec<usize>,
    started: Instant,
    last_change: Instant,
    compared: usize,
    by_api: BTreeMap<&'static str, usize>,
}

impl Pair {
    pub(crate) fn new(kafka: Side, ottla: Side) -> Pair {
        let mut pair = Pair {
            kafka,
            ottla,
            scenario: String::new(),
            versions: BTreeMap::new(),
            differences: Vec::new(),
            known_hits: vec![0; known::all().count()],
            started: Instant::now(),
            last_change: Instant::now(),
            compared: 0,
            by_api: BTreeMap::new(),
        };
        pair.versions = pair.shared_versions();
        pair
    }

    fn shared_versions(&mut self) -> BTreeMap<i16, RangeInclusive<i16>> {
        let ranges = |side: &mut Side| -> BTreeMap<i16, (i16, i16)> {
            side.send(0, 0, &ApiVersionsRequest::default());
            match side.receive::<ApiVersionsRequest>(0, 0) {
                Answer::Response(answer) => {
                    answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect()
                }
                other => panic!("no answer to ApiVersions: {other:?}"),
            }
        };
        let (kafka, ottla) = (ranges(&mut self.kafka), ranges(&mut self.ottla));
        let shared = ottla.iter().filter_map(|(key, ours)| {
            let theirs = kafka.get(key)?;
            Some((*key, ours.0.max(theirs.0)..=ours.1.min(theirs.1)))
        });
        shared.collect()
    }

    /// Names what is being compared from now on.
    pub(crate) fn scenario(&mut self, name: &str) {
        self.scenario = name.to_string();
        self.last_change = Instant::now();
        let (seconds, requests) = (self.started.elapsed().as_secs(), self.compared);
        println!("{seconds:3} s, {requests} requests, {} differences; next: {name}", self.differences.len());
    }

    /// The versions of an API that both serve.
    pub(crate) fn versions<R: Request>(&self) -> RangeInclusive<i16> {
        self.versions.get(&R::KEY).cloned().expect("both serve the API")
    }

    pub(crate) fn latest<R: Request>(&self) -> i16 {
        *self.versions::<R>().end()
    }

    /// The same request to both in every version both serve.
    pub(crate) fn every_version<R>(&mut self, label: &str, build: impl Fn(&Side) -> R)
    where
        R: Request,
        R::Response: Debug + Any,
    {
        for version in self.versions::<R>() {
            self.ask(label, version, &build);
        }
    }

    /// The same in the latest version.
    pub(crate) fn once<R>(&mut self, label: &str, build: impl Fn(&Side) -> R) -> Both<R::Response>
    where
        R: Request,
        R::Response: Debug + Any,
    {
        self.ask(label, self.latest::<R>(), build)
    }

    pub(crate) fn ask<R>(&mut self, label: &str, version: i16, build: impl Fn(&Side) -> R) -> Both<R::Response>
    where
        R: Request,
        R::Response: Debug + Any,
    {
        self.send(0, version, &build);
        let (kafka, ottla) = (self.kafka.receive::<R>(0, version), self.ottla.receive::<R>(0, version));
        self.judge::<R>(label, version, kafka, ottla, Some(&build))
    }

    /// The same request to each until its answer is as `is_it` says, which may take down what it says; and then what both
    /// say. For what either broker finds out in its own time.
    pub(crate) fn once_until<R>(
        &mut self,
        label: &str,
        build: impl Fn(&Side) -> R,
        is_it: impl Fn(&mut Side, &R::Response) -> bool,
    ) -> Both<R::Response>
    where
        R: Request,
        R::Response: Debug + Any,
    {
        let version = self.latest::<R>();
        let deadline = Instant::now() + PATIENCE;
        let [kafka, ottla] = [&mut self.kafka, &mut self.ottla].map(|side| {
            loop {
                side.send(0, version, &build(side));
                let answer = side.receive::<R>(0, version);
                let is_there = matches!(&answer, Answer::Response(response) if is_it(side, response));
                if is_there || Instant::now() >= deadline {
                    break answer;
                }
                sleep(POLL);
            }
        });
        self.judge::<R>(label, version, kafka, ottla, None::<&fn(&Side) -> R>)
    }

    /// A request that asks for no answer.
    pub(crate) fn ask_silently<R>(&mut self, label: &str, version: i16, build: impl Fn(&Side) -> R)
    where
        R: Request,
        R::Response: Debug + Any,
    {
        self.send(0, version, &build);
        let kafka = self.kafka.receive_nothing::<R>(0, version);
        let ottla = self.ottla.receive_nothing::<R>(0, version);
        self.judge::<R>(label, version, kafka, ottla, None::<&fn(&Side) -> R>);
    }

    /// The first half of [`Pair::ask`], on a connection of its own.
    pub(crate) fn send<R: Request>(&mut self, connection: u8, version: i16, build: impl Fn(&Side) -> R) {
        let (kafka, ottla) = (build(&self.kafka), build(&self.ottla));
        self.kafka.send(connection, version, &kafka);
        self.ottla.send(connection, version, &ottla);
    }

    /// The second.
    pub(crate) fn receive<R>(&mut self, label: &str, connection: u8, version: i16) -> Both<R::Response>
    where
        R: Request,
        R::Response: Debug + Any,
    {
        let kafka = self.kafka.receive::<R>(connection, version);
        let ottla = self.ottla.receive::<R>(connection, version);
        self.judge::<R>(label, version, kafka, ottla, None::<&fn(&Side) -> R>)
    }

    /// Any bytes as a frame's content: whether there is an answer, and which.
    pub(crate) fn raw(&mut self, label: &str, frame: &[u8]) {
        let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        let answers = [&mut self.kafka, &mut self.ottla].map(|side| {
            side.write(9, &bytes);
            side.read_frame(9)
                .map_or_else(|lost| Tree::atom(format!("{lost:?}")), |frame| Tree::Text(format!("{frame:?}")))
        });
        self.count("raw frames");
        self.note(label, "raw frames", -1, &answers[0], &answers[1]);
    }

    fn judge<R>(
        &mut self,
        label: &str,
        version: i16,
        mut kafka: Answer<R::Response>,
        ottla: Answer<R::Response>,
        again: Option<&impl Fn(&Side) -> R>,
    ) -> Both<R::Response>
    where
        R: Request,
        R::Response: Debug + Any,
    {
        let ours = normal(&self.ottla, &ottla);
        let mut theirs = normal(&self.kafka, &kafka);
        if !is_read_only(R::KEY) {
            self.last_change = Instant::now();
        }
        let deadline = self.last_change + CATCH_UP;
        if let Some(build) = again.filter(|_| is_read_only(R::KEY)) {
            while self.is_unexpected(label, R::NAME, version, &theirs, &ours) && Instant::now() < deadline {
                sleep(POLL);
                let request = build(&self.kafka);
                self.kafka.send(0, version, &request);
                kafka = self.kafka.receive::<R>(0, version);
                theirs = normal(&self.kafka, &kafka);
            }
        }
        self.count(R::NAME);
        self.note(label, R::NAME, version, &theirs, &ours);
        let readable = |answer| match answer {
            Answer::Response(response) => Some(response),
            _ => None,
        };
        Both { kafka: readable(kafka), ottla: readable(ottla) }
    }

    fn is_unexpected(&self, label: &str, api: &str, version: i16, kafka: &Tree, ottla: &Tree) -> bool {
        let known = |difference: &(String, String, String)| self.known(label, api, version, difference).is_some();
        differences(kafka, ottla).iter().any(|difference| !known(difference))
    }

    fn known(&self, label: &str, api: &str, version: i16, difference: &(String, String, String)) -> Option<usize> {
        let place = format!("{}: {label}", self.scenario);
        known::all().position(|known| known.covers(&place, api, version, difference))
    }

    fn count(&mut self, api: &'static str) {
        self.compared += 1;
        *self.by_api.entry(api).or_default() += 1;
    }

    fn note(&mut self, label: &str, api: &'static str, version: i16, kafka: &Tree, ottla: &Tree) {
        for difference in differences(kafka, ottla) {
            if let Some(known) = self.known(label, api, version, &difference) {
                self.known_hits[known] += 1;
                continue;
            }
            let (path, kafka, ottla) = difference;
            let place = (format!("{}: {label}", self.scenario), api, path, kafka, ottla);
            match self.differences.iter_mut().find(|(known, _)| *known == place) {
                Some((_, versions)) => versions.push(version),
                None => {
                    // At once, so that a run that ends early says what it has seen.
                    let (label, api, path, kafka, ottla) = &place;
                    println!(
                        "DIFFERENT {label}\n    {api} v[{version}] {path}\n    kafka: {kafka}\n    ottla: {ottla}"
                    );
                    self.differences.push((place, vec![version]));
                }
            }
        }
    }

    /// Prints what was found, and says whether it is nothing.
    pub(crate) fn report(&self) -> bool {
        println!("{} requests compared: {:?}", self.compared, self.by_api);
        for ((place, api, path, ..), versions) in &self.differences {
            println!("versions of {place}: {api} {path} {versions:?}");
        }
        let mut stale = false;
        for (known, hits) in known::all().zip(&self.known_hits) {
            if *hits == 0 && known.place != known::RANDOM && std::env::var_os("DIFFERENTIAL_ONLY").is_none() {
                println!("STALE this difference is gone, or is not provoked any more: {known:?}");
                stale = true;
            }
        }
        println!(
            "{} differences, {} intended ones seen",
            self.differences.len(),
            self.known_hits.iter().sum::<usize>()
        );
        self.differences.is_empty() && !stale
    }
}

/// Asking again changes nothing.
fn is_read_only(key: i16) -> bool {
    const KEYS: &[i16] = &[
        MetadataRequest::KEY,
        ListOffsetsRequest::KEY,
        DescribeConfigsRequest::KEY,
        DescribeTopicPartitionsRequest::KEY,
        DescribeLogDirsRequest::KEY,
        DescribeClusterRequest::KEY,
        DescribeQuorumRequest::KEY,
        ListPartitionReassignmentsRequest::KEY,
        ListConfigResourcesRequest::KEY,
        OffsetForLeaderEpochRequest::KEY,
        OffsetFetchRequest::KEY,
        FindCoordinatorRequest::KEY,
        DescribeGroupsRequest::KEY,
        ApiVersionsRequest::KEY,
        DescribeClientQuotasRequest::KEY,
        DescribeUserScramCredentialsRequest::KEY,
        ConsumerGroupDescribeRequest::KEY,
        ListGroupsRequest::KEY,
        DescribeProducersRequest::KEY,
        DescribeTransactionsRequest::KEY,
        ListTransactionsRequest::KEY,
    ];
    KEYS.contains(&key)
}

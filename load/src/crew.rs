//! The connections of a run, opened before it begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{
    ClientError, Cluster, GroupConfig, GroupConsumer, StartOffset, TopicMetadata, TopicPartition, list_offsets,
};
use protocol::messages::fetch::FetchRequest;
use protocol::messages::produce::ProduceRequest;
use tokio::sync::watch;

use crate::CLIENT_ID;
use crate::clock::{Clock, nanos};
use crate::frames::{Form, Frames};
use crate::link::Link;
use crate::member::Member;
use crate::payload::{Keys, Payloads};
use crate::reader::{Place, Reader};
use crate::routes::Routes;
use crate::schedule::{Plan, Schedule};
use crate::sender::Sender;
use crate::session::Session;
use crate::tally::Tally;
use crate::topics::by_leader;
use crate::workload::{Consume, Length, LoadError, Produce, Start, Workload};

/// The last version of either request that names topics instead of giving their ids (KIP-516).
const LAST_NAME_VERSION: i16 = 12;
/// What a batch takes besides keys and values: its header, and what stands before each record.
const BATCH_OVERHEAD: usize = 61;
const RECORD_OVERHEAD: usize = 12;
/// What every key takes.
const KEY_BYTES: usize = 12;

/// What all connections of a run share.
pub(crate) struct Site<'a> {
    pub(crate) bootstrap: &'a str,
    pub(crate) cluster: Cluster,
    pub(crate) topics: Vec<Arc<TopicMetadata>>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) produced: Arc<Tally>,
    pub(crate) consumed: Arc<Tally>,
    /// What the records of this run begin with, if they are timed end to end.
    pub(crate) mark: Option<[u8; 8]>,
}

/// A producer's connection and its part of the whole, from 0 to 1.
pub(crate) struct Post {
    pub(crate) sender: Sender,
    share: f64,
}

impl Site<'_> {
    /// Opens the producers' connections.
    pub(crate) async fn senders(&self, produce: &Produce) -> Result<Vec<Post>, LoadError> {
        let mut posts = Vec::new();
        for topic in &self.topics {
            for _ in 0..produce.connections {
                for (leader, partitions) in by_leader(topic) {
                    let of_topic = partitions.len() as f64 / topic.partitions.len() as f64;
                    let share = of_topic / (produce.connections * self.topics.len()) as f64;
                    let sender = self.sender(produce, topic, leader, (partitions, posts.len())).await?;
                    posts.push(Post { sender, share });
                }
            }
        }
        Ok(posts)
    }

    async fn sender(
        &self,
        produce: &Produce,
        topic: &Arc<TopicMetadata>,
        leader: i32,
        (mut partitions, number): (Vec<i32>, usize),
    ) -> Result<Sender, LoadError> {
        let keys = Keys::deal(produce, &mut partitions, topic.partition_count())?;
        // Connections do not all begin with the same partition.
        let first = number % partitions.len();
        let keys = keys.map(|keys| keys.beginning_with(first));
        partitions.rotate_left(first);
        let newest = if topic.id.is_zero() { LAST_NAME_VERSION } else { i16::MAX };
        let form = Form {
            topic: Arc::clone(topic),
            version: self.cluster.broker(leader).await?.version_up_to::<ProduceRequest>(newest)?,
            acks: produce.acks.on_wire(),
            codec: produce.codec,
            is_pre_encoded: produce.pre_encoded,
        };
        let address = self.address(leader)?;
        let payloads = Payloads::new(&produce.values, number as u64, self.mark);
        let link = Link::connect(&address).await?;
        let mut sender = Sender {
            routes: Routes::one(address, link, partitions.len()),
            frames: Frames::new(form, partitions, payloads, keys),
            in_flight_max: produce.in_flight,
            cluster: Some(self.cluster.clone()),
            is_idempotent: produce.idempotent,
            record_bytes: record_bytes(produce) as u64,
            clock: Arc::clone(&self.clock),
            meter: self.produced.meter(number),
        };
        sender.identify().await?;
        Ok(sender)
    }

    /// Opens the connections of consumers whose partitions are dealt out here.
    pub(crate) async fn readers(
        &self,
        consume: &Consume,
        has_producer: bool,
        ends: bool,
    ) -> Result<Vec<Reader>, LoadError> {
        let mut readers = Vec::new();
        for topic in &self.topics {
            let places: Vec<TopicPartition> = topic.all_partitions().collect();
            let ends_at = list_offsets(&self.cluster, &places, StartOffset::Latest).await?;
            let starts = match consume.start {
                Start::Earliest if !has_producer => list_offsets(&self.cluster, &places, StartOffset::Earliest).await?,
                Start::Earliest | Start::Latest => ends_at.clone(),
            };
            let place = |partition: i32| {
                let name = TopicPartition::new(Arc::clone(&topic.name), partition);
                let until = ends_at.get(&name).copied().filter(|_| ends);
                Place { partition, offset: starts.get(&name).copied().unwrap_or(0), until }
            };
            for number in 0..consume.groups * consume.consumers {
                for (leader, partitions) in by_leader(topic) {
                    let turn = number % consume.consumers;
                    let is_ours = |partition: &i32| *partition as usize % consume.consumers == turn;
                    let places: Vec<Place> = partitions.into_iter().filter(is_ours).map(place).collect();
                    if !places.is_empty() {
                        readers.push(self.reader(consume, topic, leader, (places, readers.len())).await?);
                    }
                }
            }
        }
        Ok(readers)
    }

    async fn reader(
        &self,
        consume: &Consume,
        topic: &Arc<TopicMetadata>,
        leader: i32,
        (places, number): (Vec<Place>, usize),
    ) -> Result<Reader, LoadError> {
        let newest = if topic.id.is_zero() { LAST_NAME_VERSION } else { i16::MAX };
        let version = self.cluster.broker(leader).await?.version_up_to::<FetchRequest>(newest)?;
        let address = self.address(leader)?;
        Ok(Reader {
            cluster: Some(self.cluster.clone()),
            link: Link::connect(&address).await?,
            address,
            topic: Arc::clone(topic),
            version,
            places,
            session: Session::default(),
            fetching: consume.fetching,
            mark: self.mark,
            clock: Arc::clone(&self.clock),
            meter: self.consumed.meter(number),
        })
    }

    /// Members of groups, each with connections of its own as in an application; and how many partitions each has.
    pub(crate) async fn members(
        &self,
        consume: &Consume,
        has_producer: bool,
    ) -> Result<(Vec<Member>, Vec<watch::Receiver<usize>>), LoadError> {
        let (mut members, mut assigned) = (Vec::new(), Vec::new());
        let start = match consume.start {
            Start::Earliest if !has_producer => StartOffset::Earliest,
            Start::Earliest | Start::Latest => StartOffset::Latest,
        };
        for topic in &self.topics {
            for group in 0..consume.groups {
                let group_id = format!("{CLIENT_ID}-{}-{group}-{:08x}", topic.name, random_u64()? as u32);
                for _ in 0..consume.consumers {
                    let cluster = Cluster::connect(self.bootstrap, CLIENT_ID).await?;
                    let config = GroupConfig { start, ..GroupConfig::new(&group_id, &[&topic.name]) };
                    let (sender, receiver) = watch::channel(0);
                    assigned.push(receiver);
                    members.push(Member {
                        consumer: GroupConsumer::new(&cluster, config),
                        assigned: sender,
                        mark: self.mark,
                        clock: Arc::clone(&self.clock),
                        meter: self.consumed.meter(members.len()),
                    });
                }
            }
        }
        Ok((members, assigned))
    }

    /// How many records there are now.
    pub(crate) async fn records_there(&self) -> Result<u64, LoadError> {
        let mut count = 0;
        for topic in &self.topics {
            let places: Vec<TopicPartition> = topic.all_partitions().collect();
            let first = list_offsets(&self.cluster, &places, StartOffset::Earliest).await?;
            let next: BTreeMap<_, _> = list_offsets(&self.cluster, &places, StartOffset::Latest).await?;
            let of = |place| next.get(place).copied().unwrap_or(0) - first.get(place).copied().unwrap_or(0);
            count += places.iter().map(|place| of(place).max(0) as u64).sum::<u64>();
        }
        Ok(count)
    }

    fn address(&self, broker: i32) -> Result<String, ClientError> {
        self.cluster.address(broker).ok_or_else(|| ClientError::NoBroker {
            reason: format!("broker {broker} leads a partition and is not in the metadata"),
        })
    }
}

/// What each connection has to do, when the first record is due at `start`.
pub(crate) fn schedules(workload: &Workload, produce: &Produce, posts: &[Post], start: u64) -> Vec<Schedule> {
    let measure_from = start + nanos(workload.warmup);
    let mut before = 0.0;
    let schedule = |post: &Post| {
        let interval_ns = produce.rate.map(|rate| 1e9 / (rate * post.share));
        // Their records are not all due at the same moment.
        let offset_ns = interval_ns.map_or(0.0, |interval_ns| interval_ns * before);
        let after = before + post.share;
        let quota = match workload.length {
            Length::Records(count) => Some(part(count, after) - part(count, before)),
            Length::Time(_) | Length::Everything => None,
        };
        let end = match workload.length {
            Length::Time(duration) => Some(measure_from + nanos(duration)),
            Length::Records(_) | Length::Everything => None,
        };
        before = after;
        Schedule::new(Plan {
            interval_ns,
            start: start + offset_ns as u64,
            measure_from,
            end,
            quota,
            linger_ns: nanos(produce.linger),
            batch: records_of_batch(produce),
        })
    };
    posts.iter().map(schedule).collect()
}

/// So much of a count belongs to a share; all of it to a share of 1, although shares add up to a little less or more.
fn part(count: u64, share: f64) -> u64 {
    (count as f64 * share).round() as u64
}

/// Records of a full batch.
fn records_of_batch(produce: &Produce) -> u32 {
    let records = produce.batch_bytes.saturating_sub(BATCH_OVERHEAD) / (record_bytes(produce) + RECORD_OVERHEAD);
    u32::try_from(records).unwrap_or(u32::MAX).max(1)
}

fn record_bytes(produce: &Produce) -> usize {
    produce.values.bytes() + if produce.keys > 0 { KEY_BYTES } else { 0 }
}

pub(crate) fn random_u64() -> Result<u64, LoadError> {
    getrandom::u64().map_err(|error| LoadError::Machine {
        what: "getting random bytes",
        source: std::io::Error::other(error.to_string()),
    })
}

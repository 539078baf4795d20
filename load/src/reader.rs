//! A connection that reads partitions which were dealt out beforehand. When some of them come to be led elsewhere, another
//! one reads those.
//!
//! It counts records by the headers of their batches and unpacks them only to learn when they were due, so that a client
//! on the same machine leaves the machine to the broker.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Cluster, TopicMetadata};
use protocol::ErrorCode;
use protocol::api::Request;
use protocol::frame::encode_request;
use protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic, PartitionData,
};
use protocol::records::batches;
use tokio::task::JoinSet;

use crate::CLIENT_ID;
use crate::clock::Clock;
use crate::link::{Link, Lost, decode};
use crate::payload::due_of;
use crate::routes::has_moved;
use crate::run::joined;
use crate::session::{Session, Told};
use crate::tally::{Fetched, Meter};
use crate::workload::{Fetching, LoadError};

/// How long to wait for an answer, beyond what the broker may wait.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// Before the next attempt after an error; so many errors in a row end it.
const PAUSE: Duration = Duration::from_millis(100);
const ERRORS_MAX: u32 = 300;
/// In the count of errors.
const UNREADABLE: &str = "records cannot be read";
/// One batch may unpack to this many bytes.
const BATCH_MAX_BYTES: usize = 256 << 20;

/// A partition that is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    /// What comes next.
    pub(crate) offset: i64,
    /// Where reading ends, if it does.
    pub(crate) until: Option<i64>,
}

/// What a connection is and does, before it runs.
pub(crate) struct Reader {
    /// Whom to ask who leads a partition now.
    pub(crate) cluster: Option<Cluster>,
    pub(crate) address: String,
    pub(crate) link: Link,
    pub(crate) topic: Arc<TopicMetadata>,
    pub(crate) version: i16,
    pub(crate) places: Vec<Place>,
    pub(crate) session: Session,
    pub(crate) fetching: Fetching,
    /// The mark of this run, if its records tell when they were due.
    pub(crate) mark: Option<[u8; 8]>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) meter: Meter,
}

/// What one answer brought.
#[derive(Default)]
struct Brought {
    records: u64,
    bytes: u64,
    /// When its records were due.
    times: Vec<u64>,
    has_failed: bool,
    has_moved: bool,
}

/// How a fetch went.
enum Answered {
    Well,
    /// Some partition had an error, or the broker.
    Refused,
    /// Some partition is led by another broker now, and nothing else was wrong.
    Moved,
}

impl Reader {
    /// Reads until every partition is at its end; where there is none, for as long as it is left alone.
    ///
    /// # Errors
    /// When nothing but errors has come for a while.
    pub(crate) async fn run(mut self) -> Result<(), LoadError> {
        let (mut errors, mut correlation_id) = (0, 0);
        // Whoever reads what has moved away.
        let mut others = JoinSet::new();
        self.drop_finished();
        while !self.places.is_empty() {
            while let Some(ended) = others.try_join_next() {
                joined(ended)?;
            }
            let sent = self.clock.now();
            let result = self.fetch(correlation_id, sent).await;
            correlation_id = i32::wrapping_add(correlation_id, 1);
            let failure = match result {
                Ok(Answered::Well) => {
                    errors = 0;
                    continue;
                }
                Ok(Answered::Refused) => "every fetch is refused",
                Ok(Answered::Moved) => "nobody leads it",
                Err(lost) => {
                    self.meter.fetch_failed(lost.0, self.clock.now());
                    self.session.lose();
                    lost.0
                }
            };
            errors += 1;
            if errors == ERRORS_MAX {
                return Err(LoadError::Workload(format!("{} at {}: {failure}", self.topic.name, self.address)));
            }
            tokio::time::sleep(PAUSE).await;
            match result {
                Ok(Answered::Moved) => self.follow(&mut others).await,
                Err(_) => match Link::connect(&self.address).await {
                    Ok(link) => self.link = link,
                    Err(_) => self.follow(&mut others).await,
                },
                Ok(_) => {}
            }
        }
        while let Some(ended) = others.join_next().await {
            joined(ended)?;
        }
        Ok(())
    }

    /// Leaves what is led elsewhere now to connections of its own. What nobody leads, or cannot be reached, stays, and is
    /// refused again.
    async fn follow(&mut self, others: &mut JoinSet<Result<(), LoadError>>) {
        let Some(cluster) = self.cluster.clone() else { return };
        let Ok(topic) = cluster.topic(&self.topic.name).await else { return };
        let leader = |place: &Place| {
            let known = topic.partitions.iter().find(|known| known.index == place.partition);
            known.and_then(|known| cluster.address(known.leader?)).unwrap_or_else(|| self.address.clone())
        };
        let mut by_leader: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        for place in &self.places {
            by_leader.entry(leader(place)).or_default().push(*place);
        }
        let mut stay = by_leader.remove(&self.address).unwrap_or_default();
        for (address, places) in by_leader {
            let Ok(link) = Link::connect(&address).await else {
                stay.extend(places);
                continue;
            };
            others.spawn(self.branch(address, link, places).boxed());
        }
        self.places = stay;
    }

    /// One like this, for these partitions.
    fn branch(&self, address: String, link: Link, places: Vec<Place>) -> Reader {
        Reader {
            cluster: self.cluster.clone(),
            address,
            link,
            topic: Arc::clone(&self.topic),
            places,
            session: Session::default(),
            clock: Arc::clone(&self.clock),
            meter: self.meter.clone(),
            ..*self
        }
    }

    fn boxed(self) -> Pin<Box<dyn Future<Output = Result<(), LoadError>> + Send>> {
        Box::pin(self.run())
    }

    /// One request and its answer.
    async fn fetch(&mut self, correlation_id: i32, sent: u64) -> Result<Answered, Lost> {
        let request = encode_request(&self.request(), self.version, correlation_id, Some(CLIENT_ID));
        let frame = self.link.exchange(&request, self.fetching.max_wait + ANSWER_PATIENCE).await?;
        let (_, answer) = decode::<FetchResponse>(FetchRequest::KEY, self.version, frame)?;
        let now = self.clock.now();
        let mut brought = Brought::default();
        if is_about_sessions(answer.error_code) && self.session.lose() {
            // It has given it to somebody else; the next request asks for another.
            return Ok(Answered::Well);
        } else if answer.error_code.is_error() {
            self.fail(&mut brought, &answer.error_code.to_string());
            self.session.lose();
        } else {
            self.session.answered(answer.session_id);
        }
        for data in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
            self.take(data, &mut brought);
        }
        if !brought.has_failed || brought.records > 0 {
            let Brought { records, bytes, times, .. } = &brought;
            self.meter.fetched(&Fetched { sent: Some(sent), records: *records, bytes: *bytes, times }, now);
        }
        self.drop_finished();
        // The broker fills its answer from the front, and without a session it is for us that everybody is there once.
        if self.places.len() > 1 {
            self.places.rotate_left(1);
        }
        Ok(match brought {
            Brought { has_failed: true, .. } => Answered::Refused,
            Brought { has_moved: true, .. } => Answered::Moved,
            _ => Answered::Well,
        })
    }

    fn request(&mut self) -> FetchRequest {
        let told = self.session.tell(&self.places);
        let Told { session_id, session_epoch, places, forgotten } = told;
        let partition = |place: &Place| FetchPartition {
            partition: place.partition,
            fetch_offset: place.offset,
            partition_max_bytes: self.fetching.partition_max_bytes,
            ..Default::default()
        };
        let (name, id) = (self.topic.name.clone(), self.topic.id);
        let topic =
            FetchTopic { topic: name.clone(), topic_id: id, partitions: places.iter().map(partition).collect() };
        let gone = ForgottenTopic { topic: name, topic_id: id, partitions: forgotten };
        FetchRequest {
            max_wait_ms: i32::try_from(self.fetching.max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.fetching.min_bytes,
            max_bytes: self.fetching.max_bytes,
            session_id,
            session_epoch,
            topics: if topic.partitions.is_empty() { Vec::new() } else { vec![topic] },
            forgotten_topics_data: if gone.partitions.is_empty() { Vec::new() } else { vec![gone] },
            ..Default::default()
        }
    }

    fn take(&mut self, data: PartitionData, brought: &mut Brought) {
        if has_moved(data.error_code) && self.cluster.is_some() {
            brought.has_moved = true;
        } else if data.error_code.is_error() {
            self.fail(brought, &data.error_code.to_string());
        }
        let found = self.places.iter_mut().find(|place| place.partition == data.partition_index);
        let Some(place) = found else { return };
        if data.error_code == ErrorCode::OFFSET_OUT_OF_RANGE {
            // What retention has taken meanwhile is not there to be read any more.
            place.offset = place.offset.max(data.log_start_offset);
        }
        let (from, mut is_unreadable) = (place.offset, false);
        let records: Bytes = data.records.map(|records| records.into_bytes()).unwrap_or_default();
        for batch in batches(&records) {
            let Ok(batch) = batch else {
                // A broker may cut the last batch short; it comes again. At the front it would come for ever.
                is_unreadable = place.offset == from;
                break;
            };
            // A batch comes whole, also when the wanted offset is in its middle.
            let before = (place.offset - batch.base_offset()).max(0) as u64;
            let count = u64::from(batch.record_count().max(0) as u32);
            if !batch.is_control() {
                brought.records += count.saturating_sub(before);
                brought.bytes += batch.size_bytes() as u64;
            }
            if let (Some(mark), false) = (self.mark, batch.is_control())
                && let Ok(set) = batch.records(BATCH_MAX_BYTES)
            {
                let values = set.iter().map_while(Result::ok).filter(|record| record.offset >= place.offset);
                brought.times.extend(values.filter_map(|record| due_of(record.value?, mark)));
            }
            place.offset = place.offset.max(batch.next_offset());
        }
        if is_unreadable {
            self.fail(brought, UNREADABLE);
        }
    }

    fn fail(&self, brought: &mut Brought, reason: &str) {
        brought.has_failed = true;
        self.meter.fetch_failed(reason, self.clock.now());
    }

    fn drop_finished(&mut self) {
        self.places.retain(|place| place.until.is_none_or(|until| place.offset < until));
    }
}

fn is_about_sessions(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND | ErrorCode::INVALID_FETCH_SESSION_EPOCH)
}

#[cfg(test)]
mod tests {
    use protocol::Uuid;
    use protocol::records::BatchBuilder;
    use protocol::wire::Records;
    use tokio::net::TcpListener;

    use super::*;
    use crate::tally::Tally;

    fn batch(base: i64) -> Vec<u8> {
        let mut builder = BatchBuilder::new(base);
        builder.append(7, None, Some(b"value"), &[]);
        builder.build().to_vec()
    }

    #[tokio::test]
    async fn a_batch_that_cannot_be_read_is_an_error_unless_it_is_the_end_of_an_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let clock = Arc::new(Clock::new());
        let tally = Tally::new(&clock);
        let mut reader = Reader {
            cluster: None,
            link: Link::connect(&address).await.unwrap(),
            address,
            topic: Arc::new(TopicMetadata {
                name: "t".into(),
                id: Uuid::ZERO,
                is_internal: false,
                partitions: Vec::new(),
            }),
            version: 12,
            places: vec![Place { partition: 0, offset: 0, until: None }],
            session: Session::default(),
            fetching: Fetching::default(),
            mark: None,
            meter: tally.meter(0),
            clock,
        };
        let mut cut = batch(1);
        cut.pop();
        let mut take = |bytes: Vec<u8>| {
            let mut brought = Brought::default();
            let records = Some(Records::from(Bytes::from(bytes)));
            reader.take(PartitionData { records, ..Default::default() }, &mut brought);
            (brought.records, brought.has_failed, reader.places[0].offset, tally.drain().0.errors)
        };
        let (records, has_failed, offset, errors) = take([batch(0), cut.clone()].concat());
        assert_eq!((records, has_failed, offset, errors.len()), (1, false, 1, 0));
        let (records, has_failed, offset, errors) = take(cut);
        assert_eq!((records, has_failed, offset, errors[UNREADABLE]), (0, true, 1, 1));
    }
}

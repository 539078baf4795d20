//! A connection that writes records when they are due.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{ClientError, Cluster};
use protocol::ErrorCode;
use protocol::api::Request;
use protocol::messages::InitProducerIdRequest;
use protocol::messages::produce::{ProduceRequest, ProduceResponse};

use crate::clock::{Clock, Timer, nanos};
use crate::frames::{Frames, Identity};
use crate::link::{GARBLED, Link, Lost, TIMED_OUT, decode};
use crate::schedule::{Due, Next, Schedule};
use crate::tally::Meter;
use crate::workload::LoadError;

/// How long to wait for an answer, as Kafka's producer does.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// How long to try to connect again, and how often.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(30);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// What a connection is and does, before it runs.
pub(crate) struct Sender {
    pub(crate) address: String,
    pub(crate) link: Link,
    pub(crate) frames: Frames,
    pub(crate) in_flight_max: usize,
    /// Whom to ask for a producer id, if it is to have one.
    pub(crate) identified_by: Option<Cluster>,
    /// Of one record, key included.
    pub(crate) record_bytes: u64,
    pub(crate) clock: Arc<Clock>,
    pub(crate) meter: Meter,
}

/// A request that was made and is not answered.
struct Sent {
    due: Due,
    correlation_id: i32,
    made_at: u64,
}

/// A connection at work.
struct Work {
    sender: Sender,
    schedule: Schedule,
    timer: Timer,
    in_flight: VecDeque<Sent>,
    /// How much of the frame is written. Another is made when all of it is.
    written: usize,
    next_place: usize,
    next_id: i32,
    /// After an error the numbers of an idempotent producer have a gap: it needs a new identity.
    is_gapped: bool,
}

/// What there is to do for a connection that could write.
enum Turn {
    /// A frame is there to be written.
    Write,
    /// Not before this time.
    At(u64),
    /// Not before an answer has come.
    Full,
    /// Nothing any more.
    Over,
}

impl Sender {
    /// Gets a producer id, if it is to have one.
    pub(crate) async fn identify(&mut self) -> Result<(), ClientError> {
        if let Some(cluster) = &self.identified_by {
            let identity = new_identity(cluster).await?;
            self.frames.identify(identity);
        }
        Ok(())
    }

    /// Carries out a schedule to its end; answers how many records were due and could not be sent.
    ///
    /// # Errors
    /// When the connection broke and could not be opened again.
    pub(crate) async fn run(self, schedule: Schedule) -> Result<u64, LoadError> {
        let timer = Timer::new()?;
        let frame_bytes = self.frames.bytes().len();
        let mut work = Work {
            sender: self,
            schedule,
            timer,
            in_flight: VecDeque::new(),
            written: frame_bytes,
            next_place: 0,
            next_id: 0,
            is_gapped: false,
        };
        while let Err(lost) = work.drive().await {
            work.give_up(lost);
            work.reconnect().await?;
        }
        Ok(work.schedule.unsent(work.sender.clock.now()))
    }
}

impl Work {
    /// Writes and reads until all is sent and answered.
    async fn drive(&mut self) -> Result<(), Lost> {
        loop {
            let turn = self.turn();
            let wake_at = match turn {
                Turn::Over if self.in_flight.is_empty() => return Ok(()),
                Turn::At(time) => time,
                Turn::Write | Turn::Full | Turn::Over => u64::MAX,
            };
            if self.is_gapped && self.in_flight.is_empty() {
                return Err(Lost("a new producer id after an error"));
            }
            let expires_at = self.in_flight.front().map_or(u64::MAX, |sent| sent.made_at + nanos(ANSWER_PATIENCE));
            let to_write = matches!(turn, Turn::Write);
            tokio::select! {
                biased;
                ready = self.sender.link.ready(to_write) => ready?,
                () = self.timer.until(&self.sender.clock, wake_at.min(expires_at)) => {
                    if self.sender.clock.now() >= expires_at {
                        return Err(TIMED_OUT);
                    }
                }
            }
            if to_write {
                self.write()?;
            }
            if self.sender.link.read()? {
                while let Some(frame) = self.sender.link.frame()? {
                    self.settle(frame)?;
                }
            }
        }
    }

    /// Makes the next request, if one is due and there is room.
    fn turn(&mut self) -> Turn {
        if self.written < self.sender.frames.bytes().len() {
            return Turn::Write;
        }
        if self.in_flight.len() >= self.sender.in_flight_max || self.is_gapped {
            return Turn::Full;
        }
        let now = self.sender.clock.now();
        match self.schedule.next(now) {
            Next::At(time) => Turn::At(time),
            Next::Done => Turn::Over,
            Next::Send(due) => {
                self.next_place = (self.next_place + 1) % self.sender.frames.partitions().len();
                self.sender.frames.make(self.next_place, &due, self.next_id);
                self.in_flight.push_back(Sent { due, correlation_id: self.next_id, made_at: now });
                self.next_id = self.next_id.wrapping_add(1);
                self.written = 0;
                Turn::Write
            }
        }
    }

    fn write(&mut self) -> Result<(), Lost> {
        let bytes = self.sender.frames.bytes();
        self.written += self.sender.link.write(&bytes[self.written..])?;
        if self.written == bytes.len() && !self.sender.frames.is_answered() {
            // Without acks a record counts when the operating system has taken it, and nobody hears of more.
            let now = self.sender.clock.now();
            while let Some(sent) = self.in_flight.pop_front() {
                self.count(&sent.due, ErrorCode::NONE, now);
            }
        }
        Ok(())
    }

    fn settle(&mut self, frame: bytes::Bytes) -> Result<(), Lost> {
        let (id, answer) = decode::<ProduceResponse>(ProduceRequest::KEY, self.sender.frames.version(), frame)?;
        let partition = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let code = partition.ok_or(GARBLED)?.error_code;
        // What an answer is not about stays in flight, and is counted with the rest when the connection is given up.
        let sent = self.in_flight.front().filter(|sent| sent.correlation_id == id).ok_or(GARBLED)?;
        self.count(&sent.due, code, self.sender.clock.now());
        self.in_flight.pop_front();
        self.is_gapped |= code.is_error() && self.sender.identified_by.is_some();
        Ok(())
    }

    fn count(&self, due: &Due, code: ErrorCode, now: u64) {
        if code.is_none() {
            self.sender.meter.written(due, u64::from(due.count) * self.sender.record_bytes, now);
        } else {
            self.sender.meter.refused(due, &code.to_string(), now);
        }
    }

    /// Nobody knows what became of what was in flight, so it is no success.
    fn give_up(&mut self, lost: Lost) {
        let now = self.sender.clock.now();
        while let Some(sent) = self.in_flight.pop_front() {
            self.sender.meter.refused(&sent.due, lost.0, now);
        }
        self.written = self.sender.frames.bytes().len();
    }

    async fn reconnect(&mut self) -> Result<(), LoadError> {
        let give_up_at = self.sender.clock.now() + nanos(RECONNECT_PATIENCE);
        loop {
            let result = match Link::connect(&self.sender.address).await {
                Ok(link) => {
                    self.sender.link = link;
                    self.sender.identify().await
                }
                Err(failure) => Err(failure),
            };
            match result {
                Ok(()) => {
                    self.is_gapped = false;
                    return Ok(());
                }
                Err(failure) if self.sender.clock.now() >= give_up_at => return Err(failure.into()),
                Err(_) => tokio::time::sleep(RECONNECT_PAUSE).await,
            }
        }
    }
}

/// Gets a producer id; a cluster that has just started takes a moment until it can give one.
async fn new_identity(cluster: &Cluster) -> Result<Identity, ClientError> {
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let begun = Instant::now();
    loop {
        let answer = cluster.any().await?.send(&request).await?;
        match ClientError::check("a producer id", answer.error_code, None) {
            Ok(()) => return Ok(Identity { producer_id: answer.producer_id, epoch: answer.producer_epoch }),
            Err(failure) if !failure.is_retriable() || begun.elapsed() > RECONNECT_PATIENCE => return Err(failure),
            Err(_) => tokio::time::sleep(RECONNECT_PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use bytes::Bytes;
    use client::TopicMetadata;
    use protocol::frame::{RequestHeader, encode_response};
    use protocol::messages::produce::{PartitionProduceResponse, TopicProduceResponse};
    use protocol::records::Codec;

    use super::*;
    use crate::frames::Form;
    use crate::payload::Payloads;
    use crate::schedule::Plan;
    use crate::summary::Latency;
    use crate::tally::{Counts, Tally};
    use crate::workload::Values;

    const VERSION: i16 = 9;
    const RECORDS: u64 = 1000;
    const STALL: Duration = Duration::from_millis(400);

    /// Answers every Produce on one connection; with the code that `answer` says to its number.
    fn responder(answer: impl Fn(usize) -> Option<ErrorCode> + Send + 'static) -> String {
        responder_of(move |number| {
            let partition = PartitionProduceResponse { error_code: answer(number)?, ..Default::default() };
            Some(vec![TopicProduceResponse { partition_responses: vec![partition], ..Default::default() }])
        })
    }

    /// Answers every Produce on one connection; what `answer` says to its number.
    fn responder_of(answer: impl Fn(usize) -> Option<Vec<TopicProduceResponse>> + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let mut number = 0;
            for stream in listener.incoming() {
                while let Some(id) = next_request(stream.as_ref().unwrap()) {
                    number += 1;
                    let Some(responses) = answer(number) else { break };
                    let answer = ProduceResponse { responses, ..Default::default() };
                    let frame = encode_response(ProduceRequest::KEY, VERSION, id, &answer).concat();
                    if stream.as_ref().unwrap().write_all(&frame).is_err() {
                        break;
                    }
                }
            }
        });
        address
    }

    /// The correlation id of the next request; nothing when there is none any more.
    fn next_request(mut stream: &TcpStream) -> Option<i32> {
        let mut size = [0; 4];
        stream.read_exact(&mut size).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(size) as usize];
        stream.read_exact(&mut frame).ok()?;
        Some(RequestHeader::decode(Bytes::from(frame)).unwrap().0.correlation_id)
    }

    /// A thousand records, one a millisecond, each a request.
    async fn measure(address: String) -> Counts {
        let clock = Arc::new(Clock::new());
        clock.set_measure_from(0);
        let tally = Tally::new(&clock);
        let topic =
            TopicMetadata { name: "t".into(), id: protocol::Uuid::ZERO, is_internal: false, partitions: vec![] };
        let form = Form { topic: topic.into(), version: VERSION, acks: 1, codec: Codec::None, is_pre_encoded: true };
        let sender = Sender {
            link: Link::connect(&address).await.unwrap(),
            address,
            frames: Frames::new(form, vec![0], Payloads::new(&Values::random(100, 1.0), 1, None), None),
            in_flight_max: 5,
            identified_by: None,
            record_bytes: 100,
            clock: Arc::clone(&clock),
            meter: tally.meter(0),
        };
        let plan = Plan {
            interval_ns: Some(1e6),
            start: clock.now(),
            measure_from: 0,
            end: None,
            quota: Some(RECORDS),
            linger_ns: 0,
            batch: 1,
        };
        assert_eq!(sender.run(Schedule::new(plan)).await.unwrap(), 0);
        tally.drain().1
    }

    #[tokio::test]
    async fn a_stall_is_in_the_percentiles_of_all_that_was_due_meanwhile() {
        let address = responder(|number| {
            if number == 300 {
                std::thread::sleep(STALL);
            }
            Some(ErrorCode::NONE)
        });
        let counts = measure(address).await;
        assert_eq!((counts.records, counts.bytes, counts.error_count()), (RECORDS, RECORDS * 100, 0));
        // Five requests waited the whole time, and 400 records were due while they did: four of ten waited, the
        // average of them half as long as the stall. Were latency to count from when a request left, the five would be
        // half a percent, and the 99th percentile would know nothing of them.
        let latency = Latency::of(&counts.latency);
        assert!(latency.p90 > 200.0 && latency.p99 > 300.0, "{latency:?}");
        assert!(latency.max >= STALL.as_secs_f64() * 1000.0, "{latency:?}");
    }

    #[tokio::test]
    async fn refusals_and_lost_connections_are_counted_and_never_a_success() {
        // Number 500 is not answered: the connection is closed with what is in flight on it.
        let address = responder(|number| match number {
            100..200 => Some(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            500 => None,
            _ => Some(ErrorCode::NONE),
        });
        let counts = measure(address).await;
        assert_eq!(counts.errors["NOT_LEADER_OR_FOLLOWER"], 100);
        let lost = counts.errors["connection lost"];
        assert!((1..=5).contains(&lost), "{:?}", counts.errors);
        assert_eq!(counts.records + counts.error_count(), RECORDS);
        assert_eq!(counts.latency.len(), counts.records);
    }

    #[tokio::test]
    async fn what_an_answer_says_nothing_of_is_counted_as_lost() {
        let address = responder_of(|number| {
            let partition = PartitionProduceResponse::default();
            let topic = TopicProduceResponse { partition_responses: vec![partition], ..Default::default() };
            Some(if number == 500 { Vec::new() } else { vec![topic] })
        });
        let counts = measure(address).await;
        assert!(counts.errors["answer cannot be read"] >= 1, "{:?}", counts.errors);
        assert_eq!(counts.records + counts.error_count(), RECORDS);
    }
}

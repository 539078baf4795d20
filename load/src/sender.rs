//! A producer, which writes records when they are due: one connection, and more when leaders move.

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
use crate::link::{GARBLED, Lost, TIMED_OUT, decode};
use crate::routes::{Routes, Sent, has_moved};
use crate::schedule::{Due, Next, Schedule};
use crate::tally::Meter;
use crate::workload::LoadError;

/// How long to wait for an answer, as Kafka's producer does.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// How long to try to connect again, and how often.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(30);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Before the leaders are asked for again, as in Kafka's producer.
const MOVE_PAUSE: Duration = Duration::from_millis(100);
/// For the answer to that.
const ASK_PATIENCE: Duration = Duration::from_secs(5);
/// How long records are sent again whose leader moves.
const MOVE_PATIENCE: Duration = Duration::from_secs(30);

/// What a producer is and does, before it runs.
pub(crate) struct Sender {
    pub(crate) routes: Routes,
    pub(crate) frames: Frames,
    pub(crate) in_flight_max: usize,
    /// Whom to ask who leads a partition now, and for a producer id.
    pub(crate) cluster: Option<Cluster>,
    pub(crate) is_idempotent: bool,
    /// Of one record, key included.
    pub(crate) record_bytes: u64,
    pub(crate) clock: Arc<Clock>,
    pub(crate) meter: Meter,
}

/// A producer at work.
struct Work {
    sender: Sender,
    schedule: Schedule,
    timer: Timer,
    /// Refused by brokers that do not lead their partitions any more; they go before anything else.
    moved: VecDeque<Sent>,
    /// When to ask who leads them now; never, if that is known.
    ask_at: u64,
    /// How much of the frame is written, and to which connection. Another is made when all of it is.
    written: usize,
    writing_to: usize,
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

/// What keeps a producer from going on.
enum Broken {
    /// The connection of this number.
    Route(usize, Lost),
    /// It needs a new identity.
    Gap,
}

impl Sender {
    /// Gets a producer id, if it is to have one.
    pub(crate) async fn identify(&mut self) -> Result<(), ClientError> {
        if let (true, Some(cluster)) = (self.is_idempotent, &self.cluster) {
            let identity = new_identity(cluster).await?;
            self.frames.identify(identity);
        }
        Ok(())
    }

    /// Carries out a schedule to its end; answers how many records were due and could not be sent.
    ///
    /// # Errors
    /// When a connection broke and could not be opened again.
    pub(crate) async fn run(self, schedule: Schedule) -> Result<u64, LoadError> {
        let timer = Timer::new()?;
        let frame_bytes = self.frames.bytes().len();
        let mut work = Work {
            sender: self,
            schedule,
            timer,
            moved: VecDeque::new(),
            ask_at: u64::MAX,
            written: frame_bytes,
            writing_to: 0,
            next_place: 0,
            next_id: 0,
            is_gapped: false,
        };
        while let Err(broken) = work.drive().await {
            if let Broken::Route(number, lost) = broken {
                work.give_up(number, lost);
            }
            work.mend().await?;
        }
        Ok(work.schedule.unsent(work.sender.clock.now()))
    }
}

impl Work {
    /// Writes and reads until all is sent and answered.
    async fn drive(&mut self) -> Result<(), Broken> {
        loop {
            let turn = self.turn();
            let in_flight = self.sender.routes.in_flight();
            let wake_at = match turn {
                Turn::Over if in_flight == 0 && self.moved.is_empty() => return Ok(()),
                Turn::At(time) => time,
                Turn::Write | Turn::Full | Turn::Over => u64::MAX,
            };
            // With a move under way the leaders are asked for first, after a pause.
            if self.is_gapped && in_flight == 0 && self.ask_at == u64::MAX {
                return Err(Broken::Gap);
            }
            let (oldest, made_at) = self.sender.routes.oldest().unwrap_or((0, u64::MAX));
            let expires_at = made_at.saturating_add(nanos(ANSWER_PATIENCE));
            let to_write = matches!(turn, Turn::Write).then_some(self.writing_to);
            // What is half written goes out first.
            let ask_at = if to_write.is_none() { self.ask_at } else { u64::MAX };
            tokio::select! {
                biased;
                ready = self.sender.routes.ready(to_write) => {
                    ready.map_err(|(number, lost)| Broken::Route(number, lost))?;
                }
                () = self.timer.until(&self.sender.clock, wake_at.min(expires_at).min(ask_at)) => {
                    let now = self.sender.clock.now();
                    if now >= expires_at {
                        return Err(Broken::Route(oldest, TIMED_OUT));
                    }
                    if now >= ask_at {
                        self.ask().await;
                    }
                }
            }
            if let Some(number) = to_write {
                self.write().map_err(|lost| Broken::Route(number, lost))?;
            }
            for number in 0..self.sender.routes.all.len() {
                self.read(number).map_err(|lost| Broken::Route(number, lost))?;
            }
        }
    }

    /// Makes the next request, if one is due and there is room.
    fn turn(&mut self) -> Turn {
        if self.written < self.sender.frames.bytes().len() {
            return Turn::Write;
        }
        if self.is_gapped {
            return Turn::Full;
        }
        let now = self.sender.clock.now();
        if self.ask_at == u64::MAX
            && let Some(again) = self.moved.pop_front()
        {
            self.make(again.place, again.due, (now, again.first_made_at));
            return Turn::Write;
        }
        if self.sender.routes.in_flight() + self.moved.len() >= self.sender.in_flight_max {
            return Turn::Full;
        }
        match self.schedule.next(now) {
            Next::At(time) => Turn::At(time),
            Next::Done => Turn::Over,
            Next::Send(due) => {
                self.next_place = (self.next_place + 1) % self.sender.frames.partitions().len();
                self.make(self.next_place, due, (now, now));
                Turn::Write
            }
        }
    }

    fn make(&mut self, place: usize, due: Due, (made_at, first_made_at): (u64, u64)) {
        self.sender.frames.make(place, &due, self.next_id);
        self.writing_to = self.sender.routes.of(place);
        let sent = Sent { due, correlation_id: self.next_id, made_at, place, first_made_at };
        self.sender.routes.all[self.writing_to].in_flight.push_back(sent);
        self.next_id = self.next_id.wrapping_add(1);
        self.written = 0;
    }

    fn write(&mut self) -> Result<(), Lost> {
        let bytes = self.sender.frames.bytes();
        let route = &mut self.sender.routes.all[self.writing_to];
        self.written += route.link.write(&bytes[self.written..])?;
        if self.written == bytes.len() && !self.sender.frames.is_answered() {
            // Without acks a record counts when the operating system has taken it, and nobody hears of more.
            let now = self.sender.clock.now();
            for sent in std::mem::take(&mut route.in_flight) {
                self.count(&sent.due, ErrorCode::NONE, now);
            }
        }
        Ok(())
    }

    fn read(&mut self, number: usize) -> Result<(), Lost> {
        let route = &mut self.sender.routes.all[number];
        if !route.is_open || !route.link.read()? {
            return Ok(());
        }
        while let Some(frame) = self.sender.routes.all[number].link.frame()? {
            self.settle(number, frame)?;
        }
        Ok(())
    }

    fn settle(&mut self, number: usize, frame: bytes::Bytes) -> Result<(), Lost> {
        let (id, answer) = decode::<ProduceResponse>(ProduceRequest::KEY, self.sender.frames.version(), frame)?;
        let partition = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let code = partition.ok_or(GARBLED)?.error_code;
        let in_flight = &mut self.sender.routes.all[number].in_flight;
        // What an answer is not about stays in flight, and is counted with the rest when the connection is given up.
        if in_flight.front().is_none_or(|sent| sent.correlation_id != id) {
            return Err(GARBLED);
        }
        let sent = in_flight.pop_front().ok_or(GARBLED)?;
        let now = self.sender.clock.now();
        self.is_gapped |= code.is_error() && self.sender.is_idempotent;
        let is_hopeful = now < sent.first_made_at.saturating_add(nanos(MOVE_PATIENCE));
        if has_moved(code) && self.sender.cluster.is_some() && is_hopeful {
            self.sender.meter.moved(&sent.due);
            self.moved.push_back(sent);
            self.ask_at = self.ask_at.min(now + nanos(MOVE_PAUSE));
        } else {
            self.count(&sent.due, code, now);
        }
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
    fn give_up(&mut self, number: usize, lost: Lost) {
        let now = self.sender.clock.now();
        let route = &mut self.sender.routes.all[number];
        route.is_open = false;
        for sent in std::mem::take(&mut route.in_flight) {
            self.sender.meter.refused(&sent.due, lost.0, now);
        }
        if self.writing_to == number {
            self.written = self.sender.frames.bytes().len();
        }
    }

    /// Asks who leads the partitions now. Who does not hear, asks again.
    async fn ask(&mut self) {
        let asked = tokio::time::timeout(ASK_PATIENCE, self.follow()).await;
        self.ask_at = match asked {
            Ok(Ok(())) => u64::MAX,
            _ => self.sender.clock.now() + nanos(MOVE_PAUSE),
        };
    }

    /// Connects to whoever leads the partitions now.
    async fn follow(&mut self) -> Result<(), ClientError> {
        let Sender { routes, frames, cluster, .. } = &mut self.sender;
        match cluster {
            Some(cluster) => routes.renew(cluster, frames.topic(), frames.partitions()).await,
            None => routes.reopen().await,
        }
    }

    /// Connects again, and gets a new identity if one is needed.
    async fn mend(&mut self) -> Result<(), LoadError> {
        let give_up_at = self.sender.clock.now() + nanos(RECONNECT_PATIENCE);
        loop {
            let result = match self.follow().await {
                Ok(()) => self.sender.identify().await,
                Err(failure) => Err(failure),
            };
            match result {
                Ok(()) => {
                    self.is_gapped = false;
                    self.ask_at = u64::MAX;
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
    use crate::link::Link;
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
            routes: Routes::one(address.clone(), Link::connect(&address).await.unwrap(), 1),
            frames: Frames::new(form, vec![0], Payloads::new(&Values::random(100, 1.0), 1, None), None),
            in_flight_max: 5,
            cluster: None,
            is_idempotent: false,
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

//! Carrying out a workload: connections first, then the load, then the rest of what is under way.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use client::Cluster;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::CLIENT_ID;
use crate::clock::{Clock, nanos};
use crate::crew::{Post, Site, random_u64, schedules};
use crate::member::Member;
use crate::reader::Reader;
use crate::summary::{Latency, Pace, Side, Summary};
use crate::tally::{Counts, Tally};
use crate::topics::{cleaned, delete, prepare};
use crate::workload::{Consume, Length, LoadError, Workload};

/// Between the moment that everything is ready and the first record.
const LEAD: Duration = Duration::from_millis(20);
/// How often to look whether it is over, and how often to say how it goes.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Consumers to whom nothing has come for so long do not get what is missing.
const QUIET_MAX: Duration = Duration::from_secs(10);
/// Consumers that are to read so many records give up when so long nothing has come: there are no more, or nobody is there.
const NOTHING_MAX: Duration = Duration::from_secs(30);
/// How long members may take to get their partitions, and to leave.
const JOIN_PATIENCE: Duration = Duration::from_secs(120);
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);

/// How far a run has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing counts yet.
    WarmingUp,
    /// It does.
    Measuring,
    /// All is sent; consumers catch up.
    Draining,
}

/// How it goes: once a second.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// How far it has got.
    pub phase: Phase,
    /// Since the first record was due.
    pub elapsed: Duration,
    /// In the last second.
    pub produced: Option<Pace>,
    /// In the last second.
    pub consumed: Option<Pace>,
}

/// Puts a load on the cluster at `bootstrap`. `report` hears how it goes; when `stop` completes, it ends early and answers
/// what came of it so far. Topics that were made are deleted, also after an error.
///
/// It belongs on a runtime with several threads: at one, connections wait for each other, and that shows as latency.
///
/// # Errors
/// [`LoadError`]. What a broker refuses is no error of the run: it is counted by its code.
pub async fn run(
    bootstrap: &str,
    workload: &Workload,
    report: &mut (dyn FnMut(&Progress) + Send),
    stop: impl Future<Output = ()>,
) -> Result<Summary, LoadError> {
    workload.check()?;
    let mut stop = pin!(stop);
    let stopped = || Ok(Summary { interrupted: true, ..Summary::default() });
    let cluster = tokio::select! {
        cluster = Cluster::connect(bootstrap, CLIENT_ID) => cluster?,
        () = &mut stop => return stopped(),
    };
    let Some(prepared) = prepare(&cluster, &workload.topics, &mut stop).await? else { return stopped() };
    let clock = Arc::new(Clock::new());
    let is_timed = workload.produce.is_some() && workload.consume.is_some();
    let site = Site {
        bootstrap,
        cluster: cluster.clone(),
        topics: prepared.topics,
        produced: Tally::new(&clock),
        consumed: Tally::new(&clock),
        clock,
        mark: if is_timed { Some(random_u64()?.to_be_bytes()) } else { None },
    };
    let result = carry_out(&site, workload, report, stop).await;
    if workload.topics.keep { result } else { cleaned(&cluster, &prepared.made, result).await }
}

/// Deletes topics that a run has made and left there.
///
/// # Errors
/// When the cluster does not answer or refuses.
pub async fn delete_topics(bootstrap: &str, names: &[String]) -> Result<(), LoadError> {
    delete(&Cluster::connect(bootstrap, CLIENT_ID).await?, names).await
}

async fn carry_out(
    site: &Site<'_>,
    workload: &Workload,
    report: &mut (dyn FnMut(&Progress) + Send),
    mut stop: impl Future<Output = ()> + Unpin,
) -> Result<Summary, LoadError> {
    let cpu_before = cpu_seconds();
    let (over, is_over) = watch::channel(false);
    let setting_up = async { Under::way(site, workload, &is_over).await };
    let mut under_way = tokio::select! {
        under_way = setting_up => under_way?,
        () = &mut stop => return Ok(Summary { interrupted: true, ..Summary::default() }),
    };
    let (mut look, mut second) = (interval(LOOK_INTERVAL), interval(REPORT_INTERVAL));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    second.reset();
    let mut interrupted = false;
    while !under_way.is_over()? {
        tokio::select! {
            Some(ended) = under_way.senders.join_next() => under_way.unsent += joined(ended)?,
            Some(ended) = under_way.readers.join_next() => joined(ended)?,
            _ = look.tick() => under_way.look(),
            _ = second.tick() => report(&under_way.progress(REPORT_INTERVAL)),
            () = &mut stop => {
                interrupted = true;
                break;
            }
        }
    }
    under_way.progress(REPORT_INTERVAL);
    let summary = under_way.summary(interrupted, cpu_seconds() - cpu_before);
    let _ = over.send(true);
    under_way.dismiss().await;
    Ok(summary)
}

/// A run that has begun.
struct Under<'a> {
    site: &'a Site<'a>,
    workload: &'a Workload,
    senders: JoinSet<Result<u64, LoadError>>,
    readers: JoinSet<Result<(), LoadError>>,
    /// They begin with the run, or when there is a backlog.
    held_back: Vec<Reader>,
    start: u64,
    measure_from: u64,
    unsent: u64,
    /// How many records are there to be read, where that is known beforehand.
    there: Option<u64>,
    /// How many were read when the warm-up was over.
    read_before: Option<u64>,
    /// How many were read when that last changed, and when it did.
    last_read: (u64, u64),
    produced: [Counts; 2],
    consumed: [Counts; 2],
}

impl<'a> Under<'a> {
    async fn way(
        site: &'a Site<'a>,
        workload: &'a Workload,
        over: &watch::Receiver<bool>,
    ) -> Result<Under<'a>, LoadError> {
        let mut readers = JoinSet::new();
        let (mut held_back, mut there) = (Vec::new(), None);
        let has_producer = workload.produce.is_some();
        let mut start = None;
        if let Some(consume) = &workload.consume {
            let ends = workload.length == Length::Everything;
            if consume.joined {
                there = if ends { Some(site.records_there().await? * consume.groups as u64) } else { None };
                let members = site.members(consume, has_producer).await?;
                if !has_producer {
                    // Who joins begins to read at once.
                    start = Some(site.clock.now());
                    site.clock.set_measure_from(site.clock.now() + nanos(workload.warmup));
                }
                gather(site, consume, members, (&mut readers, over)).await?;
            } else {
                held_back = site.readers(consume, has_producer, ends).await?;
            }
        }
        let posts = match &workload.produce {
            Some(produce) => site.senders(produce).await?,
            None => Vec::new(),
        };
        let start = start.unwrap_or_else(|| site.clock.now() + nanos(LEAD));
        let measure_from = start + nanos(workload.warmup);
        site.clock.set_measure_from(measure_from);
        let mut under_way = Under {
            site,
            workload,
            senders: JoinSet::new(),
            readers,
            held_back,
            start,
            measure_from,
            unsent: 0,
            there,
            read_before: None,
            last_read: (0, measure_from),
            produced: Default::default(),
            consumed: Default::default(),
        };
        if has_producer {
            under_way.release_readers();
        }
        under_way.begin(posts);
        Ok(under_way)
    }

    fn begin(&mut self, posts: Vec<Post>) {
        let Some(produce) = &self.workload.produce else { return };
        for (schedule, post) in schedules(self.workload, produce, &posts, self.start).into_iter().zip(posts) {
            self.senders.spawn(post.sender.run(schedule));
        }
    }

    fn release_readers(&mut self) {
        let Some(consume) = &self.workload.consume else { return };
        if self.site.produced.bytes().saturating_mul(consume.groups as u64) >= consume.after_bytes {
            self.held_back.drain(..).for_each(|reader| drop(self.readers.spawn(reader.run())));
        }
    }

    fn look(&mut self) {
        let (now, read) = (self.site.clock.now(), self.site.consumed.records());
        if !self.held_back.is_empty() && now >= self.start {
            self.release_readers();
        }
        if now >= self.measure_from && self.read_before.is_none() {
            self.read_before = Some(read);
        }
        if read != self.last_read.0 || !self.senders.is_empty() {
            self.last_read = (read, now);
        }
    }

    fn is_over(&mut self) -> Result<bool, LoadError> {
        if !self.senders.is_empty() {
            return Ok(false);
        }
        let Some(consume) = &self.workload.consume else { return Ok(true) };
        if !self.held_back.is_empty() {
            if self.workload.produce.is_some() {
                // Everything was sent, and it was less than the backlog that was asked for.
                self.held_back.drain(..).for_each(|reader| drop(self.readers.spawn(reader.run())));
            }
            return Ok(false);
        }
        let read = self.site.consumed.records();
        let now = self.site.clock.now();
        let quiet = Duration::from_nanos(now.saturating_sub(self.last_read.1));
        if self.workload.produce.is_some() {
            return Ok(read >= self.expected(consume) || quiet > QUIET_MAX);
        }
        match self.workload.length {
            Length::Time(duration) => Ok(now >= self.measure_from + nanos(duration)),
            Length::Records(count) => has_read(count, self.read_before, read, quiet),
            Length::Everything => Ok(match self.there {
                Some(there) => read >= there || quiet > QUIET_MAX,
                None => self.readers.is_empty(),
            }),
        }
    }

    /// How many records consumers are to get of what is acknowledged so far.
    fn expected(&self, consume: &Consume) -> u64 {
        self.site.produced.records().saturating_mul(consume.groups as u64)
    }

    /// Takes stock of what happened since the last time.
    fn progress(&mut self, since: Duration) -> Progress {
        let now = self.site.clock.now();
        let phase = match now < self.measure_from {
            true => Phase::WarmingUp,
            false if self.senders.is_empty() && self.workload.produce.is_some() => Phase::Draining,
            false => Phase::Measuring,
        };
        let produced = take_stock(&self.site.produced, &mut self.produced, since);
        let consumed = take_stock(&self.site.consumed, &mut self.consumed, since);
        Progress {
            phase,
            elapsed: Duration::from_nanos(now.saturating_sub(self.start)),
            produced: self.workload.produce.as_ref().map(|_| produced),
            consumed: self.workload.consume.map(|_| consumed),
        }
    }

    fn summary(&self, interrupted: bool, client_cpu_seconds: f64) -> Summary {
        let side = |[warmup, measured]: &[Counts; 2]| Side::of(measured, warmup, self.measure_from);
        let has_producer = self.workload.produce.is_some();
        let expected = match (&self.workload.consume, has_producer, self.there) {
            (Some(consume), true, _) => self.expected(consume),
            (Some(_), false, Some(there)) => there,
            _ => 0,
        };
        Summary {
            produced: has_producer.then(|| side(&self.produced)),
            consumed: self.workload.consume.map(|_| side(&self.consumed)),
            end_to_end: self.site.mark.map(|_| Latency::of(&self.consumed[1].end_to_end)),
            unsent: self.unsent,
            missing: if interrupted { 0 } else { expected.saturating_sub(self.site.consumed.records()) },
            interrupted,
            client_cpu_seconds,
        }
    }

    /// Lets members leave their groups; everybody else just stops.
    async fn dismiss(mut self) {
        self.senders.abort_all();
        if self.workload.consume.is_some_and(|consume| consume.joined) {
            let leave = async { while self.readers.join_next().await.is_some() {} };
            // Who does not manage to leave is taken for dead when the session is over.
            let _ = timeout(LEAVE_PATIENCE, leave).await;
        }
        self.readers.abort_all();
    }
}

/// Whether `count` records were read after the warm-up, when there were `before` at its end and nothing has come for
/// `quiet`.
///
/// # Errors
/// They are not to be expected any more.
fn has_read(count: u64, before: Option<u64>, read: u64, quiet: Duration) -> Result<bool, LoadError> {
    let since = before.map_or(0, |before| read - before);
    if before.is_some() && since >= count {
        return Ok(true);
    }
    if quiet > NOTHING_MAX {
        return Err(LoadError::Workload(format!(
            "{since} of {count} records have come after the warm-up, and nothing for {} s: ask for fewer, or see that \
             somebody writes them",
            NOTHING_MAX.as_secs()
        )));
    }
    Ok(false)
}

type Members = (Vec<Member>, Vec<watch::Receiver<usize>>);
type Tasks<'t> = (&'t mut JoinSet<Result<(), LoadError>>, &'t watch::Receiver<bool>);

/// Starts members and waits until every partition is somebody's, once for each group.
async fn gather(
    site: &Site<'_>,
    consume: &Consume,
    (members, assigned): Members,
    (tasks, over): Tasks<'_>,
) -> Result<(), LoadError> {
    members.into_iter().for_each(|member| drop(tasks.spawn(member.run(over.clone()))));
    let partitions: usize = site.topics.iter().map(|topic| topic.partitions.len()).sum();
    let wanted = partitions * consume.groups;
    let mut look = interval(LOOK_INTERVAL);
    let all_there = async {
        loop {
            tokio::select! {
                Some(ended) = tasks.join_next() => joined(ended)?,
                _ = look.tick() => if assigned.iter().map(|count| *count.borrow()).sum::<usize>() == wanted {
                    return Ok(());
                }
            }
        }
    };
    let late = || LoadError::Workload(format!("the groups are not complete after {} s", JOIN_PATIENCE.as_secs()));
    timeout(JOIN_PATIENCE, all_there).await.unwrap_or_else(|_| Err(late()))
}

fn take_stock(tally: &Tally, totals: &mut [Counts; 2], since: Duration) -> Pace {
    let (warmup, measured) = tally.drain();
    totals[0].add(&warmup);
    totals[1].add(&measured);
    let mut both = warmup;
    both.add(&measured);
    Pace::of(&both, since.as_secs_f64(), totals[0].error_count() + totals[1].error_count())
}

pub(crate) fn joined<T>(ended: Result<Result<T, LoadError>, JoinError>) -> Result<T, LoadError> {
    ended.unwrap_or_else(|error| Err(LoadError::Workload(format!("a connection has ended badly: {error}"))))
}

/// What this process has used so far.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use client::Acks;
    use protocol::records::Codec;
    use tokio::net::TcpListener;

    use super::*;
    use crate::workload::{Produce, Topics, Values};

    #[test]
    fn who_waits_for_records_that_do_not_come_gives_up() {
        let (little, much) = (NOTHING_MAX / 2, NOTHING_MAX * 2);
        assert!(!has_read(10, None, 50, little).unwrap(), "nothing counts during the warm-up");
        assert!(!has_read(10, Some(5), 14, little).unwrap());
        assert!(has_read(10, Some(5), 15, much).unwrap());
        let given_up = has_read(10, Some(5), 14, much).unwrap_err().to_string();
        assert!(given_up.contains("9 of 10 records"), "{given_up}");
        assert!(has_read(10, None, 0, much).is_err());
    }

    #[tokio::test]
    async fn who_is_stopped_before_the_first_answer_stops() {
        // It takes connections and never says anything.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let produce = Produce {
            connections: 1,
            values: Values::random(10, 1.0),
            keys: 0,
            batch_bytes: 100,
            linger: Duration::ZERO,
            acks: Acks::All,
            codec: Codec::None,
            idempotent: false,
            rate: None,
            in_flight: 1,
            pre_encoded: false,
        };
        let workload = Workload {
            topics: Topics { names: vec!["t".into()], create: None, keep: false },
            produce: Some(produce),
            consume: None,
            warmup: Duration::ZERO,
            length: Length::Records(1),
        };
        let mut report = |_: &Progress| ();
        let stop = async { drop(listener.accept().await.unwrap().0.readable().await) };
        let ran = timeout(Duration::from_secs(20), run(&address, &workload, &mut report, stop)).await;
        assert!(ran.expect("it does not stop").unwrap().interrupted);
        let waited = timeout(Duration::from_millis(50), run(&address, &workload, &mut report, pending())).await;
        assert!(waited.is_err(), "it ends although nobody has answered");
    }
}

//! Reading partitions that were picked by hand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use protocol::ErrorCode;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::fetch::{Answer, Isolation, Wanted, fetch};
use crate::retry::Retries;
use crate::{ClientError, Cluster, FetchedRecord, StartOffset, TopicPartition, list_offsets};

/// How long a broker may keep a fetch for which it has nothing.
const FETCH_WAIT: Duration = Duration::from_millis(500);

/// Reads the partitions it is assigned, each in order, from the brokers that lead them.
///
/// At most one fetch to each broker is under way, and none is sent while records wait to be taken.
pub struct Consumer {
    cluster: Cluster,
    positions: BTreeMap<TopicPartition, Position>,
    isolation: Isolation,
    /// Where to go on when an offset is gone.
    reset: Option<StartOffset>,
    ready: VecDeque<FetchedRecord>,
    fetches: JoinSet<Outcome>,
    /// Leaders with a fetch under way.
    asked: BTreeSet<i32>,
    retries: Retries,
}

#[derive(Clone, Copy)]
struct Position {
    /// The offset that the next fetch asks for.
    fetch_offset: i64,
    /// The end of what can be read, once a fetch has said it.
    end_offset: Option<i64>,
}

/// What became of a fetch.
struct Outcome {
    leader: i32,
    wanted: Vec<Wanted>,
    result: Result<Vec<Answer>, ClientError>,
}

impl Consumer {
    /// A consumer without partitions.
    pub fn new(cluster: &Cluster) -> Consumer {
        Consumer {
            cluster: cluster.clone(),
            positions: BTreeMap::new(),
            isolation: Isolation::ReadUncommitted,
            reset: None,
            ready: VecDeque::new(),
            fetches: JoinSet::new(),
            asked: BTreeSet::new(),
            retries: Retries::default(),
        }
    }

    /// The same consumer, which sees these records.
    pub fn isolation(mut self, isolation: Isolation) -> Consumer {
        self.isolation = isolation;
        self
    }

    /// Reads these partitions from `start` on, and no others.
    ///
    /// With [`StartOffset::Earliest`] and [`StartOffset::Latest`], reading goes on there if an offset is deleted before
    /// it was read; otherwise that is an error.
    ///
    /// # Errors
    /// [`ClientError`], after retries.
    pub async fn assign(&mut self, partitions: &[TopicPartition], start: StartOffset) -> Result<(), ClientError> {
        let offsets = list_offsets(&self.cluster, partitions, start).await?;
        let reset = matches!(start, StartOffset::Earliest | StartOffset::Latest).then_some(start);
        self.assign_at(offsets, reset);
        Ok(())
    }

    /// Reads these partitions too, from `start` on. Those that are read already go on where they are.
    ///
    /// # Errors
    /// [`ClientError`], after retries.
    pub async fn add(&mut self, partitions: &[TopicPartition], start: StartOffset) -> Result<(), ClientError> {
        let new: Vec<_> = partitions.iter().filter(|place| !self.positions.contains_key(*place)).cloned().collect();
        let offsets = list_offsets(&self.cluster, &new, start).await?;
        let at = |(place, fetch_offset)| (place, Position { fetch_offset, end_offset: None });
        self.positions.extend(offsets.into_iter().map(at));
        Ok(())
    }

    /// Reads these partitions from these offsets on, and no others. Where an offset does not exist, reading goes on at
    /// `reset`, or ends with an error.
    pub fn assign_at(&mut self, offsets: BTreeMap<TopicPartition, i64>, reset: Option<StartOffset>) {
        let at = |fetch_offset| Position { fetch_offset, end_offset: None };
        self.positions = offsets.into_iter().map(|(place, offset)| (place, at(offset))).collect();
        self.reset = reset;
        self.ready.clear();
        self.fetches = JoinSet::new();
        self.asked.clear();
        self.retries.reset();
    }

    /// The partitions that are read.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.positions.keys()
    }

    /// For each partition, the offset of the record that [`Consumer::next`] gives next: what a group commits.
    pub fn positions(&self) -> BTreeMap<TopicPartition, i64> {
        let fetched = self.positions.iter().map(|(place, position)| (place.clone(), position.fetch_offset));
        let mut positions: BTreeMap<_, _> = fetched.collect();
        for record in self.ready.iter().rev() {
            positions.insert(TopicPartition::new(record.topic.clone(), record.partition), record.offset);
        }
        positions
    }

    /// Whether everything that could be read at the last fetch of each partition has been given out.
    pub fn is_caught_up(&self) -> bool {
        let at_end = |position: &Position| position.end_offset.is_some_and(|end| position.fetch_offset >= end);
        self.ready.is_empty() && self.positions.values().all(at_end)
    }

    /// The next record, or `None` when none came within `wait`. May be cancelled: no record is lost.
    ///
    /// # Errors
    /// [`ClientError`], after retries with fresh metadata.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<FetchedRecord>, ClientError> {
        let deadline = Instant::now() + wait;
        while self.ready.is_empty() {
            if let Err(failure) = self.ask().await {
                self.recover(failure).await?;
                continue;
            }
            match timeout_at(deadline, self.fetches.join_next()).await {
                Ok(Some(Ok(outcome))) => self.take(outcome).await?,
                // Nothing is assigned.
                Ok(None) => {
                    tokio::time::sleep_until(deadline).await;
                    return Ok(None);
                }
                // A fetch has panicked; the next round sends another.
                Ok(Some(Err(_))) => self.asked.clear(),
                Err(_) => return Ok(None),
            }
        }
        Ok(self.ready.pop_front())
    }

    /// Sends a fetch to every leader that has none.
    async fn ask(&mut self) -> Result<(), ClientError> {
        let mut by_leader: BTreeMap<i32, Vec<Wanted>> = BTreeMap::new();
        for (place, position) in &self.positions {
            let topic = self.cluster.known_topic(&place.topic).await?;
            let leader = topic.leader(place.partition)?;
            let wanted = Wanted { topic, partition: place.partition, offset: position.fetch_offset };
            by_leader.entry(leader).or_default().push(wanted);
        }
        for (leader, wanted) in by_leader {
            if self.asked.insert(leader) {
                let (cluster, isolation) = (self.cluster.clone(), self.isolation);
                self.fetches.spawn(async move {
                    let result = fetch(&cluster, leader, &wanted, isolation, FETCH_WAIT).await;
                    Outcome { leader, wanted, result }
                });
            }
        }
        Ok(())
    }

    async fn take(&mut self, outcome: Outcome) -> Result<(), ClientError> {
        self.asked.remove(&outcome.leader);
        let answers = match outcome.result {
            Ok(answers) => answers,
            Err(failure) => return self.recover(failure).await,
        };
        let mut failures = Vec::new();
        for (place, result) in answers {
            let asked = outcome.wanted.iter().find(|wanted| wanted.place() == place).map(|wanted| wanted.offset);
            match (self.positions.get_mut(&place), result) {
                (Some(position), Ok(fetched)) if Some(position.fetch_offset) == asked => {
                    position.fetch_offset = fetched.next_offset;
                    position.end_offset = Some(fetched.end_offset);
                    self.ready.extend(fetched.records);
                }
                (Some(_), Err(failure)) => failures.push((place, failure)),
                // The partition is not ours any more, or is read from elsewhere since.
                _ => {}
            }
        }
        if failures.is_empty() {
            self.retries.reset();
        }
        for (place, failure) in failures {
            match self.reset {
                Some(start) if failure.code() == Some(ErrorCode::OFFSET_OUT_OF_RANGE) => {
                    self.restart(place, start).await?;
                }
                _ => self.recover(failure).await?,
            }
        }
        Ok(())
    }

    async fn restart(&mut self, place: TopicPartition, start: StartOffset) -> Result<(), ClientError> {
        let found = list_offsets(&self.cluster, std::slice::from_ref(&place), start).await?;
        if let (Some(position), Some(offset)) = (self.positions.get_mut(&place), found.get(&place)) {
            tracing::warn!(%place, from = position.fetch_offset, to = offset, "the offset is gone; reading goes on elsewhere");
            *position = Position { fetch_offset: *offset, end_offset: None };
        }
        Ok(())
    }

    /// Waits a little and forgets where the partitions were, if the failure is one that passes.
    async fn recover(&mut self, failure: ClientError) -> Result<(), ClientError> {
        self.retries.after(failure).await?;
        self.positions.keys().for_each(|place| self.cluster.forget_topic(&place.topic));
        Ok(())
    }
}

//! How long a consumer group takes to settle: many members at once, one more, one less.

use std::pin::pin;
use std::time::{Duration, Instant};

use client::{Cluster, GroupConfig, GroupConsumer};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::CLIENT_ID;
use crate::crew::random_u64;
use crate::topics::{cleaned, prepare};
use crate::workload::{CONNECTIONS_MAX, LoadError, Topics};

/// How often a member looks whether its group has changed, and the observer whether it has settled.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// How long a group may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Rebalance {
    /// One topic, whose partitions are dealt out.
    pub topics: Topics,
    /// Of the group, at first.
    pub members: usize,
    /// How often all of it happens, each time with a new group.
    pub rounds: usize,
    /// How often a member asks whether it has to join again: what is not much longer than this is the client's doing.
    pub heartbeat: Duration,
}

/// What came of it, ms; each is from the moment that something happens until every partition has an owner in a generation
/// that all members share.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rebalanced {
    /// Of the group, at first.
    pub members: usize,
    /// That were dealt out.
    pub partitions: usize,
    /// All members come at once.
    pub all_join: Vec<f64>,
    /// One more comes.
    pub one_joins: Vec<f64>,
    /// One says that it goes.
    pub one_leaves: Vec<f64>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

/// Measures how long groups of classic members take to settle at the cluster at `bootstrap`. `report` hears of each round.
///
/// # Errors
/// [`LoadError`]; a group that does not settle within two minutes is one.
pub async fn rebalance(
    bootstrap: &str,
    wanted: &Rebalance,
    report: &mut (dyn FnMut(&Rebalanced) + Send),
    stop: impl Future<Output = ()>,
) -> Result<Rebalanced, LoadError> {
    if !(1..CONNECTIONS_MAX).contains(&wanted.members) {
        return Err(LoadError::Workload(format!("a group has 1 to {} members here", CONNECTIONS_MAX - 1)));
    }
    let mut stop = pin!(stop);
    let stopped = || Ok(Rebalanced { members: wanted.members, interrupted: true, ..Rebalanced::default() });
    let cluster = tokio::select! {
        cluster = Cluster::connect(bootstrap, CLIENT_ID) => cluster?,
        () = &mut stop => return stopped(),
    };
    let Some(prepared) = prepare(&cluster, &wanted.topics, &mut stop).await? else { return stopped() };
    let topic = prepared.topics.first().map(|topic| topic.name.to_string()).unwrap_or_default();
    let partitions = prepared.topics.first().map_or(0, |topic| topic.partitions.len());
    let mut rebalanced = Rebalanced { members: wanted.members, partitions, ..Rebalanced::default() };
    let rounds = async {
        for _ in 0..wanted.rounds {
            let mut round = Round {
                bootstrap,
                topic: &topic,
                wanted,
                partitions,
                group_id: group_id(&topic)?,
                members: Vec::new(),
            };
            round.play(&mut rebalanced).await?;
            report(&rebalanced);
        }
        Ok::<(), LoadError>(())
    };
    let result = tokio::select! {
        result = rounds => result.map(|()| false),
        () = &mut stop => Ok(true),
    };
    rebalanced.interrupted =
        if wanted.topics.keep { result? } else { cleaned(&cluster, &prepared.made, result).await? };
    Ok(rebalanced)
}

fn group_id(topic: &str) -> Result<String, LoadError> {
    Ok(format!("{CLIENT_ID}-{topic}-{:016x}", random_u64()?))
}

/// One group from its first member to its last.
struct Round<'a> {
    bootstrap: &'a str,
    topic: &'a str,
    wanted: &'a Rebalance,
    partitions: usize,
    group_id: String,
    members: Vec<Member>,
}

/// A member at work, and what it last said.
struct Member {
    task: JoinHandle<Result<(), LoadError>>,
    leave: watch::Sender<bool>,
    state: watch::Receiver<State>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    generation_id: i32,
    partitions: usize,
}

impl Round<'_> {
    async fn play(&mut self, rebalanced: &mut Rebalanced) -> Result<(), LoadError> {
        let begun = Instant::now();
        for _ in 0..self.wanted.members {
            self.join().await?;
        }
        let generation = self.settled_after(-1).await?;
        rebalanced.all_join.push(ms(begun));

        let begun = Instant::now();
        self.join().await?;
        let generation = self.settled_after(generation).await?;
        rebalanced.one_joins.push(ms(begun));

        let begun = Instant::now();
        // The first to come is likely to lead the group, which is the harder case for those who stay.
        let leaver = self.members.remove(0);
        let _ = leaver.leave.send(true);
        self.settled_after(generation).await?;
        rebalanced.one_leaves.push(ms(begun));
        for member in &self.members {
            let _ = member.leave.send(true);
        }
        for member in &mut self.members {
            // Who cannot leave now is taken for dead when the session is over.
            let _ = timeout(self.wanted.heartbeat + Duration::from_secs(5), &mut member.task).await;
        }
        Ok(())
    }

    async fn join(&mut self) -> Result<(), LoadError> {
        // An application has connections of its own.
        let cluster = Cluster::connect(self.bootstrap, CLIENT_ID).await?;
        let config = GroupConfig {
            heartbeat_interval: self.wanted.heartbeat,
            ..GroupConfig::new(&self.group_id, &[self.topic])
        };
        let (leave, left) = watch::channel(false);
        let (said, state) = watch::channel(State { generation_id: -1, partitions: 0 });
        let task = tokio::spawn(live(GroupConsumer::new(&cluster, config), said, left));
        self.members.push(Member { task, leave, state });
        Ok(())
    }

    /// Waits until all members are in one generation, later than this one, and every partition is somebody's; answers
    /// which generation that is.
    async fn settled_after(&self, before: i32) -> Result<i32, LoadError> {
        let mut look = interval(LOOK_INTERVAL);
        let settled = async {
            loop {
                look.tick().await;
                let states: Vec<State> = self.members.iter().map(|member| *member.state.borrow()).collect();
                let generation = states.first().map_or(-1, |state| state.generation_id);
                let is_one = states.iter().all(|state| state.generation_id == generation);
                let dealt: usize = states.iter().map(|state| state.partitions).sum();
                if is_one && generation > before && dealt == self.partitions {
                    return Ok::<i32, LoadError>(generation);
                }
                if let Some(ended) = self.members.iter().find(|member| member.task.is_finished()) {
                    let last = *ended.state.borrow();
                    return Err(LoadError::Workload(format!("a member has given up; it was at {last:?}")));
                }
            }
        };
        let late = || {
            let text = format!("group {} has not settled after {} s", self.group_id, PATIENCE.as_secs());
            Err(LoadError::Workload(text))
        };
        timeout(PATIENCE, settled).await.unwrap_or_else(|_| late())
    }
}

async fn live(
    mut consumer: GroupConsumer,
    said: watch::Sender<State>,
    mut leave: watch::Receiver<bool>,
) -> Result<(), LoadError> {
    while !*leave.borrow() {
        tokio::select! {
            biased;
            _ = leave.changed() => break,
            record = consumer.next(LOOK_INTERVAL) => drop(record?),
        }
        let state = State { generation_id: consumer.generation_id(), partitions: consumer.assignment().count() };
        said.send_if_modified(|known| std::mem::replace(known, state) != state);
    }
    consumer.leave().await?;
    Ok(())
}

fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

//! Where a producer's partitions are led: a connection to each of their leaders, which is one until a leader moves.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use client::{ClientError, Cluster};
use protocol::ErrorCode;

use crate::link::{Link, Lost};
use crate::schedule::Due;

/// A request that was made and is not answered.
pub(crate) struct Sent {
    pub(crate) due: Due,
    pub(crate) correlation_id: i32,
    pub(crate) made_at: u64,
    /// Which of the producer's partitions it is for, by its place among them.
    pub(crate) place: usize,
    /// When these records were first sent.
    pub(crate) first_made_at: u64,
}

/// A connection to a broker, and what is under way on it, in order.
pub(crate) struct Route {
    address: String,
    pub(crate) link: Link,
    pub(crate) is_open: bool,
    pub(crate) in_flight: VecDeque<Sent>,
}

impl Route {
    fn new(address: String, link: Link) -> Route {
        Route { address, link, is_open: true, in_flight: VecDeque::new() }
    }
}

/// The connections of one producer. None is ever taken away, so that their numbers stay; there are as many brokers at most.
pub(crate) struct Routes {
    pub(crate) all: Vec<Route>,
    /// Which of them leads to a partition's leader, by its place.
    of_place: Vec<usize>,
}

impl Routes {
    /// All partitions are led by one broker.
    pub(crate) fn one(address: String, link: Link, places: usize) -> Routes {
        Routes { all: vec![Route::new(address, link)], of_place: vec![0; places] }
    }

    /// The number of the connection for the partition at this place.
    pub(crate) fn of(&self, place: usize) -> usize {
        self.of_place[place]
    }

    /// Requests without an answer.
    pub(crate) fn in_flight(&self) -> usize {
        self.all.iter().map(|route| route.in_flight.len()).sum()
    }

    /// The connection with the oldest of them, and when that was made.
    pub(crate) fn oldest(&self) -> Option<(usize, u64)> {
        let oldest =
            self.all.iter().enumerate().filter_map(|(number, route)| Some((number, route.in_flight.front()?.made_at)));
        oldest.min_by_key(|(_, made_at)| *made_at)
    }

    /// Returns when there may be something to read on any, or room to write on the one of this number. May be cancelled.
    /// An error is that of the connection with the number.
    pub(crate) async fn ready(&self, to_write: Option<usize>) -> Result<(), (usize, Lost)> {
        poll_fn(|context| {
            let mut found = Poll::Pending;
            for (number, route) in self.all.iter().enumerate().filter(|(_, route)| route.is_open) {
                match route.link.poll_ready(context, to_write == Some(number)) {
                    Poll::Ready(Err(lost)) => return Poll::Ready(Err((number, lost))),
                    Poll::Ready(Ok(())) => found = Poll::Ready(Ok(())),
                    Poll::Pending => {}
                }
            }
            found
        })
        .await
    }

    /// Asks who leads the partitions now, and connects to whom there is no connection.
    pub(crate) async fn renew(
        &mut self,
        cluster: &Cluster,
        topic: &str,
        partitions: &[i32],
    ) -> Result<(), ClientError> {
        let topic = cluster.topic(topic).await?;
        let mut of_place = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let known = topic.partitions.iter().find(|known| known.index == *partition);
            let address = known.and_then(|known| cluster.address(known.leader?));
            of_place.push(self.to(address.ok_or_else(|| no_leader(&topic.name, *partition))?).await?);
        }
        self.of_place = of_place;
        Ok(())
    }

    /// Connects again to whom the connection is lost.
    pub(crate) async fn reopen(&mut self) -> Result<(), ClientError> {
        for route in self.all.iter_mut().filter(|route| !route.is_open) {
            route.link = Link::connect(&route.address).await?;
            route.is_open = true;
        }
        Ok(())
    }

    /// The number of an open connection to this address.
    async fn to(&mut self, address: String) -> Result<usize, ClientError> {
        let Some(number) = self.all.iter().position(|route| route.address == address) else {
            let link = Link::connect(&address).await?;
            self.all.push(Route::new(address, link));
            return Ok(self.all.len() - 1);
        };
        let route = &mut self.all[number];
        if !route.is_open {
            route.link = Link::connect(&address).await?;
            route.is_open = true;
        }
        Ok(number)
    }
}

fn no_leader(topic: &str, partition: i32) -> ClientError {
    ClientError::Kafka {
        what: format!("partition {partition} of topic {topic}"),
        code: ErrorCode::LEADER_NOT_AVAILABLE,
        message: None,
    }
}

/// Whether the answer only says that somebody else leads the partition now, which is no failure of it.
pub(crate) fn has_moved(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
    )
}

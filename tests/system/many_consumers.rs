//! How long a group of the consumer protocol takes to settle when another member comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::{Cluster, Connection};
use protocol::messages::consumer_group_heartbeat::*;
use protocol::{ErrorCode, Uuid};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::restart::create;

const MEMBERS: usize = 50;
const PARTITIONS: i32 = 500;
const INTERVAL: Duration = Duration::from_secs(2);
/// What a machine that does other things at the same time may add.
const SLACK: Duration = Duration::from_secs(5);

/// What all members together see.
#[derive(Default)]
struct Watch {
    /// Partitions that somebody reads.
    read: AtomicUsize,
    /// The highest epoch, and how many have come to it with what they shall have.
    moved: Notify,
    epochs: std::sync::Mutex<BTreeMap<usize, (i32, usize)>>,
    latest: AtomicI32,
    stop: AtomicBool,
}

impl Watch {
    fn says(&self, member: usize, epoch: i32, reads: usize) {
        let mut epochs = self.epochs.lock().unwrap();
        epochs.insert(member, (epoch, reads));
        self.latest.fetch_max(epoch, Ordering::Relaxed);
        self.read.store(epochs.values().map(|(_, reads)| reads).sum(), Ordering::Relaxed);
        self.moved.notify_waiters();
    }

    /// So many members, all at one epoch, with all partitions among them.
    fn is_settled(&self, members: usize) -> bool {
        let epochs = self.epochs.lock().unwrap();
        let latest = self.latest.load(Ordering::Relaxed);
        let share = PARTITIONS as usize / members;
        epochs.len() == members
            && epochs.values().all(|(epoch, reads)| *epoch == latest && (share..=share + 1).contains(reads))
            && self.read.load(Ordering::Relaxed) == PARTITIONS as usize
    }

    async fn settled(&self, members: usize) {
        timeout(DEADLINE, async {
            loop {
                let moved = self.moved.notified();
                if self.is_settled(members) {
                    return;
                }
                moved.await;
            }
        })
        .await
        .expect("the group settles");
    }
}

/// A consumer as clients are: it is heard of when it was told to, and at once when it has given something back.
async fn consume(address: String, member: usize, watch: Arc<Watch>) {
    let connection = Connection::connect(&address, "test").await.unwrap();
    let (mut epoch, mut reads, mut says_everything) = (0, BTreeMap::<Uuid, Vec<i32>>::new(), true);
    while !watch.stop.load(Ordering::Relaxed) {
        let owned = reads.iter().map(|(topic_id, partitions)| RequestedTopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.clone(),
        });
        let request = ConsumerGroupHeartbeatRequest {
            group_id: "many".into(),
            member_id: format!("member-{member}"),
            member_epoch: epoch,
            rebalance_timeout_ms: if epoch == 0 { 60_000 } else { -1 },
            subscribed_topic_names: (epoch == 0).then(|| vec!["work".into()]),
            topic_partitions: says_everything.then(|| owned.collect()),
            ..Default::default()
        };
        let answer = connection.send(&request).await.unwrap();
        assert_eq!(answer.error_code, ErrorCode::NONE, "{:?}", answer.error_message);
        epoch = answer.member_epoch;
        says_everything = false;
        if let Some(assignment) = answer.assignment {
            let now: BTreeMap<Uuid, Vec<i32>> =
                assignment.topic_partitions.into_iter().map(|topic| (topic.topic_id, topic.partitions)).collect();
            let keeps = |topic: &Uuid, partition: &i32| now.get(topic).is_some_and(|now| now.contains(partition));
            says_everything = reads.iter().any(|(topic, before)| before.iter().any(|p| !keeps(topic, p)));
            reads = now;
        }
        watch.says(member, epoch, reads.values().map(Vec::len).sum());
        if !says_everything {
            sleep(Duration::from_millis(answer.heartbeat_interval_ms as u64)).await;
        }
    }
}

/// The promise is one heartbeat interval and 200 ms; the number is printed, and a broken promise shows in whole
/// intervals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_fifty_settles_within_a_heartbeat_interval() {
    let interval = format!("group.consumer.heartbeat.interval.ms={}", INTERVAL.as_millis());
    let broker = BrokerProcess::start(&[&interval, "offsets.topic.num.partitions=1"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "work", PARTITIONS, &[]).await;
    cluster.coordinator("many").await.unwrap();
    let watch = Arc::new(Watch::default());
    let start = |member| tokio::spawn(consume(broker.address.clone(), member, Arc::clone(&watch)));
    let mut members: Vec<_> = (0..MEMBERS - 1).map(start).collect();
    watch.settled(MEMBERS - 1).await;

    let begun = Instant::now();
    members.push(start(MEMBERS - 1));
    watch.settled(MEMBERS).await;
    let took = begun.elapsed();
    println!("{MEMBERS} members and {PARTITIONS} partitions settle {} ms after the last came", took.as_millis());
    assert!(took < INTERVAL + SLACK, "{took:?}");
    watch.stop.store(true, Ordering::Relaxed);
    for member in members {
        member.await.unwrap();
    }
}

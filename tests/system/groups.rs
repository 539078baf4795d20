//! Consumer groups as programs see them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use client::{Acks, Cluster, GroupConfig, GroupConsumer, Producer, StartOffset};
use protocol::records::Codec;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::restart::{create, record};

fn config(commit_interval: Option<Duration>) -> GroupConfig {
    GroupConfig {
        start: StartOffset::Earliest,
        session_timeout: Duration::from_secs(6),
        heartbeat_interval: Duration::from_millis(100),
        commit_interval,
        ..GroupConfig::new("workers", &["work"])
    }
}

/// A member in a task of its own, since a rebalance needs all of them at the same time. It ends by leaving.
struct Member {
    stop: oneshot::Sender<()>,
    generation: watch::Receiver<i32>,
    task: JoinHandle<()>,
}

impl Member {
    fn start(cluster: &Cluster, values: mpsc::UnboundedSender<String>) -> Member {
        let mut consumer = GroupConsumer::new(cluster, config(Some(Duration::from_millis(50))));
        let (stop, mut stopped) = oneshot::channel();
        let (sender, generation) = watch::channel(-1);
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = &mut stopped => break,
                    found = consumer.next(Duration::from_millis(100)) => {
                        sender.send_replace(consumer.generation_id());
                        if let Some(record) = found.unwrap() {
                            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                            values.send(value).unwrap();
                        }
                    }
                }
            }
            consumer.leave().await.unwrap();
        });
        Member { stop, generation, task }
    }

    async fn joined(&mut self) {
        self.generation.wait_for(|generation| *generation > 0).await.unwrap();
    }

    async fn leave(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// Three members share the records; one leaves, and the others take over its partitions where it committed.
#[tokio::test]
async fn members_share_the_work_and_take_over() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "work", 6, &[]).await;
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    let (sender, mut received) = mpsc::unbounded_channel();
    let mut members: Vec<Member> = (0..3).map(|_| Member::start(&cluster, sender.clone())).collect();
    let (mut seen, mut count, mut sent) = (BTreeSet::new(), 0, 0);
    while !members.is_empty() {
        for partition in 0..6 {
            for _ in 0..10 {
                producer.send("work", partition, &[record(&sent.to_string())]).await.unwrap();
                sent += 1;
            }
        }
        while seen.len() < sent {
            let value = timeout(DEADLINE, received.recv()).await;
            let value = value.unwrap_or_else(|_| panic!("{} of {sent}:\n{}", seen.len(), broker.log()));
            seen.insert(value.unwrap());
            count += 1;
        }
        // Leaving commits, so nothing comes twice after it.
        members.pop().unwrap().leave().await;
    }
    assert!(received.is_empty());
    println!("{count} records came, {sent} were sent");
}

/// Members of one program share what they know of the cluster, and still rebalance without waiting for a time-out.
#[tokio::test]
async fn members_of_one_program_do_not_hold_each_other_up() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "work", 6, &[]).await;
    for _ in 0..10 {
        let begun = Instant::now();
        let (sender, _received) = mpsc::unbounded_channel();
        let mut members: Vec<Member> = (0..4).map(|_| Member::start(&cluster, sender.clone())).collect();
        for member in &mut members {
            member.joined().await;
        }
        for member in members {
            member.leave().await;
        }
        assert!(begun.elapsed() < config(None).session_timeout, "somebody waited for a session to end");
    }
}

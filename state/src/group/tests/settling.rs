//! How long a rebalance of a group of the consumer protocol takes, in the time that the machine is told.

use super::consumers::{alive, id, joining, topics};
use super::*;

const MEMBERS: usize = 50;
const PARTITIONS: usize = 500;

/// A consumer that does as it is told, at once.
struct Consumer {
    member_id: String,
    epoch: i32,
    owned: Vec<i32>,
    next_ms: u64,
    has_given_back: bool,
}

impl Consumer {
    fn new(number: usize, next_ms: u64) -> Consumer {
        Consumer { member_id: format!("m{number:02}"), epoch: 0, owned: Vec::new(), next_ms, has_given_back: false }
    }

    fn beat(&mut self, shell: &mut Shell, topics: &Topics) {
        let mut request = if self.epoch == 0 {
            joining(&self.member_id, &["a"], topics)
        } else {
            alive(&self.member_id, self.epoch, topics)
        };
        if self.has_given_back {
            request.owned_partitions = Some(vec![(id(1), self.owned.clone())]);
        }
        let answer = shell.beat(request);
        assert_eq!(answer.error, ErrorCode::NONE, "{:?}", answer.error_message);
        self.epoch = answer.member_epoch;
        self.has_given_back = false;
        if let Some(assignment) = answer.assignment {
            let assigned = assignment.get(&id(1)).cloned().unwrap_or_default();
            self.has_given_back = self.owned.iter().any(|partition| !assigned.contains(partition));
            self.owned = assigned;
        }
        let pause_ms = if self.has_given_back { 1 } else { u64::try_from(answer.heartbeat_interval_ms).unwrap() };
        self.next_ms = shell.now.monotonic_ms + pause_ms;
    }
}

/// Lets time pass until everybody has an even share, and returns how much that was, milliseconds.
fn settle(shell: &mut Shell, consumers: &mut [Consumer], topics: &Topics) -> u64 {
    let begun_ms = shell.now.monotonic_ms;
    let shares =
        |consumers: &[Consumer]| -> Vec<usize> { consumers.iter().map(|consumer| consumer.owned.len()).collect() };
    loop {
        let least = PARTITIONS / consumers.len();
        let even = shares(consumers).iter().all(|&share| share == least || share == least + 1);
        if even
            && shares(consumers).iter().sum::<usize>() == PARTITIONS
            && shell.consumer_state() == ConsumerGroupState::Stable
        {
            return shell.now.monotonic_ms - begun_ms;
        }
        let next = consumers.iter_mut().min_by_key(|consumer| consumer.next_ms).expect("there are some");
        shell.pass_ms(next.next_ms.saturating_sub(shell.now.monotonic_ms));
        assert!(shell.now.monotonic_ms < begun_ms + 60_000, "it does not settle");
        next.beat(shell, topics);
    }
}

#[test]
fn a_rebalance_of_fifty_members_takes_one_heartbeat_interval() {
    let (mut shell, topics) = (Shell::consumers(), topics(&[PARTITIONS]));
    let within_ms = u64::try_from(shell.config.consumer_heartbeat_interval_ms).unwrap() + 200;
    let now_ms = shell.now.monotonic_ms;
    let mut consumers: Vec<Consumer> =
        (0..MEMBERS).map(|number| Consumer::new(number, now_ms + number as u64)).collect();
    let took_ms = settle(&mut shell, &mut consumers, &topics);
    println!("{MEMBERS} members that join at once: {took_ms} ms");
    assert!(took_ms <= within_ms, "{took_ms} ms");

    // From now on their heartbeats are spread over the interval, as those of programs are.
    for (number, consumer) in consumers.iter_mut().enumerate() {
        consumer.next_ms = shell.now.monotonic_ms + (number as u64 + 1) * 100;
    }
    consumers.push(Consumer::new(MEMBERS, shell.now.monotonic_ms));
    let took_ms = settle(&mut shell, &mut consumers, &topics);
    println!("one more joins: {took_ms} ms");
    assert!(took_ms <= within_ms, "{took_ms} ms");

    let gone = consumers.remove(7);
    let left = shell.beat(alive(&gone.member_id, -1, &topics));
    assert_eq!(left.error, ErrorCode::NONE);
    let took_ms = settle(&mut shell, &mut consumers, &topics);
    println!("one leaves: {took_ms} ms");
    assert!(took_ms <= within_ms, "{took_ms} ms");
}

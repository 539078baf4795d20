//! Answers, in the order of their requests.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::{Instant, timeout_at};

use super::send::Sink;

/// An answer on its way: the chunks of an encoded frame; empty for a request that gets none.
pub(crate) type Answer = Vec<Bytes>;
/// An answer that waits for something.
pub(crate) type PendingAnswer = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A place in the queue of answers.
pub(crate) enum Slot {
    Ready(Answer),
    /// Polled when it reaches the head of the queue, so a connection builds one long answer at a time.
    Pending(PendingAnswer),
}

/// Requests of one connection that may wait for their answers at the same time.
const IN_FLIGHT_MAX: usize = 16;
/// How many chunks go into one system call; Linux takes 1024.
const MAX_SLICES: usize = 64;
/// So many bytes leave before the next request begins, however many of those have come.
const MAX_BYTES: usize = 64 << 10;

/// What a connection still has to answer, and the half of the socket that it goes to.
pub(crate) struct Answers<W> {
    stream: W,
    /// How long the peer may read nothing.
    patience: Duration,
    queue: VecDeque<Slot>,
    /// Answers that are known and come before everything in the queue.
    out: Chunks,
    /// When the peer's patience ends; set while something could not be written.
    deadline: Option<Instant>,
}

impl<W: Sink> Answers<W> {
    pub(crate) fn new(stream: W, patience: Duration) -> Answers<W> {
        Answers { stream, patience, queue: VecDeque::new(), out: Chunks::default(), deadline: None }
    }

    /// Whether one more request may begin. What cannot leave, because the peer does not read, grows no further.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < IN_FLIGHT_MAX && !self.out.is_full()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.out.chunks.is_empty()
    }

    /// Adds the answer to the request that came last.
    pub(crate) fn push(&mut self, slot: Slot) {
        match slot {
            Slot::Ready(answer) if self.queue.is_empty() => self.out.extend(answer),
            slot => self.queue.push_back(slot),
        }
    }

    /// Writes until everything is answered. Cancel-safe: what was written is not written again, and what was not stays.
    ///
    /// # Errors
    /// The socket's; `TimedOut` when the peer, which asked, reads nothing for as long as its patience lasts. What it
    /// asked for is kept in memory meanwhile, so that has an end.
    pub(crate) async fn drive(&mut self) -> io::Result<()> {
        loop {
            self.gather();
            while !self.out.chunks.is_empty() {
                let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.patience);
                match timeout_at(deadline, self.stream.send(&self.out.chunks)).await {
                    Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(Ok(sent)) => {
                        self.out.advance(sent);
                        self.deadline = None;
                    }
                    Ok(Err(error)) => return Err(error),
                    Err(_) => return Err(io::ErrorKind::TimedOut.into()),
                }
            }
            let answer = match self.queue.front_mut() {
                Some(Slot::Pending(pending)) => pending.await,
                // There was no room for it until now.
                Some(Slot::Ready(_)) => continue,
                None => return Ok(()),
            };
            self.queue.pop_front();
            self.out.extend(answer);
        }
    }

    /// What is ready at the head of the queue leaves in the same system call.
    fn gather(&mut self) {
        while let Some(Slot::Ready(answer)) = self.queue.front_mut()
            && !self.out.is_full()
        {
            self.out.extend(std::mem::take(answer));
            self.queue.pop_front();
        }
    }
}

/// Chunks that are written one after another, many per system call.
#[derive(Default)]
struct Chunks {
    chunks: VecDeque<Bytes>,
    bytes: usize,
}

impl Chunks {
    fn is_full(&self) -> bool {
        self.chunks.len() >= MAX_SLICES || self.bytes >= MAX_BYTES
    }

    fn extend(&mut self, answer: Answer) {
        for chunk in answer.into_iter().filter(|chunk| !chunk.is_empty()) {
            self.bytes += chunk.len();
            self.chunks.push_back(chunk);
        }
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk)
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let Some(front) = self.chunks.front_mut() else { return };
            let taken = count.min(front.len());
            self.bytes -= taken;
            count -= taken;
            if taken < front.len() {
                front.advance(taken);
                return;
            }
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn answer(text: &'static str) -> Answer {
        vec![Bytes::from_static(text.as_bytes())]
    }

    #[test]
    fn chunks_are_one_long_buffer() {
        let mut chunks = Chunks::default();
        chunks.extend(vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"cde")]);
        assert_eq!(chunks.remaining(), 5);
        chunks.advance(3);
        assert_eq!(chunks.chunk(), b"de");
        chunks.advance(2);
        assert!(!chunks.has_remaining());
    }

    #[tokio::test]
    async fn an_answer_that_is_ready_waits_for_those_before_it() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let mut answers = Answers::new(ours, PATIENCE);
        let mut late = Vec::new();
        for text in ["first ", "third "] {
            let (done, waits) = tokio::sync::oneshot::channel();
            late.push((done, text));
            answers.push(Slot::Pending(Box::pin(async move { waits.await.unwrap() })));
            answers.push(Slot::Ready(answer(if text == "first " { "second " } else { "fourth" })));
        }
        // The later one is known first.
        for (done, text) in late.into_iter().rev() {
            done.send(answer(text)).unwrap();
        }
        answers.drive().await.unwrap();
        assert!(answers.is_empty());
        drop(answers);
        let mut all = String::new();
        timeout(PATIENCE, theirs.read_to_string(&mut all)).await.unwrap().unwrap();
        assert_eq!(all, "first second third fourth");
    }

    #[tokio::test]
    async fn answers_behind_a_long_one_leave_with_it() {
        let (ours, mut theirs) = tokio::io::duplex(16 * MAX_BYTES);
        let mut answers = Answers::new(ours, PATIENCE);
        let long = Bytes::from(vec![0; MAX_BYTES]);
        let late = vec![long.clone()];
        answers.push(Slot::Pending(Box::pin(async move { late })));
        answers.push(Slot::Ready(vec![long]));
        answers.push(Slot::Ready(answer("last")));
        answers.drive().await.unwrap();
        assert!(answers.is_empty());
        drop(answers);
        let mut all = Vec::new();
        timeout(PATIENCE, theirs.read_to_end(&mut all)).await.unwrap().unwrap();
        assert!(all.len() == 2 * MAX_BYTES + 4 && all.ends_with(b"last"));
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_begins_no_more_requests() {
        let (ours, mut theirs) = tokio::io::duplex(1);
        let mut answers = Answers::new(ours, PATIENCE);
        let mut begun = 0;
        while answers.has_room() {
            answers.push(Slot::Ready(vec![Bytes::from(vec![0; 1000])]));
            assert!(timeout(Duration::ZERO, answers.drive()).await.is_err());
            begun += 1;
            assert!(begun <= MAX_SLICES);
        }
        let read = async move { while theirs.read_u8().await.is_ok() {} };
        let reading = tokio::spawn(read);
        timeout(PATIENCE, answers.drive()).await.unwrap().unwrap();
        assert!(answers.has_room());
        drop(answers);
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn what_was_interrupted_goes_on_where_it_stood() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut answers = Answers::new(ours, PATIENCE);
        let (done, waits) = tokio::sync::oneshot::channel();
        answers.push(Slot::Ready(answer("0123456789")));
        answers.push(Slot::Pending(Box::pin(async move { waits.await.unwrap() })));
        let mut read = [0; 10];
        // Given up again and again: while the peer does not read, and while the second answer is not known.
        for byte in &mut read {
            assert!(timeout(Duration::from_millis(1), answers.drive()).await.is_err());
            *byte = theirs.read_u8().await.unwrap();
        }
        assert_eq!(&read, b"0123456789");
        done.send(answer("ab")).unwrap();
        answers.drive().await.unwrap();
        drop(answers);
        let mut rest = String::new();
        timeout(PATIENCE, theirs.read_to_string(&mut rest)).await.unwrap().unwrap();
        assert_eq!(rest, "ab");
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_loses_the_connection_however_often_it_asks() {
        let (ours, _theirs) = tokio::io::duplex(1);
        let mut answers = Answers::new(ours, Duration::from_millis(50));
        answers.push(Slot::Ready(answer("0123456789")));
        let given_up = Instant::now() + PATIENCE;
        let error = loop {
            assert!(Instant::now() < given_up);
            if let Ok(driven) = timeout(Duration::from_millis(1), answers.drive()).await {
                break driven.unwrap_err();
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}

//! Answers, in the order of their requests.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::timeout;

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

/// How many chunks go into one system call; Linux takes 1024.
const MAX_SLICES: usize = 64;

/// Writes answers until the queue closes, the peer is gone, or it has read nothing for `stall`.
pub(crate) async fn write_answers(
    mut stream: OwnedWriteHalf,
    mut slots: mpsc::Receiver<Slot>,
    stall: Duration,
) -> io::Result<()> {
    let mut out = Chunks::default();
    while let Some(slot) = slots.recv().await {
        out.extend(match slot {
            Slot::Ready(answer) => answer,
            Slot::Pending(pending) => pending.await,
        });
        // What is ready behind it leaves in the same system call.
        while out.chunks.len() < MAX_SLICES {
            match slots.try_recv() {
                Ok(Slot::Ready(answer)) => out.extend(answer),
                Ok(Slot::Pending(pending)) => {
                    write_all(&mut stream, &mut out, stall).await?;
                    out.extend(pending.await);
                }
                Err(_) => break,
            }
        }
        write_all(&mut stream, &mut out, stall).await?;
    }
    Ok(())
}

/// Writes everything. A peer that asks and does not read keeps what it asked for in memory, so its patience has an end.
async fn write_all(stream: &mut OwnedWriteHalf, out: &mut Chunks, stall: Duration) -> io::Result<()> {
    while out.has_remaining() {
        match timeout(stall, stream.write_buf(out)).await {
            Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    Ok(())
}

/// Chunks that are written one after another, many per system call.
#[derive(Default)]
struct Chunks {
    chunks: VecDeque<Bytes>,
}

impl Chunks {
    fn extend(&mut self, answer: Answer) {
        self.chunks.extend(answer.into_iter().filter(|chunk| !chunk.is_empty()));
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let Some(front) = self.chunks.front_mut() else { return };
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

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
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_reader, writer) = listener.accept().await.unwrap().0.into_split();
        let (slots, queue) = mpsc::channel(8);
        let answer = |text: &'static str| vec![Bytes::from_static(text.as_bytes())];
        let mut late = Vec::new();
        for text in ["first ", "third "] {
            let (done, waits) = tokio::sync::oneshot::channel();
            late.push((done, text));
            let pending: PendingAnswer = Box::pin(async move { waits.await.unwrap() });
            slots.try_send(Slot::Pending(pending)).ok().unwrap();
            let behind = if text == "first " { "second " } else { "fourth" };
            slots.try_send(Slot::Ready(answer(behind))).ok().unwrap();
        }
        drop(slots);
        let writing = tokio::spawn(write_answers(writer, queue, Duration::from_secs(30)));
        // The later one is known first.
        for (done, text) in late.into_iter().rev() {
            done.send(answer(text)).unwrap();
        }
        writing.await.unwrap().unwrap();
        let mut all = String::new();
        timeout(Duration::from_secs(30), client.read_to_string(&mut all)).await.unwrap().unwrap();
        assert_eq!(all, "first second third fourth");
    }
}

//! Bytes from a socket, cut into frames.
//!
//! A buffer grows with the bytes that arrive, never with the size that is announced, and growing past the first
//! step takes a permit from the broker's byte budget. While nothing arrives a connection holds no buffer at all.
//!
//! Most requests are small and soon done: those that one thread reads are cut from one block, which is used again once
//! they are.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, timeout, timeout_at};

use crate::memory::{ByteBudget, BytePermit};

/// What a connection may hold without asking the budget. The number of connections bounds the sum.
const FREE_BYTES: usize = 16 * 1024;
/// A thread's block, and the first buffer of a request: most fit.
const BLOCK_BYTES: usize = 4 * 1024;
/// With less than this left of it, a block is not begun.
const BLOCK_REST_BYTES: usize = 2 * 1024;
/// A peer that has sent this much of a frame may be believed about eight times more.
const GROWTH: usize = 8;
/// Who has sent a frame is believed to send another of its size, up to this: its buffer is not moved while it grows.
const BELIEVED_MAX_BYTES: usize = 1 << 20;
/// How long a frame may stand still in the middle. A half-sent frame holds budget that others wait for.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

thread_local! {
    /// What is left of this thread's block.
    static BLOCK: Cell<BytesMut> = Cell::default();
}

/// One request: the bytes after the length, and the budget they occupy.
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    /// What keeping any part of it keeps: the buffer that it lies in.
    pub(crate) buffer_bytes: usize,
    /// Given back when the request has been handled.
    pub(crate) permit: Option<BytePermit>,
}

/// Why no more frames come.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The peer closed between frames.
    Closed,
    /// The peer closed inside a frame: `got` of `announced` bytes had come.
    CutShort {
        announced: usize,
        got: usize,
    },
    /// Nothing came for the allowed time; `inside` a frame, or between two.
    Idle {
        inside: bool,
    },
    NegativeSize(i32),
    TooLarge {
        announced: usize,
        limit: usize,
    },
    Io(io::Error),
}

pub(crate) struct FrameReader {
    stream: OwnedReadHalf,
    buffer: BytesMut,
    /// Whether the buffer is cut from a thread's block.
    in_block: bool,
    /// What was allocated for the buffer, with what has been cut from it.
    buffer_bytes: usize,
    budget: Arc<ByteBudget>,
    limit: usize,
    permit: Option<BytePermit>,
    /// Of the last frame, with its length.
    last_bytes: usize,
}

impl FrameReader {
    /// `limit` is `socket.request.max.bytes`.
    pub(crate) fn new(stream: OwnedReadHalf, budget: Arc<ByteBudget>, limit: usize) -> FrameReader {
        FrameReader {
            stream,
            buffer: BytesMut::new(),
            in_block: false,
            buffer_bytes: 0,
            budget,
            limit,
            permit: None,
            last_bytes: 0,
        }
    }

    /// Waits for the first four bytes of the connection, and leaves them where they are.
    pub(crate) async fn peek_first(&mut self, idle: Duration) -> Result<[u8; 4], ReadError> {
        while self.buffer.len() < 4 {
            self.fill(idle, false).await?;
        }
        Ok([self.buffer[0], self.buffer[1], self.buffer[2], self.buffer[3]])
    }

    /// The next whole frame. Cancel-safe: what has arrived stays in the buffer.
    pub(crate) async fn next(&mut self, idle: Duration) -> Result<Frame, ReadError> {
        while self.buffer.len() < 4 {
            self.fill(idle, false).await?;
        }
        let size = self.announced()?;
        while self.buffer.len() < 4 + size {
            self.make_room(4 + size).await;
            self.fill(STALL_TIMEOUT, true).await.map_err(|error| match error {
                ReadError::Closed => ReadError::CutShort { announced: size, got: self.buffer.len().saturating_sub(4) },
                other => other,
            })?;
        }
        Ok(self.cut(size))
    }

    /// Reads nothing until `end`, unless the peer closes and has left nothing to read.
    pub(crate) async fn pause(&mut self, end: Instant) -> Result<(), ReadError> {
        let has_ended = async {
            // What it has sent is read later, whether or not it is still there then.
            let left = if self.buffer.is_empty() { self.stream.peek(&mut [0]).await } else { Ok(1) };
            if left.map_err(ReadError::Io)? > 0 {
                pending::<()>().await;
            }
            Err(ReadError::Closed)
        };
        timeout_at(end, has_ended).await.unwrap_or(Ok(()))
    }

    /// The next frame, if it has arrived whole already.
    pub(crate) fn arrived(&mut self) -> Option<Frame> {
        if self.buffer.len() < 4 {
            return None;
        }
        let size = self.announced().ok()?;
        (self.buffer.len() >= 4 + size).then(|| self.cut(size))
    }

    fn cut(&mut self, size: usize) -> Frame {
        self.last_bytes = 4 + size;
        self.buffer.advance(4);
        let (bytes, buffer_bytes) = (self.buffer.split_to(size).freeze(), self.buffer_bytes);
        if self.buffer.is_empty() {
            self.let_go();
        }
        Frame { bytes, buffer_bytes, permit: self.permit.take() }
    }

    fn announced(&self) -> Result<usize, ReadError> {
        let announced = i32::from_be_bytes([self.buffer[0], self.buffer[1], self.buffer[2], self.buffer[3]]);
        let size = usize::try_from(announced).map_err(|_| ReadError::NegativeSize(announced))?;
        if size > self.limit {
            return Err(ReadError::TooLarge { announced: size, limit: self.limit });
        }
        Ok(size)
    }

    async fn make_room(&mut self, wanted: usize) {
        if self.buffer.capacity() > self.buffer.len() {
            return;
        }
        let believed = (self.buffer.len() * GROWTH).max(FREE_BYTES).max(self.last_bytes.min(BELIEVED_MAX_BYTES));
        self.reserve(wanted.min(believed)).await;
    }

    /// Makes the buffer hold `target` bytes, more than it has, when the budget has them.
    async fn reserve(&mut self, target: usize) {
        if target > FREE_BYTES {
            let permit = self.permit.get_or_insert_with(|| BytePermit::empty(Arc::clone(&self.budget)));
            permit.grow_to(target).await;
        }
        self.hold(target);
    }

    fn hold(&mut self, target: usize) {
        // Never the rest of a buffer that others cut frames from: what is longer than a block can be kept without a copy.
        let mut own = BytesMut::with_capacity(target);
        own.extend_from_slice(&self.buffer);
        self.buffer.clear();
        self.let_go();
        (self.buffer, self.buffer_bytes) = (own, target);
    }

    async fn fill(&mut self, patience: Duration, inside: bool) -> Result<(), ReadError> {
        if self.buffer.capacity() == self.buffer.len() && self.last_bytes > BLOCK_BYTES {
            match timeout(patience, self.stream.readable()).await {
                Err(_) => return Err(ReadError::Idle { inside }),
                Ok(ready) => ready.map_err(ReadError::Io)?,
            }
            let target = self.buffer.len() + self.last_bytes.min(BELIEVED_MAX_BYTES);
            let permit = self.permit.get_or_insert_with(|| BytePermit::empty(Arc::clone(&self.budget)));
            if permit.try_grow_to(target) {
                self.hold(target);
            }
        }
        // A buffer is held from when something arrives, not from when somebody begins to wait for it.
        let read = poll_fn(|context| {
            if self.buffer.capacity() == self.buffer.len() {
                self.begin_block();
            }
            let polled = pin!(self.stream.read_buf(&mut self.buffer)).poll(context);
            if polled.is_pending() && self.buffer.is_empty() {
                self.let_go();
                self.permit = None;
            }
            polled
        });
        match timeout(patience, read).await {
            Err(_) => Err(ReadError::Idle { inside }),
            Ok(Err(error)) => Err(ReadError::Io(error)),
            Ok(Ok(0)) if self.buffer.is_empty() || inside => Err(ReadError::Closed),
            Ok(Ok(0)) => Err(ReadError::CutShort { announced: 0, got: self.buffer.len() }),
            Ok(Ok(_)) => Ok(()),
        }
    }

    /// Goes on at the start of what is left of the thread's block, or of a new one.
    fn begin_block(&mut self) {
        let mut block = BLOCK.take();
        // What was cut from it may be gone, and then it begins again.
        if block.capacity() < BLOCK_REST_BYTES && !block.try_reclaim(BLOCK_BYTES) {
            block = BytesMut::with_capacity(BLOCK_BYTES);
        }
        block.extend_from_slice(&self.buffer);
        (self.buffer, self.in_block, self.buffer_bytes) = (block, true, BLOCK_BYTES);
    }

    /// Holds no buffer any more; its bytes have been taken.
    fn let_go(&mut self) {
        let rest = std::mem::take(&mut self.buffer);
        if std::mem::take(&mut self.in_block) {
            BLOCK.set(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Frames of these sizes, all of them sent before the first is read.
    async fn read_back(sizes: &[usize]) -> Vec<Frame> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut sent = Vec::new();
        for size in sizes {
            sent.extend_from_slice(&i32::try_from(*size).unwrap().to_be_bytes());
            sent.resize(sent.len() + size, 7);
        }
        let sending = tokio::spawn(async move { client.write_all(&sent).await });
        let budget = ByteBudget::new(64 << 20);
        let mut frames = FrameReader::new(stream.into_split().0, budget, 64 << 20);
        let mut read = Vec::new();
        for size in sizes {
            let frame = frames.next(PATIENCE).await.unwrap();
            assert_eq!(frame.bytes.len(), *size);
            read.push(frame);
        }
        sending.await.unwrap().unwrap();
        read
    }

    #[tokio::test]
    async fn a_frame_tells_what_it_keeps() {
        const LARGE: usize = 1 << 20;
        let frames = read_back(&[LARGE, 5_000, LARGE, 100]).await;
        for frame in frames {
            let Frame { bytes, buffer_bytes, .. } = frame;
            assert!(buffer_bytes >= bytes.len());
            // The capacity of the rest of its buffer, when nobody else holds it, is what shows.
            if let Ok(alone) = bytes.try_into_mut() {
                assert!(buffer_bytes >= alone.capacity(), "{buffer_bytes} told, {} kept", alone.capacity());
            }
        }
    }

    #[tokio::test]
    async fn a_frame_like_the_one_before_has_a_buffer_of_its_own() {
        let frames = read_back(&[60_000; 5]).await;
        for frame in frames.into_iter().skip(1) {
            assert!(frame.buffer_bytes < 2 * 60_000, "{}", frame.buffer_bytes);
            assert!(frame.bytes.try_into_mut().is_ok(), "somebody else holds its buffer");
        }
    }
}

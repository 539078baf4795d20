//! Bytes from a socket, cut into frames.
//!
//! A buffer grows with the bytes that arrive, never with the size that is announced, and growing past the first
//! step takes a permit from the broker's byte budget. While nothing arrives a connection holds no buffer at all.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

use crate::memory::{ByteBudget, BytePermit};

/// What a connection may hold without asking the budget. The number of connections bounds the sum.
const FREE_BYTES: usize = 16 * 1024;
/// The first buffer: most requests fit.
const FIRST_STEP_BYTES: usize = 4 * 1024;
/// A peer that has sent this much of a frame may be believed about eight times more.
const GROWTH: usize = 8;
/// How long a frame may stand still in the middle. A half-sent frame holds budget that others wait for.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// One request: the bytes after the length, and the budget they occupy.
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
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
    budget: Arc<ByteBudget>,
    limit: usize,
    permit: Option<BytePermit>,
}

impl FrameReader {
    /// `limit` is `socket.request.max.bytes`.
    pub(crate) fn new(stream: OwnedReadHalf, budget: Arc<ByteBudget>, limit: usize) -> FrameReader {
        FrameReader { stream, buffer: BytesMut::new(), budget, limit, permit: None }
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
        self.buffer.advance(4);
        let bytes = self.buffer.split_to(size).freeze();
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(Frame { bytes, permit: self.permit.take() })
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
        let target = wanted.min((self.buffer.len() * GROWTH).max(FREE_BYTES));
        if target > FREE_BYTES {
            let permit = self.permit.get_or_insert_with(|| BytePermit::empty(Arc::clone(&self.budget)));
            permit.grow_to(target).await;
        }
        self.buffer.reserve(target - self.buffer.len());
    }

    async fn fill(&mut self, patience: Duration, inside: bool) -> Result<(), ReadError> {
        loop {
            match timeout(patience, self.stream.readable()).await {
                Err(_) => return Err(ReadError::Idle { inside }),
                Ok(ready) => ready.map_err(ReadError::Io)?,
            }
            if self.buffer.capacity() == self.buffer.len() {
                self.buffer.reserve(FIRST_STEP_BYTES);
            }
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(0) if self.buffer.is_empty() => return Err(ReadError::Closed),
                Ok(0) if inside => return Err(ReadError::Closed),
                Ok(0) => return Err(ReadError::CutShort { announced: 0, got: self.buffer.len() }),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.buffer.is_empty() {
                        self.buffer = BytesMut::new();
                    }
                }
                Err(error) => return Err(ReadError::Io(error)),
            }
        }
    }
}

//! A connection that hands over frames as they are. Answers come in the order of the requests, which is all it relies on.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use client::ClientError;
use protocol::api::Message;
use protocol::frame::{FrameDecoder, skip_response_header};
use protocol::wire::Decoder;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long to wait for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer taken, bytes, as in Kafka's clients.
const ANSWER_MAX_BYTES: usize = 100 << 20;
/// Room for what comes next, bytes.
const READ_BYTES: usize = 16 << 10;

/// Why a connection is of no use any more, in a word or two for the count of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost(pub(crate) &'static str);

pub(crate) const CLOSED: Lost = Lost("connection lost");
pub(crate) const TIMED_OUT: Lost = Lost("no answer in time");
pub(crate) const GARBLED: Lost = Lost("answer cannot be read");

/// An open connection.
pub(crate) struct Link {
    stream: TcpStream,
    decoder: FrameDecoder,
}

impl Link {
    pub(crate) async fn connect(address: &str) -> Result<Link, ClientError> {
        let io = |source| ClientError::Io { address: address.into(), source };
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
            .await
            .map_err(|_| ClientError::NoAnswer { address: address.into(), reason: "connecting took too long" })?
            .map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        Ok(Link { stream, decoder: FrameDecoder::new(ANSWER_MAX_BYTES) })
    }

    /// Whether there may be something to read or, if asked for, room to write.
    pub(crate) fn poll_ready(&self, context: &mut Context<'_>, to_write: bool) -> Poll<Result<(), Lost>> {
        let read = self.stream.poll_read_ready(context);
        let write = if to_write { self.stream.poll_write_ready(context) } else { Poll::Pending };
        match (read, write) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(Err(CLOSED)),
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Writes what can be written at once; answers how many bytes that was.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, Lost> {
        match self.stream.try_write(bytes) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(CLOSED),
        }
    }

    /// Takes in what has arrived; answers whether there was anything.
    pub(crate) fn read(&mut self) -> Result<bool, Lost> {
        let buffer = self.decoder.buffer();
        // An answer of megabytes is read in as few pieces as it arrives in.
        let announced = buffer.first_chunk::<4>().map_or(0, |size| i32::from_be_bytes(*size).max(0) as usize);
        let missing = announced.min(ANSWER_MAX_BYTES).saturating_sub(buffer.len());
        buffer.reserve(READ_BYTES.max(missing + 4));
        match self.stream.try_read_buf(self.decoder.buffer()) {
            Ok(0) => Err(CLOSED),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(_) => Err(CLOSED),
        }
    }

    /// The next whole answer among what was read, without its length.
    pub(crate) fn frame(&mut self) -> Result<Option<Bytes>, Lost> {
        self.decoder.next_frame().map_err(|_| GARBLED)
    }

    /// Sends one request and waits for its answer.
    pub(crate) async fn exchange(&mut self, request: &[Bytes], patience: Duration) -> Result<Bytes, Lost> {
        let work = async {
            for chunk in request {
                let mut written = 0;
                while written < chunk.len() {
                    self.stream.writable().await.map_err(|_| CLOSED)?;
                    written += self.write(&chunk[written..])?;
                }
            }
            loop {
                if let Some(frame) = self.frame()? {
                    return Ok(frame);
                }
                self.stream.readable().await.map_err(|_| CLOSED)?;
                self.read()?;
            }
        };
        timeout(patience, work).await.unwrap_or(Err(TIMED_OUT))
    }
}

/// The correlation id of an answer, and what it says.
pub(crate) fn decode<M: Message>(api_key: i16, version: i16, frame: Bytes) -> Result<(i32, M), Lost> {
    let id = frame.first_chunk::<4>().map(|id| i32::from_be_bytes(*id)).ok_or(GARBLED)?;
    let mut decoder = Decoder::new(frame);
    skip_response_header(api_key, version, &mut decoder).map_err(|_| GARBLED)?;
    let message = M::decode(&mut decoder, version).map_err(|_| GARBLED)?;
    Ok((id, message))
}

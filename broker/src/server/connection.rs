//! One connection: frames in, answers out in the same order.
//!
//! The reading half starts each request before it reads the next, which fixes the order of effects (an idempotent
//! producer has five requests in flight and counts on it). What a request then waits for (an fsync, a long poll, a
//! rebalance) happens in the writing half's queue, so later requests need not wait for it to start.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::frame_reader::{FrameReader, ReadError};
use super::listener::TRAFFIC;
use super::sniff::{Stranger, sniff};
use super::writer::{Slot, write_answers};
use crate::broker::Broker;
use crate::config::Listener;
use crate::dispatch::{self, Step};
use crate::metrics::ClientLatency;

/// Requests of one connection that may wait for their answers at the same time.
const IN_FLIGHT_MAX: usize = 16;
/// After the peer has closed its side, how long its last answers may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Who is at the other end.
pub(crate) struct ConnectionInfo {
    pub(crate) peer: SocketAddr,
    /// The address on which this client reached us, which is therefore one it can reach.
    pub(crate) local: SocketAddr,
    pub(crate) listener: Arc<Listener>,
    /// What the client said of itself in ApiVersions (KIP-511): name and version.
    pub(crate) software: OnceLock<(String, String)>,
    /// Where its produce requests are timed, from the first one on.
    pub(crate) producer: OnceLock<Arc<ClientLatency>>,
}

/// Serves one connection until either side is done with it.
pub(crate) async fn serve(broker: Arc<Broker>, stream: TcpStream, peer: SocketAddr, listener: Arc<Listener>) {
    let Ok(local) = stream.local_addr() else { return };
    // Answers are written whole, so waiting for more to send only adds latency.
    let _ = stream.set_nodelay(true);
    let info = Arc::new(ConnectionInfo { peer, local, listener, software: OnceLock::new(), producer: OnceLock::new() });

    let (read_half, mut write_half) = stream.into_split();
    let limit = broker.config().socket_request_max_bytes;
    let idle = broker.config().connections_max_idle;
    let mut frames = FrameReader::new(read_half, Arc::clone(broker.request_budget()), limit);
    match frames.peek_first(idle).await {
        Ok(first) => {
            if let Some(stranger) = sniff(first) {
                match stranger {
                    Stranger::Tls => TRAFFIC.tls.add(1),
                    Stranger::Http => TRAFFIC.http.add(1),
                }
                warn!(client = %peer, listener = %info.listener.name, "connection closed: {}", stranger.cure());
                let _ = write_half.write_all(stranger.farewell()).await;
                return;
            }
        }
        Err(error) => return log_end(&info, &error),
    }

    let (slots, queue) = mpsc::channel(IN_FLIGHT_MAX);
    let mut writer = tokio::spawn(write_answers(write_half, queue, idle));
    read_requests(&broker, &info, &mut frames, slots, idle).await;
    match timeout(DRAIN_TIMEOUT, &mut writer).await {
        Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::TimedOut => {
            warn!(client = %peer, listener = %info.listener.name, "connection closed: the client asked and did not read the answer for connections.max.idle.ms");
        }
        Ok(_) => {}
        Err(_) => writer.abort(),
    }
}

async fn read_requests(
    broker: &Arc<Broker>,
    info: &Arc<ConnectionInfo>,
    frames: &mut FrameReader,
    slots: mpsc::Sender<Slot>,
    idle: Duration,
) {
    loop {
        let frame = tokio::select! {
            frame = frames.next(idle) => frame,
            () = slots.closed() => return,
        };
        let frame = match frame {
            Ok(frame) => frame,
            // Somebody who waits for an answer is not idle.
            Err(ReadError::Idle { inside: false }) if slots.capacity() < IN_FLIGHT_MAX => continue,
            Err(error) => return log_end(info, &error),
        };
        let slot = match dispatch::start(broker, info, frame).await {
            Step::Reply(answer) => Slot::Ready(answer),
            Step::Wait(pending) => Slot::Pending(pending),
            Step::Silent => continue,
            Step::Close => return,
        };
        if slots.send(slot).await.is_err() {
            return;
        }
    }
}

fn log_end(info: &ConnectionInfo, error: &ReadError) {
    let client = info.peer;
    let listener = &info.listener.name;
    match error {
        ReadError::Closed => debug!(%client, %listener, "connection closed by the client"),
        ReadError::Idle { inside: false } => {
            info!(%client, %listener, "connection closed: idle for connections.max.idle.ms")
        }
        ReadError::Idle { inside: true } => {
            warn!(%client, %listener, "connection closed: a request stopped arriving half way; check the client or the network between")
        }
        ReadError::CutShort { announced, got } => {
            warn!(%client, %listener, announced, got, "connection closed by the client in the middle of a request")
        }
        ReadError::NegativeSize(size) => {
            warn!(%client, %listener, size, "connection closed: a request announced a negative size; the client does not speak the Kafka protocol")
        }
        ReadError::TooLarge { announced, limit } => {
            warn!(%client, %listener, announced, limit, "connection closed: a request is larger than socket.request.max.bytes; raise it, or lower the client's batch size, if this is a Kafka client")
        }
        ReadError::Io(error) => debug!(%client, %listener, %error, "connection lost"),
    }
}

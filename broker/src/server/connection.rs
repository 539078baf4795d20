//! One connection: frames in, answers out in the same order, by one task.
//!
//! Each request is started before the next is read, which fixes the order of effects (an idempotent producer has five
//! requests in flight and counts on it). What a request then waits for (an fsync, a long poll, a rebalance) happens in
//! the queue of answers, so later requests need not wait for it to start.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use protocol::Uuid;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::answers::{Answers, Slot};
use super::frame_reader::{Frame, FrameReader, ReadError};
use super::listener::TRAFFIC;
use super::sniff::{Stranger, sniff};
use crate::broker::Broker;
use crate::config::Listener;
use crate::dispatch::{self, Step};
use crate::metrics::ClientLatency;
use crate::quota::Mute;

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
    /// What the client called itself first, which few ever change.
    pub(crate) client_id: OnceLock<Arc<str>>,
    /// Where its produce requests are timed, from the first one on.
    pub(crate) producer: OnceLock<Arc<ClientLatency>>,
    /// Until when it was told to be silent.
    pub(crate) mute: Mute,
    /// As whom it came first to ask what to measure of itself, or to push it (KIP-714).
    client_instance_id: OnceLock<Uuid>,
}

impl ConnectionInfo {
    /// The client asks for subscriptions or pushes metrics. It is forgotten when this connection ends.
    pub(crate) fn pushes_as(&self, client_instance_id: Uuid) {
        // Behind a proxy there may be several; the others are forgotten when they are silent for long.
        let _ = self.client_instance_id.set(client_instance_id);
    }
}

/// Serves one connection until either side is done with it, or `stop` changes.
pub(crate) async fn serve(
    broker: Arc<Broker>,
    stream: TcpStream,
    peer: SocketAddr,
    listener: Arc<Listener>,
    mut stop: watch::Receiver<bool>,
) {
    let Ok(local) = stream.local_addr() else { return };
    // Answers are written whole, so waiting for more to send only adds latency.
    let _ = stream.set_nodelay(true);
    let info = Arc::new(ConnectionInfo {
        peer,
        local,
        listener,
        software: OnceLock::new(),
        client_id: OnceLock::new(),
        producer: OnceLock::new(),
        mute: Mute::default(),
        client_instance_id: OnceLock::new(),
    });

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

    let mut answers = Answers::new(write_half, idle);
    let served = tokio::select! {
        served = serve_requests(&broker, &info, &mut frames, &mut answers) => served,
        _ = stop.changed() => Ok(()),
    };
    let drained = match served {
        Ok(()) => timeout(DRAIN_TIMEOUT, answers.drive()).await.unwrap_or(Ok(())),
        failed => failed,
    };
    if let Some(id) = info.client_instance_id.get() {
        broker.telemetry().disconnected(*id);
    }
    if drained.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        warn!(client = %peer, listener = %info.listener.name, "connection closed: the client asked and did not read the answer for connections.max.idle.ms");
    }
}

/// Serves until no more requests come. An error means that no more answers can be sent.
async fn serve_requests(
    broker: &Arc<Broker>,
    info: &Arc<ConnectionInfo>,
    frames: &mut FrameReader,
    answers: &mut Answers<OwnedWriteHalf>,
) -> io::Result<()> {
    let idle = broker.config().connections_max_idle;
    loop {
        let muted = info.mute.end(broker.clock());
        let may_begin = muted.is_none() && answers.has_room();
        let arrived = if may_begin { frames.arrived() } else { None };
        let frame = match arrived {
            Some(frame) => {
                // Somebody woken by the request before this one must not wait for what this one does.
                yield_now().await;
                frame
            }
            None => {
                let frame = tokio::select! {
                    biased;
                    driven = answers.drive(), if !answers.is_empty() => {
                        driven?;
                        continue;
                    }
                    frame = next(frames, idle, muted), if may_begin || muted.is_some() => frame,
                };
                match frame {
                    Ok(Some(frame)) => {
                        if info.mute.end(broker.clock()).is_some() {
                            Box::pin(hold(broker, info, answers)).await?;
                        }
                        frame
                    }
                    Ok(None) => continue,
                    // Somebody who waits for an answer is not idle.
                    Err(ReadError::Idle { inside: false }) if !answers.is_empty() => continue,
                    Err(error) => {
                        log_end(info, &error);
                        return Ok(());
                    }
                }
            }
        };
        match start(broker, info, frame, answers).await? {
            Step::Reply(answer) => answers.push(Slot::Ready(answer)),
            Step::Wait(pending) => answers.push(Slot::Pending(pending)),
            Step::Silent => {}
            Step::Close => return Ok(()),
        }
    }
}

/// The next request. Of one whose client was told to be silent nothing is read until then, and that is no idleness:
/// `None` when that is over.
async fn next(frames: &mut FrameReader, idle: Duration, muted: Option<Instant>) -> Result<Option<Frame>, ReadError> {
    match muted {
        None => frames.next(idle).await.map(Some),
        Some(end) => Box::pin(frames.pause(end)).await.map(|()| None),
    }
}

/// A request that came before the answer which told its client to be silent begins after that.
async fn hold(broker: &Broker, info: &ConnectionInfo, answers: &mut Answers<OwnedWriteHalf>) -> io::Result<()> {
    while let Some(end) = info.mute.end(broker.clock()) {
        tokio::select! {
            biased;
            driven = answers.drive(), if !answers.is_empty() => driven?,
            () = sleep_until(end) => {}
        }
    }
    Ok(())
}

/// Starts a request. Earlier ones are answered meanwhile, when that takes time.
async fn start(
    broker: &Arc<Broker>,
    info: &Arc<ConnectionInfo>,
    frame: Frame,
    answers: &mut Answers<OwnedWriteHalf>,
) -> io::Result<Step> {
    let mut starting = pin!(dispatch::start(broker, info, frame));
    loop {
        tokio::select! {
            biased;
            step = &mut starting => return Ok(step),
            driven = answers.drive(), if !answers.is_empty() => driven?,
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

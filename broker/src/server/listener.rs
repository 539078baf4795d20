//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::net::IpAddr;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::warn;

use super::connection;
use crate::broker::Broker;
use crate::config::Listener;
use crate::metrics::Counter;

/// Connections the kernel may hold ready while we are busy.
const BACKLOG: i32 = 1024;
/// Before accepting again after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A dead peer behind a silent network is noticed after this and a few probes.
const KEEPALIVE: Duration = Duration::from_secs(120);

/// Connections, counted as they come.
pub(crate) struct ConnectionTraffic {
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    /// Those whose address opened too many.
    pub(crate) throttled: Counter,
    /// Those that spoke TLS to a plaintext port.
    pub(crate) tls: Counter,
    /// Those that spoke HTTP.
    pub(crate) http: Counter,
}

pub(crate) static TRAFFIC: ConnectionTraffic = ConnectionTraffic {
    accepted: Counter::new(),
    refused: Counter::new(),
    throttled: Counter::new(),
    tls: Counter::new(),
    http: Counter::new(),
};

/// A listener that holds its port.
pub(crate) struct BoundListener {
    pub(crate) listener: Arc<Listener>,
    pub(crate) address: SocketAddr,
    socket: TcpListener,
}

/// Takes the port of `listener`.
///
/// # Errors
/// The operating system's, when the address is in use or not ours.
pub(crate) fn bind(listener: Arc<Listener>) -> io::Result<BoundListener> {
    let socket = bind_tcp(&listener)?;
    Ok(BoundListener { listener, address: socket.local_addr()?, socket })
}

/// The same, of any protocol.
///
/// # Errors
/// The operating system's.
pub(crate) fn bind_tcp(listener: &Listener) -> io::Result<TcpListener> {
    let address = listener.bind_address()?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted broker must not wait for the old one's connections to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // `::` means every address, of both families, as in Java.
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections until `stop` changes.
pub(crate) async fn serve(broker: Arc<Broker>, bound: BoundListener, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = bound.socket.accept() => accepted,
            _ = stop.changed() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection; if it says too many open files, raise the limit (ulimit -n)");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = broker.connections().admit(peer.ip(), &broker) else {
            TRAFFIC.refused.add(1);
            warn!(client = %peer, "connection refused: max.connections or max.connections.per.ip is reached");
            continue;
        };
        if let Some(pause) = broker.quotas().connected(peer.ip(), broker.clock().now().monotonic_ms) {
            TRAFFIC.throttled.add(1);
            let ms = pause.as_millis() as u64;
            warn!(client = %peer, ms, "connection refused: its address opens more than its quota connection_creation_rate");
            // Closed at once, it would be opened again at once. It keeps its place meanwhile, so they have a bound.
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                drop((stream, place));
            });
            continue;
        }
        TRAFFIC.accepted.add(1);
        let socket = socket2::SockRef::from(&stream);
        let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        if let Some(bytes) = broker.config().socket_send_buffer_bytes {
            let _ = socket.set_send_buffer_size(bytes);
        }
        let broker = Arc::clone(&broker);
        let listener = Arc::clone(&bound.listener);
        let stop = stop.clone();
        tokio::spawn(async move {
            let _place = place;
            connection::serve(broker, stream, peer, listener, stop).await;
        });
    }
}

/// Who is connected, counted.
#[derive(Default)]
pub(crate) struct Connections {
    by_ip: Arc<DashMap<IpAddr, usize>>,
    total: Arc<std::sync::atomic::AtomicUsize>,
}

/// A place among the admitted connections, free again on drop.
pub(crate) struct Place {
    by_ip: Arc<DashMap<IpAddr, usize>>,
    total: Arc<std::sync::atomic::AtomicUsize>,
    ip: IpAddr,
}

impl Connections {
    /// Connections open now.
    pub(crate) fn count(&self) -> usize {
        self.total.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn admit(&self, ip: IpAddr, broker: &Broker) -> Option<Place> {
        let config = broker.config();
        if self.count() >= config.max_connections {
            return None;
        }
        let mut count = self.by_ip.entry(ip).or_insert(0);
        if *count >= config.max_connections_per_ip {
            return None;
        }
        *count += 1;
        self.total.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(Place { by_ip: Arc::clone(&self.by_ip), total: Arc::clone(&self.total), ip })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.total.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        if let Some(mut count) = self.by_ip.get_mut(&self.ip) {
            *count -= 1;
        }
        self.by_ip.remove_if(&self.ip, |_, count| *count == 0);
    }
}

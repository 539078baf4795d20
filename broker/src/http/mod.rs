//! Health and metrics over HTTP/1.1, for probes, Prometheus and people with curl.
//!
//! GET and HEAD of a handful of pages need no framework: a head of bounded size, bodies refused, every wait with an end,
//! and few connections. It serves from before recovery to the end of shutdown, since that is when probes ask.

mod connection;
mod health;
mod pages;
mod request;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::config::{HttpListener, Listener};
use crate::server;

pub(crate) use health::{Health, Phase};

/// Connections at a time; more are closed at once.
const CONNECTIONS_MAX: usize = 64;
/// Connections above which each gets one answer, so that those who keep theirs open lock nobody out.
const CONNECTIONS_CROWDED: usize = CONNECTIONS_MAX / 2;
/// Before accepting again after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The server, until it is dropped.
pub(crate) struct Http {
    address: Option<SocketAddr>,
    accepting: Option<JoinHandle<()>>,
}

impl Http {
    /// Takes the port and starts answering. A port that nobody asked for may be taken: then there is no HTTP.
    ///
    /// # Errors
    /// The operating system's, with the address, when the setting names a port that cannot be had.
    pub(crate) fn start(config: Option<&HttpListener>, health: &Arc<Health>) -> Result<Http, (String, io::Error)> {
        let Some(config) = config else { return Ok(Http { address: None, accepting: None }) };
        let (host, port) = (config.host.clone(), config.port);
        let listener = Listener { name: "HTTP".into(), host, port, advertised: None };
        let bound = match server::bind_tcp(&listener) {
            Ok(bound) => bound,
            Err(error) if !config.is_explicit => {
                warn!(address = %config, %error, "no health and no metrics: the port cannot be had; set ottla.http.listener to a free one, or to none");
                return Ok(Http { address: None, accepting: None });
            }
            Err(error) => return Err((config.to_string(), error)),
        };
        let address = bound.local_addr().map_err(|error| (config.to_string(), error))?;
        info!(%address, "health and metrics are served over HTTP");
        let accepting = tokio::spawn(accept(bound, Arc::clone(health)));
        Ok(Http { address: Some(address), accepting: Some(accepting) })
    }

    /// Where it listens, if it does.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn accept(listener: TcpListener, health: Arc<Health>) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "cannot accept a connection for HTTP; if it says too many open files, raise the limit (ulimit -n)");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let place = Place::take(&open);
        if place.number > CONNECTIONS_MAX {
            continue;
        }
        let health = Arc::clone(&health);
        tokio::spawn(async move {
            let is_crowded = || place.open.load(Ordering::Relaxed) > CONNECTIONS_CROWDED;
            connection::serve(stream, &health, is_crowded).await;
        });
    }
}

/// One of the open connections, counted until it is dropped.
struct Place {
    open: Arc<AtomicUsize>,
    number: usize,
}

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Place {
        Place { number: open.fetch_add(1, Ordering::Relaxed) + 1, open: Arc::clone(open) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

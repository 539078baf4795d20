//! From an address as somebody typed it to a broker that speaks: name, TCP, first bytes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::first_bytes::{self, Language};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// The way to a broker, all of it good.
pub(super) struct Reached {
    pub(super) host: String,
    pub(super) addresses: Vec<SocketAddr>,
    /// The one that answered.
    pub(super) peer: SocketAddr,
    /// Those before it that did not.
    pub(super) deaf: Vec<SocketAddr>,
    /// How many APIs it serves.
    pub(super) apis: usize,
}

/// Where the way ended.
pub(super) enum Trouble {
    /// It is no address.
    Address { reason: String, cure: String },
    /// The name means nothing here.
    Name { host: String, reason: String },
    /// Nobody takes a connection.
    Tcp { addresses: Vec<SocketAddr>, reason: String, kind: io::ErrorKind },
    /// Somebody does, and it is no Kafka.
    Language { peer: SocketAddr, language: Language },
}

/// Walks the whole way. Each step ends within `limit`.
pub(super) async fn reach(address: &str, limit: Duration) -> Result<Reached, Trouble> {
    let (host, port) = split(address)?;
    let unknown = |reason: String| Trouble::Name { host: host.clone(), reason };
    let found = match timeout(limit, lookup_host((host.as_str(), port))).await {
        Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect::<Vec<_>>(),
        Ok(Err(error)) => return Err(unknown(error.to_string())),
        Err(_) => return Err(unknown(format!("no answer within {} ms", limit.as_millis()))),
    };
    if found.is_empty() {
        return Err(unknown("it has no address".into()));
    }
    let mut deaf = Vec::new();
    let mut last = (String::new(), io::ErrorKind::Other);
    for peer in &found {
        match connect(*peer, limit).await {
            Ok(stream) => {
                return match first_bytes::language(stream, *peer, limit).await {
                    Language::Kafka { apis } => Ok(Reached { host, peer: *peer, addresses: found, deaf, apis }),
                    language => Err(Trouble::Language { peer: *peer, language }),
                };
            }
            Err(error) => {
                deaf.push(*peer);
                last = (error.to_string(), error.kind());
            }
        }
    }
    let (reason, kind) = last;
    Err(Trouble::Tcp { addresses: found, reason, kind })
}

pub(super) async fn connect(peer: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    match timeout(limit, TcpStream::connect(peer)).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} ms", limit.as_millis()))),
    }
}

/// Host and port of `host:port` or `[host]:port`.
fn split(address: &str) -> Result<(String, u16), Trouble> {
    let trouble = |reason: String, cure: String| Err(Trouble::Address { reason, cure });
    if let Some((scheme, rest)) = address.split_once("://") {
        let rest = rest.trim_end_matches('/');
        return trouble(format!("{address} begins with {scheme}://"), format!("give host and port alone: {rest}"));
    }
    let (host, port) = match address.rsplit_once(':') {
        // An IPv6 address without brackets and port has colons too.
        Some((host, _)) if host.contains(':') && !host.starts_with('[') => (address, None),
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let Some(port) = port else {
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
        return trouble(format!("{address} has no port"), format!("Kafka's usual port is 9092: {bracketed}:9092"));
    };
    match port.parse::<u16>() {
        Ok(number) if number > 0 && !host.is_empty() => Ok((host.into(), number)),
        _ => trouble(format!("{address} is no host:port"), "write it as in localhost:9092".into()),
    }
}

impl Trouble {
    /// Which check it belongs to.
    pub(super) fn check(&self) -> &'static str {
        match self {
            Trouble::Address { .. } | Trouble::Name { .. } => "name",
            Trouble::Tcp { .. } => "tcp",
            Trouble::Language { .. } => "protocol",
        }
    }

    pub(super) fn what(&self) -> String {
        match self {
            Trouble::Address { reason, .. } => reason.clone(),
            Trouble::Name { host, reason } => format!("{host} cannot be resolved here: {reason}"),
            Trouble::Tcp { addresses, reason, .. } => format!("{}: {reason}", list(addresses)),
            Trouble::Language { peer, language } => format!("{peer} {language}"),
        }
    }

    /// What to do, when it is an address that the person gave.
    pub(super) fn cure(&self) -> String {
        match self {
            Trouble::Address { cure, .. } => cure.clone(),
            Trouble::Name { host, .. } if is_inner(host) => {
                "such a name exists only inside a Kubernetes cluster or a Compose network: run this inside (kubectl \
                 exec, docker compose exec), or give the address under which the broker can be reached from here"
                    .into()
            }
            Trouble::Name { .. } => "correct the name, or add it to DNS or /etc/hosts".into(),
            Trouble::Tcp { kind: io::ErrorKind::ConnectionRefused, .. } => {
                "nothing listens there: start the broker, compare the port with its listeners, and in a container \
                 publish the port (-p 9092:9092, kubectl port-forward)"
                    .into()
            }
            Trouble::Tcp { .. } => {
                "something swallows the packets: look at firewall, NetworkPolicy and security group, and whether the \
                 host is on"
                    .into()
            }
            Trouble::Language { language, .. } => language.cure().into(),
        }
    }
}

/// Whether a name looks like one that only a cluster's own DNS knows.
pub(super) fn is_inner(host: &str) -> bool {
    let is_short = !host.contains('.') && host != "localhost";
    let is_a_services = host.ends_with(".svc") || host.contains(".svc.") || host.ends_with(".local");
    (is_short || is_a_services || host.ends_with(".internal")) && host.parse::<IpAddr>().is_err()
}

pub(super) fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_and_mistakes_told_with_their_cure() {
        for (address, host, port) in
            [("k:1", "k", 1), ("[::1]:9092", "::1", 9092), ("10.0.0.1:65535", "10.0.0.1", 65535)]
        {
            assert!(split(address).is_ok_and(|found| found == (host.into(), port)), "{address}");
        }
        for (address, words) in [
            ("k", "k:9092"),
            ("::1", "[::1]:9092"),
            ("PLAINTEXT://k:9092", "alone: k:9092"),
            ("k:0", "localhost:9092"),
            ("k:x", "localhost:9092"),
            (":9092", "localhost:9092"),
        ] {
            let Err(trouble) = split(address) else { panic!("{address}") };
            assert!(trouble.cure().contains(words), "{address}: {}", trouble.cure());
        }
    }

    #[test]
    fn names_of_clusters_are_known_by_their_look() {
        for host in ["kafka", "kafka-0.kafka-headless.ns.svc", "k.ns.svc.cluster.local", "host.docker.internal"] {
            assert!(is_inner(host), "{host}");
        }
        for host in ["localhost", "broker.example.com", "10.0.0.1", "::1"] {
            assert!(!is_inner(host), "{host}");
        }
    }
}

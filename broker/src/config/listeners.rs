//! Where the broker listens, and what it tells clients to connect to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};

use super::key::split_list;

/// One entry of `listeners`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Upper case, as Kafka keeps it.
    pub(crate) name: String,
    /// A name or address; empty for every address of the machine.
    pub(crate) host: String,
    /// 0 for any free port.
    pub(crate) port: u16,
    /// What clients are told. `None`: the address on which each of them reached the broker.
    pub(crate) advertised: Option<(String, u16)>,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "{}://[{}]:{}", self.name, self.host, self.port),
            false => write!(f, "{}://{}:{}", self.name, self.host, self.port),
        }
    }
}

impl Listener {
    /// The address to bind.
    ///
    /// # Errors
    /// The resolver's, or none found for the name.
    pub(crate) fn bind_address(&self) -> io::Result<SocketAddr> {
        if self.host.is_empty() {
            // Every address of both families, if the machine has both.
            let any = if UdpSocket::bind("[::]:0").is_ok() { "::" } else { "0.0.0.0" };
            return first_address(any, self.port);
        }
        first_address(&self.host, self.port)
    }
}

fn first_address(host: &str, port: u16) -> io::Result<SocketAddr> {
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    // IPv4 first, as Java does: `localhost` is 127.0.0.1 for most clients.
    let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    address.copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")))
}

/// Reads `listeners`, leaving out those in `controllers` and refusing protocols other than PLAINTEXT.
///
/// # Errors
/// A sentence that names the entry and the cure.
pub(crate) fn parse_listeners(
    text: &str,
    protocols: &BTreeMap<String, String>,
    controllers: &[String],
) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    let mut names = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for entry in entries(text) {
        let (name, host, port) = parse_entry(&entry)?;
        if controllers.iter().any(|controller| controller.eq_ignore_ascii_case(&name)) {
            continue;
        }
        check_protocol(&name, protocols)?;
        if !names.insert(name.clone()) {
            return Err(format!("listener name {name} is used twice; each needs a name of its own"));
        }
        if port != 0 && !ports.insert((host.contains(':'), port)) {
            return Err(format!("port {port} is used by two listeners; each needs a port of its own"));
        }
        listeners.push(Listener { name, host, port, advertised: None });
    }
    if listeners.is_empty() {
        return Err("there is no listener for clients; add one such as PLAINTEXT://:9092".into());
    }
    Ok(listeners)
}

/// Puts the entries of `advertised.listeners` to the listeners they name.
///
/// # Errors
/// A sentence that names the entry and the cure.
pub(crate) fn advertise(text: &str, listeners: &mut [Listener]) -> Result<(), String> {
    let known: Vec<_> = listeners.iter().map(|listener| listener.name.clone()).collect();
    let mut names = BTreeSet::new();
    for entry in entries(text) {
        let (name, host, port) = parse_entry(&entry)?;
        let Some(listener) = listeners.iter_mut().find(|listener| listener.name == name) else {
            return Err(format!("{name} is not the name of a listener; there are {}", known.join(", ")));
        };
        if !names.insert(name.clone()) {
            return Err(format!("listener name {name} is advertised twice"));
        }
        if host == "0.0.0.0" || host == "::" {
            return Err(format!("{entry} is no address a client can connect to; use one that routes here"));
        }
        // Images write `PLAINTEXT://:9092` where the host is to be found out; each client knows a good one.
        if host.is_empty() && (port == 0 || port == listener.port) {
            continue;
        }
        if host.is_empty() || port == 0 {
            return Err(format!("{entry} needs a host and a port"));
        }
        listener.advertised = Some((host, port));
    }
    Ok(())
}

/// Reads `listener.security.protocol.map`.
///
/// # Errors
/// A sentence that names the entry.
pub(crate) fn parse_protocols(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pair = |entry: String| match entry.split_once(':') {
        Some((name, protocol)) => Ok((name.trim().to_uppercase(), protocol.trim().to_uppercase())),
        None => Err(format!("{entry} is not written as NAME:PROTOCOL")),
    };
    entries(text).map(pair).collect()
}

/// `listeners` as Kafka's image derives it from `advertised.listeners`: the same names and ports, on every address.
pub(crate) fn listeners_for(advertised: &str) -> String {
    let anywhere = |entry: String| match parse_entry(&entry) {
        Ok((name, _, port)) => format!("{name}://0.0.0.0:{port}"),
        Err(_) => entry,
    };
    entries(advertised).map(anywhere).collect::<Vec<_>>().join(",")
}

/// Entries of a list; a trailing comma, which .NET's test containers write, is not an entry.
fn entries(text: &str) -> impl Iterator<Item = String> {
    split_list(text).into_iter().filter(|entry| !entry.is_empty())
}

fn parse_entry(entry: &str) -> Result<(String, String, u16), String> {
    let malformed = || format!("{entry} is not written as NAME://host:port");
    let (name, address) = entry.split_once("://").ok_or_else(malformed)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(malformed)?;
    let port = port.parse::<u16>().map_err(|_| malformed())?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bracketed.unwrap_or(host);
    let legal = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
    if name.is_empty() || !host.chars().all(legal) || (bracketed.is_none() && host.contains(':')) {
        return Err(malformed());
    }
    Ok((name.to_uppercase(), host.into(), port))
}

fn check_protocol(name: &str, protocols: &BTreeMap<String, String>) -> Result<(), String> {
    match protocols.get(name).map(String::as_str) {
        Some("PLAINTEXT") => Ok(()),
        Some(protocol @ ("SSL" | "SASL_PLAINTEXT" | "SASL_SSL")) => Err(format!(
            "listener {name} asks for {protocol}, which is not supported yet; map it to PLAINTEXT or remove it"
        )),
        Some(protocol) => Err(format!("listener {name} asks for {protocol}, which is no security protocol")),
        None => Err(format!(
            "listener {name} has no security protocol; add {name}:PLAINTEXT to listener.security.protocol.map"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "PLAINTEXT:PLAINTEXT,inner:PLAINTEXT,SSL:SSL,TC-0:PLAINTEXT";

    fn parse(text: &str) -> Result<Vec<(String, String, u16)>, String> {
        let listeners = parse_listeners(text, &parse_protocols(MAP).unwrap(), &["CONTROLLER".into()])?;
        Ok(listeners.iter().map(|l| (l.name.clone(), l.host.clone(), l.port)).collect())
    }

    fn entry(name: &str, host: &str, port: u16) -> (String, String, u16) {
        (name.into(), host.into(), port)
    }

    #[test]
    fn listeners_as_people_write_them() {
        assert_eq!(parse("PLAINTEXT://:9092"), Ok(vec![entry("PLAINTEXT", "", 9092)]));
        assert_eq!(parse("plaintext://0.0.0.0:9092,"), Ok(vec![entry("PLAINTEXT", "0.0.0.0", 9092)]));
        assert_eq!(
            parse(" Inner://[::1]:19092 , TC-0://host-1.x_y:0"),
            Ok(vec![entry("INNER", "::1", 19092), entry("TC-0", "host-1.x_y", 0)])
        );
        assert_eq!(
            parse("PLAINTEXT://:9092,CONTROLLER://:9093"),
            Ok(vec![entry("PLAINTEXT", "", 9092)]),
            "controller listeners are not opened"
        );
    }

    #[test]
    fn listeners_that_make_no_sense() {
        for (text, word) in [
            ("", "no listener"),
            ("CONTROLLER://:9093", "no listener"),
            (":9092", "NAME://host:port"),
            ("PLAINTEXT://:port", "NAME://host:port"),
            ("PLAINTEXT://:70000", "NAME://host:port"),
            ("PLAINTEXT://a b:1", "NAME://host:port"),
            ("PLAINTEXT://::1:9092", "NAME://host:port"),
            ("PLAINTEXT://:1,plaintext://:2", "used twice"),
            ("PLAINTEXT://:1,INNER://:1", "two listeners"),
            ("SSL://:9093", "not supported yet"),
            ("OUTER://:9093", "add OUTER:PLAINTEXT to listener.security.protocol.map"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(parse("PLAINTEXT://1.2.3.4:1,INNER://[::1]:1").is_ok(), "one port, two families");
        assert!(parse_protocols("A").is_err());
    }

    #[test]
    fn advertised_names_belong_to_listeners() {
        let advertised = |text: &str| {
            let mut listeners =
                parse_listeners("PLAINTEXT://:1,INNER://:2", &parse_protocols(MAP).unwrap(), &[]).unwrap();
            advertise(text, &mut listeners)?;
            Ok(listeners.into_iter().map(|listener| listener.advertised).collect::<Vec<_>>())
        };
        assert_eq!(
            advertised("plaintext://kafka.example:19092,INNER://[::1]:7,"),
            Ok(vec![Some(("kafka.example".into(), 19092)), Some(("::1".into(), 7))])
        );
        assert_eq!(advertised("PLAINTEXT://:1,INNER://:0"), Ok(vec![None, None]));
        for (text, word) in [
            ("OUTER://x:1", "there are PLAINTEXT, INNER"),
            ("PLAINTEXT://0.0.0.0:1", "no address"),
            ("PLAINTEXT://:9", "needs a host"),
            ("PLAINTEXT://x:0", "needs a host"),
            ("PLAINTEXT://x:1,PLAINTEXT://y:1", "advertised twice"),
            ("x:1", "NAME://host:port"),
        ] {
            let error: String = advertised(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn listeners_follow_from_what_is_advertised() {
        assert_eq!(
            listeners_for("PLAINTEXT://kafka:29092,HOST://localhost:9092,"),
            "PLAINTEXT://0.0.0.0:29092,HOST://0.0.0.0:9092"
        );
    }

    #[test]
    fn names_are_resolved_to_what_java_would_bind() {
        let bind = |host: &str| {
            Listener { name: "A".into(), host: host.into(), port: 7, advertised: None }.bind_address().unwrap()
        };
        assert_eq!(bind("127.0.0.1"), "127.0.0.1:7".parse().unwrap());
        assert_eq!(bind("localhost"), "127.0.0.1:7".parse().unwrap());
        assert_eq!(bind("0.0.0.0"), "0.0.0.0:7".parse().unwrap());
        assert!(bind("").ip().is_unspecified());
    }
}

//! `ottla healthcheck`: whether a broker answers, as an exit code. Containers ask it every few seconds, so it is one
//! blocking connection and one request, without a runtime.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use crate::config::{ConfigInput, ConfigSource};

/// For connecting, and for each step of the answer. Docker and the kubelet give up by themselves after a while; this is
/// less than their default of 30 s, and more than a stalled disk delays an answer that needs none.
const TIMEOUT: Duration = Duration::from_secs(3);
/// ApiVersions v0, correlation id 1, no client id: the one request that every broker answers.
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
/// The size, the correlation id and the error code.
const ANSWER_BYTES: usize = 10;

/// Asks the broker at `address`, or the one that was configured like this process, whether it serves. Answers 0 if it
/// does; otherwise says on standard error why not and answers 1.
pub fn healthcheck(address: Option<&str>, input: &ConfigInput) -> ExitCode {
    match address.map_or_else(|| configured(input), resolve).and_then(ask) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Nobody is left to tell if standard error is gone.
            let _ = writeln!(io::stderr(), "unhealthy: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Where the broker listens that has this configuration.
fn configured(input: &ConfigInput) -> Result<SocketAddr, String> {
    let (source, _) = ConfigSource::load(input).map_err(|error| error.to_string())?;
    let mut address = source.first_listener()?;
    if address.ip().is_unspecified() {
        let loopback = match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        address.set_ip(loopback);
    }
    Ok(address)
}

fn resolve(address: &str) -> Result<SocketAddr, String> {
    let mut found = address.to_socket_addrs().map_err(|error| format!("{address}: {error}; write it as HOST:PORT"))?;
    found.next().ok_or_else(|| format!("{address} has no address"))
}

fn ask(address: SocketAddr) -> Result<(), String> {
    let failed = |error: io::Error| format!("{address}: {error}");
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(failed)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
    stream.write_all(&REQUEST).map_err(failed)?;
    let mut answer = [0; ANSWER_BYTES];
    stream.read_exact(&mut answer).map_err(failed)?;
    let (correlation_id, error_code) = (&answer[4..8], &answer[8..10]);
    if correlation_id == [0, 0, 0, 1] && error_code == [0, 0] {
        Ok(())
    } else {
        Err(format!("{address} does not speak Kafka's protocol"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Asks a peer that answers with these bytes.
    fn ask_peer(answer: &'static [u8]) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; REQUEST.len()];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            request
        });
        let outcome = ask(address);
        assert_eq!(peer.join().unwrap(), REQUEST);
        outcome
    }

    #[test]
    fn only_an_answer_of_the_protocol_is_health() {
        assert_eq!(ask_peer(&[0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), Ok(()));
        assert!(ask_peer(b"HTTP/1.1 400 Bad Request\r\n").unwrap_err().contains("does not speak"));
        assert!(ask_peer(&[0, 0, 0, 6, 0, 0, 0, 1, 0, 35]).unwrap_err().contains("does not speak"));
        assert!(ask_peer(&[0, 0]).is_err());
    }

    #[test]
    fn the_configuration_says_where_to_ask() {
        let input = |listeners: &str| ConfigInput { set: vec![format!("listeners={listeners}")], ..Default::default() };
        let port =
            |listeners: &str| configured(&input(listeners)).map(|address| (address.ip().is_loopback(), address.port()));
        assert_eq!(port("PLAINTEXT://:29092"), Ok((true, 29092)));
        assert_eq!(port("PLAINTEXT://0.0.0.0:19092"), Ok((true, 19092)));
        assert!(port("nonsense").is_err());
        assert!(resolve("localhost").is_err());
    }
}

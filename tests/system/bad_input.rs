//! Whatever arrives on the port, the answer is one log line that tells the cure, and nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::broker_process::{BrokerProcess, DEADLINE};

/// ApiVersions v0 without a client id, correlation id 7.
const API_VERSIONS: &[u8] = b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff";

fn connect(broker: &BrokerProcess) -> TcpStream {
    let stream = TcpStream::connect(&broker.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends bytes; answers what came back until the broker closed the connection.
fn send(broker: &BrokerProcess, bytes: &[u8]) -> (String, Vec<u8>) {
    let mut stream = connect(broker);
    let client = stream.local_addr().unwrap().to_string();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset is as good an end as an orderly one.
    let _ = stream.read_to_end(&mut answer);
    (client, answer)
}

fn assert_serves(broker: &BrokerProcess) {
    let mut stream = connect(broker);
    stream.write_all(API_VERSIONS).unwrap();
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[4..], [0, 0, 0, 7]);
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

#[test]
fn strangers_are_told_what_this_port_speaks() {
    let broker = BrokerProcess::start(&[]);
    let (client, answer) = send(&broker, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    broker.await_line(&["WARN", &client, "HTTP"]);

    let (client, answer) = send(&broker, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03");
    assert_eq!(answer, b"");
    broker.await_line(&["WARN", &client, "TLS", "security.protocol=PLAINTEXT"]);
    assert_serves(&broker);
}

#[test]
fn frames_that_make_no_sense_end_their_connection_only() {
    let broker = BrokerProcess::start(&["socket.request.max.bytes=1000000"]);
    let mut bystander = connect(&broker);
    for (bytes, words) in [
        (b"\xff\xff\xff\xff\0\0\0\0".to_vec(), &["negative size"][..]),
        (b"\x01\0\0\0\0\0\0\0".to_vec(), &["larger than socket.request.max.bytes", "limit=1000000"]),
        (frame(b""), &["request header"]),
        (frame(b"\0\x12\0"), &["request header"]),
        (frame(b"\x7f\xff\0\0\0\0\0\x01\xff\xff"), &["key=32767", "not served"]),
        (frame(b"\0\0\0\x63\0\0\0\x01\xff\xff"), &["api=\"Produce\"", "version=99"]),
        (frame(b"\0\x03\0\x01\0\0\0\x01\xff\xff\x7f\xff\xff\xff"), &["api=\"Metadata\"", "could not be read"]),
    ] {
        let (client, answer) = send(&broker, &bytes);
        assert_eq!(answer, b"", "{bytes:?}");
        let line = broker.await_line(&[&client, "connection closed"]);
        assert!(words.iter().all(|word| line.contains(word)), "{bytes:?}: {line}");
    }
    let (client, _) = {
        let mut stream = connect(&broker);
        stream.write_all(b"\0\0\x01\0half").unwrap();
        (stream.local_addr().unwrap().to_string(), drop(stream))
    };
    broker.await_line(&[&client, "in the middle of a request", "announced=256", "got=4"]);

    bystander.write_all(API_VERSIONS).unwrap();
    bystander.read_exact(&mut [0; 8]).unwrap();
}

#[test]
fn an_api_versions_of_the_future_is_answered_in_version_0() {
    let broker = BrokerProcess::start(&[]);
    let mut stream = connect(&broker);
    stream.write_all(&frame(b"\0\x12\x7f\0\0\0\0\x07\xff\xff\0\0\0\0")).unwrap();
    let mut head = [0; 10];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[4..], [0, 0, 0, 7, 0, 35], "UNSUPPORTED_VERSION behind the correlation id");
}

#[test]
fn announced_bytes_that_never_come_cost_nothing() {
    let broker = BrokerProcess::start(&[]);
    assert_serves(&broker);
    let before = broker.resident_bytes();
    let connections: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = connect(&broker);
            stream.write_all(&[&99_000_000_u32.to_be_bytes()[..], b"ten bytes!"].concat()).unwrap();
            stream
        })
        .collect();
    assert_serves(&broker);
    let grown = broker.resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more for 200 announcements");
    drop(connections);
    assert_serves(&broker);
}

#[test]
fn requests_in_one_go_are_answered_in_order() {
    let broker = BrokerProcess::start(&[]);
    let mut stream = connect(&broker);
    let mut requests = Vec::new();
    for id in 0..100_u8 {
        let mut request = API_VERSIONS.to_vec();
        request[11] = id;
        requests.extend(request);
    }
    stream.write_all(&requests).unwrap();
    for id in 0..100_u8 {
        let mut head = [0; 8];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head[7], id);
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        stream.read_exact(&mut vec![0; size - 4]).unwrap();
    }
}

#[test]
fn idle_connections_are_closed_when_they_are_told_to() {
    let broker = BrokerProcess::start(&["connections.max.idle.ms=200"]);
    let mut stream = connect(&broker);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "closed by the broker");
    assert_serves(&broker);
}

#[test]
fn more_connections_than_allowed_are_refused() {
    let broker = BrokerProcess::start(&["max.connections=2"]);
    let (mut first, mut second) = (connect(&broker), connect(&broker));
    for stream in [&mut first, &mut second] {
        stream.write_all(API_VERSIONS).unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
    }
    let mut third = connect(&broker);
    assert_eq!(third.read(&mut [0; 1]).unwrap_or(0), 0);
    broker.await_line(&["connection refused", "max.connections"]);
}

//! Health over HTTP: what probes see, and what strangers may send.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::broker_process::{BrokerProcess, DEADLINE, OTTLA};
use crate::http_client::{exchange, get};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_broker_that_serves_is_ready() {
    let broker = BrokerProcess::start(&[]);
    let address = broker.http_address();
    let live = get(&address, "/livez");
    assert_eq!((live.status, live.body.as_str()), (200, "ok\n"));
    let ready = get(&address, "/readyz?verbose");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    let version = get(&address, "/version");
    assert!(version.head.contains("Content-Type: application/json"), "{}", version.head);
    let version: serde_json::Value = serde_json::from_str(&version.body).unwrap();
    assert_eq!((&version["version"], &version["node_id"]), (&env!("CARGO_PKG_VERSION").into(), &1.into()));
    assert!(version["cluster_id"].as_str().is_some_and(|id| !id.is_empty()), "{version}");
    let missing = get(&address, "/nowhere");
    assert!(missing.status == 404 && missing.body.contains("/readyz"), "{}", missing.body);
}

#[test]
fn one_connection_asks_again_and_again() {
    let broker = BrokerProcess::start(&[]);
    let request = "GET /livez HTTP/1.1\r\n\r\n".repeat(3) + "HEAD /livez HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answers = String::from_utf8(exchange(&broker.http_address(), request.as_bytes())).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 4, "{answers}");
    assert_eq!(answers.matches("\r\n\r\nok\n").count(), 3, "HEAD has no body: {answers}");
    assert!(answers.ends_with("\r\n\r\n"), "{answers}");
}

#[test]
fn hostile_requests_are_refused_and_harm_nobody() {
    let broker = BrokerProcess::start(&[]);
    let address = broker.http_address();
    for (request, status) in [
        (b"POST /livez HTTP/1.1\r\n\r\nGET /livez HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(), 405),
        (b"GET /livez HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello".to_vec(), 413),
        (b"GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), 413),
        (b"GET /livez HTTP/9\r\n\r\n".to_vec(), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\n\r\n".to_vec(), 400),
        ([b"GET /".to_vec(), vec![b'a'; 100_000]].concat(), 431),
        ([b"GET / HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(10_000)].concat(), 431),
    ] {
        let before = Instant::now();
        let answer = exchange(&address, &request);
        let head = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        // A reset may overtake the answer to what was sent without end.
        let expected = format!("HTTP/1.1 {status} ");
        assert!(head.starts_with(&expected) || (status == 431 && head.is_empty()), "{status}: {head}");
        assert!(before.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(get(&address, "/livez").status, 200);
}

#[test]
fn those_who_keep_connections_lock_nobody_out() {
    let broker = BrokerProcess::start(&[]);
    let address = broker.http_address();
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let begun = Instant::now();
    loop {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut answer = [0; 12];
        let asked = stream.write_all(b"GET /livez HTTP/1.1\r\n\r\n");
        if asked.and_then(|()| stream.read_exact(&mut answer)).is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 200");
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "200 silent connections keep everybody else out");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(silent);
}

#[test]
fn a_port_that_was_asked_for_is_needed_and_the_usual_one_is_not() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data = format!("log.dirs={}", directory.path().join("data").display());
    let output = Command::new(OTTLA)
        .args(["--set", "listeners=PLAINTEXT://127.0.0.1:0", "--set", &data])
        .env("OTTLA_HTTP_LISTENER", taken.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains(&taken.to_string()) && log.contains("ottla.http.listener"), "{log}");

    // Whether 8080 is free on this machine or not: the broker starts, and says which.
    let _perhaps = TcpListener::bind("127.0.0.1:8080");
    let mut command = Command::new(OTTLA);
    command.args(["--set", &format!("listeners=PLAINTEXT://127.0.0.1:{}", free_port()), "--set", &data]);
    let mut broker = command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
    let mut log = String::new();
    let mut lines = std::io::BufReader::new(broker.stderr.take().unwrap());
    while !log.contains("listeners=[") {
        let read = std::io::BufRead::read_line(&mut lines, &mut log).unwrap();
        assert!(read > 0, "it did not start: {log}");
    }
    broker.kill().unwrap();
    broker.wait().unwrap();
    assert!(log.contains("no health and no metrics") && log.contains("ottla.http.listener"), "{log}");
}

#[test]
fn switched_off_is_off() {
    let broker = BrokerProcess::start(&["ottla.http.listener=none"]);
    assert!(!broker.log().contains("over HTTP"), "{}", broker.log());
}

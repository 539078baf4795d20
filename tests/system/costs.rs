//! What the broker costs. The bars are the promises; how far below them it is, `cargo bench --bench node` tells.

use std::net::TcpStream;

use client::Cluster;

use crate::broker_process::BrokerProcess;
use crate::restart::create;

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn a_thousand_empty_partitions_cost_next_to_nothing() {
    let mut broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "one", 1, &[]).await;
    let before = broker.resident_bytes();
    let anonymous = broker.anonymous_bytes();
    assert!(anonymous < 8 * MIB, "{anonymous} bytes with one topic");
    for topic in 0..10 {
        create(&cluster, &format!("t{topic}"), 100, &[]).await;
    }
    let grown = broker.resident_bytes().saturating_sub(before);
    assert!(grown < 8 * MIB, "{grown} bytes for 1,000 partitions");
    broker.stop();
    let broker = broker.restart();
    assert!(broker.ready_after.as_millis() < 1_000, "{:?}", broker.ready_after);
}

#[test]
fn a_thousand_idle_connections_cost_little_each() {
    let broker = BrokerProcess::start(&[]);
    let before = broker.resident_bytes();
    let connections: Vec<TcpStream> = (0..900).map(|_| TcpStream::connect(&broker.address).unwrap()).collect();
    // The last one is served, so those before it were accepted.
    let mut last = connections.last().unwrap();
    std::io::Write::write_all(&mut last, b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff").unwrap();
    std::io::Read::read_exact(&mut last, &mut [0; 8]).unwrap();
    let each = broker.resident_bytes().saturating_sub(before) / 900;
    assert!(each < 16 * 1024, "{each} bytes for a connection");
}

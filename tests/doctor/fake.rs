//! Servers that are not Ottla: some speak Kafka as far as the doctor asks, and say what a test wants.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::api::{Message, Request};
use protocol::frame;
use protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use protocol::messages::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult};
use protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

/// Serves every connection with `serve`, for as long as the test runs.
pub(crate) fn fake(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    on(TcpListener::bind("127.0.0.1:0").unwrap(), serve)
}

fn on(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A port that was free a moment ago.
pub(crate) fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Answers with the alert of a TLS server that was spoken to in plaintext.
pub(crate) fn tls() -> String {
    fake(|mut stream| {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(&[0x15, 0x03, 0x01, 0, 2, 2, 70]);
    })
}

/// A broker that names broker 7 at `host:port`, and no other.
pub(crate) fn advertising(host: &str, port: u16) -> String {
    Kafka { brokers: vec![(7, format!("{host}:{port}"))], ..Kafka::default() }.serve()
}

/// What a broker says.
#[derive(Clone, Default)]
pub(crate) struct Kafka {
    /// Ids and the addresses that they give to clients.
    pub(crate) brokers: Vec<(i32, String)>,
    pub(crate) topics: Vec<MetadataResponseTopic>,
    pub(crate) log_dirs: Vec<DescribeLogDirsResult>,
    /// The answer to DescribeLogDirs as a whole.
    pub(crate) log_dirs_error: ErrorCode,
    /// Closes when it is asked for more than its versions, as a listener with SASL does.
    pub(crate) is_silent: bool,
}

impl Kafka {
    /// Serves on a port of its own.
    pub(crate) fn serve(self) -> String {
        self.serve_on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Serves on a port that was taken before, so that others could name it.
    pub(crate) fn serve_on(self, listener: TcpListener) -> String {
        on(listener, move |mut stream| {
            while let Some((key, version, id)) = read_request(&mut stream) {
                let Some(answer) = self.answer(key, version, id) else { return };
                for chunk in answer {
                    stream.write_all(&chunk).unwrap();
                }
            }
        })
    }

    fn answer(&self, key: i16, version: i16, id: i32) -> Option<Vec<Bytes>> {
        fn say<R: Request>(version: i16, id: i32, answer: &R::Response) -> Option<Vec<Bytes>>
        where
            R::Response: Message,
        {
            Some(frame::encode_response(R::KEY, version, id, answer))
        }
        match key {
            // A newer one than ours is answered in version 0 (KIP-511), which is what we always answer.
            ApiVersionsRequest::KEY => say::<ApiVersionsRequest>(0, id, &versions()),
            _ if self.is_silent => None,
            MetadataRequest::KEY => say::<MetadataRequest>(version, id, &self.metadata()),
            DescribeLogDirsRequest::KEY => {
                let (results, error_code) = (self.log_dirs.clone(), self.log_dirs_error);
                let answer = DescribeLogDirsResponse { results, error_code, ..Default::default() };
                say::<DescribeLogDirsRequest>(version, id, &answer)
            }
            ListGroupsRequest::KEY => say::<ListGroupsRequest>(version, id, &ListGroupsResponse::default()),
            _ => None,
        }
    }

    fn metadata(&self) -> MetadataResponse {
        let broker = |(node_id, address): &(i32, String)| {
            let (host, port) = address.rsplit_once(':').unwrap();
            let port = port.parse().unwrap();
            MetadataResponseBroker { node_id: *node_id, host: host.into(), port, ..Default::default() }
        };
        MetadataResponse {
            brokers: self.brokers.iter().map(broker).collect(),
            controller_id: self.brokers.first().map_or(-1, |(id, _)| *id),
            topics: self.topics.clone(),
            ..Default::default()
        }
    }
}

fn versions() -> ApiVersionsResponse {
    let api = |api_key, max_version| ApiVersion { api_key, min_version: 0, max_version };
    let api_keys = vec![
        api(ApiVersionsRequest::KEY, 0),
        api(MetadataRequest::KEY, 8),
        api(DescribeLogDirsRequest::KEY, 4),
        api(ListGroupsRequest::KEY, 4),
    ];
    ApiVersionsResponse { api_keys, ..Default::default() }
}

/// The API key, the version and the correlation id of the next request.
fn read_request(stream: &mut TcpStream) -> Option<(i16, i16, i32)> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).ok()?;
    let mut body = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut body).ok()?;
    let short = |at: usize| i16::from_be_bytes([body[at], body[at + 1]]);
    Some((short(0), short(2), i32::from_be_bytes([body[4], body[5], body[6], body[7]])))
}

/// A topic with a partition for each leader and number of replicas in sync, of three.
pub(crate) fn topic(name: &str, partitions: &[(i32, usize)]) -> MetadataResponseTopic {
    let partition = |(index, (leader_id, in_sync)): (usize, &(i32, usize))| MetadataResponsePartition {
        partition_index: index as i32,
        leader_id: *leader_id,
        replica_nodes: vec![1, 2, 3],
        isr_nodes: (1..=*in_sync as i32).collect(),
        ..Default::default()
    };
    let partitions = partitions.iter().enumerate().map(partition).collect();
    MetadataResponseTopic { name: Some(name.into()), partitions, ..Default::default() }
}

/// A log directory with so many gibibytes free of a hundred.
pub(crate) fn log_dir(path: &str, free_gib: i64, error_code: ErrorCode) -> DescribeLogDirsResult {
    DescribeLogDirsResult {
        log_dir: path.into(),
        error_code,
        total_bytes: 100 << 30,
        usable_bytes: free_gib << 30,
        ..Default::default()
    }
}

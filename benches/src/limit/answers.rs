//! What a client asks besides Produce, so that any client can be pointed at the limit.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::api::Request;
use protocol::frame::{RequestHeader, encode_response};
use protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use protocol::messages::create_topics::{CreatableTopicResult, CreateTopicsResponse};
use protocol::messages::delete_topics::{DeletableTopicResult, DeleteTopicsResponse};
use protocol::messages::fetch::{FetchableTopicResponse, PartitionData};
use protocol::messages::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use protocol::messages::metadata::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest, FetchRequest, FetchResponse, ListOffsetsRequest,
    ListOffsetsResponse, MetadataRequest, MetadataResponse, ProduceRequest,
};
use protocol::wire::Decoder;

use super::Limit;

const NODE_ID: i32 = 1;
const EARLIEST: i64 = -2;
/// The one version of Produce that is read in place.
const PRODUCE_VERSION: i16 = 9;
/// The last that names topics by name.
const FETCH_VERSION: i16 = 12;

pub(super) fn answer(header: &RequestHeader, body: Bytes, limit: &Limit) -> io::Result<Vec<Bytes>> {
    match header.api_key {
        ApiVersionsRequest::KEY => Ok(encode::<ApiVersionsRequest>(header, &versions())),
        MetadataRequest::KEY => reply(header, body, |request| metadata(request, limit)),
        CreateTopicsRequest::KEY => reply(header, body, |request| create(request, limit)),
        DeleteTopicsRequest::KEY => reply(header, body, |request| delete(request, limit)),
        ListOffsetsRequest::KEY => reply(header, body, |request| list_offsets(request, limit)),
        FetchRequest::KEY => reply(header, body, |request| fetch(request, limit)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn reply<R: Request>(
    header: &RequestHeader,
    body: Bytes,
    handle: impl FnOnce(R) -> io::Result<R::Response>,
) -> io::Result<Vec<Bytes>> {
    let request = R::decode(&mut Decoder::new(body), header.api_version).map_err(io::Error::other)?;
    Ok(encode::<R>(header, &handle(request)?))
}

fn encode<R: Request>(header: &RequestHeader, response: &R::Response) -> Vec<Bytes> {
    encode_response(R::KEY, header.api_version, header.correlation_id, response)
}

fn versions() -> ApiVersionsResponse {
    fn row<R: Request>(min_version: i16, max_version: i16) -> ApiVersion {
        ApiVersion { api_key: R::KEY, min_version, max_version }
    }
    let api_keys = vec![
        row::<ProduceRequest>(PRODUCE_VERSION, PRODUCE_VERSION),
        row::<FetchRequest>(FETCH_VERSION, FETCH_VERSION),
        row::<ListOffsetsRequest>(1, 6),
        row::<MetadataRequest>(1, 9),
        row::<ApiVersionsRequest>(0, 3),
        row::<CreateTopicsRequest>(2, 5),
        row::<DeleteTopicsRequest>(1, 5),
    ];
    ApiVersionsResponse { api_keys, ..Default::default() }
}

fn metadata(request: MetadataRequest, limit: &Limit) -> io::Result<MetadataResponse> {
    let all = limit.names();
    let wanted = match request.topics {
        None => all,
        Some(topics) => {
            let names = topics.into_iter().filter_map(|topic| topic.name);
            let partitions = |name: &String| all.iter().find(|(other, _)| other == name).map_or(0, |(_, count)| *count);
            names.map(|name| (partitions(&name), name)).map(|(count, name)| (name, count)).collect()
        }
    };
    let partition = |index| MetadataResponsePartition {
        partition_index: index,
        leader_id: NODE_ID,
        replica_nodes: vec![NODE_ID],
        isr_nodes: vec![NODE_ID],
        ..Default::default()
    };
    let topic = |(name, count): (String, usize)| MetadataResponseTopic {
        error_code: if count == 0 { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION } else { ErrorCode::NONE },
        name: Some(name),
        partitions: (0..count as i32).map(partition).collect(),
        ..Default::default()
    };
    let broker = MetadataResponseBroker {
        node_id: NODE_ID,
        host: "127.0.0.1".to_owned(),
        port: i32::from(limit.port),
        rack: None,
    };
    let topics = wanted.into_iter().map(topic).collect();
    Ok(MetadataResponse { brokers: vec![broker], controller_id: NODE_ID, topics, ..Default::default() })
}

fn create(request: CreateTopicsRequest, limit: &Limit) -> io::Result<CreateTopicsResponse> {
    let mut topics = Vec::new();
    for topic in request.topics {
        limit.create(&topic.name, topic.num_partitions)?;
        topics.push(CreatableTopicResult { name: topic.name, ..Default::default() });
    }
    Ok(CreateTopicsResponse { topics, ..Default::default() })
}

fn delete(request: DeleteTopicsRequest, limit: &Limit) -> io::Result<DeleteTopicsResponse> {
    let deleted = request.topic_names.into_iter().map(|name| {
        limit.delete(&name);
        DeletableTopicResult { name: Some(name), ..Default::default() }
    });
    Ok(DeleteTopicsResponse { responses: deleted.collect(), ..Default::default() })
}

fn list_offsets(request: ListOffsetsRequest, limit: &Limit) -> io::Result<ListOffsetsResponse> {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            let log = limit.log(&topic.name, partition.partition_index);
            let offset = match partition.timestamp {
                EARLIEST => 0,
                _ => log.map_or(0, |log| log.end_offset()),
            };
            ListOffsetsPartitionResponse { partition_index: partition.partition_index, offset, ..Default::default() }
        });
        ListOffsetsTopicResponse { partitions: partitions.collect(), name: topic.name }
    });
    Ok(ListOffsetsResponse { topics: topics.collect(), ..Default::default() })
}

/// Everything that is there, in whole batches; waits on the first partition when there is nothing at all.
fn fetch(request: FetchRequest, limit: &Limit) -> io::Result<FetchResponse> {
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let mut found = read_all(&request, limit)?;
    if found.0 == 0 && request.min_bytes > 0 {
        let first = request.topics.first().and_then(|topic| Some((topic, topic.partitions.first()?)));
        if let Some((topic, partition)) = first
            && let Some(log) = limit.log(&topic.topic, partition.partition)
        {
            log.wait_for(partition.fetch_offset, deadline);
            found = read_all(&request, limit)?;
        }
    }
    Ok(FetchResponse { responses: found.1, ..Default::default() })
}

fn read_all(request: &FetchRequest, limit: &Limit) -> io::Result<(usize, Vec<FetchableTopicResponse>)> {
    let mut left = usize::try_from(request.max_bytes).unwrap_or(0);
    let mut total = 0;
    let mut responses = Vec::new();
    for topic in &request.topics {
        let mut partitions = Vec::new();
        for wanted in &topic.partitions {
            let mut data = PartitionData { partition_index: wanted.partition, ..Default::default() };
            match limit.log(&topic.topic, wanted.partition) {
                None => data.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Some(log) => {
                    let most = usize::try_from(wanted.partition_max_bytes).unwrap_or(0).min(left);
                    let records = if left == 0 { Vec::new() } else { log.read(wanted.fetch_offset, most)? };
                    left = left.saturating_sub(records.len());
                    total += records.len();
                    data.high_watermark = log.end_offset();
                    data.last_stable_offset = data.high_watermark;
                    data.log_start_offset = 0;
                    data.records = Some(Bytes::from(records).into());
                }
            }
            partitions.push(data);
        }
        responses.push(FetchableTopicResponse { topic: topic.topic.clone(), partitions, ..Default::default() });
    }
    Ok((total, responses))
}

//! Produce requests as bytes: made from records each time, or once and patched.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use client::TopicMetadata;
use protocol::frame::encode_request;
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::records::{BatchBuilder, Codec, patch};
use protocol::wire::Records;

use crate::CLIENT_ID;
use crate::payload::{Keys, Payloads};
use crate::schedule::Due;

/// How long a broker may take to make records durable, ms; as in Kafka's producer.
const TIMEOUT_MS: i32 = 30_000;
/// Where a frame says its correlation id: after its length, the API and the version.
const CORRELATION_AT: usize = 8;

/// Who a producer is to the broker (KIP-98).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

/// What all requests of a connection have in common.
pub(crate) struct Form {
    pub(crate) topic: Arc<TopicMetadata>,
    pub(crate) version: i16,
    pub(crate) acks: i16,
    pub(crate) codec: Codec,
    pub(crate) is_pre_encoded: bool,
}

/// The request that a connection is writing. There is one buffer, because the next one is made when this is written.
pub(crate) struct Frames {
    form: Form,
    partitions: Vec<i32>,
    payloads: Payloads,
    keys: Option<Keys>,
    identity: Option<Identity>,
    /// What comes next in each partition.
    sequences: Vec<i32>,
    frame: Vec<u8>,
    /// How the frame was made, if another can be made of it.
    template: Option<Template>,
}

/// Where the bytes are that differ from one request to the next.
struct Template {
    count: u32,
    partition_at: usize,
    batch_at: usize,
    stamps: Vec<usize>,
}

impl Frames {
    pub(crate) fn new(form: Form, partitions: Vec<i32>, payloads: Payloads, keys: Option<Keys>) -> Frames {
        let sequences = vec![0; partitions.len()];
        Frames { form, partitions, payloads, keys, identity: None, sequences, frame: Vec::new(), template: None }
    }

    /// The topic that it writes to.
    pub(crate) fn topic(&self) -> &str {
        &self.form.topic.name
    }

    /// The partitions it writes to.
    pub(crate) fn partitions(&self) -> &[i32] {
        &self.partitions
    }

    pub(crate) fn version(&self) -> i16 {
        self.form.version
    }

    /// Whether requests have answers.
    pub(crate) fn is_answered(&self) -> bool {
        self.form.acks != 0
    }

    /// Begins to number batches under this identity.
    pub(crate) fn identify(&mut self, identity: Identity) {
        self.identity = Some(identity);
        self.sequences.fill(0);
        self.template = None;
    }

    /// Makes the request with these records, for the partition at this place of the list.
    pub(crate) fn make(&mut self, place: usize, due: &Due, correlation_id: i32) {
        let sequence = self.sequences[place];
        if self.template.as_ref().is_none_or(|template| template.count != due.count) {
            self.build(place, due, sequence);
        } else {
            self.patch(place, due, sequence);
        }
        self.frame[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&correlation_id.to_be_bytes());
        if self.identity.is_some() {
            self.sequences[place] = sequence_after(sequence, due.count);
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.frame
    }

    fn build(&mut self, place: usize, due: &Due, sequence: i32) {
        let mut builder = BatchBuilder::new(0).codec(self.form.codec, None);
        if let Some(identity) = self.identity {
            builder = builder.producer(identity.producer_id, identity.epoch, sequence);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        for time in due.times() {
            let key = self.keys.as_mut().and_then(|keys| keys.next(place));
            builder.append(timestamp_ms, key, Some(self.payloads.next(time)), &[]);
        }
        let batch = builder.build().freeze();
        self.write_frame(place, batch.clone());
        self.template = self.form.is_pre_encoded.then(|| self.template(due.count, &batch));
    }

    fn write_frame(&mut self, place: usize, batch: Bytes) {
        let data = PartitionProduceData { index: self.partitions[place], records: Some(Records::from(batch)) };
        let topic = &self.form.topic;
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.form.acks,
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![TopicProduceData {
                name: topic.name.to_string(),
                topic_id: topic.id,
                partition_data: vec![data],
            }],
        };
        self.frame.clear();
        for chunk in encode_request(&request, self.form.version, 0, Some(CLIENT_ID)) {
            self.frame.extend_from_slice(&chunk);
        }
    }

    fn template(&self, count: u32, batch: &[u8]) -> Template {
        // The batch is the last thing in the request but for the three marks of flexible versions that nothing follows.
        let ends = [0, 3].map(|tail| self.frame.len() - tail);
        let end = ends.into_iter().find(|end| self.frame[..*end].ends_with(batch)).expect("the batch is in its frame");
        let batch_at = end - batch.len();
        let size_bytes = if ends[0] == end { 4 } else { uvarint_bytes(batch.len() + 1) };
        let mut stamps = Vec::new();
        if let Some(mark) = self.payloads.mark() {
            let found = self.frame.windows(mark.len()).enumerate().filter(|(_, window)| *window == mark);
            stamps.extend(found.map(|(at, _)| at + mark.len()));
        }
        Template { count, partition_at: batch_at - size_bytes - 4, batch_at, stamps }
    }

    fn patch(&mut self, place: usize, due: &Due, sequence: i32) {
        let Some(template) = &self.template else { return };
        let frame = &mut self.frame;
        let at = template.partition_at;
        frame[at..at + 4].copy_from_slice(&self.partitions[place].to_be_bytes());
        for (at, time) in template.stamps.iter().zip(due.times()) {
            frame[*at..at + 8].copy_from_slice(&time.to_be_bytes());
        }
        let is_numbered = self.identity.is_some();
        if is_numbered {
            patch::set_base_sequence(&mut frame[template.batch_at..], sequence);
        }
        if is_numbered || !template.stamps.is_empty() {
            patch::renew_crc(&mut frame[template.batch_at..]);
        }
    }
}

/// Sequence numbers wrap from the largest int32 to 0.
fn sequence_after(sequence: i32, count: u32) -> i32 {
    ((i64::from(sequence) + i64::from(count)) % (i64::from(i32::MAX) + 1)) as i32
}

/// How many bytes an unsigned number takes, seven bits to a byte.
fn uvarint_bytes(number: usize) -> usize {
    let bits = usize::BITS - number.leading_zeros();
    (bits.max(1) as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use protocol::api::Message;
    use protocol::frame::RequestHeader;
    use protocol::records::Batch;
    use protocol::wire::Decoder;

    use super::*;
    use crate::payload::due_of;
    use crate::workload::Values;

    const MARK: [u8; 8] = *b"this-run";

    fn frames(version: i16, codec: Codec, is_pre_encoded: bool, mark: Option<[u8; 8]>) -> Frames {
        let topic =
            TopicMetadata { name: "t".into(), id: protocol::Uuid::ZERO, is_internal: false, partitions: vec![] };
        let form = Form { topic: Arc::new(topic), version, acks: 1, codec, is_pre_encoded };
        let values = Values::random(100, 1.0);
        Frames::new(form, vec![0, 7, 300], Payloads::new(&values, 1, mark), None)
    }

    fn due(first_ns: u64, count: u32) -> Due {
        Due { first_ns, step_ns: 10.0, count, counts: true }
    }

    /// Correlation id, partition, sequence, values.
    fn read(bytes: &[u8], version: i16) -> (i32, i32, i32, Vec<Vec<u8>>) {
        assert_eq!(bytes[..4], (bytes.len() as u32 - 4).to_be_bytes());
        let (header, body) = RequestHeader::decode(Bytes::copy_from_slice(&bytes[4..])).unwrap();
        let mut decoder = Decoder::new(body);
        let mut request = ProduceRequest::decode(&mut decoder, version).unwrap();
        assert_eq!((decoder.remaining(), header.client_id.as_deref()), (0, Some(CLIENT_ID)));
        let data = request.topic_data.remove(0).partition_data.remove(0);
        let records = data.records.unwrap().into_bytes();
        let batch = Batch::parse(&records).unwrap();
        assert!(batch.is_crc_valid());
        let set = batch.records(1 << 20).unwrap();
        let values = set.iter().map(|record| record.unwrap().value.unwrap().to_vec()).collect();
        (header.correlation_id, data.index, batch.base_sequence(), values)
    }

    #[test]
    fn a_patched_request_says_what_a_new_one_would() {
        for version in [3, 8, 9, 12, 13] {
            for is_pre_encoded in [false, true] {
                let mut frames = frames(version, Codec::None, is_pre_encoded, Some(MARK));
                frames.identify(Identity { producer_id: 5, epoch: 1 });
                // Another count, and the first one again.
                let wanted = [(0, 3), (2, 3), (1, 3), (2, 1), (2, 1), (0, 3)];
                let mut next = [0; 3];
                for (correlation_id, (place, count)) in (40..).zip(wanted) {
                    frames.make(place, &due(1000 * correlation_id as u64, count), correlation_id);
                    let (id, partition, sequence, values) = read(frames.bytes(), version);
                    assert_eq!((id, partition, sequence), (correlation_id, [0, 7, 300][place], next[place]));
                    let times: Vec<_> = values.iter().map(|value| due_of(value, MARK).unwrap()).collect();
                    let expected: Vec<_> = due(1000 * correlation_id as u64, count).times().collect();
                    assert_eq!((times, values[0].len()), (expected, 100), "version {version}");
                    next[place] += count as i32;
                }
            }
        }
    }

    #[test]
    fn a_compressed_batch_is_sent_again_as_it_is() {
        let mut frames = frames(13, Codec::Zstd, true, None);
        frames.make(0, &due(0, 50), 1);
        let (_, _, _, first) = read(frames.bytes(), 13);
        frames.make(1, &due(0, 50), 2);
        let (id, partition, _, second) = read(frames.bytes(), 13);
        assert_eq!((id, partition, first == second), (2, 7, true));
    }

    #[test]
    fn sizes_of_numbers() {
        assert_eq!([0, 127, 128, 16_383, 16_384, 2_097_152].map(uvarint_bytes), [1, 1, 2, 2, 3, 4]);
        assert_eq!(sequence_after(i32::MAX, 1), 0);
    }
}

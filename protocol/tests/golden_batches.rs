//! Batches that Kafka's own classes wrote, against ours: the same header, the same records, and the same bytes again.
//!
//! `golden_batches/batches.txt` is the output of the Java program beside it, which says how to run it again.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its own file has nothing to say")]

use std::collections::BTreeMap;

use protocol::records::{
    Batch, BatchBuilder, Codec, EndTxnMarker, Header, MarkerPosition, Record, TimestampType, batches, control_batch,
    patch, validate_records,
};

const GOLDEN: &str = include_str!("golden_batches/batches.txt");
const MAX_BYTES: usize = 1 << 20;

/// One batch of the file: what Java reads from it, and its bytes.
#[derive(Default)]
struct Golden<'t> {
    name: &'t str,
    header: BTreeMap<&'t str, &'t str>,
    records: Vec<&'t str>,
    bytes: Vec<u8>,
}

impl<'t> Golden<'t> {
    fn all() -> Vec<Golden<'t>> {
        let mut all: Vec<Golden<'_>> = Vec::new();
        for line in GOLDEN.lines().filter(|line| !line.is_empty()) {
            let (kind, rest) = line.split_once(' ').unwrap();
            if kind == "batch" {
                all.push(Golden { name: rest, ..Golden::default() });
                continue;
            }
            let golden = all.last_mut().unwrap();
            match kind {
                "header" => golden.header = rest.split(' ').map(|field| field.split_once('=').unwrap()).collect(),
                "record" => golden.records.push(rest),
                "bytes" => golden.bytes.extend(from_hex(rest)),
                _ => panic!("unknown line: {line}"),
            }
        }
        all
    }

    fn named(name: &str) -> Golden<'t> {
        Golden::all().into_iter().find(|golden| golden.name == name).unwrap()
    }

    fn batch(&self) -> Batch<'_> {
        Batch::parse(&self.bytes).unwrap()
    }

    fn number<T: TryFrom<i64, Error: std::fmt::Debug>>(&self, field: &str) -> T {
        T::try_from(self.header[field].parse::<i64>().unwrap()).unwrap()
    }

    fn is(&self, field: &str) -> bool {
        self.header[field].parse().unwrap()
    }

    /// A builder told what the header says.
    fn builder(&self) -> BatchBuilder {
        let mut builder = BatchBuilder::new(self.number("base_offset"))
            .leader_epoch(self.number("leader_epoch"))
            .codec(Codec::from_name(self.header["codec"]).unwrap(), None)
            .producer(self.number("producer_id"), self.number("producer_epoch"), self.number("base_sequence"));
        if self.is("transactional") {
            builder = builder.transactional();
        }
        if self.is("control") {
            builder = builder.control();
        }
        if self.header["timestamp_type"] == "LogAppendTime" {
            builder = builder.log_append_time(self.number("max_timestamp"));
        }
        builder
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// A record in the words of the file.
fn describe(record: &Record<'_>) -> String {
    let mut text = format!("{} {} {} {}", record.offset, record.timestamp, word(record.key), word(record.value));
    for header in record.headers.iter() {
        text += &format!(" {}={}", word(Some(header.key)), word(header.value));
    }
    text
}

fn word(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() > 64 => format!("{}:{}", bytes.len(), crc32c::crc32c(bytes)),
        Some(bytes) => format!("\"{}\"", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

fn described_records(batch: &Batch<'_>) -> Vec<String> {
    batch.records(MAX_BYTES).unwrap().iter().map(|record| describe(&record.unwrap())).collect()
}

#[test]
fn headers_say_what_java_reads() {
    for golden in Golden::all() {
        let batch = golden.batch();
        let horizon = batch.delete_horizon_ms().unwrap_or(-1);
        let ours = format!(
            "base_offset={} last_offset={} leader_epoch={} codec={} timestamp_type={:?} transactional={} control={} \
             delete_horizon={} base_timestamp={} max_timestamp={} producer_id={} producer_epoch={} base_sequence={} \
             last_sequence={} records={} size={} crc={}",
            batch.base_offset(),
            batch.last_offset(),
            batch.partition_leader_epoch(),
            batch.codec().name(),
            batch.timestamp_type(),
            batch.is_transactional(),
            batch.is_control(),
            horizon,
            batch.base_timestamp(),
            batch.max_timestamp(),
            batch.producer_id(),
            batch.producer_epoch(),
            batch.base_sequence(),
            batch.last_sequence(),
            batch.record_count(),
            batch.size_bytes(),
            batch.crc()
        );
        let ours: BTreeMap<&str, &str> = ours.split(' ').map(|field| field.split_once('=').unwrap()).collect();
        assert_eq!(ours, golden.header, "{}", golden.name);
        assert!(batch.is_crc_valid(), "{}", golden.name);
        assert_eq!(batch.has_producer_id(), batch.producer_id() >= 0);
        assert_eq!(batch.next_offset(), batch.last_offset() + 1);
    }
}

#[test]
fn records_are_those_java_reads() {
    let all = Golden::all();
    assert_eq!(all.len(), 31);
    for golden in &all {
        assert_eq!(described_records(&golden.batch()), golden.records, "{}", golden.name);
    }
}

#[test]
fn uncompressed_batches_come_out_byte_for_byte() {
    for golden in Golden::all() {
        // The records of a batch with LogAppendTime no longer say what their deltas were made of, and compaction has
        // its own test.
        let batch = golden.batch();
        if batch.codec() != Codec::None
            || batch.timestamp_type() == TimestampType::LogAppendTime
            || golden.name.starts_with("compacted")
        {
            continue;
        }
        let mut appended = golden.builder();
        let mut copied = golden.builder();
        for record in &batch.records(MAX_BYTES).unwrap() {
            let record = record.unwrap();
            let headers: Vec<Header<'_>> = record.headers.iter().collect();
            appended.append(record.timestamp, record.key, record.value, &headers);
            copied.append_record(&record).unwrap();
        }
        assert_eq!(appended.size_estimate(), golden.bytes.len());
        assert_eq!(appended.build(), golden.bytes, "{}", golden.name);
        assert_eq!(copied.build(), golden.bytes, "{}", golden.name);
    }
}

#[test]
fn log_append_time_comes_out_byte_for_byte() {
    let (mixed, golden) = (Golden::named("mixed_none"), Golden::named("log_append_time_none"));
    let mut builder = golden.builder();
    for record in &mixed.batch().records(MAX_BYTES).unwrap() {
        builder.append_record(&record.unwrap()).unwrap();
    }
    assert_eq!(builder.build(), golden.bytes);

    // A broker gets there from the producer's batch without touching the records.
    let mut patched = mixed.bytes.clone();
    patch::set_log_append_time(&mut patched, golden.number("max_timestamp"));
    assert_eq!(patched, golden.bytes);
}

#[test]
fn compressed_batches_keep_their_records() {
    for golden in Golden::all().iter().filter(|golden| golden.batch().codec() != Codec::None) {
        let mut builder = golden.builder();
        for record in &golden.batch().records(MAX_BYTES).unwrap() {
            builder.append_record(&record.unwrap()).unwrap();
        }
        let bytes = builder.build();
        let batch = Batch::parse(&bytes).unwrap();
        assert!(batch.is_crc_valid());
        assert_eq!(batch.attributes(), golden.batch().attributes());
        assert_eq!(described_records(&batch), golden.records, "{}", golden.name);
        if golden.name.starts_with("large") {
            assert!(bytes.len() < 20_000, "{} takes {} bytes", golden.name, bytes.len());
        }
    }
}

#[test]
fn compaction_comes_out_byte_for_byte() {
    let original = Golden::named("before_compaction");
    for (name, kept) in [("compacted_to_b_and_d", &[1, 3][..]), ("compacted_to_d", &[3]), ("compacted_to_nothing", &[])]
    {
        let golden = Golden::named(name);
        let mut builder = BatchBuilder::like(&original.batch());
        if let Some(horizon) = golden.batch().delete_horizon_ms() {
            builder = builder.delete_horizon(horizon);
        }
        for (index, record) in original.batch().records(MAX_BYTES).unwrap().iter().enumerate() {
            if kept.contains(&index) {
                builder.append_record(&record.unwrap()).unwrap();
            }
        }
        assert_eq!(builder.build(), golden.bytes, "{name}");

        // Compacting again without dropping anything changes nothing.
        let mut again = BatchBuilder::like(&golden.batch());
        for record in &golden.batch().records(MAX_BYTES).unwrap() {
            again.append_record(&record.unwrap()).unwrap();
        }
        assert_eq!(again.build(), golden.bytes, "{name}");
    }
}

#[test]
fn markers_come_out_byte_for_byte() {
    for (name, committed, coordinator_epoch) in [("commit", true, 9), ("abort", false, 10)] {
        let golden = Golden::named(name);
        let marker = EndTxnMarker { committed, coordinator_epoch };
        assert_eq!(golden.batch().end_txn_marker(), Some(marker));
        let position = MarkerPosition {
            offset: golden.number("base_offset"),
            leader_epoch: golden.number("leader_epoch"),
            timestamp: golden.number("max_timestamp"),
        };
        let ours = control_batch(marker, golden.number("producer_id"), golden.number("producer_epoch"), position);
        assert_eq!(ours, golden.bytes);
    }
    assert_eq!(Golden::named("leader_change").batch().end_txn_marker(), None);
}

#[test]
fn validation_accepts_what_producers_write() {
    for golden in Golden::all() {
        let found = validate_records(&golden.batch(), MAX_BYTES);
        // A gap at the front, or between records; the empty batch has nothing to refuse.
        if ["compacted_to_b_and_d", "compacted_to_d"].contains(&golden.name) {
            found.unwrap_err();
            continue;
        }
        let summary = found.unwrap();
        assert_eq!(summary.record_count, golden.number::<u32>("records"), "{}", golden.name);
        if golden.name != "compacted_to_nothing" {
            assert_eq!(summary.max_timestamp, golden.number::<i64>("max_timestamp"), "{}", golden.name);
        }
        let null_keys: Vec<u32> = (0u32..)
            .zip(&golden.records)
            .filter(|(_, record)| record.split(' ').nth(2) == Some("null"))
            .map(|(index, _)| index)
            .collect();
        assert_eq!(summary.null_key_indexes(), null_keys, "{}", golden.name);
    }
}

#[test]
fn a_run_of_batches_is_walked_one_by_one() {
    let all = Golden::all();
    let run: Vec<u8> = all.iter().flat_map(|golden| golden.bytes.clone()).collect();
    let walked: Vec<&[u8]> = batches(&run).map(|batch| batch.unwrap().as_bytes()).collect();
    assert_eq!(walked, all.iter().map(|golden| golden.bytes.as_slice()).collect::<Vec<_>>());
}

//! Message sets that Kafka's own classes wrote, and what they make of batches for old consumers, against ours.
//!
//! `golden_messages/messages.txt` is the output of the Java program beside it, which says how to run it again.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its own file has nothing to say")]

use protocol::records::legacy::{
    DownConversion, DownError, Message, MessageError, MessageFormat, UpLimits, down_convert, messages, up_convert,
};
use protocol::records::{Batch, BatchBuilder, Codec, EndTxnMarker, MarkerPosition, control_batch, decompress};

const GOLDEN: &str = include_str!("golden_messages/messages.txt");
const MAX_BYTES: usize = 1 << 20;
const ROOMY: UpLimits = UpLimits { max_message_bytes: MAX_BYTES, max_uncompressed_bytes: MAX_BYTES };

/// A set, and the batch that it was made of if it was.
#[derive(Default)]
struct Golden<'t> {
    is_down: bool,
    name: &'t str,
    from: Vec<&'t str>,
    records: Vec<&'t str>,
    bytes: Vec<u8>,
}

fn all() -> Vec<Golden<'static>> {
    let mut all: Vec<Golden<'_>> = Vec::new();
    for line in GOLDEN.lines().filter(|line| !line.is_empty()) {
        let (kind, rest) = line.split_once(' ').unwrap();
        if kind == "set" || kind == "down" {
            all.push(Golden { is_down: kind == "down", name: rest, ..Golden::default() });
            continue;
        }
        let golden = all.last_mut().unwrap();
        match kind {
            "from" => golden.from = rest.split(' ').collect(),
            "record" => golden.records.push(rest),
            "bytes" => golden.bytes = from_hex(rest),
            _ => panic!("unknown line: {line}"),
        }
    }
    all
}

fn from_hex(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn text(bytes: Option<&[u8]>) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.map_or("null".into(), |bytes| format!("\"{}\"", hex(bytes)))
}

#[test]
fn sets_of_java_become_one_batch_of_their_codec() {
    let mut seen = 0;
    for golden in all().into_iter().filter(|golden| !golden.is_down) {
        let name = golden.name;
        let converted = up_convert(&golden.bytes, None, ROOMY);
        if name.ends_with("log_append_time") {
            assert!(matches!(converted, Err(MessageError::InvalidTimestamp(_))), "{name}: {converted:?}");
            continue;
        }
        let converted = converted.unwrap_or_else(|error| panic!("{name}: {error}")).expect("it has messages");
        let batch = Batch::parse(&converted.batch).unwrap();
        assert!(batch.is_crc_valid());
        assert_eq!((batch.base_offset(), batch.producer_id(), batch.base_sequence()), (0, -1, -1), "{name}");
        assert!(name.ends_with(batch.codec().name()), "{name}");
        // The offsets of the set are the producer's, and forgotten.
        let records: Vec<String> = (batch.records(MAX_BYTES).unwrap().iter())
            .map(|record| record.unwrap())
            .map(|r| format!("{} {} {} {}", r.offset + 1234, r.timestamp, text(r.key), text(r.value)))
            .collect();
        assert_eq!(records, golden.records, "{name}");
        assert_eq!(converted.record_count, golden.records.len());
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn batches_become_the_sets_that_java_makes_of_them() {
    let mut seen = 0;
    for golden in all().into_iter().filter(|golden| golden.is_down) {
        let [magic, first, batch] = golden.from[..] else { panic!("{}", golden.name) };
        let format = if magic == "0" { MessageFormat::V0 } else { MessageFormat::V1 };
        let set = down(&from_hex(batch), format, first.parse().unwrap());
        let (ours, java) = (shallow(&set), shallow(&golden.bytes));
        assert_eq!(ours.len(), java.len(), "{}", golden.name);
        for (ours, java) in ours.iter().zip(&java) {
            let fields = |m: &Message<'_>| (m.offset, m.format, m.attributes, m.timestamp, m.key.map(<[u8]>::to_vec));
            assert_eq!(fields(ours), fields(java), "{}", golden.name);
            let codec = Codec::from_id(ours.codec_id()).unwrap();
            let (ours, java) = (ours.value.unwrap_or_default(), java.value.unwrap_or_default());
            // Each writer has its own way to compress, but the head of an LZ4 frame, with the checksum, is the same.
            if codec == Codec::Lz4 {
                assert_eq!(ours[..7], java[..7], "{}", golden.name);
            }
            assert_eq!(decompress(codec, ours, MAX_BYTES), decompress(codec, java, MAX_BYTES), "{}", golden.name);
        }
        seen += 1;
    }
    assert_eq!(seen, 24);
}

fn shallow(set: &[u8]) -> Vec<Message<'_>> {
    let messages: Vec<_> = messages(set).map(Result::unwrap).collect();
    assert!(messages.iter().all(Message::is_crc_valid));
    messages
}

fn down(batches: &[u8], format: MessageFormat, first_offset: i64) -> Vec<u8> {
    let mut set = Vec::new();
    down_convert(batches, &conversion(format, first_offset, MAX_BYTES), &mut set).unwrap();
    set
}

fn conversion(format: MessageFormat, first_offset: i64, max_bytes: usize) -> DownConversion {
    DownConversion { format, first_offset, max_bytes, at_least_one: true, max_uncompressed_bytes: MAX_BYTES }
}

fn batch(base_offset: i64, codec: Codec, count: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(base_offset).codec(codec, None);
    (0..count).for_each(|_| builder.append(7, Some(b"key"), Some(&[1; 100]), &[]));
    builder.build().to_vec()
}

#[test]
fn what_goes_down_comes_up_again() {
    let seed = std::env::var("OTTLA_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("OTTLA_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..2000 {
        let codec = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4][random.usize(..4)];
        let format = if random.bool() { MessageFormat::V0 } else { MessageFormat::V1 };
        let field = |random: &mut fastrand::Rng| {
            let length = random.usize(..200);
            random.bool().then(|| (0..length).map(|_| random.u8(..4)).collect::<Vec<u8>>())
        };
        let records: Vec<_> = (0..random.usize(1..40))
            .map(|_| (random.i64(-1..1 << 40), field(&mut random), field(&mut random)))
            .collect();
        let base_offset = random.i64(0..1 << 50);
        let mut builder = BatchBuilder::new(base_offset).codec(codec, None);
        for (timestamp, key, value) in &records {
            builder.append(*timestamp, key.as_deref(), value.as_deref(), &[]);
        }
        let original = builder.build();

        let set = down(&original, format, base_offset);
        let converted = up_convert(&set, None, ROOMY).unwrap().unwrap();
        let batch = Batch::parse(&converted.batch).unwrap();
        assert_eq!(batch.codec(), codec);
        let found: Vec<_> = (batch.records(MAX_BYTES).unwrap().iter())
            .map(|record| record.unwrap())
            .map(|record| (record.timestamp, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec)))
            .collect();
        let expected: Vec<_> = (records.into_iter())
            .map(|(timestamp, key, value)| (if format == MessageFormat::V0 { -1 } else { timestamp }, key, value))
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_set_holds_whole_messages_and_at_least_one() {
    for codec in [Codec::None, Codec::Gzip] {
        let run = [batch(0, codec, 3), batch(3, codec, 3)].concat();
        let whole = down(&run, MessageFormat::V1, 0);
        let sizes: Vec<usize> = shallow(&whole).iter().map(Message::size_bytes).collect();
        for max_bytes in 0..whole.len() + 2 {
            let mut set = Vec::new();
            let converted = down_convert(&run, &conversion(MessageFormat::V1, 0, max_bytes), &mut set).unwrap();
            let ends: Vec<usize> = sizes
                .iter()
                .scan(0, |end, size| {
                    *end += size;
                    Some(*end)
                })
                .collect();
            let expected = ends.iter().copied().filter(|end| *end <= max_bytes).max().unwrap_or(sizes[0]);
            assert_eq!(set.len(), expected, "{max_bytes}");
            assert_eq!(converted.is_full, max_bytes < whole.len());
        }
        let exact = DownConversion { at_least_one: false, ..conversion(MessageFormat::V1, 0, sizes[0] - 1) };
        let mut set = Vec::new();
        assert!(down_convert(&run, &exact, &mut set).unwrap().is_full);
        assert!(set.is_empty());
    }
}

#[test]
fn single_messages_start_where_the_consumer_asks_and_wrappers_are_whole() {
    let offsets = |codec| -> Vec<i64> {
        let set = down(&batch(10, codec, 4), MessageFormat::V0, 12);
        shallow(&set).iter().map(|message| message.offset).collect()
    };
    assert_eq!(offsets(Codec::None), [12, 13]);
    assert_eq!(offsets(Codec::Snappy), [13]);
}

#[test]
fn markers_are_passed_over_and_zstd_is_refused_where_it_comes_first() {
    let commit = EndTxnMarker { committed: true, coordinator_epoch: 1 };
    let marker = control_batch(commit, 1, 0, MarkerPosition { offset: 5, leader_epoch: 0, timestamp: 7 });
    let mut set = Vec::new();
    let converted = down_convert(&marker, &conversion(MessageFormat::V1, 5, MAX_BYTES), &mut set).unwrap();
    assert_eq!((converted.record_count, converted.next_offset, converted.is_full), (0, Some(6), false));
    assert!(set.is_empty());

    let zstd = batch(6, Codec::Zstd, 1);
    let run = [&marker[..], &zstd].concat();
    let refused = down_convert(&run, &conversion(MessageFormat::V1, 5, MAX_BYTES), &mut set);
    assert_eq!(refused, Err(DownError::Zstd));
    let run = [batch(5, Codec::None, 1), zstd].concat();
    let converted = down_convert(&run, &conversion(MessageFormat::V1, 5, MAX_BYTES), &mut set).unwrap();
    assert_eq!((converted.record_count, converted.is_full), (1, true));
}

#[test]
fn what_is_wrong_with_a_set_is_told() {
    let plain = down(&batch(0, Codec::None, 2), MessageFormat::V1, 0);
    let (first, _) = plain.split_at(plain.len() / 2);
    let up = |set: &[u8]| up_convert(set, None, ROOMY).map(|converted| converted.map_or(0, |found| found.record_count));
    assert_eq!((up(&[]), up(first), up(&plain)), (Ok(0), Ok(1), Ok(2)));
    assert_eq!(up(&plain[..plain.len() - 1]), Err(MessageError::Truncated));

    let changed = |at: usize, byte: u8| {
        let mut bad = first.to_vec();
        bad[at] = byte;
        bad
    };
    assert_eq!(up(&changed(first.len() - 1, 9)), Err(MessageError::Checksum));
    assert_eq!(up(&changed(16, 2)), Err(MessageError::UnsupportedMagic(2)));
    assert_eq!(up(&changed(8, 0x80)), Err(MessageError::InvalidSize(i32::MIN + first.len() as i32 - 12)));

    let wrapper = down(&batch(0, Codec::Gzip, 2), MessageFormat::V0, 0);
    let mixed = [first, &wrapper[..]].concat();
    assert!(matches!(up(&mixed), Err(MessageError::Invalid(_))));
    let both = [&wrapper[..], &down(&batch(0, Codec::None, 2), MessageFormat::V0, 0)].concat();
    assert_eq!(up(&both), Ok(4));

    let small = UpLimits { max_message_bytes: first.len() - 1, ..ROOMY };
    assert!(matches!(up_convert(&plain, None, small), Err(MessageError::TooLarge { .. })));
    for max_uncompressed_bytes in [0, 100, 200] {
        let tight = UpLimits { max_uncompressed_bytes, ..ROOMY };
        assert!(matches!(up_convert(&plain, None, tight), Err(MessageError::Compression(_))));
        assert!(matches!(up_convert(&wrapper, None, tight), Err(MessageError::Compression(_))));
    }
}

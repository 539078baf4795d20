//! From a payload to what /metrics tells of it.

mod payload;

use std::collections::BTreeMap;
use std::io::Write;

use protocol::records::compress;
use state::cluster::{Command, ConfigAlteration, ConfigChange, ConfigOperation, ConfigResource};

use super::*;
use payload::{delta, gauge, gauge_of_many, histogram, odd_gauges, payload, sum};

const ID: Uuid = Uuid([7; 16]);
const ROOM: usize = 1 << 20;
/// What one push may take uncompressed.
const PUSH_BYTES: usize = 64 << 10;
const MAX_BYTES: usize = 1000;

fn client<'a>() -> Client<'a> {
    Client { client_id: "c", software: None, peer: "192.0.2.1:4711".parse().unwrap() }
}

fn subscribe(image: &mut Image, name: &str, settings: &[(&str, &str)]) {
    let set = |(key, value): &(&str, &str)| ((*key).to_owned(), ConfigOperation::Set((*value).to_owned()));
    let change = ConfigChange::Update(settings.iter().map(set).collect());
    let resource = ConfigResource::ClientMetrics(name.to_owned());
    let alteration = ConfigAlteration { resource, change };
    assert_eq!(image.apply(&Command::AlterConfigs(vec![alteration])).into_items(), [Ok(())]);
}

/// With a subscription to everything, each 1000 ms.
fn subscribed(room: usize) -> (Telemetry, Image) {
    let mut image = Image::default();
    subscribe(&mut image, "all", &[("metrics", "*"), ("interval.ms", "1000")]);
    (Telemetry::new(room, &image), image)
}

fn push(id: Uuid, subscription_id: i32, codec: Codec, metrics: &[u8]) -> PushTelemetryRequest {
    let metrics = Bytes::from(compress(codec, None, metrics));
    let compression_type = codec as i8;
    PushTelemetryRequest { client_instance_id: id, subscription_id, compression_type, metrics, ..Default::default() }
}

/// Asks and pushes in the same millisecond.
fn pushed(telemetry: &Telemetry, id: Uuid, codec: Codec, metrics: &[u8], now_ms: u64) -> Result<(), ErrorCode> {
    let granted = telemetry.ask(&client(), id, now_ms)?;
    let push = push(id, granted.subscription_id, codec, metrics);
    let admitted = telemetry.admit(&client(), push, PUSH_BYTES, now_ms)?;
    telemetry.keep(&admitted, "c", PUSH_BYTES, now_ms)
}

/// Every sample, as it is written.
fn told(telemetry: &Telemetry) -> BTreeMap<String, f64> {
    let (mut told, mut last) = (BTreeMap::new(), None);
    while let Some(family) = telemetry.family_after(last.as_deref()) {
        for (client, labels, value) in &family.samples {
            let kind = if family.is_counter { "counter" } else { "gauge" };
            told.insert(format!("{kind} {}{{{client},{labels}}}", family.name), *value);
        }
        last = Some(family.name);
    }
    told
}

fn sample(kind_and_name: &str, id: Uuid, labels: &str) -> String {
    format!("{kind_and_name}{{client_id=\"c\",client_instance_id=\"{id}\",{labels}}}")
}

#[test]
fn what_clients_push_is_told_under_names_that_people_know() {
    let (telemetry, _) = subscribed(ROOM);
    let name = "org.apache.kafka.producer.record.send.total";
    let first = payload(
        &[("client_rack", "r"), ("client_id", "another")],
        &[
            delta(name, 5.0, &[]),
            delta("org.apache.kafka.producer.topic.record.send", 2.0, &[("topic", "a\"b\\\n")]),
            sum("org.apache.kafka.consumer.bytes.total", true, false, 70.0, &[]),
            sum("up.and.down", false, true, 3.0, &[]),
            gauge("org.apache.kafka.producer.record.size.avg", 1.5, &[("node.id", "1"), ("", "x"), ("__name__", "y")]),
            odd_gauges("whole", -4),
            histogram("seconds"),
        ],
    );
    let second = payload(
        &[("client_rack", "r")],
        &[
            delta(name, 6.0, &[]),
            sum("org.apache.kafka.consumer.bytes.total", true, false, 90.0, &[]),
            sum("up.and.down", false, true, -5.0, &[]),
            gauge("org.apache.kafka.producer.record.size.avg", 2.5, &[("node.id", "1")]),
            delta(name, -100.0, &[]),
        ],
    );
    assert_eq!(pushed(&telemetry, ID, Codec::None, &first, 0), Ok(()));
    assert_eq!(pushed(&telemetry, ID, Codec::Zstd, &second, 1000), Ok(()));
    let rack = "client_rack=\"r\"";
    let expected = BTreeMap::from([
        (sample("counter ottla_client_producer_record_send_total", ID, rack), 11.0),
        (
            sample(
                "counter ottla_client_producer_topic_record_send_total",
                ID,
                &format!("{rack},topic=\"a\\\"b\\\\\\n\""),
            ),
            2.0,
        ),
        (sample("counter ottla_client_consumer_bytes_total", ID, rack), 90.0),
        (sample("gauge ottla_client_up_and_down", ID, rack), -2.0),
        (sample("gauge ottla_client_producer_record_size_avg", ID, &format!("{rack},node_id=\"1\"")), 2.5),
        (sample("gauge ottla_client_whole", ID, rack), -4.0),
    ]);
    assert_eq!(told(&telemetry), expected);
    assert_eq!(telemetry.usage().dropped, Dropped { kind: 1, ..Dropped::default() });
}

#[test]
fn series_leave_when_their_client_is_silent_or_said_good_bye() {
    let (telemetry, _) = subscribed(ROOM);
    let metrics = payload(&[], &[gauge("g", 1.0, &[])]);
    let (silent, gone) = (Uuid([8; 16]), Uuid([9; 16]));
    assert_eq!(pushed(&telemetry, silent, Codec::None, &metrics, 0), Ok(()));
    let granted = telemetry.ask(&client(), gone, 0).unwrap();
    let good_bye =
        PushTelemetryRequest { terminating: true, ..push(gone, granted.subscription_id, Codec::None, &metrics) };
    let admitted = telemetry.admit(&client(), good_bye.clone(), MAX_BYTES, 0).unwrap();
    assert_eq!(telemetry.keep(&admitted, "c", PUSH_BYTES, 0), Ok(()));
    assert_eq!(telemetry.admit(&client(), good_bye, MAX_BYTES, 5000), Err(ErrorCode::INVALID_REQUEST));
    telemetry.expire(59_999);
    assert_eq!(telemetry.usage().clients, 2);
    telemetry.expire(60_000);
    assert_eq!(told(&telemetry).into_keys().collect::<Vec<_>>(), [sample("gauge ottla_client_g", gone, "")]);
    telemetry.expire(GOOD_BYE_MS);
    assert_eq!((told(&telemetry).len(), telemetry.usage().series_bytes), (0, 0));
    assert_eq!(telemetry.usage().dropped, Dropped::default());
}

#[test]
fn refusals_are_kafkas_in_kafkas_order() {
    let (telemetry, mut image) = subscribed(ROOM);
    let admit = |push: &PushTelemetryRequest, now_ms| {
        telemetry.admit(&client(), push.clone(), MAX_BYTES, now_ms).map(|_| ()).unwrap_err()
    };
    let wrong = |now_ms| {
        let metrics = Bytes::from(vec![0; MAX_BYTES + 1]);
        let mut push = PushTelemetryRequest { compression_type: 5, metrics, ..Default::default() };
        assert_eq!(admit(&push, now_ms), ErrorCode::INVALID_REQUEST);
        push.client_instance_id.0[15] = RESERVED_IDS - 1;
        assert_eq!(admit(&push, now_ms), ErrorCode::INVALID_REQUEST);
        push.client_instance_id = ID;
        push
    };
    let mut push = wrong(0);
    let granted = telemetry.ask(&client(), ID, 0).unwrap();
    assert_eq!(granted.metrics, BTreeSet::from(["*".to_owned()]));
    assert_eq!(granted.push_interval_ms, 1000);
    assert_eq!(admit(&push, 10), ErrorCode::UNKNOWN_SUBSCRIPTION_ID);
    assert_eq!(admit(&push, 11), ErrorCode::THROTTLING_QUOTA_EXCEEDED);
    assert_eq!(telemetry.ask(&client(), ID, 12).as_ref(), Ok(&granted), "who is refused for that asks at once");
    assert_eq!(telemetry.ask(&client(), ID, 13), Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED));
    push.subscription_id = granted.subscription_id;
    assert_eq!(admit(&push, 1010), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    push.compression_type = 0;
    assert_eq!(admit(&push, 2010), ErrorCode::TELEMETRY_TOO_LARGE);
    assert_eq!((telemetry.throttled.get(), telemetry.unknown_subscriptions.get()), (2, 1));

    // Whoever has an old subscription asks at once and gets the new one.
    subscribe(&mut image, "all", &[("metrics", "a"), ("interval.ms", "500")]);
    telemetry.follow(&image);
    push.metrics = Bytes::new();
    assert_eq!(admit(&push, 2011), ErrorCode::UNKNOWN_SUBSCRIPTION_ID);
    let again = telemetry.ask(&client(), ID, 2012).unwrap();
    assert_eq!((again.metrics.len(), again.push_interval_ms), (1, 500));
    assert_ne!(again.subscription_id, granted.subscription_id);
    telemetry.follow(&image);
    assert_eq!(telemetry.ask(&client(), ID, 2013), Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED), "nothing changed");
    telemetry.disconnected(ID);
    assert_eq!(telemetry.ask(&client(), ID, 2014), Ok(again));
}

#[test]
fn a_payload_that_grows_too_large_or_is_none_leaves_nothing() {
    let (telemetry, _) = subscribed(ROOM);
    let zeros = vec![0; PUSH_BYTES + 1];
    for (number, codec) in (0..).zip(ACCEPTED_CODECS) {
        let id = Uuid([number + 10; 16]);
        assert_eq!(pushed(&telemetry, id, codec, &zeros, 0), Err(ErrorCode::TELEMETRY_TOO_LARGE), "{codec:?}");
        let admitted =
            Admitted { client_instance_id: id, codec, payload: Bytes::from_static(b"no such thing"), expires_ms: 1 };
        assert_eq!(telemetry.keep(&admitted, "c", PUSH_BYTES, 0), Err(ErrorCode::INVALID_RECORD), "{codec:?}");
    }
    let good = payload(&[], &[gauge("g", 1.0, &[])]);
    let half = [&good[..], &good[..good.len() - 1]].concat();
    assert_eq!(pushed(&telemetry, ID, Codec::None, &half, 0), Err(ErrorCode::INVALID_RECORD));
    assert_eq!(pushed(&telemetry, ID, Codec::None, &[], 1000), Ok(()), "nothing to tell is no error");
    assert_eq!((told(&telemetry).len(), telemetry.usage().series_bytes), (0, 0));
}

/// Series of a client, each of another metric.
fn many(count: usize, start: usize) -> Vec<u8> {
    let metrics: Vec<_> = (start..start + count).map(|number| gauge(&format!("m{number}"), 1.0, &[])).collect();
    payload(&[], &metrics)
}

#[test]
fn there_is_never_more_than_there_is_room_for() {
    let (telemetry, _) = subscribed(100_000);
    let id = |number: u8| Uuid([number + 1; 16]);
    for number in 0..30 {
        let metrics = many(100, 0);
        assert_eq!(pushed(&telemetry, id(number), Codec::Gzip, &metrics, u64::from(number)), Ok(()));
        assert!(telemetry.usage().series_bytes <= 100_000, "{:?}", telemetry.usage());
    }
    let usage = telemetry.usage();
    assert_eq!(usage.dropped, Dropped { evicted: 3000 - usage.series as u64, ..Dropped::default() });
    assert_eq!(usage.series, usage.clients * 100);
    let ids: BTreeSet<_> = told(&telemetry).into_keys().map(|key| key.split('"').nth(3).unwrap().to_owned()).collect();
    let newest = (30 - usage.clients as u8..30).map(|number| id(number).to_string());
    assert_eq!(ids, newest.collect(), "the oldest leave");

    // One who wants all of it gets what there is, and no more.
    let greedy = Uuid([99; 16]);
    for turn in 0..4 {
        let metrics = many(1000, turn * 1000);
        assert_eq!(pushed(&telemetry, greedy, Codec::Zstd, &metrics, 100_000 + turn as u64 * 1000), Ok(()));
        assert!(telemetry.usage().series_bytes <= 100_000, "{:?}", telemetry.usage());
    }
    let greedy = telemetry.usage();
    assert_eq!((greedy.clients, greedy.dropped.evicted), (1, 3000));
    assert_eq!(greedy.series as u64 + greedy.dropped.limit, 4000);

    let (telemetry, _) = subscribed(0);
    assert_eq!(pushed(&telemetry, ID, Codec::Zstd, &many(10, 0), 0), Ok(()));
    assert_eq!((telemetry.usage().series_bytes, telemetry.usage().dropped.limit), (0, 10));

    let (telemetry, _) = subscribed(64 << 20);
    for turn in 0..4 {
        assert_eq!(pushed(&telemetry, ID, Codec::Zstd, &many(1000, turn * 1000), turn as u64 * 1000), Ok(()));
    }
    assert_eq!((telemetry.usage().series, telemetry.usage().dropped.limit), (2000, 2000), "a client's share");
}

#[test]
fn names_and_labels_are_bounded_and_a_name_has_one_kind() {
    let (telemetry, _) = subscribed(ROOM);
    let (long, longer) = ("l".repeat(64), "x".repeat(300));
    let many: Vec<_> = (0..30).map(|number| (format!("n{number:02}"), "v")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let metrics = [
        gauge("a.total", 1.0, &[(&long, &longer), (&longer, "v")]),
        delta("a", 1.0, &[]),
        delta("b", 1.0, &[]),
        gauge("b.total", 1.0, &[]),
        gauge(&longer, 1.0, &[]),
        gauge("", 1.0, &[]),
        gauge("c", 1.0, &many),
        gauge("é\n{", 1.0, &[("1a", "ä".repeat(200).as_str()), ("none", "")]),
    ];
    assert_eq!(pushed(&telemetry, ID, Codec::Lz4, &payload(&[], &metrics), 0), Ok(()));
    let sixteen: Vec<_> = (0..16).map(|number| format!("n{number:02}=\"v\"")).collect();
    let expected = [
        sample("counter ottla_client_b_total", ID, ""),
        sample("gauge ottla_client____", ID, &format!("_1a=\"{}\"", "ä".repeat(128))),
        sample("gauge ottla_client_a_total", ID, &format!("{long}=\"{}\"", "x".repeat(256))),
        sample("gauge ottla_client_c", ID, &sixteen.join(",")),
    ];
    assert_eq!(told(&telemetry).into_keys().collect::<Vec<_>>(), expected);
    assert_eq!(telemetry.usage().dropped, Dropped { name: 4, ..Dropped::default() });
    let hundred: Vec<_> = vec![("k", "v"); 100];
    let too_many = payload(&[], &[gauge("g", 1.0, &hundred)]);
    assert_eq!(pushed(&telemetry, ID, Codec::None, &too_many, 1000), Err(ErrorCode::INVALID_RECORD));
}

/// A few kilobytes may unpack to a million points, and each of them has the labels of all.
#[test]
fn a_push_of_too_many_points_is_refused_as_a_whole() {
    let (telemetry, _) = subscribed(ROOM);
    let long = "k".repeat(100_000);
    for (points, kept) in [(POINTS_MAX, Ok(())), (POINTS_MAX + 1, Err(ErrorCode::TELEMETRY_TOO_LARGE))] {
        let id = Uuid([points as u8; 16]);
        let metrics = payload(&[(&long, "v")], &[gauge_of_many("g", points)]);
        let admitted = Admitted { client_instance_id: id, codec: Codec::None, payload: metrics.into(), expires_ms: 1 };
        assert_eq!(telemetry.keep(&admitted, "c", usize::MAX, 0), kept, "{points}");
    }
    assert_eq!(telemetry.usage().series, 1, "without the label that nobody can read");
}

#[test]
fn a_gauge_leaves_that_is_not_pushed_any_more_and_a_counter_stays() {
    let (telemetry, _) = subscribed(ROOM);
    let all =
        [gauge("lag", 5.0, &[("partition", "3")]), gauge("lag", 1.0, &[("partition", "4")]), delta("sent", 2.0, &[])];
    assert_eq!(pushed(&telemetry, ID, Codec::None, &payload(&[], &all), 0), Ok(()));
    for now_ms in [20_000, 40_000] {
        let metrics = payload(&[], &[gauge("lag", 2.0, &[("partition", "4")])]);
        assert_eq!(pushed(&telemetry, ID, Codec::None, &metrics, now_ms), Ok(()));
    }
    let before = telemetry.usage();
    telemetry.expire(59_999);
    assert_eq!(told(&telemetry).len(), 3);
    telemetry.expire(60_000);
    let expected = [
        (sample("counter ottla_client_sent_total", ID, ""), 2.0),
        (sample("gauge ottla_client_lag", ID, "partition=\"4\""), 2.0),
    ];
    assert_eq!(told(&telemetry), BTreeMap::from(expected));
    let after = telemetry.usage();
    assert_eq!((after.series, after.clients), (2, 1));
    assert!(after.series_bytes < before.series_bytes);
    telemetry.expire(u64::MAX);
    assert_eq!((telemetry.usage().series, telemetry.usage().series_bytes), (0, 0), "all is given back");
}

#[test]
fn a_change_that_is_no_number_is_left_out() {
    let (telemetry, _) = subscribed(ROOM);
    let nothing = payload(&[], &[delta("d", f64::NAN, &[]), delta("e", -5.0, &[])]);
    assert_eq!(pushed(&telemetry, ID, Codec::None, &nothing, 0), Ok(()));
    assert_eq!(told(&telemetry), BTreeMap::from([(sample("counter ottla_client_e_total", ID, ""), 0.0)]));
    assert_eq!(telemetry.usage().dropped, Dropped { kind: 1, ..Dropped::default() });
}

/// Whatever arrives is read or refused, and what is told of it can be read by Prometheus.
#[test]
fn damaged_and_random_payloads_do_no_harm() {
    let seed =
        std::env::var("TELEMETRY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    writeln!(std::io::stderr(), "TELEMETRY_SEED={seed}").unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let whole = payload(
        &[("client_rack", "r")],
        &[
            delta("org.apache.kafka.producer.record.send.total", 5.0, &[("topic", "t")]),
            gauge("g", 1.5, &[("node_id", "1")]),
            odd_gauges("o", 3),
            histogram("h"),
        ],
    );
    let (telemetry, _) = subscribed(40_000);
    let mut outcomes = BTreeMap::new();
    for round in 0..5_000u64 {
        let mut bytes = whole.clone();
        match round % 3 {
            0 => bytes.truncate(random.usize(..bytes.len())),
            1 => {
                for _ in 0..random.usize(1..4) {
                    let at = random.usize(..bytes.len());
                    bytes[at] = random.u8(..);
                }
            }
            _ => bytes = (0..random.usize(..200)).map(|_| random.u8(..)).collect(),
        }
        let id = Uuid([random.u8(1..50); 16]);
        let outcome = pushed(&telemetry, id, Codec::None, &bytes, round * 1000);
        *outcomes.entry(outcome.err().unwrap_or(ErrorCode::NONE)).or_insert(0) += 1;
        assert!(telemetry.usage().series_bytes <= 40_000);
    }
    assert_eq!(outcomes.into_keys().collect::<Vec<_>>(), [ErrorCode::NONE, ErrorCode::INVALID_RECORD]);
    let told = told(&telemetry);
    assert!(!told.is_empty());
    for sample in told.keys() {
        let (name, labels) = sample.split_once('{').unwrap();
        let name = name.split_once(' ').unwrap().1;
        assert!(name.starts_with("ottla_client_") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        assert!(labels.ends_with('}') && !labels.contains('\n'), "{sample}");
        let mut quotes = labels.replace("\\\\", "").replace("\\\"", "");
        quotes.retain(|c| c == '"');
        assert_eq!(quotes.len() % 2, 0, "{sample}");
    }
}

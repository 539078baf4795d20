//! The cluster's image: what commands do to it, and that every replica of a log comes to the same one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use protocol::{ErrorCode, Uuid};
use state::cluster::{
    Applied, CLIENT_METRICS_MAX, Change, Command, ConfigAlteration, ConfigChange, ConfigOperation, ConfigResource,
    Image, MAX_PARTITIONS_PER_COMMAND, MorePartitions, NO_LEADER, NewTopic, PartitionCounts, ProducerIdBlock,
    QUOTA_ENTITIES_MAX, QuotaAlteration, QuotaEntity, QuotaValue, Record, Refusal, RegisterBroker, TopicShape, changes,
    place_more_partitions, place_topic,
};

const DEFAULTS: PartitionCounts = PartitionCounts { partitions: 3, replication_factor: 1 };

fn uuid(number: u8) -> Uuid {
    Uuid([number; 16])
}

fn registration(broker_id: i32, incarnation: u8, replaces_epoch: i64) -> RegisterBroker {
    RegisterBroker {
        broker_id,
        incarnation_id: uuid(incarnation),
        directory_id: uuid(100),
        listeners: Vec::new(),
        rack: None,
        fenced: false,
        replaces_epoch,
    }
}

fn register(image: &mut Image, broker: RegisterBroker) -> Result<i64, Refusal> {
    image.apply(&Command::RegisterBroker(broker)).into_broker_epoch()
}

fn cluster_of(brokers: i32) -> Image {
    let mut image = Image::default();
    for id in 0..brokers {
        register(&mut image, registration(id, 1, -1)).unwrap();
    }
    image
}

fn topic(name: &str, id: u8, assignments: &[&[i32]]) -> NewTopic {
    let assignments = assignments.iter().map(|replicas| replicas.to_vec()).collect();
    NewTopic { name: name.to_owned(), id: uuid(id), assignments, configs: BTreeMap::new() }
}

fn create(image: &mut Image, new: NewTopic) -> Result<(), ErrorCode> {
    only(image.apply(&Command::CreateTopics(vec![new])))
}

fn only(applied: Applied) -> Result<(), ErrorCode> {
    let mut items = applied.into_items();
    assert_eq!(items.len(), 1);
    items.remove(0).map_err(|refusal| refusal.error)
}

fn error<T>(result: Result<T, Refusal>) -> ErrorCode {
    result.err().map_or(ErrorCode::NONE, |refusal| refusal.error)
}

fn update(resource: ConfigResource, operations: &[(&str, ConfigOperation)]) -> Command {
    let operations = operations.iter().map(|(key, operation)| ((*key).to_owned(), operation.clone())).collect();
    Command::AlterConfigs(vec![ConfigAlteration { resource, change: ConfigChange::Update(operations) }])
}

#[test]
fn a_cluster_is_created_once() {
    let create = |id: &str| Command::ClusterCreated { cluster_id: id.to_owned(), features: BTreeMap::new() };
    let mut image = Image::default();
    assert_eq!(only(image.apply(&create("one"))), Ok(()));
    assert_eq!(only(image.apply(&create("one"))), Ok(()));
    assert_eq!(only(image.apply(&create("two"))), Err(ErrorCode::INCONSISTENT_CLUSTER_ID));
    assert_eq!(image.cluster_id(), Some("one"));
}

#[test]
fn a_registration_is_fenced_by_the_next() {
    let mut image = Image::default();
    assert_eq!(register(&mut image, registration(1, 1, -1)), Ok(0));
    assert_eq!(register(&mut image, registration(1, 1, -1)), Ok(0), "the same run again");
    assert_eq!(register(&mut image, registration(1, 2, 0)), Ok(1), "the next run");
    // The first run's registration, delayed: it replaces nothing any more.
    let late = register(&mut image, registration(1, 1, -1));
    assert_eq!(error(late), ErrorCode::DUPLICATE_BROKER_REGISTRATION);
    let allocate = |broker_id, broker_epoch| Command::AllocateProducerIds { broker_id, broker_epoch, count: 10 };
    assert_eq!(error(image.apply(&allocate(1, 0)).into_producer_ids()), ErrorCode::STALE_BROKER_EPOCH);
    assert_eq!(error(image.apply(&allocate(2, 0)).into_producer_ids()), ErrorCode::BROKER_ID_NOT_REGISTERED);
    assert_eq!(image.apply(&allocate(1, 1)).into_producer_ids(), Ok(ProducerIdBlock { first: 0, count: 10 }));
    assert_eq!(image.apply(&allocate(1, 1)).into_producer_ids(), Ok(ProducerIdBlock { first: 10, count: 10 }));
    assert_eq!(error(register(&mut image, registration(-1, 1, -1))), ErrorCode::INVALID_REQUEST);
}

#[test]
fn a_broker_that_starts_again_leads_with_a_new_epoch() {
    let mut image = cluster_of(2);
    create(&mut image, topic("t", 1, &[&[0, 1], &[1, 0]])).unwrap();
    register(&mut image, registration(0, 2, 0)).unwrap();
    let state = |image: &Image| -> Vec<(i32, i32, i32)> {
        let topic = image.topic("t").unwrap();
        topic.partitions.iter().map(|p| (p.leader, p.leader_epoch, p.partition_epoch)).collect()
    };
    assert_eq!(state(&image), [(0, 1, 1), (1, 0, 0)]);
    // Back, but fenced: the other replica takes over.
    let epoch = image.broker(0).unwrap().epoch;
    register(&mut image, RegisterBroker { fenced: true, ..registration(0, 3, epoch) }).unwrap();
    assert_eq!(state(&image), [(1, 2, 2), (1, 0, 0)]);
    let epoch = image.broker(1).unwrap().epoch;
    register(&mut image, RegisterBroker { fenced: true, ..registration(1, 3, epoch) }).unwrap();
    assert_eq!(state(&image), [(NO_LEADER, 3, 3), (NO_LEADER, 1, 1)]);
    let epoch = image.broker(0).unwrap().epoch;
    register(&mut image, registration(0, 4, epoch)).unwrap();
    assert_eq!(state(&image), [(0, 4, 4), (0, 2, 2)]);
    assert_eq!(image.topic("t"), image.topic_by_id(uuid(1)), "both maps hold the same topic");
}

#[test]
fn topics_are_created_on_their_preconditions() {
    let mut image = cluster_of(3);
    assert_eq!(create(&mut image, topic("a.b", 1, &[&[0, 1], &[1, 2]])), Ok(()));
    let found = image.topic("a.b").unwrap();
    assert_eq!((found.partition_count(), image.partition_count()), (2, 2));
    assert_eq!((found.partitions[1].leader, &found.partitions[1].isr[..]), (1, &[1, 2][..]));

    assert_eq!(create(&mut image, topic("a.b", 1, &[&[0]])), Ok(()), "the same proposal again is no error");
    assert_eq!(image.topic("a.b").unwrap().partition_count(), 2, "and changes nothing");
    let refused: [(NewTopic, ErrorCode); 11] = [
        (topic("a.b", 2, &[&[0]]), ErrorCode::TOPIC_ALREADY_EXISTS),
        (topic("a_b", 2, &[&[0]]), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("a/b", 2, &[&[0]]), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("c", 1, &[&[0]]), ErrorCode::UNKNOWN_SERVER_ERROR),
        (topic("c", 0, &[&[0]]), ErrorCode::UNKNOWN_SERVER_ERROR),
        (topic("c", 2, &[]), ErrorCode::INVALID_PARTITIONS),
        (topic("c", 2, &[&[]]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (topic("c", 2, &[&[0, 0]]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (topic("c", 2, &[&[0, 9]]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (topic("c", 2, &[&[0, 1], &[0]]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (topic("c", 2, &vec![&[0][..]; MAX_PARTITIONS_PER_COMMAND + 1]), ErrorCode::POLICY_VIOLATION),
    ];
    let before = image.clone();
    for (new, expected) in refused {
        let name = new.name.clone();
        assert_eq!(create(&mut image, new), Err(expected), "{name}");
    }
    assert_eq!(image, before, "a refused topic leaves no trace");
}

#[test]
fn each_item_of_a_command_stands_alone() {
    let mut image = cluster_of(1);
    let many = vec![&[0][..]; MAX_PARTITIONS_PER_COMMAND - 1];
    let command = Command::CreateTopics(vec![
        topic("ok", 1, &many),
        topic("ok", 2, &[&[0]]),
        topic("last", 3, &[&[0]]),
        topic("too-many", 4, &[&[0]]),
    ]);
    let errors: Vec<ErrorCode> = image.apply(&command).into_items().into_iter().map(error).collect();
    let expected = [ErrorCode::NONE, ErrorCode::TOPIC_ALREADY_EXISTS, ErrorCode::NONE, ErrorCode::POLICY_VIOLATION];
    assert_eq!(errors, expected);
    assert_eq!(image.partition_count(), MAX_PARTITIONS_PER_COMMAND);
}

#[test]
fn a_deleted_topic_takes_its_configs_and_frees_its_name() {
    let mut image = cluster_of(1);
    let configs = BTreeMap::from([("retention.ms".to_owned(), "1".to_owned())]);
    create(&mut image, NewTopic { configs, ..topic("a.b", 1, &[&[0]]) }).unwrap();
    assert_eq!(image.config(&ConfigResource::Topic("a.b".to_owned()), "retention.ms"), Some("1"));
    assert_eq!(only(image.apply(&Command::DeleteTopics(vec![uuid(1)]))), Ok(()));
    assert_eq!(only(image.apply(&Command::DeleteTopics(vec![uuid(1)]))), Err(ErrorCode::UNKNOWN_TOPIC_ID));
    assert_eq!((image.topic_configs("a.b"), image.topic_count(), image.partition_count()), (None, 0, 0));
    assert_eq!(create(&mut image, topic("a_b", 2, &[&[0]])), Ok(()), "nothing to collide with any more");
}

#[test]
fn partitions_are_only_ever_added() {
    let mut image = cluster_of(2);
    create(&mut image, topic("t", 1, &[&[0]])).unwrap();
    let more = |count, assignments: &[&[i32]]| {
        let assignments = assignments.iter().map(|replicas| replicas.to_vec()).collect();
        Command::CreatePartitions(vec![MorePartitions { topic_id: uuid(1), count, assignments }])
    };
    assert_eq!(only(image.apply(&more(3, &[&[1], &[0]]))), Ok(()));
    assert_eq!(image.topic("t").unwrap().partition(1).unwrap().replicas, [1]);
    assert_eq!(image.partition_count(), 3);
    for (command, expected) in [
        (more(3, &[]), ErrorCode::INVALID_PARTITIONS),
        (more(2, &[]), ErrorCode::INVALID_PARTITIONS),
        (more(-1, &[]), ErrorCode::INVALID_PARTITIONS),
        (more(5, &[&[0]]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (more(4, &[&[0, 1]]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (more(4, &[&[7]]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
    ] {
        assert_eq!(only(image.apply(&command)), Err(expected), "{command:?}");
    }
    let unknown = MorePartitions { topic_id: uuid(9), count: 2, assignments: vec![vec![0]] };
    let outcome = only(image.apply(&Command::CreatePartitions(vec![unknown])));
    assert_eq!(outcome, Err(ErrorCode::UNKNOWN_TOPIC_ID));
}

#[test]
fn configs_are_set_listed_and_taken_back() {
    let mut image = cluster_of(1);
    create(&mut image, topic("t", 1, &[&[0]])).unwrap();
    let resource = ConfigResource::Topic("t".to_owned());
    let policy = |image: &Image| image.config(&resource, "cleanup.policy").map(str::to_owned);
    let items = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
    let default = || "delete".to_owned();
    let mut step = |operation| {
        assert_eq!(only(image.apply(&update(resource.clone(), &[("cleanup.policy", operation)]))), Ok(()));
        policy(&image)
    };
    let append = |list| ConfigOperation::Append { items: items(list), default: default() };
    let subtract = |list| ConfigOperation::Subtract { items: items(list), default: default() };
    assert_eq!(step(append(&["compact", "delete"])).as_deref(), Some("delete,compact"));
    assert_eq!(step(subtract(&["delete"])).as_deref(), Some("compact"));
    assert_eq!(step(ConfigOperation::Delete), None);
    assert_eq!(step(subtract(&["compact"])).as_deref(), Some("delete"), "from the default");
    assert_eq!(step(ConfigOperation::Set("compact".to_owned())).as_deref(), Some("compact"));

    let replace = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
    let alteration = ConfigAlteration { resource: resource.clone(), change: ConfigChange::Replace(replace.clone()) };
    assert_eq!(image.altered_configs(&alteration).unwrap(), replace);
    assert_eq!(policy(&image).as_deref(), Some("compact"), "asking changes nothing");
    assert_eq!(only(image.apply(&Command::AlterConfigs(vec![alteration]))), Ok(()));
    assert_eq!(**image.configs(&resource).unwrap(), replace);

    let set = [("k", ConfigOperation::Set("v".to_owned()))];
    for (resource, expected) in [
        (ConfigResource::Topic("none".to_owned()), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
        (ConfigResource::Broker(7), Err(ErrorCode::BROKER_ID_NOT_REGISTERED)),
        (ConfigResource::Group(String::new()), Err(ErrorCode::INVALID_REQUEST)),
        (ConfigResource::Broker(0), Ok(())),
        (ConfigResource::DefaultBroker, Ok(())),
        (ConfigResource::Group("g".to_owned()), Ok(())),
        (ConfigResource::ClientMetrics(String::new()), Err(ErrorCode::INVALID_REQUEST)),
        (ConfigResource::ClientMetrics("m".to_owned()), Ok(())),
    ] {
        assert_eq!(only(image.apply(&update(resource.clone(), &set))), expected, "{resource}");
    }
}

#[test]
fn subscriptions_to_clients_metrics_are_listed_and_limited() {
    let mut image = cluster_of(1);
    let set = [("interval.ms", ConfigOperation::Set("100".to_owned()))];
    let of = |name: String| ConfigResource::ClientMetrics(name);
    only(image.apply(&update(ConfigResource::Group("g".to_owned()), &set))).unwrap();
    for number in 0..CLIENT_METRICS_MAX {
        assert_eq!(only(image.apply(&update(of(format!("{number:03}")), &set))), Ok(()));
    }
    let one_more = only(image.apply(&update(of("more".to_owned()), &set)));
    assert_eq!(one_more, Err(ErrorCode::POLICY_VIOLATION));
    let delete = [("interval.ms", ConfigOperation::Delete)];
    assert_eq!(only(image.apply(&update(of("absent".to_owned()), &delete))), Ok(()), "nothing becomes more");
    assert_eq!(only(image.apply(&update(of("007".to_owned()), &set))), Ok(()), "one that is there may change");
    assert_eq!(only(image.apply(&update(of("007".to_owned()), &delete))), Ok(()));
    assert_eq!(only(image.apply(&update(of("more".to_owned()), &set))), Ok(()));
    let names: Vec<_> = image.client_metrics().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names.len(), CLIENT_METRICS_MAX);
    assert!(names.is_sorted() && names.contains(&"more".to_owned()) && !names.contains(&"007".to_owned()));
}

#[test]
fn placement_spreads_leaders_and_followers() {
    let image = cluster_of(4);
    let shape = TopicShape { partitions: 24, replication_factor: 3, assignments: &[] };
    for seed in 0..9 {
        let placed = place_topic(&image, &shape, DEFAULTS, seed).unwrap();
        assert_eq!(placed.len(), 24);
        for position in 0..3 {
            let mut count = [0; 4];
            placed.iter().for_each(|replicas| count[replicas[position] as usize] += 1);
            assert!(count.iter().all(|n| *n == 6), "seed {seed}: position {position} has {count:?}");
        }
        for replicas in &placed {
            assert_eq!(replicas.iter().collect::<BTreeSet<_>>().len(), 3, "seed {seed}: {replicas:?}");
        }
        let followers_of_0: BTreeSet<i32> = placed.iter().filter(|r| r[0] == 0).map(|r| r[1]).collect();
        assert_eq!(followers_of_0.len(), 3, "seed {seed}: the load of broker 0 falls on few others");
    }
    let again = place_topic(&image, &shape, DEFAULTS, 5).unwrap();
    assert_eq!(again, place_topic(&image, &shape, DEFAULTS, 5).unwrap());
    assert_ne!(again, place_topic(&image, &shape, DEFAULTS, 6).unwrap());
}

#[test]
fn placement_puts_replicas_into_different_racks() {
    let mut image = Image::default();
    for id in 0..6 {
        let rack = Some(format!("rack-{}", id / 2));
        register(&mut image, RegisterBroker { rack, ..registration(id, 1, -1) }).unwrap();
    }
    let shape = TopicShape { partitions: 12, replication_factor: 3, assignments: &[] };
    for replicas in place_topic(&image, &shape, DEFAULTS, 7).unwrap() {
        let racks: BTreeSet<i32> = replicas.iter().map(|id| id / 2).collect();
        assert_eq!(racks.len(), 3, "{replicas:?}");
    }
}

#[test]
fn placement_refuses_as_kafka_does() {
    let mut image = cluster_of(2);
    register(&mut image, RegisterBroker { fenced: true, ..registration(2, 1, -1) }).unwrap();
    let place = |partitions, replication_factor, assignments: &[(i32, Vec<i32>)]| {
        place_topic(&image, &TopicShape { partitions, replication_factor, assignments }, DEFAULTS, 0)
    };
    assert_eq!(place(-1, -1, &[]).unwrap().len(), 3, "the defaults");
    assert_eq!(error(place(0, 1, &[])), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(error(place(-2, 1, &[])), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(error(place(i32::MAX, 1, &[])), ErrorCode::POLICY_VIOLATION);
    assert_eq!(error(place(1, 0, &[])), ErrorCode::INVALID_REPLICATION_FACTOR);
    assert_eq!(error(place(1, 3, &[])), ErrorCode::INVALID_REPLICATION_FACTOR, "the third broker is fenced");
    assert_eq!(place(-1, -1, &[(1, vec![0]), (0, vec![1])]).unwrap(), [vec![1], vec![0]]);
    assert_eq!(error(place(2, -1, &[(0, vec![0])])), ErrorCode::INVALID_REQUEST);
    for bad in [&[(1, vec![0])][..], &[(0, vec![0]), (0, vec![1])], &[(-1, vec![0])], &[(0, vec![2])], &[(0, vec![])]] {
        assert_eq!(error(place(-1, -1, bad)), ErrorCode::INVALID_REPLICA_ASSIGNMENT, "{bad:?}");
    }
    let nobody = place_topic(
        &Image::default(),
        &TopicShape { partitions: 1, replication_factor: 1, assignments: &[] },
        DEFAULTS,
        0,
    );
    assert_eq!(error(nobody), ErrorCode::INVALID_REPLICATION_FACTOR);

    create(&mut image, topic("t", 1, &[&[0, 1]])).unwrap();
    let topic = image.topic("t").unwrap();
    assert_eq!(place_more_partitions(&image, topic, 4, None, 1).unwrap().len(), 3);
    assert_eq!(error(place_more_partitions(&image, topic, 1, None, 1)), ErrorCode::INVALID_PARTITIONS);
    let chosen = [vec![1, 0]];
    assert_eq!(place_more_partitions(&image, topic, 2, Some(&chosen), 1).unwrap(), chosen);
    let wrong = place_more_partitions(&image, topic, 3, Some(&chosen), 1);
    assert_eq!(error(wrong), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
}

#[test]
fn topics_that_say_where_groups_and_transactions_are_kept_do_not_grow() {
    let mut image = cluster_of(1);
    for (id, name) in [(1, "__consumer_offsets"), (2, "__transaction_state")] {
        create(&mut image, topic(name, id, &[&[0]])).unwrap();
        let grown = place_more_partitions(&image, image.topic(name).unwrap(), 2, None, 1);
        assert_eq!(grown.unwrap_err().error, ErrorCode::INVALID_PARTITIONS, "{name}");
    }
}

/// A random command; few names and ids, so that they meet.
fn random_command(random: &mut fastrand::Rng, image: &Image, step: u32) -> Command {
    let name = |random: &mut fastrand::Rng| format!("t{}{}x", random.u8(0..60), ['.', '_', '-'][random.usize(0..3)]);
    let resource = |random: &mut fastrand::Rng| match random.u8(0..7) {
        6 => ConfigResource::ClientMetrics(random.u8(0..9).to_string()),
        0 => ConfigResource::Broker(random.i32(0..4)),
        1 => ConfigResource::DefaultBroker,
        2 => ConfigResource::Group("g".to_owned()),
        _ => ConfigResource::Topic(name(random)),
    };
    let broker_id = random.i32(0..4);
    // Mostly the epoch it has.
    let epoch = image.broker(broker_id).map_or(-1, |broker| broker.epoch) - i64::from(random.u8(0..5) == 0);
    match random.u8(0..12) {
        0 => Command::ControllerElected { controller_id: random.i32(0..3) },
        1 | 2 => {
            let fenced = random.u8(0..4) == 0;
            let incarnation = random.u8(1..9);
            Command::RegisterBroker(RegisterBroker { fenced, ..registration(broker_id, incarnation, epoch) })
        }
        3..=6 => {
            let mut topics = Vec::new();
            for _ in 0..random.usize(1..4) {
                let replicas: Vec<i32> = (0..random.i32(1..3)).map(|_| random.i32(0..4)).collect();
                let mut id = [0; 16];
                id[0] = random.u8(0..200);
                let assignments = vec![replicas; random.usize(1..3)];
                let configs = BTreeMap::from([("k".to_owned(), step.to_string())]);
                topics.push(NewTopic { name: name(random), id: Uuid(id), assignments, configs });
            }
            Command::CreateTopics(topics)
        }
        7 => {
            let ids = (0..random.usize(1..20)).map(|_| {
                let mut id = [0; 16];
                id[0] = random.u8(0..200);
                Uuid(id)
            });
            Command::DeleteTopics(ids.collect())
        }
        8 => {
            let mut id = [0; 16];
            id[0] = random.u8(0..200);
            let count = random.i32(1..5);
            let assignments = vec![vec![random.i32(0..4)]; random.usize(1..3)];
            Command::CreatePartitions(vec![MorePartitions { topic_id: Uuid(id), count, assignments }])
        }
        9 => update(resource(random), &[("k", ConfigOperation::Set(step.to_string()))]),
        10 => update(resource(random), &[("k", ConfigOperation::Delete)]),
        _ => Command::AllocateProducerIds { broker_id, broker_epoch: epoch, count: random.i32(0..2000) },
    }
}

fn rebuilt(image: &Image) -> Image {
    let mut rebuilt = Image::default();
    for record in image.records() {
        rebuilt.add(record).unwrap();
    }
    rebuilt
}

/// What holds in every image.
fn check_invariants(image: &Image, at: &str) {
    let partitions: usize = image.topics().map(|topic| topic.partitions.len()).sum();
    assert_eq!(image.partition_count(), partitions, "{at}");
    let names: Vec<&str> = image.topics().map(|topic| &*topic.name).collect();
    assert!(names.is_sorted(), "{at}");
    let metric_names: BTreeSet<String> = names.iter().map(|name| name.replace('.', "_")).collect();
    assert_eq!(metric_names.len(), image.topic_count(), "{at}: two topics share a metric name");
    for topic in image.topics() {
        assert_eq!(image.topic_by_id(topic.id), Some(topic), "{at}");
        for partition in &topic.partitions {
            let led = partition.leader == NO_LEADER
                || (partition.isr.contains(&partition.leader) && image.is_alive(partition.leader));
            assert!(led, "{at}: {partition:?}");
            assert!(partition.isr.iter().all(|id| partition.replicas.contains(id)), "{at}: {partition:?}");
        }
    }
    for (resource, configs) in image.all_configs() {
        assert!(!configs.is_empty(), "{at}: {resource}");
        if let ConfigResource::Topic(name) = resource {
            assert!(image.topic(name).is_some(), "{at}: configs of a topic that is gone");
        }
    }
}

/// Follows `changes` as a reconciler would, from what it knew to what is.
fn follow(known: &mut BTreeMap<String, (Uuid, i32)>, old: &Image, new: &Image, at: &str) {
    for change in changes(old, new) {
        match change {
            Change::TopicDeleted(topic) => {
                let gone = known.remove(&*topic.name);
                assert_eq!(gone.map(|(id, _)| id), Some(topic.id), "{at}");
            }
            Change::TopicCreated(topic) => {
                let before = known.insert(topic.name.to_string(), (topic.id, topic.partition_count()));
                assert_eq!(before, None, "{at}");
            }
            Change::TopicChanged { old, new } => {
                assert_ne!(old, new, "{at}");
                let before = known.insert(new.name.to_string(), (new.id, new.partition_count()));
                assert_eq!(before, Some((old.id, old.partition_count())), "{at}");
            }
            Change::ConfigsChanged { resource, configs } => {
                assert_eq!(new.configs(&resource), configs.as_ref(), "{at}");
                assert_ne!(old.configs(&resource), configs.as_ref(), "{at}");
            }
            Change::BrokerChanged(broker) => assert_eq!(new.broker(broker.broker_id), Some(&broker), "{at}"),
        }
    }
    let expected: BTreeMap<String, (Uuid, i32)> =
        new.topics().map(|topic| (topic.name.to_string(), (topic.id, topic.partition_count()))).collect();
    assert_eq!(*known, expected, "{at}");
}

/// Two replicas of one log, one of which is rebuilt from snapshots and reads commands from their text, hold the same
/// image after every command, answer the same, and a reconciler that follows the changes knows every topic.
#[test]
fn every_replica_of_a_log_comes_to_the_same_image() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut one, mut other) = (Image::default(), Image::default());
        let (mut seen, mut known) = (Image::default(), BTreeMap::new());
        let mut next_id = 0;
        for step in 0..400 {
            let at = format!("seed {seed} step {step}");
            let command = random_command(&mut random, &one, step);
            let text = serde_json::to_string(&command).unwrap();
            let read: Command = serde_json::from_str(&text).unwrap();
            assert_eq!(read, command, "{at}");
            let (outcome, same) = (one.apply(&command), other.apply(&read));
            assert_eq!(outcome, same, "{at}");
            if let Ok(block) = outcome.into_producer_ids() {
                assert_eq!(block.first, next_id, "{at}: ids came twice, or were lost");
                next_id += i64::from(block.count);
            }
            if random.u8(0..20) == 0 {
                check_invariants(&one, &at);
                follow(&mut known, &seen, &one, &at);
                seen = one.clone();
                other = rebuilt(&other);
                assert_eq!(other, one, "{at}");
                let text = |image: &Image| serde_json::to_string(&image.records().collect::<Vec<Record>>()).unwrap();
                assert_eq!(text(&one), text(&other), "{at}");
            }
        }
        assert!(one.topic_count() > 5 && next_id > 0, "seed {seed}: nothing happened");
    }
}

fn quota_entity(parts: &[(&str, Option<&str>)]) -> QuotaEntity {
    QuotaEntity(parts.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned))).collect())
}

fn quotas(parts: &[(&str, Option<&str>)], changes: &[(&str, Option<f64>)]) -> QuotaAlteration {
    let changes = changes.iter().map(|(key, value)| ((*key).to_owned(), value.map(QuotaValue))).collect();
    QuotaAlteration { entity: quota_entity(parts), changes }
}

#[test]
fn quotas_are_set_and_removed_key_by_key() {
    let mut image = Image::default();
    let mut alter = |alteration| only(image.apply(&Command::AlterClientQuotas(vec![alteration])));
    let client = &[("client-id", Some("c"))];
    alter(quotas(client, &[("producer_byte_rate", Some(10.0)), ("request_percentage", Some(0.5))])).unwrap();
    alter(quotas(client, &[("producer_byte_rate", None), ("no_such_key", None)])).unwrap();
    alter(quotas(&[("user", None), ("client-id", Some("c"))], &[("consumer_byte_rate", Some(5.0))])).unwrap();
    alter(quotas(&[("ip", Some("::1"))], &[("connection_creation_rate", Some(5.0))])).unwrap();
    alter(quotas(&[("ip", Some("::1"))], &[("connection_creation_rate", None)])).unwrap();
    let found: Vec<_> = image.all_quotas().map(|(entity, quotas)| (entity.clone(), (**quotas).clone())).collect();
    let set = |key: &str, value| BTreeMap::from([(key.to_owned(), QuotaValue(value))]);
    let expected = [
        (quota_entity(client), set("request_percentage", 0.5)),
        (quota_entity(&[("user", None), ("client-id", Some("c"))]), set("consumer_byte_rate", 5.0)),
    ];
    assert_eq!(found, expected);
    assert!(!image.has_quotas_of(&Image::default()) && image.has_quotas_of(&image.clone()));
    assert_eq!(rebuilt(&image), image);
}

#[test]
fn quotas_that_cannot_be_are_refused() {
    let image = Image::default();
    let client = &[("client-id", Some("c"))];
    let address = &[("ip", Some("10.0.0.1"))];
    for (parts, key, value) in [
        (&[][..], "producer_byte_rate", 1.0),
        (&[("group", Some("g"))][..], "producer_byte_rate", 1.0),
        (&[("user", Some(""))][..], "producer_byte_rate", 1.0),
        (&[("ip", Some("10.0.0.1")), ("user", None)][..], "connection_creation_rate", 1.0),
        (&[("ip", Some("no address"))][..], "connection_creation_rate", 1.0),
        (address, "producer_byte_rate", 1.0),
        (client, "connection_creation_rate", 1.0),
        (client, "producer_byte_rate", 0.0),
        (client, "producer_byte_rate", -1.0),
        (client, "producer_byte_rate", f64::NAN),
        (client, "producer_byte_rate", 1.5),
        (client, "consumer_byte_rate", 1e19),
        (client, "request_percentage", f64::NEG_INFINITY),
        (address, "connection_creation_rate", 3e9),
    ] {
        let refused = image.check_quotas(&quotas(parts, &[(key, Some(value))]));
        assert_eq!(error(refused), ErrorCode::INVALID_REQUEST, "{parts:?} {key}={value}");
    }
    image.check_quotas(&quotas(client, &[("request_percentage", Some(0.01))])).unwrap();
    image.check_quotas(&quotas(address, &[("connection_creation_rate", Some(7.0))])).unwrap();
}

#[test]
fn entities_with_quotas_have_a_bound() {
    let mut image = Image::default();
    let of = |number: usize| quotas(&[("user", Some(&number.to_string()))], &[("producer_byte_rate", Some(1.0))]);
    let all = (0..=QUOTA_ENTITIES_MAX).map(of).collect();
    let outcomes = image.apply(&Command::AlterClientQuotas(all)).into_items();
    assert!(outcomes[..QUOTA_ENTITIES_MAX].iter().all(Result::is_ok));
    assert_eq!(error(outcomes[QUOTA_ENTITIES_MAX].clone()), ErrorCode::POLICY_VIOLATION);
    assert!(image.check_quotas(&of(0)).is_ok(), "who has some may change them");
}

/// What stands in logs and snapshots today must be read by every later release.
#[test]
fn the_written_forms_do_not_change() {
    let command = Command::CreateTopics(vec![NewTopic {
        configs: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        ..topic("t", 1, &[&[1, 2]])
    }]);
    let text =
        r#"{"CreateTopics":[{"name":"t","id":"AQEBAQEBAQEBAQEBAQEBAQ","assignments":[[1,2]],"configs":{"k":"v"}}]}"#;
    assert_eq!(serde_json::to_string(&command).unwrap(), text);
    let text = r#"{"DeleteTopics":["AQEBAQEBAQEBAQEBAQEBAQ"]}"#;
    assert_eq!(serde_json::to_string(&Command::DeleteTopics(vec![uuid(1)])).unwrap(), text);
    let alteration = quotas(
        &[("user", None), ("client-id", Some("c"))],
        &[("request_percentage", Some(0.1)), ("producer_byte_rate", None)],
    );
    let text = concat!(
        r#"{"AlterClientQuotas":[{"entity":{"client-id":"c","user":null},"#,
        r#""changes":{"producer_byte_rate":null,"request_percentage":"0.1"}}]}"#,
    );
    assert_eq!(serde_json::to_string(&Command::AlterClientQuotas(vec![alteration])).unwrap(), text);
    let endless = QuotaValue(f64::INFINITY);
    let read: QuotaValue = serde_json::from_str(&serde_json::to_string(&endless).unwrap()).unwrap();
    assert_eq!(read, endless);
    let mut image = cluster_of(1);
    create(&mut image, topic("t", 1, &[&[0]])).unwrap();
    let text = concat!(
        r#"[{"Cluster":{"cluster_id":null,"features":{},"controller_id":null,"controller_epoch":0,"#,
        r#""next_broker_epoch":1,"next_producer_id":0}},"#,
        r#"{"Broker":{"broker_id":0,"epoch":0,"incarnation_id":"AQEBAQEBAQEBAQEBAQEBAQ","#,
        r#""directory_id":"ZGRkZGRkZGRkZGRkZGRkZA","listeners":[],"rack":null,"fenced":false}},"#,
        r#"{"Topic":{"id":"AQEBAQEBAQEBAQEBAQEBAQ","name":"t","partitions":[{"replicas":[0],"isr":[0],"#,
        r#""leader":0,"leader_epoch":0,"partition_epoch":0}]}}]"#,
    );
    assert_eq!(serde_json::to_string(&image.records().collect::<Vec<_>>()).unwrap(), text);
}

#[test]
fn records_that_contradict_each_other_are_refused() {
    let mut image = cluster_of(1);
    create(&mut image, topic("t", 1, &[&[0]])).unwrap();
    let twice = image.records().last().unwrap();
    assert!(image.add(twice).is_err());
}

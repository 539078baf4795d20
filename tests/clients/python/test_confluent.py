"""confluent-kafka, the Python face of librdkafka."""

import functools
import logging
import threading
import time
import unittest

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_CREATE_TIME,
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from house import BROKER, CODECS, PATIENCE_S, Watched, eventually, fresh, settle

LOGGER = logging.getLogger("librdkafka")


@functools.cache
def admin_client():
    return AdminClient({"bootstrap.servers": BROKER, "logger": LOGGER})


def producer(**settings):
    settings = {key.replace("_", "."): value for key, value in settings.items()}
    return Producer({"bootstrap.servers": BROKER, "logger": LOGGER, **settings})


def consumer(group=None, **settings):
    settings = {key.replace("_", "."): value for key, value in settings.items()}
    defaults = {
        "bootstrap.servers": BROKER,
        "group.id": group or fresh("group"),
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 100,
        "heartbeat.interval.ms": 300,
    }
    if settings.get("group.protocol") == "consumer":
        del defaults["heartbeat.interval.ms"]  # there it is the broker's to say
    return Consumer({**defaults, **settings}, logger=LOGGER)


def create_topic(partitions=1, **configs):
    topic = fresh("topic")
    config = {key.replace("_", "."): value for key, value in configs.items()}
    config.setdefault("retention.ms", "-1")  # records of long ago are not to be cleaned away under a test
    done(admin_client().create_topics([NewTopic(topic, partitions, 1, config=config)]))
    settle()
    return topic


def done(futures):
    """The results of what an admin call returned, by name."""
    return {key: future.result(PATIENCE_S) for key, future in futures.items()}


def send(made, topic, values, partition=0, **more):
    """Produces and waits; returns the messages as acknowledged."""
    delivered, failures = [], []

    def on_delivery(error, message):
        (failures if error else delivered).append(error or message)

    for value in values:
        made.produce(topic, value, partition=partition, on_delivery=on_delivery, **more)
    left = made.flush(PATIENCE_S)
    if failures or left:
        raise AssertionError(f"not delivered: {failures}, {left} left")
    return delivered


def take(made, count):
    """The next messages, exactly so many."""
    found = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        message = made.poll(0.1)
        if message is not None:
            if message.error():
                raise KafkaException(message.error())
            found.append(message)
    if len(found) != count:
        raise AssertionError(f"{len(found)} messages of {count}")
    return found


class Suite(Watched, unittest.TestCase):
    def tearDown(self):
        self.check_log()

    def refused(self, code, futures):
        for future in futures.values():
            with self.assertRaises(KafkaException) as caught:
                future.result(PATIENCE_S)
            self.assertEqual(code, caught.exception.args[0].code(), caught.exception)

    def opened(self, made):
        self.addCleanup(made.close)
        return made


class Admin(Suite):
    def test_topic_from_cradle_to_grave(self):
        admin, topic = admin_client(), fresh("topic")
        done(admin.create_topics([NewTopic(topic, 3, 1)]))
        settle()
        self.assertEqual(3, len(admin.list_topics(topic, PATIENCE_S).topics[topic].partitions))
        self.assertIn(topic, admin.list_topics(timeout=PATIENCE_S).topics)
        described = done(admin.describe_topics(TopicCollection([topic])))[topic]
        self.assertEqual([0, 1, 2], [partition.id for partition in described.partitions])
        self.assertTrue(all(len(partition.isr) == 1 for partition in described.partitions))
        done(admin.create_partitions([NewPartitions(topic, 5)]))
        settle()
        self.assertEqual(5, len(admin.list_topics(topic, PATIENCE_S).topics[topic].partitions))
        done(admin.delete_topics([topic]))
        settle()
        self.assertNotIn(topic, admin.list_topics(timeout=PATIENCE_S).topics)

    def test_refusals(self):
        admin, topic = admin_client(), create_topic()
        self.refused(KafkaError.TOPIC_ALREADY_EXISTS, admin.create_topics([NewTopic(topic, 1, 1)]))
        self.refused(KafkaError.INVALID_REPLICATION_FACTOR, admin.create_topics([NewTopic(fresh("t"), 1, 9)]))
        self.refused(KafkaError.INVALID_PARTITIONS, admin.create_topics([NewTopic(fresh("t"), 0, 1)]))
        self.refused(KafkaError.TOPIC_EXCEPTION, admin.create_topics([NewTopic("no/slash", 1, 1)]))
        self.refused(KafkaError.TOPIC_EXCEPTION, admin.create_topics([NewTopic("x" * 250, 1, 1)]))
        self.refused(
            KafkaError.INVALID_CONFIG, admin.create_topics([NewTopic(fresh("t"), 1, 1, config={"cleanup.policy": "burn"})])
        )
        self.refused(KafkaError.UNKNOWN_TOPIC_OR_PART, admin.delete_topics([fresh("absent")]))
        self.refused(KafkaError.INVALID_PARTITIONS, admin.create_partitions([NewPartitions(topic, 1)]))
        self.refused(KafkaError.UNKNOWN_TOPIC_OR_PART, admin.create_partitions([NewPartitions(fresh("absent"), 2)]))

    def test_validate_only_creates_nothing(self):
        admin, topic = admin_client(), fresh("topic")
        done(admin.create_topics([NewTopic(topic, 1, 1)], validate_only=True))
        settle()
        self.assertNotIn(topic, admin.list_topics(timeout=PATIENCE_S).topics)

    def test_configs(self):
        admin, topic = admin_client(), create_topic(retention_ms="3600000")
        resource = ConfigResource(ResourceType.TOPIC, topic)
        entries = list(done(admin.describe_configs([resource])).values())[0]
        self.assertEqual("3600000", entries["retention.ms"].value)
        self.assertFalse(entries["retention.ms"].is_default)
        self.assertEqual("delete", entries["cleanup.policy"].value)
        self.assertTrue(entries["cleanup.policy"].is_default)
        changed = ConfigResource(
            ResourceType.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND),
                ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE),
                ConfigEntry("max.message.bytes", "5000", incremental_operation=AlterConfigOpType.SET),
            ],
        )
        done(admin.incremental_alter_configs([changed]))
        settle()
        entries = list(done(admin.describe_configs([resource])).values())[0]
        self.assertEqual({"compact", "delete"}, set(entries["cleanup.policy"].value.split(",")))
        self.assertTrue(entries["retention.ms"].is_default)
        self.assertEqual("5000", entries["max.message.bytes"].value)
        bad = ConfigResource(
            ResourceType.TOPIC,
            topic,
            incremental_configs=[ConfigEntry("retention.ms", "soon", incremental_operation=AlterConfigOpType.SET)],
        )
        self.refused(KafkaError.INVALID_CONFIG, admin.incremental_alter_configs([bad]))

    def test_broker_configs(self):
        admin = admin_client()
        node = done({0: admin.describe_cluster()})[0].nodes[0]
        resource = ConfigResource(ResourceType.BROKER, str(node.id))
        entries = list(done(admin.describe_configs([resource])).values())[0]
        self.assertEqual("1", entries["num.partitions"].value)

    def test_cluster(self):
        cluster = admin_client().describe_cluster().result(PATIENCE_S)
        self.assertTrue(cluster.cluster_id)
        self.assertEqual([BROKER], [f"{node.host}:{node.port}" for node in cluster.nodes])
        self.assertEqual(cluster.nodes[0].id, cluster.controller.id)

    def test_offsets_and_delete_records(self):
        admin, topic = admin_client(), create_topic()
        send(producer(), topic, [str(number) for number in range(10)])
        partition = TopicPartition(topic, 0)
        ask = lambda spec: list(done(admin.list_offsets({partition: spec})).values())[0].offset
        self.assertEqual((0, 10), (ask(OffsetSpec.earliest()), ask(OffsetSpec.latest())))
        low = list(done(admin.delete_records([TopicPartition(topic, 0, 4)])).values())[0].low_watermark
        self.assertEqual(4, low)
        self.assertEqual(4, ask(OffsetSpec.earliest()))
        self.refused(KafkaError.OFFSET_OUT_OF_RANGE, admin.delete_records([TopicPartition(topic, 0, 11)]))
        reader = self.opened(consumer())
        reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        self.assertEqual([4, 5, 6, 7, 8, 9], [message.offset() for message in take(reader, 6)])

    def test_group_from_cradle_to_grave(self):
        admin, topic, group = admin_client(), create_topic(), fresh("group")
        send(producer(), topic, ["a", "b", "c"])
        reader = consumer(group)
        reader.subscribe([topic])
        take(reader, 3)
        reader.commit(asynchronous=False)
        described = done(admin.describe_consumer_groups([group]))[group]
        self.assertEqual(ConsumerGroupState.STABLE, described.state)
        self.assertEqual([(topic, 0)], [(p.topic, p.partition) for p in described.members[0].assignment.topic_partitions])
        self.refused(KafkaError.NON_EMPTY_GROUP, admin.delete_consumer_groups([group]))
        reader.close()
        self.assertEqual(ConsumerGroupState.EMPTY, done(admin.describe_consumer_groups([group]))[group].state)
        listed = admin.list_consumer_groups().result(PATIENCE_S)
        self.assertEqual([], listed.errors)
        self.assertIn(group, [found.group_id for found in listed.valid])
        offsets = lambda: list(done(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])).values())[0]
        self.assertEqual([3], [found.offset for found in offsets().topic_partitions])
        moved = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 1)])
        done(admin.alter_consumer_group_offsets([moved]))
        self.assertEqual([1], [found.offset for found in offsets().topic_partitions])
        reader = consumer(group)
        reader.subscribe([topic])
        self.assertEqual([b"b", b"c"], [message.value() for message in take(reader, 2)])
        reader.close()
        done(admin.delete_consumer_groups([group]))
        self.refused(KafkaError.GROUP_ID_NOT_FOUND, admin.delete_consumer_groups([group]))


class Produce(Suite):
    def round_trip(self, made, count=200):
        topic = create_topic()
        values = [f"value {number} of many words that are alike".encode() for number in range(count)]
        send(made, topic, values)
        reader = self.opened(consumer(check_crcs=True))
        reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        found = take(reader, count)
        self.assertEqual(values, [message.value() for message in found])
        self.assertEqual(list(range(count)), [message.offset() for message in found])

    def test_codecs(self):
        for codec in CODECS:
            with self.subTest(codec):
                self.round_trip(producer(compression_type=codec, linger_ms=20))

    def test_acks(self):
        for acks in ["0", "1", "all"]:
            with self.subTest(acks):
                self.round_trip(producer(acks=acks))

    def test_idempotent(self):
        self.round_trip(producer(enable_idempotence=True, compression_type="lz4"), 1000)

    def test_offsets_are_reported(self):
        topic = create_topic()
        self.assertEqual([0, 1, 2], [message.offset() for message in send(producer(), topic, ["a", "b", "c"])])

    def test_key_headers_null_and_timestamp(self):
        topic = create_topic()
        headers = [("colour", b"blue"), ("empty", b""), ("null", None), ("colour", b"red")]
        send(producer(), topic, [None], key="key", headers=headers, timestamp=1600000000000)
        send(producer(), topic, [b""])
        reader = self.opened(consumer())
        reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        first, second = take(reader, 2)
        self.assertIsNone(first.value())
        self.assertEqual((b"key", headers), (first.key(), first.headers()))
        self.assertEqual((TIMESTAMP_CREATE_TIME, 1600000000000), first.timestamp())
        self.assertEqual((None, b""), (second.key(), second.value()))

    def test_too_large_is_refused(self):
        topic = create_topic(max_message_bytes="20000")
        failures = []
        made = producer(message_max_bytes=2000000)
        made.produce(topic, b"x" * 30000, on_delivery=lambda error, _: failures.append(error.code()))
        made.flush(PATIENCE_S)
        self.assertEqual([KafkaError.MSG_SIZE_TOO_LARGE], failures)

    def test_unknown_partition(self):
        failures = []
        made = producer()
        topic = create_topic()
        self.expect_log("Unknown partition")
        try:
            made.produce(topic, b"x", partition=7, on_delivery=lambda error, _: failures.append(error.code()))
            made.flush(PATIENCE_S)
        except KafkaException as refusal:
            failures.append(refusal.args[0].code())
        self.assertEqual([KafkaError._UNKNOWN_PARTITION], failures)

    def test_compacted_topic_wants_keys(self):
        topic = create_topic(cleanup_policy="compact")
        failures = []
        made = producer()
        made.produce(topic, b"no key", on_delivery=lambda error, _: failures.append(error.code()))
        made.flush(PATIENCE_S)
        self.assertEqual([KafkaError.INVALID_RECORD], failures)

    def test_transactions(self):
        topic, group = create_topic(), fresh("group")
        made = producer(transactional_id=fresh("transaction"))
        made.init_transactions(PATIENCE_S)
        made.begin_transaction()
        made.produce(topic, b"kept", partition=0)
        made.commit_transaction(PATIENCE_S)
        made.begin_transaction()
        made.produce(topic, b"dropped", partition=0)
        made.flush(PATIENCE_S)
        made.abort_transaction(PATIENCE_S)
        reader = self.opened(consumer(group, isolation_level="read_committed", enable_auto_commit=False))
        reader.subscribe([topic])
        self.assertEqual([b"kept"], [message.value() for message in take(reader, 1)])
        made.begin_transaction()
        made.produce(topic, b"kept too", partition=0)
        made.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], reader.consumer_group_metadata(), PATIENCE_S)
        made.commit_transaction(PATIENCE_S)
        self.assertEqual([b"kept too"], [message.value() for message in take(reader, 1)])
        self.assertEqual(1, reader.committed([TopicPartition(topic, 0)], PATIENCE_S)[0].offset)
        all_of_it = self.opened(consumer(isolation_level="read_uncommitted"))
        all_of_it.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        self.assertEqual([b"kept", b"dropped", b"kept too"], [message.value() for message in take(all_of_it, 3)])

    def test_second_producer_fences_the_first(self):
        topic, name = create_topic(), fresh("transaction")
        first, second = producer(transactional_id=name), producer(transactional_id=name)
        first.init_transactions(PATIENCE_S)
        first.begin_transaction()
        first.produce(topic, b"early", partition=0)
        first.flush(PATIENCE_S)
        second.init_transactions(PATIENCE_S)
        self.expect_log("fenced")
        with self.assertRaises(KafkaException) as caught:
            first.commit_transaction(PATIENCE_S)
        self.assertEqual(KafkaError._FENCED, caught.exception.args[0].code(), caught.exception)


class Consume(Suite):
    def test_seek_position_and_watermarks(self):
        topic = create_topic()
        send(producer(), topic, [str(number) for number in range(20)])
        reader = self.opened(consumer())
        reader.assign([TopicPartition(topic, 0, 5)])
        self.assertEqual([5, 6], [message.offset() for message in take(reader, 2)])
        self.assertEqual(7, reader.position([TopicPartition(topic, 0)])[0].offset)
        reader.seek(TopicPartition(topic, 0, 15))
        self.assertEqual([15, 16, 17, 18, 19], [message.offset() for message in take(reader, 5)])
        self.assertEqual((0, 20), reader.get_watermark_offsets(TopicPartition(topic, 0), PATIENCE_S))

    def test_offsets_for_times(self):
        topic = create_topic()
        for number in range(5):
            send(producer(), topic, [str(number)], timestamp=1600000000000 + number * 1000)
        reader = self.opened(consumer())
        ask = lambda time_ms: reader.offsets_for_times([TopicPartition(topic, 0, time_ms)], PATIENCE_S)[0].offset
        self.assertEqual(0, ask(1500000000000))
        self.assertEqual(2, ask(1600000002000))
        self.assertEqual(3, ask(1600000002001))
        self.assertEqual(-1, ask(1600000004001))

    def test_commit_with_metadata(self):
        topic, group = create_topic(), fresh("group")
        reader = self.opened(consumer(group, enable_auto_commit=False))
        reader.commit(offsets=[TopicPartition(topic, 0, 7, "a note")], asynchronous=False)
        found = reader.committed([TopicPartition(topic, 0)], PATIENCE_S)[0]
        self.assertEqual((7, "a note"), (found.offset, found.metadata))

    def test_pause_and_resume(self):
        topic = create_topic(2)
        made = producer()
        send(made, topic, ["a"] * 5, partition=0)
        send(made, topic, ["b"] * 5, partition=1)
        reader = self.opened(consumer())
        both = [TopicPartition(topic, 0, 0), TopicPartition(topic, 1, 0)]
        reader.assign(both)
        reader.pause(both[:1])
        self.assertEqual({1}, {message.partition() for message in take(reader, 5)})
        self.assertIsNone(reader.poll(0.3))
        reader.resume(both[:1])
        self.assertEqual({0}, {message.partition() for message in take(reader, 5)})

    def test_pattern_subscription(self):
        prefix = fresh("pattern")
        topics = [f"{prefix}-{number}" for number in range(2)]
        done(admin_client().create_topics([NewTopic(topic, 1, 1) for topic in topics]))
        settle()
        for topic in topics:
            send(producer(), topic, ["x"])
        reader = self.opened(consumer())
        reader.subscribe([f"^{prefix}-.*"])
        self.assertEqual(set(topics), {message.topic() for message in take(reader, 2)})

    def test_unknown_topic(self):
        reader = self.opened(consumer(allow_auto_create_topics=False))
        reader.subscribe([fresh("absent")])
        message = eventually(lambda: reader.poll(0.1), "an error for the topic")
        self.assertEqual(KafkaError.UNKNOWN_TOPIC_OR_PART, message.error().code())

    def test_out_of_range_resets(self):
        topic = create_topic()
        send(producer(), topic, ["a", "b"])
        reader = self.opened(consumer())
        self.expect_log("offset reset")
        reader.assign([TopicPartition(topic, 0, 1000)])
        self.assertEqual([0, 1], [message.offset() for message in take(reader, 2)])


class Member:
    """A member of a group on a thread of its own."""

    def __init__(self, group, topic, **settings):
        self.consumer = consumer(group, auto_commit_interval_ms=200, **settings)
        self.seen, self.partitions, self.trouble = [], set(), []
        incremental = [settings.get("partition_assignment_strategy"), settings.get("group_protocol")]
        self.cooperative = "cooperative-sticky" in incremental or "consumer" in incremental
        self.consumer.subscribe([topic], on_assign=self.on_assign, on_revoke=self.on_revoke, on_lost=self.on_lost)
        self.running = True
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def on_assign(self, _, partitions):
        added = {partition.partition for partition in partitions}
        self.partitions = self.partitions | added if self.cooperative else added

    def on_revoke(self, _, partitions):
        self.partitions = self.partitions - {partition.partition for partition in partitions}

    def on_lost(self, made, partitions):
        self.trouble.append(f"lost {partitions}")
        self.on_revoke(made, partitions)

    def work(self):
        while self.running:
            message = self.consumer.poll(0.1)
            if message is not None and message.error():
                self.trouble.append(message.error())
            elif message is not None:
                self.seen.append((message.partition(), message.offset()))
        self.consumer.close()

    def leave(self):
        self.running = False
        self.thread.join(PATIENCE_S)


class Groups(Suite):
    def three_members(self, **settings):
        topic, group, made = create_topic(6), fresh("group"), producer()

        def fill():
            for partition in range(6):
                send(made, topic, ["x"] * 10, partition=partition)

        def shared(members, sizes, what):
            spread = lambda: sorted(len(member.partitions) for member in members) == sizes
            eventually(lambda: spread() and set.union(*(m.partitions for m in members)) == set(range(6)), what)

        members = []
        try:
            fill()
            members.append(Member(group, topic, **settings))
            shared(members, [6], "the first has everything")
            eventually(lambda: len(members[0].seen) == 60, "60 records")
            members += [Member(group, topic, **settings), Member(group, topic, **settings)]
            shared(members, [2, 2, 2], "three share")
            fill()
            eventually(lambda: sum(len(member.seen) for member in members) >= 120, "120 records")
            gone = members.pop()
            gone.leave()
            shared(members, [3, 3], "two share")
            fill()
            everyone = [*members, gone]
            eventually(lambda: sum(len(member.seen) for member in everyone) >= 180, "180 records")
        finally:
            for member in members:
                member.leave()
        self.assertEqual([], [trouble for member in everyone for trouble in member.trouble])
        seen = [found for member in everyone for found in member.seen]
        self.assertEqual({(partition, offset) for partition in range(6) for offset in range(30)}, set(seen))
        fill()
        later = Member(group, topic, **settings)
        eventually(lambda: len(later.seen) >= 60, "the rest after a restart")
        later.leave()
        self.assertEqual({(partition, offset) for partition in range(6) for offset in range(30, 40)}, set(later.seen))

    def test_range(self):
        self.three_members(partition_assignment_strategy="range")

    def test_round_robin(self):
        self.three_members(partition_assignment_strategy="roundrobin")

    def test_cooperative_sticky(self):
        self.three_members(partition_assignment_strategy="cooperative-sticky")

    def test_consumer_protocol(self):
        self.three_members(group_protocol="consumer")

    def test_consumer_protocol_with_range(self):
        self.three_members(group_protocol="consumer", group_remote_assignor="range")

    def test_static_member_keeps_its_partitions(self):
        topic, group = create_topic(4), fresh("group")
        stays = Member(group, topic, group_instance_id="stays")
        returns = Member(group, topic, group_instance_id="returns")
        eventually(lambda: len(stays.partitions) == len(returns.partitions) == 2, "two share")
        before = set(returns.partitions)
        returns.leave()
        self.assertEqual(2, len(stays.partitions))
        again = Member(group, topic, group_instance_id="returns")
        eventually(lambda: again.partitions == before, "the same partitions")
        self.assertEqual(2, len(stays.partitions))
        stays.leave()
        again.leave()

"""kafka-python: threads, its own protocol code, every flexible version."""

import threading
import time
import unittest

from house import BROKER, CODECS, PATIENCE_S, Watched, eventually, fresh, settle
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import AlterConfigOp, ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import (
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    NonEmptyGroupError,
    OffsetOutOfRangeError,
    ProducerFencedError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import OffsetAndMetadata

# Far from the 100 ms after which this client looks at its topics again and joins: a poll that ends just then loses the join.
POLL_MS = 1000


def consumer(*topics, **settings):
    defaults = {"auto_offset_reset": "earliest", "fetch_max_wait_ms": 100, "heartbeat_interval_ms": 300}
    defaults["enable_auto_commit"] = "group_id" in settings
    return KafkaConsumer(*topics, bootstrap_servers=BROKER, **{**defaults, **settings})


def take(reader, count):
    """The next messages, exactly so many."""
    found = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        batches = reader.poll(timeout_ms=POLL_MS, max_records=count - len(found))
        for messages in batches.values():
            found += messages
        if not batches:
            time.sleep(0.02)  # as a member does, see there
    if len(found) != count:
        raise AssertionError(f"{len(found)} messages of {count}")
    return found


class Suite(Watched, unittest.TestCase):
    def setUp(self):
        super().setUp()
        # A member may be elected leader before it has the metadata of what it subscribed to; it then rebalances again.
        self.expect_log("No partition metadata for topic")
        # A consumer that is closed while it refreshes its metadata calls that a failure.
        self.expect_log("Metadata refresh: failed Cancelled")
        self.admin = self.opened(KafkaAdminClient(bootstrap_servers=BROKER))

    def tearDown(self):
        self.check_log()

    def opened(self, made):
        self.addCleanup(made.close)
        return made

    def producer(self, **settings):
        return self.opened(KafkaProducer(bootstrap_servers=BROKER, **settings))

    def reader(self, *topics, **settings):
        return self.opened(consumer(*topics, **settings))

    def create_topic(self, partitions=1, **configs):
        topic = fresh("topic")
        configs = {key.replace("_", "."): value for key, value in configs.items()}
        configs.setdefault("retention.ms", "-1")  # records of long ago are not to be cleaned away under a test
        self.admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})
        settle()
        return topic

    def filled(self, count):
        topic = self.create_topic()
        producer = self.producer()
        for number in range(count):
            producer.send(topic, str(number).encode(), timestamp_ms=1600000000000 + number * 1000)
        producer.flush(PATIENCE_S)
        return topic, TopicPartition(topic, 0)


class Admin(Suite):
    def test_topic_from_cradle_to_grave(self):
        topic = self.create_topic(3)
        described = self.admin.describe_topics([topic])[0]
        self.assertEqual((0, 3), (described["error_code"], len(described["partitions"])))
        self.assertIn(topic, self.admin.list_topics())
        self.admin.create_partitions({topic: 5})
        settle()
        self.assertEqual(5, len(self.admin.describe_topics([topic])[0]["partitions"]))
        self.admin.delete_topics([topic])
        settle()
        self.assertNotIn(topic, self.admin.list_topics())

    def test_refusals(self):
        topic = self.create_topic()
        create = lambda name, **options: self.admin.create_topics({name: options})
        with self.assertRaises(TopicAlreadyExistsError):
            create(topic)
        with self.assertRaises(InvalidReplicationFactorError):
            create(fresh("t"), replication_factor=9)
        with self.assertRaises(InvalidPartitionsError):
            create(fresh("t"), num_partitions=0)
        with self.assertRaises(InvalidTopicError):
            create("no/slash")
        with self.assertRaises(InvalidConfigurationError):
            create(fresh("t"), configs={"cleanup.policy": "burn"})
        with self.assertRaises(UnknownTopicOrPartitionError):
            self.admin.delete_topics([fresh("absent")])

    def test_configs(self):
        topic = self.create_topic(retention_ms="3600000")

        def values():
            answer = self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
            return {key: entry["value"] for key, entry in answer["topic"][topic].items()}

        self.assertEqual("3600000", values()["retention.ms"])
        changes = {
            "cleanup.policy": (AlterConfigOp.APPEND, "compact"),
            "max.message.bytes": (AlterConfigOp.SET, "5000"),
            "retention.ms": (AlterConfigOp.DELETE, None),
        }
        self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, changes)])
        settle()
        found = values()
        self.assertEqual({"compact", "delete"}, set(found["cleanup.policy"].split(",")))
        self.assertEqual(("5000", "604800000"), (found["max.message.bytes"], found["retention.ms"]))

    def test_cluster_and_log_dirs(self):
        cluster = self.admin.describe_cluster()
        self.assertEqual([BROKER], [f"{node['host']}:{node['port']}" for node in cluster["brokers"]])
        topic, _ = self.filled(5)
        self.assertIn(topic, str(self.admin.describe_log_dirs()))

    def test_delete_records(self):
        topic, partition = self.filled(5)
        self.assertEqual(3, self.admin.delete_records({partition: 3})[partition]["low_watermark"])
        self.assertEqual([3, 4], [message.offset for message in take(self.reader(topic), 2)])

    def test_group_from_cradle_to_grave(self):
        (topic, partition), group = self.filled(3), fresh("group")
        reader = consumer(topic, group_id=group, enable_auto_commit=False)
        take(reader, 3)
        reader.commit()
        described = self.admin.describe_groups([group])[group]
        self.assertEqual(("Stable", 1), (described["group_state"], len(described["members"])))
        refusal = self.admin.delete_groups([group])
        self.assertIn(NonEmptyGroupError.__name__, str(refusal))
        reader.close()
        self.assertEqual("Empty", self.admin.describe_groups([group])[group]["group_state"])
        self.assertIn(group, [found["group_id"] for found in self.admin.list_groups()])
        offsets = lambda: self.admin.list_group_offsets({group: None})[group][partition].offset
        self.assertEqual(3, offsets())
        self.admin.alter_group_offsets(group, {partition: OffsetAndMetadata(1, "", -1)})
        self.assertEqual(1, offsets())
        self.assertNotIn("Error", str(self.admin.delete_groups([group])).replace("NoError", ""))
        self.assertEqual("Dead", self.admin.describe_groups([group])[group]["group_state"])


class Produce(Suite):
    def round_trip(self, count=200, **settings):
        topic = self.create_topic()
        producer = self.producer(linger_ms=20, **settings)
        values = [f"value {number} of many words that are alike".encode() for number in range(count)]
        sent = [producer.send(topic, value) for value in values]
        for future in sent:
            future.get(PATIENCE_S)
        found = take(self.reader(topic), count)
        self.assertEqual(values, [message.value for message in found])
        self.assertEqual(list(range(count)), [message.offset for message in found])

    def test_codecs(self):
        for codec in CODECS:
            with self.subTest(codec):
                self.round_trip(compression_type=None if codec == "none" else codec)

    def test_acks(self):
        for acks in [0, 1, "all"]:
            with self.subTest(acks):
                self.round_trip(acks=acks, enable_idempotence=False)

    def test_idempotent(self):
        self.round_trip(1000, enable_idempotence=True)

    def test_key_headers_null_and_timestamp(self):
        topic = self.create_topic()
        producer = self.producer()
        headers = [("colour", b"blue"), ("empty", b""), ("colour", b"red")]
        sent = producer.send(topic, None, key=b"key", headers=headers, timestamp_ms=1600000000000).get(PATIENCE_S)
        self.assertEqual(0, sent.offset)
        producer.send(topic, b"").get(PATIENCE_S)
        first, second = take(self.reader(topic), 2)
        self.assertEqual((None, b"key", 1600000000000), (first.value, first.key, first.timestamp))
        self.assertEqual(headers, [tuple(header) for header in first.headers])
        self.assertEqual((b"", None), (second.value, second.key))

    def test_too_large_is_refused(self):
        topic = self.create_topic(max_message_bytes="20000")
        producer = self.producer(max_request_size=2000000)
        self.expect_log("MessageSizeTooLarge")
        self.expect_log("MESSAGE_TOO_LARGE")
        with self.assertRaises(MessageSizeTooLargeError):
            producer.send(topic, b"x" * 30000).get(PATIENCE_S)

    def test_transactions(self):
        topic, group = self.create_topic(), fresh("group")
        producer = self.producer(transactional_id=fresh("transaction"))
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, b"kept")
        producer.commit_transaction()
        producer.begin_transaction()
        producer.send(topic, b"dropped").get(PATIENCE_S)
        producer.abort_transaction()
        reader = self.reader(topic, group_id=group, isolation_level="read_committed", enable_auto_commit=False)
        self.assertEqual([b"kept"], [message.value for message in take(reader, 1)])
        producer.begin_transaction()
        producer.send(topic, b"kept too")
        producer.send_offsets_to_transaction({TopicPartition(topic, 0): OffsetAndMetadata(1, "", -1)}, reader.group_metadata())
        producer.commit_transaction()
        self.assertEqual([b"kept too"], [message.value for message in take(reader, 1)])
        self.assertEqual(1, reader.committed(TopicPartition(topic, 0)))

    def test_second_producer_fences_the_first(self):
        topic, name = self.create_topic(), fresh("transaction")
        first, second = self.producer(transactional_id=name), self.producer(transactional_id=name)
        first.init_transactions()
        first.begin_transaction()
        first.send(topic, b"early").get(PATIENCE_S)
        second.init_transactions()
        self.expect_log("Fenced")
        self.expect_log("fenced")
        with self.assertRaises(ProducerFencedError):
            first.commit_transaction()


class Consume(Suite):
    def test_seek_and_position(self):
        topic, partition = self.filled(20)
        reader = self.reader()
        reader.assign([partition])
        take(reader, 2)
        self.assertEqual(2, reader.position(partition))
        reader.seek(partition, 15)
        self.assertEqual([15, 16], [message.offset for message in take(reader, 2)])
        reader.seek_to_beginning(partition)
        self.assertEqual([0], [message.offset for message in take(reader, 1)])
        reader.seek_to_end(partition)
        self.assertEqual(20, reader.position(partition))
        self.assertEqual(({partition: 0}, {partition: 20}), (reader.beginning_offsets([partition]), reader.end_offsets([partition])))

    def test_offsets_for_times(self):
        _, partition = self.filled(5)
        reader = self.reader()
        ask = lambda time_ms: reader.offsets_for_times({partition: time_ms})[partition]
        self.assertEqual((2, 1600000002000), (ask(1600000002000).offset, ask(1600000002000).timestamp))
        self.assertEqual(3, ask(1600000002001).offset)
        self.assertIsNone(ask(1600000004001))

    def test_pause_and_resume(self):
        _, partition = self.filled(5)
        reader = self.reader()
        reader.assign([partition])
        reader.pause(partition)
        self.assertEqual({}, reader.poll(timeout_ms=300))
        reader.resume(partition)
        take(reader, 5)

    def test_out_of_range_is_an_error(self):
        _, partition = self.filled(5)
        reader = self.reader(auto_offset_reset="none")
        reader.assign([partition])
        reader.seek(partition, 1000)
        with self.assertRaises(OffsetOutOfRangeError):
            take(reader, 1)

    def test_commit_with_metadata(self):
        topic, partition = self.filled(1)
        reader = self.reader(group_id=fresh("group"), enable_auto_commit=False)
        reader.assign([partition])
        reader.commit({partition: OffsetAndMetadata(7, "a note", -1)})
        found = reader.committed(partition, metadata=True)
        self.assertEqual((7, "a note"), (found.offset, found.metadata))


class Member(ConsumerRebalanceListener):
    """A member of a group on a thread of its own."""

    def __init__(self, group, topic, **settings):
        self.consumer = consumer(group_id=group, auto_commit_interval_ms=200, **settings)
        self.seen, self.partitions, self.running = [], set(), True
        # Without metadata at hand the first join now and then ends in a loop that never gets an assignment.
        self.consumer.partitions_for_topic(topic)
        self.consumer.subscribe([topic], listener=self)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def on_partitions_revoked(self, revoked):
        self.partitions = self.partitions - {partition.partition for partition in revoked}

    def on_partitions_assigned(self, assigned):
        self.partitions = self.partitions | {partition.partition for partition in assigned}

    def work(self):
        while self.running:
            found = self.consumer.poll(timeout_ms=POLL_MS)
            for messages in found.values():
                self.seen += [(message.partition, message.offset) for message in messages]
            if not found:
                # During a rebalance poll returns at once; called again at once it starves the client's own thread.
                time.sleep(0.02)
        self.consumer.close()

    def leave(self):
        self.running = False
        self.thread.join(PATIENCE_S)


class Groups(Suite):
    def three_members(self, assignor):
        self.expect_log("rebalanc")
        topic, group, producer = self.create_topic(6), fresh("group"), self.producer()
        settings = {"partition_assignment_strategy": [assignor]}

        def fill():
            for number in range(60):
                producer.send(topic, b"x", partition=number % 6)
            producer.flush(PATIENCE_S)

        def shared(sizes, what):
            spread = lambda: sorted(len(member.partitions) for member in members) == sizes
            eventually(lambda: spread() and set.union(*(m.partitions for m in members)) == set(range(6)), what)

        def read(count):
            eventually(lambda: len({seen for m in everyone for seen in m.seen}) >= count, f"{count} records")

        members = []
        try:
            fill()
            members.append(Member(group, topic, **settings))
            shared([6], "the first has everything")
            members += [Member(group, topic, **settings), Member(group, topic, **settings)]
            shared([2, 2, 2], "three share")
            everyone = list(members)
            fill()
            read(120)
            members.pop().leave()
            shared([3, 3], "two share")
            fill()
            read(180)
        finally:
            for member in members:
                member.leave()
        fill()
        later = Member(group, topic, **settings)
        eventually(lambda: len(later.seen) >= 60, "the rest after a restart")
        later.leave()
        self.assertEqual({(partition, offset) for partition in range(6) for offset in range(30, 40)}, set(later.seen))

    def test_range(self):
        self.three_members(RangePartitionAssignor)

    def test_round_robin(self):
        self.three_members(RoundRobinPartitionAssignor)

    def test_sticky(self):
        self.three_members(StickyPartitionAssignor)

    def test_cooperative_sticky(self):
        self.three_members(CooperativeStickyAssignor)

    def test_static_member_keeps_its_partitions(self):
        topic, group = self.create_topic(4), fresh("group")
        self.expect_log("rebalanc")
        stays, returns = [Member(group, topic, group_instance_id=name) for name in ["stays", "returns"]]
        eventually(lambda: len(stays.partitions) == len(returns.partitions) == 2, "two share")
        before = set(returns.partitions)
        returns.leave()
        again = Member(group, topic, group_instance_id="returns")
        eventually(lambda: again.partitions == before, "the same partitions")
        self.assertEqual(2, len(stays.partitions))
        stays.leave()
        again.leave()

"""kafka-python told that the broker is an old one: what it then sends and reads are the formats before record batches."""

import os
import random
import sys
import threading
import time
import unittest

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.structs import OffsetAndMetadata

BROKER = os.environ["BROKER"]
# Two seconds to find out what the broker is, if it is not said.
CONNECTION = {"bootstrap_servers": BROKER, "api_version_auto_timeout_ms": 30000}
CODECS = [None, "gzip", "snappy", "lz4"]
PATIENCE_S = 20
TIMESTAMP_MS = 1_600_000_000_000


def settle():
    time.sleep(int(os.environ.get("SETTLE_MS", 0)) / 1000)


def fresh(prefix):
    return f"{prefix}-{random.getrandbits(40):010x}"


def take(reader, count):
    """The next messages, exactly so many."""
    found, deadline = [], time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        for messages in reader.poll(timeout_ms=100, max_records=count - len(found)).values():
            found += messages
    if len(found) != count:
        raise AssertionError(f"{len(found)} messages of {count}")
    return found


class Old:
    """What every version does; each is a class of its own below."""

    version = None
    has_timestamps = False
    has_groups = True

    def setUp(self):
        self.admin = self.opened(KafkaAdminClient(**CONNECTION))

    def opened(self, made):
        self.addCleanup(made.close)
        return made

    def topic(self, **configs):
        name, configs = fresh("old"), {key.replace("_", "."): value for key, value in configs.items()}
        configs.setdefault("retention.ms", "-1")
        self.admin.create_topics([NewTopic(name, 1, 1, topic_configs=configs)])
        settle()
        return name

    def producer(self, version, **settings):
        return self.opened(KafkaProducer(**CONNECTION, api_version=version, linger_ms=20, **settings))

    def reader(self, topic, version, **settings):
        defaults = {"auto_offset_reset": "earliest", "fetch_max_wait_ms": 100, "enable_auto_commit": False}
        return self.opened(KafkaConsumer(topic, **CONNECTION, api_version=version, **{**defaults, **settings}))

    def send(self, topic, version, count=50, headers=None, **settings):
        producer = self.producer(version, **settings)
        if version is None or version >= (0, 10):
            settings = {"timestamp_ms": TIMESTAMP_MS}
        else:
            settings = {}
        sent = []
        for number in range(count):
            key = None if number % 3 == 0 else f"key {number}".encode()
            value = None if number % 6 == 1 else f"value {number} of many words that are alike".encode() * (number % 5)
            extra = {"headers": headers} if headers else {}
            sent.append((producer.send(topic, value, key=key, **settings, **extra), key, value))
        return [(future.get(PATIENCE_S).offset, key, value) for future, key, value in sent]

    def expect(self, topic, version, sent, **settings):
        found = take(self.reader(topic, version, **settings), len(sent))
        self.assertEqual(sent, [(message.offset, message.key, message.value) for message in found])
        return found

    def test_codecs_from_old_to_old_and_new(self):
        for codec in CODECS:
            with self.subTest(codec=codec):
                topic = self.topic()
                sent = self.send(topic, self.version, compression_type=codec)
                self.assertEqual(list(range(len(sent))), [offset for offset, _, _ in sent])
                old = self.expect(topic, self.version, sent)
                new = self.expect(topic, None, sent)
                expected = TIMESTAMP_MS if self.has_timestamps else -1
                self.assertEqual({expected}, {message.timestamp for message in new})
                if self.has_timestamps:
                    self.assertEqual({TIMESTAMP_MS}, {message.timestamp for message in old})

    def test_codecs_from_new_to_old(self):
        for codec in CODECS:
            with self.subTest(codec=codec):
                topic = self.topic()
                sent = self.send(topic, None, compression_type=codec, headers=[("colour", b"blue")])
                for message in self.expect(topic, self.version, sent):
                    self.assertEqual([], list(message.headers))

    def test_acks(self):
        for acks in [1, "all"]:  # with 0 this release sends nothing, whatever the broker
            with self.subTest(acks=acks):
                topic = self.topic()
                producer = self.producer(self.version, acks=acks)
                for number in range(20):
                    producer.send(topic, str(number).encode())
                producer.flush(PATIENCE_S)
                found = take(self.reader(topic, self.version), 20)
                self.assertEqual([str(number).encode() for number in range(20)], [message.value for message in found])

    def test_topic_with_a_codec_of_its_own(self):
        for codec in ["gzip", "uncompressed"]:
            with self.subTest(codec=codec):
                topic = self.topic(compression_type=codec)
                self.expect(topic, self.version, self.send(topic, self.version, compression_type="snappy"))

    def test_append_time(self):
        topic = self.topic(message_timestamp_type="LogAppendTime")
        sent = self.send(topic, self.version, compression_type="gzip")
        found = self.expect(topic, self.version, sent)
        if self.has_timestamps:
            self.assertEqual({1}, {message.timestamp_type for message in found})
            self.assertGreater(min(message.timestamp for message in found), TIMESTAMP_MS)

    def test_from_the_middle_of_a_batch(self):
        for codec in CODECS:
            with self.subTest(codec=codec):
                topic = self.topic()
                sent = self.send(topic, None, compression_type=codec)
                reader = self.opened(KafkaConsumer(**CONNECTION, api_version=self.version))
                reader.assign([TopicPartition(topic, 0)])
                reader.seek(TopicPartition(topic, 0), 30)
                found = [(message.offset, message.key, message.value) for message in take(reader, len(sent) - 30)]
                self.assertEqual(sent[30:], found)

    def test_small_fetches_pass_large_batches(self):
        for codec in CODECS:
            with self.subTest(codec=codec):
                topic = self.topic()
                sent = self.send(topic, None, count=200, compression_type=codec)
                self.expect(topic, self.version, sent, max_partition_fetch_bytes=300)

    def test_too_large_is_refused(self):
        topic = self.topic(max_message_bytes="20000")
        with self.assertRaises(Exception) as raised:
            self.producer(self.version, max_request_size=2000000).send(topic, b"x" * 30000).get(PATIENCE_S)
        self.assertIn("MessageSizeTooLarge", type(raised.exception).__name__)

    def test_zstd_is_an_error(self):
        topic = self.topic()
        self.send(topic, None, compression_type="zstd")
        with self.assertRaises(Exception) as raised:
            take(self.reader(topic, self.version), 1)
        self.assertNotIsInstance(raised.exception, AssertionError)

    def test_offsets_are_kept(self):
        topic, group = self.topic(), fresh("group")
        sent = self.send(topic, self.version)
        reader = self.reader(topic, self.version, group_id=group)
        take(reader, 20)
        reader.commit({TopicPartition(topic, 0): OffsetAndMetadata(20, "note")})
        reader.close()
        found = take(self.reader(topic, self.version, group_id=group), len(sent) - 20)
        self.assertEqual(20, found[0].offset)

    def test_ends_of_the_log(self):
        topic = self.topic()
        self.send(topic, self.version, count=12)
        partition, reader = TopicPartition(topic, 0), self.reader(topic, self.version)
        ends = reader.beginning_offsets([partition]), reader.end_offsets([partition])
        self.assertEqual(({partition: 0}, {partition: 12}), ends)

    def test_what_comes_while_a_consumer_waits(self):
        topic = self.topic()
        reader = self.reader(topic, self.version, fetch_max_wait_ms=20000)
        self.assertEqual({}, reader.poll(timeout_ms=200))
        self.send(topic, None, count=1)
        begun = time.monotonic()
        take(reader, 1)
        self.assertLess(time.monotonic() - begun, 15)

    def test_two_members_share(self):
        if not self.has_groups:
            self.skipTest("0.8 knows no groups")
        name, group = fresh("shared"), fresh("group")
        self.admin.create_topics([NewTopic(name, 4, 1)])
        settle()
        members = [self.reader(name, self.version, group_id=group, heartbeat_interval_ms=300) for _ in range(2)]
        owned, stop = [0, 0], threading.Event()

        def work(index):
            while not stop.is_set():
                members[index].poll(timeout_ms=50)
                owned[index] = len(members[index].assignment())
                time.sleep(0.02)

        threads = [threading.Thread(target=work, args=(index,), daemon=True) for index in range(2)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + PATIENCE_S
        while owned != [2, 2] and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        self.assertEqual([2, 2], owned)


class Version_0_8_2(Old, unittest.TestCase):
    version = (0, 8, 2)
    has_groups = False


class Version_0_9(Old, unittest.TestCase):
    version = (0, 9)


class Version_0_10_0(Old, unittest.TestCase):
    version = (0, 10, 0)
    has_timestamps = True


class Version_0_10_2(Old, unittest.TestCase):
    version = (0, 10, 2)
    has_timestamps = True


def main():
    names = [name.removeprefix("test_old.") for name in sys.argv[1:]]
    module = sys.modules[__name__]
    load = unittest.defaultTestLoader
    suite = load.loadTestsFromNames(names, module) if names else load.loadTestsFromModule(module)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len({test.id().split(" ")[0] for test, _ in result.failures + result.errors})
    print(f"RESULT passed={result.testsRun - failed - len(result.skipped)} failed={failed} skipped={len(result.skipped)}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

"""aiokafka: asyncio, its own protocol code, no flexible versions."""

import asyncio
import unittest

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import MessageSizeTooLargeError, OffsetOutOfRangeError, ProducerFenced
from house import BROKER, CODECS, PATIENCE_S, Watched, fresh, settle


async def eventually(condition, what):
    async def comes_true():
        while not condition():
            await asyncio.sleep(0.05)

    try:
        await asyncio.wait_for(comes_true(), PATIENCE_S)
    except asyncio.TimeoutError:
        raise AssertionError(f"never happened: {what}") from None


class Suite(Watched, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.admin = await self.started(AIOKafkaAdminClient(bootstrap_servers=BROKER))

    def tearDown(self):
        self.check_log()

    async def started(self, made):
        await made.start()
        self.addAsyncCleanup(made.close if isinstance(made, AIOKafkaAdminClient) else made.stop)
        return made

    async def producer(self, **settings):
        return await self.started(AIOKafkaProducer(bootstrap_servers=BROKER, **settings))

    def consumer(self, *topics, **settings):
        defaults = {"auto_offset_reset": "earliest", "fetch_max_wait_ms": 100, "heartbeat_interval_ms": 300}
        return AIOKafkaConsumer(*topics, bootstrap_servers=BROKER, **{**defaults, **settings})

    async def reader(self, *topics, **settings):
        return await self.started(self.consumer(*topics, **settings))

    async def create_topic(self, partitions=1, **configs):
        topic = fresh("topic")
        configs = {key.replace("_", "."): value for key, value in configs.items()}
        configs.setdefault("retention.ms", "-1")  # records of long ago are not to be cleaned away under a test
        answer = await self.admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])
        self.assertEqual([0], [error[1] for error in answer.topic_errors], answer)
        await asyncio.to_thread(settle)
        return topic

    async def take(self, reader, count):
        async def all_of_them():
            return [await reader.getone() for _ in range(count)]

        return await asyncio.wait_for(all_of_them(), PATIENCE_S)


class Admin(Suite):
    async def test_topic_from_cradle_to_grave(self):
        topic = await self.create_topic(3)
        described = (await self.admin.describe_topics([topic]))[0]
        self.assertEqual((0, 3), (described["error_code"], len(described["partitions"])))
        self.assertIn(topic, await self.admin.list_topics())
        again = await self.admin.create_topics([NewTopic(topic, 1, 1)])
        self.assertEqual(36, again.topic_errors[0][1], "TOPIC_ALREADY_EXISTS")
        await self.admin.create_partitions({topic: NewPartitions(5)})
        await asyncio.to_thread(settle)
        self.assertEqual(5, len((await self.admin.describe_topics([topic]))[0]["partitions"]))
        deleted = await self.admin.delete_topics([topic])
        self.assertEqual([(topic, 0)], [tuple(code) for code in deleted.topic_error_codes])
        await asyncio.to_thread(settle)
        self.assertNotIn(topic, await self.admin.list_topics())

    async def test_configs(self):
        topic = await self.create_topic(retention_ms="3600000")
        await self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "5000"})])
        await asyncio.to_thread(settle)
        answer = (await self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))[0]
        code, _, _, name, entries = answer.resources[0]
        self.assertEqual((0, topic), (code, name))
        values = {entry[0]: entry[1] for entry in entries}
        self.assertEqual("5000", values["max.message.bytes"])
        self.assertEqual("604800000", values["retention.ms"], "the old request replaces all that was set")

    async def test_cluster(self):
        cluster = await self.admin.describe_cluster()
        self.assertEqual([BROKER], [f"{node['host']}:{node['port']}" for node in cluster["brokers"]])

    async def test_delete_records(self):
        topic = await self.create_topic()
        producer = await self.producer()
        for number in range(5):
            await producer.send_and_wait(topic, str(number).encode())
        partition = TopicPartition(topic, 0)
        low = await self.admin.delete_records({partition: RecordsToDelete(before_offset=3)})
        self.assertEqual({partition: 3}, low)
        reader = await self.reader(topic)
        self.assertEqual([3, 4], [message.offset for message in await self.take(reader, 2)])

    async def test_groups(self):
        topic, group = await self.create_topic(), fresh("group")
        reader = await self.reader(topic, group_id=group)
        self.assertIn((group, "consumer"), [tuple(found) for found in await self.admin.list_consumer_groups()])
        answer = (await self.admin.describe_consumer_groups([group]))[0]
        code, found, state, protocol_type, _, members = answer.groups[0][:6]
        self.assertEqual((0, group, "Stable", "consumer", 1), (code, found, state, protocol_type, len(members)))
        await reader.commit({TopicPartition(topic, 0): (4, "a note")})
        offsets = await self.admin.list_consumer_group_offsets(group)
        self.assertEqual((4, "a note"), tuple(offsets[TopicPartition(topic, 0)]))
        self.assertGreaterEqual(await self.admin.find_coordinator(group), 0)


class Produce(Suite):
    async def round_trip(self, count=200, **settings):
        topic = await self.create_topic()
        producer = await self.producer(linger_ms=20, **settings)
        values = [f"value {number} of many words that are alike".encode() for number in range(count)]
        for sent in [await producer.send(topic, value) for value in values]:
            await sent
        reader = await self.reader(topic)
        found = await self.take(reader, count)
        self.assertEqual(values, [message.value for message in found])
        self.assertEqual(list(range(count)), [message.offset for message in found])

    async def test_codecs(self):
        for codec in CODECS:
            with self.subTest(codec):
                await self.round_trip(compression_type=None if codec == "none" else codec)

    async def test_acks(self):
        for acks in [0, 1, "all"]:
            with self.subTest(acks):
                await self.round_trip(acks=acks)

    async def test_idempotent(self):
        await self.round_trip(1000, enable_idempotence=True)

    async def test_key_headers_null_and_timestamp(self):
        topic = await self.create_topic()
        producer = await self.producer()
        headers = [("colour", b"blue"), ("empty", b""), ("colour", b"red")]
        sent = await producer.send_and_wait(topic, None, key=b"key", headers=headers, timestamp_ms=1600000000000)
        self.assertEqual(0, sent.offset)
        await producer.send_and_wait(topic, b"")
        first, second = await self.take(await self.reader(topic), 2)
        self.assertEqual((None, b"key", 1600000000000), (first.value, first.key, first.timestamp))
        self.assertEqual(tuple(headers), tuple(first.headers))
        self.assertEqual((b"", None), (second.value, second.key))

    async def test_log_append_time(self):
        topic = await self.create_topic(message_timestamp_type="LogAppendTime")
        producer = await self.producer()
        sent = await producer.send_and_wait(topic, b"x", timestamp_ms=1600000000000)
        message = (await self.take(await self.reader(topic), 1))[0]
        self.assertEqual((1, sent.timestamp), (message.timestamp_type, message.timestamp))
        self.assertGreater(message.timestamp, 1700000000000)

    async def test_too_large_is_refused(self):
        topic = await self.create_topic(max_message_bytes="20000")
        producer = await self.producer(max_request_size=2000000)
        with self.assertRaises(MessageSizeTooLargeError):
            await producer.send_and_wait(topic, b"x" * 30000)

    async def test_transactions(self):
        topic, group = await self.create_topic(), fresh("group")
        producer = await self.producer(transactional_id=fresh("transaction"))
        async with producer.transaction():
            await producer.send_and_wait(topic, b"kept")
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"dropped")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"kept too")
            await producer.send_offsets_to_transaction({TopicPartition(topic, 0): 1}, group)
        reader = await self.reader(topic, isolation_level="read_committed")
        self.assertEqual([b"kept", b"kept too"], [message.value for message in await self.take(reader, 2)])
        offsets = await self.admin.list_consumer_group_offsets(group)
        self.assertEqual(1, offsets[TopicPartition(topic, 0)].offset)

    async def test_second_producer_fences_the_first(self):
        topic, name = await self.create_topic(), fresh("transaction")
        first = await self.producer(transactional_id=name)
        await first.begin_transaction()
        await first.send_and_wait(topic, b"early")
        await self.producer(transactional_id=name)
        self.expect_log("fenced")
        self.expect_log("ProducerFenced")
        with self.assertRaises(ProducerFenced):
            await first.commit_transaction()


class Consume(Suite):
    async def filled(self, count):
        topic = await self.create_topic()
        producer = await self.producer()
        for number in range(count):
            await producer.send(topic, str(number).encode(), timestamp_ms=1600000000000 + number * 1000)
        await producer.flush()
        return topic, TopicPartition(topic, 0)

    async def test_seek_and_position(self):
        topic, partition = await self.filled(20)
        reader = await self.reader(topic)
        await self.take(reader, 2)
        self.assertEqual(2, await reader.position(partition))
        reader.seek(partition, 15)
        self.assertEqual([15, 16], [message.offset for message in await self.take(reader, 2)])
        await reader.seek_to_beginning(partition)
        self.assertEqual([0], [message.offset for message in await self.take(reader, 1)])
        await reader.seek_to_end(partition)
        self.assertEqual(20, await reader.position(partition))
        self.assertEqual({partition: 0}, await reader.beginning_offsets([partition]))
        self.assertEqual({partition: 20}, await reader.end_offsets([partition]))

    async def test_offsets_for_times(self):
        topic, partition = await self.filled(5)
        reader = await self.reader(topic)
        found = (await reader.offsets_for_times({partition: 1600000002000}))[partition]
        self.assertEqual((2, 1600000002000), (found.offset, found.timestamp))
        self.assertEqual(3, (await reader.offsets_for_times({partition: 1600000002001}))[partition].offset)
        self.assertIsNone((await reader.offsets_for_times({partition: 1600000004001}))[partition])

    async def test_pause_and_resume(self):
        topic, partition = await self.filled(5)
        reader = await self.reader(topic)
        reader.pause(partition)
        self.assertEqual({}, await reader.getmany(timeout_ms=300))
        reader.resume(partition)
        await self.take(reader, 5)

    async def test_out_of_range_is_an_error(self):
        topic, partition = await self.filled(5)
        reader = await self.reader(topic, auto_offset_reset="none")
        reader.seek(partition, 1000)
        with self.assertRaises(OffsetOutOfRangeError):
            await self.take(reader, 1)

    async def test_getmany_of_several_partitions(self):
        topic = await self.create_topic(3)
        producer = await self.producer()
        for number in range(30):
            await producer.send(topic, b"x", partition=number % 3)
        await producer.flush()
        reader, seen = await self.reader(topic), []
        while len(seen) < 30:
            batches = await asyncio.wait_for(reader.getmany(timeout_ms=1000), PATIENCE_S)
            seen += [(message.partition, message.offset) for found in batches.values() for message in found]
        self.assertEqual({(partition, offset) for partition in range(3) for offset in range(10)}, set(seen))


class Member(ConsumerRebalanceListener):
    """A member of a group as a task."""

    def __init__(self, consumer, topic):
        self.consumer, self.seen, self.partitions = consumer, [], set()
        consumer.subscribe([topic], listener=self)

    async def start(self):
        await self.consumer.start()
        self.task = asyncio.create_task(self.work())
        return self

    async def on_partitions_revoked(self, revoked):
        self.partitions = set()

    async def on_partitions_assigned(self, assigned):
        self.partitions = {partition.partition for partition in assigned}

    async def work(self):
        async for message in self.consumer:
            self.seen.append((message.partition, message.offset))

    async def leave(self):
        self.task.cancel()
        await self.consumer.stop()


class Groups(Suite):
    async def three_members(self, assignor):
        self.expect_log("because it is rebalancing")
        topic, group, producer = await self.create_topic(6), fresh("group"), await self.producer()

        async def fill():
            sent = [await producer.send(topic, b"x", partition=number % 6) for number in range(60)]
            await asyncio.gather(*sent)

        async def member():
            settings = {"group_id": group, "auto_commit_interval_ms": 200, "partition_assignment_strategy": [assignor]}
            return await Member(self.consumer(**settings), topic).start()

        async def shared(sizes, what):
            spread = lambda: sorted(len(member.partitions) for member in members) == sizes
            await eventually(lambda: spread() and set.union(*(m.partitions for m in members)) == set(range(6)), what)

        members, everyone = [], []
        try:
            await fill()
            members.append(await member())
            await shared([6], "the first has everything")
            members += [await member(), await member()]
            await shared([2, 2, 2], "three share")
            await fill()
            everyone = list(members)
            await eventually(lambda: len({seen for m in everyone for seen in m.seen}) >= 120, "120 records")
            await members.pop().leave()
            await shared([3, 3], "two share")
            await fill()
            await eventually(lambda: len({seen for m in everyone for seen in m.seen}) >= 180, "180 records")
        finally:
            for left in members:
                await left.leave()
        await fill()
        later = await member()
        await eventually(lambda: len(later.seen) >= 60, "the rest after a restart")
        await later.leave()
        self.assertEqual({(partition, offset) for partition in range(6) for offset in range(30, 40)}, set(later.seen))

    async def test_range(self):
        await self.three_members(RangePartitionAssignor)

    async def test_round_robin(self):
        await self.three_members(RoundRobinPartitionAssignor)

    async def test_sticky(self):
        # The assignor keeps its last assignment in its class, which the three members of this process share.
        self.expect_log("following sticky assignment generation -1")
        await self.three_members(StickyPartitionAssignor)

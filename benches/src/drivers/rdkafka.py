"""librdkafka at work, as rdkafka_performance does it; prints what came of it as JSON.

rdkafka.py produce BOOTSTRAP TOPIC VALUE_BYTES ACKS WARMUP_S SECONDS RATE    (RATE 0: as fast as it goes)
rdkafka.py consume BOOTSTRAP TOPIC RECORDS
"""

import json
import os
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

# One record of so many is timed; a callback for each costs more than librdkafka itself.
SAMPLE = 100
# Between two looks at the clock and the queue of delivery reports.
BLOCK = 200
PATIENCE_S = 60


def values(size):
    """Different ones, half of each random."""
    return [os.urandom(size // 2) + b"x" * (size - size // 2) for _ in range(64)]


def percentiles(latencies):
    latencies.sort()
    at = lambda share: 1000 * latencies[min(len(latencies) - 1, int(share * len(latencies)))]
    if not latencies:
        return {}
    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": 1000 * latencies[-1]}


def end_offsets(bootstrap, topic):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "benches"})
    partitions = consumer.list_topics(topic, PATIENCE_S).topics[topic].partitions
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), PATIENCE_S)[1] for p in partitions}
    consumer.close()
    return ends


def flat_out(producer, topic, pool, seconds, latencies):
    sent, begun = 0, time.perf_counter()
    delivered = lambda error, message: latencies.append(message.latency())
    while time.perf_counter() - begun < seconds:
        for number in range(BLOCK):
            report = delivered if number % SAMPLE == 0 else None
            while True:
                try:
                    producer.produce(topic, pool[number % len(pool)], on_delivery=report)
                    break
                except BufferError:
                    producer.poll(0.01)
        sent += BLOCK
        producer.poll(0)
    return sent


def paced(producer, topic, pool, seconds, rate, latencies):
    begun = time.perf_counter()
    count = int(seconds * rate)
    for number in range(count):
        due = begun + number / rate
        while (wait := due - time.perf_counter()) > 0:
            producer.poll(min(wait, 0.001))
        late = time.perf_counter() - due
        # From when it was due, also where that is long ago.
        report = lambda error, message, late=late: latencies.append(late + message.latency())
        producer.produce(topic, pool[number % len(pool)], on_delivery=report)
    return count


def flush(producer):
    left = producer.flush(PATIENCE_S)
    if left:
        sys.exit(f"{left} records were not acknowledged within {PATIENCE_S} s")


def produce(bootstrap, topic, value_bytes, acks, warmup, seconds, rate):
    value_bytes, warmup, seconds, rate = int(value_bytes), float(warmup), float(seconds), float(rate)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": acks})
    pool = values(value_bytes)

    def run(length, latencies):
        if rate:
            count = paced(producer, topic, pool, length, rate, latencies)
        else:
            count = flat_out(producer, topic, pool, length, latencies)
        flush(producer)
        return count

    warmed = run(warmup, [])
    latencies, begun = [], time.perf_counter()
    sent = run(seconds, latencies)
    took = time.perf_counter() - begun
    # A record that was refused has no callback of its own: what is in the topic tells.
    there = sum(end_offsets(bootstrap, topic).values())
    if there != warmed + sent:
        sys.exit(f"{warmed + sent} records were sent and {there} are there")
    return {"records": sent, "records_with_warmup": there, "seconds": took, **percentiles(latencies)}


def consume(bootstrap, topic, records):
    records = int(records)
    ends = end_offsets(bootstrap, topic)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "benches", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    read, begun, quiet_since = 0, None, time.perf_counter()
    while read < records:
        messages = consumer.consume(10_000, 0.1)
        now = time.perf_counter()
        if begun is None and messages:
            # What comes first was fetched before the clock ran.
            begun, records = now, records - len(messages)
        elif messages:
            read += len(messages)
        if messages:
            quiet_since = now
            for message in messages:
                if message.error():
                    sys.exit(str(message.error()))
        elif now - quiet_since > PATIENCE_S:
            sys.exit(f"{read} of {records} records have come")
    took = time.perf_counter() - begun
    consumer.close()
    return {"records": read, "records_with_warmup": sum(ends.values()), "seconds": took}


if __name__ == "__main__":
    task = {"produce": produce, "consume": consume}[sys.argv[1]]
    print(json.dumps(task(*sys.argv[2:])))

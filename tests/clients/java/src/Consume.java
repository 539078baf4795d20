import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

public final class Consume {
    @Suite.Test
    public void seekAndPosition() {
        TopicPartition partition = new TopicPartition(Broker.fill(20), 0);
        List<TopicPartition> alone = Collections.singletonList(partition);
        try (KafkaConsumer<String, String> consumer = Broker.consumer("max.poll.records=2")) {
            consumer.assign(alone);
            Broker.equal(Broker.range(0, 2), Broker.offsets(Broker.take(consumer, 2)), "from the start");
            Broker.equal(2, consumer.position(partition), "position");
            consumer.seek(partition, 16);
            Broker.equal(Broker.range(16, 20), Broker.offsets(Broker.take(consumer, 4)), "from 16");
            consumer.seekToBeginning(alone);
            Broker.equal(0, consumer.position(partition), "the beginning");
            consumer.seekToEnd(alone);
            Broker.equal(20, consumer.position(partition), "the end");
            Broker.equal(0, consumer.beginningOffsets(alone).get(partition), "beginning offset");
            Broker.equal(20, consumer.endOffsets(alone).get(partition), "end offset");
        }
    }

    @Suite.Test
    public void offsetsForTimes() {
        String topic = Broker.createTopic(1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = Broker.producer();
             KafkaConsumer<String, String> consumer = Broker.consumer()) {
            for (int number = 0; number < 5; number++) {
                Broker.wait(producer.send(new ProducerRecord<>(topic, 0, 1600000000000L + number * 1000, "k", "v")));
            }
            ClientLog.expect("Not updating high watermark for partition"); // it asks for partitions it does not read
            OffsetAndTimestamp found = consumer.offsetsForTimes(Collections.singletonMap(partition, 1600000002000L)).get(partition);
            Broker.equal(2, found.offset(), "offset");
            Broker.equal(1600000002000L, found.timestamp(), "timestamp");
            Map<TopicPartition, OffsetAndTimestamp> next = consumer.offsetsForTimes(Collections.singletonMap(partition, 1600000002001L));
            Broker.equal(3, next.get(partition).offset(), "the next");
            Map<TopicPartition, OffsetAndTimestamp> none = consumer.offsetsForTimes(Collections.singletonMap(partition, 1600000004001L));
            Broker.equal(null, none.get(partition), "after all");
        }
    }

    @Suite.Test
    public void pauseAndResume() {
        String topic = Broker.createTopic(2);
        TopicPartition first = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = Broker.producer();
             KafkaConsumer<String, String> consumer = Broker.consumer()) {
            Broker.send(producer, topic, 0, 5);
            Broker.send(producer, topic, 1, 5);
            consumer.assign(Arrays.asList(first, new TopicPartition(topic, 1)));
            consumer.pause(Collections.singleton(first));
            Broker.isTrue(Broker.take(consumer, 5).stream().allMatch(record -> record.partition() == 1), "only the other");
            Broker.isTrue(consumer.poll(Broker.SHORT).isEmpty(), "nothing of the paused one");
            consumer.resume(Collections.singleton(first));
            Broker.isTrue(Broker.take(consumer, 5).stream().allMatch(record -> record.partition() == 0), "the resumed one");
        }
    }

    @Suite.Test
    public void patternSubscription() {
        String prefix = Broker.fresh("pattern");
        try (KafkaProducer<String, String> producer = Broker.producer();
             KafkaConsumer<String, String> consumer = Broker.consumer("group.id=" + Broker.fresh("group"))) {
            ClientLog.expect("Error while fetching metadata");
            ClientLog.expect("The metadata response from the cluster reported a recoverable issue");
            if (System.getenv("SETTLE_MS") != null) {
                ClientLog.expect("NOT_LEADER_OR_FOLLOWER");
                ClientLog.expect("invalid metadata error");
            }
            Broker.send(producer, prefix + "-a", 0, 1);
            Broker.send(producer, prefix + "-b", 0, 1);
            Broker.settle();
            consumer.subscribe(Pattern.compile(prefix + "-.*"), new Member.Quiet());
            Broker.take(consumer, 2);
            Broker.equal(2, consumer.subscription().size(), "topics");
        }
    }

    @Suite.Test
    public void outOfRange() {
        TopicPartition partition = new TopicPartition(Broker.fill(5), 0);
        try (KafkaConsumer<String, String> none = Broker.consumer("auto.offset.reset=none");
             KafkaConsumer<String, String> earliest = Broker.consumer()) {
            none.assign(Collections.singleton(partition));
            none.seek(partition, 1000);
            Broker.refused(OffsetOutOfRangeException.class, () -> Broker.take(none, 1));
            earliest.assign(Collections.singleton(partition));
            earliest.seek(partition, 1000);
            Broker.equal(Broker.range(0, 5), Broker.offsets(Broker.take(earliest, 5)), "after the reset");
        }
    }

    @Suite.Test
    public void commitWithMetadata() {
        TopicPartition partition = new TopicPartition(Broker.fill(5), 0);
        String group = "group.id=" + Broker.fresh("group");
        try (KafkaConsumer<String, String> consumer = Broker.consumer(group)) {
            consumer.assign(Collections.singleton(partition));
            Broker.equal(null, Transactions.committed(consumer, partition), "before");
            consumer.commitSync(Collections.singletonMap(partition, new OffsetAndMetadata(3, "a note")));
            Broker.equal(new OffsetAndMetadata(3, "a note"), Transactions.committed(consumer, partition), "after");
        }
        try (KafkaConsumer<String, String> later = Broker.consumer(group)) {
            later.assign(Collections.singleton(partition));
            Broker.equal(Broker.range(3, 5), Broker.offsets(Broker.take(later, 2)), "resumed");
        }
    }

    @Suite.Test
    public void topicsAndPartitions() {
        String topic = Broker.createTopic(3);
        try (KafkaConsumer<String, String> consumer = Broker.consumer()) {
            Broker.equal(3, consumer.partitionsFor(topic).size(), "partitions");
            Broker.equal(3, consumer.listTopics().get(topic).size(), "among all");
        }
    }

    @Suite.Test
    public void smallFetches() {
        String topic = Broker.fill(200);
        try (KafkaConsumer<String, String> consumer = Broker.consumer("max.partition.fetch.bytes=500", "fetch.max.bytes=500")) {
            consumer.assign(Collections.singleton(new TopicPartition(topic, 0)));
            Broker.equal(Broker.range(0, 200), Broker.offsets(Broker.take(consumer, 200)), "all of them");
        }
    }
}

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;

public final class Produce {
    private static void roundTrip(int count, String... settings) {
        String topic = Broker.createTopic(1);
        try (KafkaProducer<String, String> producer = Broker.producer(settings);
             KafkaConsumer<String, String> consumer = Broker.consumer()) {
            Broker.send(producer, topic, 0, count);
            consumer.assign(Collections.singleton(new TopicPartition(topic, 0)));
            List<ConsumerRecord<String, String>> found = Broker.take(consumer, count);
            Broker.equal(Broker.range(0, count), Broker.offsets(found), "offsets with " + Arrays.toString(settings));
            Broker.equal("value 7 of many words that are alike", found.get(7).value(), "value");
            Broker.equal("key-7", found.get(7).key(), "key");
        }
    }

    @Suite.Test
    public void acks() {
        for (String acks : new String[] {"0", "1", "all"}) {
            roundTrip(100, "acks=" + acks, "enable.idempotence=false");
        }
    }

    @Suite.Test
    public void codecs() {
        List<String> codecs = new ArrayList<>(Arrays.asList("none", "gzip", "snappy", "lz4"));
        if (!Broker.isOld()) {
            codecs.add("zstd");
        }
        for (String codec : codecs) {
            roundTrip(200, "compression.type=" + codec, "linger.ms=20");
        }
    }

    @Suite.Test
    public void idempotent() {
        roundTrip(5000, "enable.idempotence=true", "acks=all", "batch.size=2000");
    }

    @Suite.Test
    public void offsetsAndSizesAreReported() {
        String topic = Broker.createTopic(1);
        try (KafkaProducer<String, String> producer = Broker.producer()) {
            List<Long> offsets = Broker.send(producer, topic, 0, 5).stream().map(sent -> sent.offset()).collect(Collectors.toList());
            Broker.equal(Broker.range(0, 5), offsets, "offsets");
            Broker.equal(1, producer.partitionsFor(topic).size(), "partitions");
        }
    }

    @Suite.Test
    public void headersNullsAndTimestamps() {
        String topic = Broker.createTopic(1);
        try (KafkaProducer<String, String> producer = Broker.producer();
             KafkaConsumer<String, String> consumer = Broker.consumer()) {
            ProducerRecord<String, String> record = new ProducerRecord<>(topic, 0, 1600000000000L, "key", (String) null);
            record.headers().add("colour", Broker.bytes("blue")).add("null", null).add("colour", Broker.bytes("red"));
            Broker.wait(producer.send(record));
            Broker.wait(producer.send(new ProducerRecord<>(topic, "")));
            consumer.assign(Collections.singleton(new TopicPartition(topic, 0)));
            List<ConsumerRecord<String, String>> found = Broker.take(consumer, 2);
            Broker.equal(null, found.get(0).value(), "null value");
            Broker.equal(1600000000000L, found.get(0).timestamp(), "timestamp");
            Broker.equal(TimestampType.CREATE_TIME, found.get(0).timestampType(), "its type");
            Broker.equal(Arrays.asList(new RecordHeader("colour", Broker.bytes("blue")), new RecordHeader("null", (byte[]) null),
                new RecordHeader("colour", Broker.bytes("red"))), Arrays.asList(found.get(0).headers().toArray()), "headers");
            Broker.equal(null, found.get(1).key(), "null key");
            Broker.equal("", found.get(1).value(), "empty value");
        }
    }

    @Suite.Test
    public void logAppendTime() {
        String topic = Broker.createTopic(1, "message.timestamp.type=LogAppendTime");
        try (KafkaProducer<String, String> producer = Broker.producer();
             KafkaConsumer<String, String> consumer = Broker.consumer()) {
            long before = System.currentTimeMillis();
            long stamp = Broker.wait(producer.send(new ProducerRecord<>(topic, 0, 1600000000000L, "key", "x"))).timestamp();
            Broker.isTrue(stamp >= before && stamp <= System.currentTimeMillis(), "the broker's time: " + stamp);
            consumer.assign(Collections.singleton(new TopicPartition(topic, 0)));
            ConsumerRecord<String, String> found = Broker.take(consumer, 1).get(0);
            Broker.equal(TimestampType.LOG_APPEND_TIME, found.timestampType(), "its type");
            Broker.equal(stamp, found.timestamp(), "timestamp");
        }
    }

    @Suite.Test
    public void tooLargeIsRefused() {
        String topic = Broker.createTopic(1, "max.message.bytes=20000");
        String large = String.join("", Collections.nCopies(30000, "x"));
        try (KafkaProducer<String, String> producer = Broker.producer()) {
            Broker.refused(RecordTooLargeException.class, () -> Broker.wait(producer.send(new ProducerRecord<>(topic, large))));
        }
    }

    /** A batch that is too large for the broker is split by the client and sent again; before 4.0 into pieces as large. */
    @Suite.Test
    public void largeBatchIsSplit() {
        if (!Broker.release.startsWith("4.")) {
            return;
        }
        String topic = Broker.createTopic(1, "max.message.bytes=20000");
        ClientLog.expect("Got error produce response in correlation id");
        try (KafkaProducer<String, String> producer = Broker.producer("batch.size=100000", "linger.ms=300")) {
            Broker.equal(1000, Broker.send(producer, topic, 0, 1000).size(), "records");
        }
    }

    @Suite.Test
    public void unknownPartition() {
        String topic = Broker.createTopic(1);
        try (KafkaProducer<String, String> producer = Broker.producer("max.block.ms=600")) {
            Broker.refused(KafkaException.class, () -> Broker.wait(producer.send(new ProducerRecord<>(topic, 7, "k", "v"))));
        }
    }

    @Suite.Test
    public void compactedTopicWantsKeys() {
        String topic = Broker.createTopic(1, "cleanup.policy=compact");
        try (KafkaProducer<String, String> producer = Broker.producer("retries=0", "enable.idempotence=false")) {
            ClientLog.expect("Got error produce response");
            ClientLog.expect("Received invalid metadata error");
            ClientLog.expect("Unexpected error code: 87"); // INVALID_RECORD came with 2.1
            Broker.refused(KafkaException.class, () -> Broker.wait(producer.send(new ProducerRecord<>(topic, "no key"))));
            Broker.wait(producer.send(new ProducerRecord<>(topic, "key", "value")));
        }
    }

    @Suite.Test
    public void topicIsCreatedOnFirstUse() {
        String topic = Broker.fresh("auto");
        ClientLog.expect("Error while fetching metadata");
        ClientLog.expect("The metadata response from the cluster reported a recoverable issue");
        if (System.getenv("SETTLE_MS") != null) {
            ClientLog.expect("NOT_LEADER_OR_FOLLOWER");
            ClientLog.expect("invalid metadata error");
        }
        try (KafkaProducer<String, String> producer = Broker.producer()) {
            Broker.equal(3, Broker.send(producer, topic, 0, 3).size(), "records");
        }
    }

    @Suite.Test
    public void transactions() {
        String topic = Broker.createTopic(1);
        // The markers of the last one are on their way still when the next one begins: the client says so, and sends again.
        ClientLog.expect("CONCURRENT_TRANSACTIONS");
        String group = Broker.fresh("group");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = Broker.producer("transactional.id=" + Broker.fresh("transaction"));
             KafkaConsumer<String, String> committed = Broker.consumer("isolation.level=read_committed", "group.id=" + group);
             KafkaConsumer<String, String> all = Broker.consumer()) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "kept"));
            producer.commitTransaction();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "dropped"));
            producer.flush();
            producer.abortTransaction();
            committed.subscribe(Collections.singleton(topic));
            Broker.equal("kept", Broker.take(committed, 1).get(0).value(), "first committed");
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "kept too"));
            Transactions.sendOffsets(producer, Collections.singletonMap(partition, new OffsetAndMetadata(1)), group, committed);
            producer.commitTransaction();
            Broker.equal("kept too", Broker.take(committed, 1).get(0).value(), "second committed");
            Broker.equal(1, Transactions.committed(committed, partition).offset(), "offset in the transaction");
            all.assign(Collections.singleton(partition));
            Broker.equal(3, Broker.take(all, 3).size(), "read uncommitted");
        }
    }

    @Suite.Test
    public void secondProducerFencesTheFirst() {
        String topic = Broker.createTopic(1);
        String name = "transactional.id=" + Broker.fresh("transaction");
        ClientLog.expect("ence");
        try (KafkaProducer<String, String> first = Broker.producer(name); KafkaProducer<String, String> second = Broker.producer(name)) {
            first.initTransactions();
            first.beginTransaction();
            Broker.wait(first.send(new ProducerRecord<>(topic, "early")));
            second.initTransactions();
            Broker.refused(ProducerFencedException.class, first::commitTransaction);
            second.beginTransaction();
            Broker.wait(second.send(new ProducerRecord<>(topic, "later")));
            second.commitTransaction();
        }
    }
}

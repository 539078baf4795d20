import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** What Kafka's own clients write, and what they find. Each command is one word and its arguments, ended by a comma. */
public final class Clients {
    /** Not long ago: producers of old records are forgotten. */
    private static final long BEGIN_MS = System.currentTimeMillis() / 1000 * 1000 - 3_600_000;
    private static final long PATIENCE_MS = 60_000;
    private static final int KEYS = 10;
    private static final int ROUNDS = 8;
    private static final long COMMITTED = 40;

    private final String address;
    private final Map<String, Long> counts = new HashMap<>();

    private Clients(String address) {
        this.address = address;
    }

    public static void main(String[] words) throws Exception {
        List<String> command = new ArrayList<>();
        for (String word : words) {
            if (!word.equals(",")) {
                command.add(word);
                continue;
            }
            run(command);
            command.clear();
        }
        run(command);
        System.out.flush();
        // Kafka's tools leave threads behind.
        Runtime.getRuntime().halt(0);
    }

    private static void run(List<String> words) throws Exception {
        Clients clients = new Clients(words.get(1));
        List<String> rest = words.subList(2, words.size());
        switch (words.get(0)) {
            case "create" -> clients.create(rest);
            case "fill" -> clients.fill(rest.get(0), Path.of(rest.get(1)), rest.size() > 2);
            case "read" -> clients.read(rest);
            case "append" -> clients.append(rest);
            case "await-copy" -> clients.awaitCopy(rest.get(0), rest.subList(1, rest.size()));
            case "committed" -> clients.committed(rest.get(0));
            case "dump-log" -> org.apache.kafka.tools.DumpLogSegments.main(words.subList(1, words.size()).toArray(new String[0]));
            default -> throw new IllegalArgumentException(words.get(0));
        }
    }

    private Map<String, Object> settings(String... pairs) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", address));
        for (String pair : pairs) {
            settings.put(pair.split("=")[0], pair.split("=")[1]);
        }
        return settings;
    }

    private KafkaProducer<byte[], byte[]> producer(String... pairs) {
        return new KafkaProducer<>(settings(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer(String... pairs) {
        return new KafkaConsumer<>(settings(pairs), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Arguments are topics, those that end in "compacted" with the settings for it. */
    private void create(List<String> names) throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        for (String name : names) {
            Map<String, String> configs = new HashMap<>(Map.of("retention.ms", "-1", "segment.ms", "1000"));
            if (name.endsWith("compacted")) {
                configs.putAll(Map.of("cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "86400000"));
            }
            topics.add(new NewTopic(name, 1, (short) 1).configs(configs));
        }
        try (Admin admin = Admin.create(settings())) {
            admin.createTopics(topics).all().get();
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, long timestamp, String key, String value) {
        byte[] keyBytes = key == null ? null : bytes(key);
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, 0, timestamp, keyBytes, value == null ? null : bytes(value));
        record.headers().add("colour", bytes("blue")).add("none", null);
        return record;
    }

    /** Rounds are further apart than segment.ms, so that each begins a segment. */
    private static void round(KafkaProducer<byte[], byte[]> producer, String topic, long round, String word) {
        for (int key = 0; key < KEYS; key++) {
            String value = (key + round) % 4 == 0 ? null : (word + " " + round + " of key " + key + " ").repeat(20);
            producer.send(record(topic, BEGIN_MS + round * 2000 + (key * 7) % 10, "key " + key, value));
        }
        producer.flush();
    }

    private void fill(String prefix, Path data, boolean transactions) throws Exception {
        String codecs = prefix + "codecs";
        String compacted = prefix + "compacted";
        create(transactions ? List.of(codecs, compacted, prefix + "transactions") : List.of(codecs, compacted));
        int round = 0;
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (String idempotence : List.of("false", "true")) {
                try (KafkaProducer<byte[], byte[]> producer = producer("compression.type=" + codec, "linger.ms=5", "acks=all",
                        "enable.idempotence=" + idempotence)) {
                    round(producer, codecs, round++, codec);
                    round(producer, codecs, round++, codec);
                }
            }
        }
        try (KafkaProducer<byte[], byte[]> producer = producer("compression.type=lz4", "linger.ms=5")) {
            for (round = 0; round < ROUNDS; round++) {
                round(producer, compacted, round, "value");
            }
        }
        if (transactions) {
            transactions(prefix);
        }
        try (KafkaProducer<byte[], byte[]> producer = producer("linger.ms=5")) {
            // Behind the ends of transactions, which carry the broker's time.
            round(producer, compacted, (System.currentTimeMillis() - BEGIN_MS) / 2000 + 30, "last");
        }
        TopicPartition partition = new TopicPartition(codecs, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("group.id=readers")) {
            consumer.assign(Set.of(partition));
            commit(consumer, partition, data, !transactions);
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("group.id=finished")) {
            consumer.assign(Set.of(partition));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(consumer.endOffsets(Set.of(partition)).get(partition))));
            TopicPartition cleaned = new TopicPartition(compacted, 0);
            // All but the active segment.
            awaitCleaned(data, compacted, consumer.endOffsets(Set.of(cleaned)).get(cleaned) - KEYS);
        }
    }

    /** Two that are committed and two that are aborted by each of two producers, each over two segments. */
    private void transactions(String prefix) {
        for (int writer = 0; writer < 2; writer++) {
            try (KafkaProducer<byte[], byte[]> producer = producer("transactional.id=writer-" + writer, "compression.type=zstd", "linger.ms=5")) {
                producer.initTransactions();
                for (int i = 0; i < 4; i++) {
                    producer.beginTransaction();
                    round(producer, prefix + "transactions", writer * 8 + i * 2, "begun");
                    round(producer, prefix + "transactions", writer * 8 + i * 2 + 1, "done");
                    round(producer, prefix + "compacted", ROUNDS + writer * 4 + i, i % 2 == 0 ? "committed" : "aborted");
                    if (i % 2 == 0) {
                        producer.commitTransaction();
                    } else {
                        producer.abortTransaction();
                    }
                }
            }
        }
    }

    /** Where commits are soon compacted, until they were. */
    private static void commit(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, Path data, boolean untilCompacted)
            throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (untilCompacted && cleanedOffset(data, "__consumer_offsets") <= 0 && System.currentTimeMillis() < deadline) {
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(7, "early")));
        }
        for (long offset = 1; offset <= COMMITTED; offset++) {
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(offset, "half")));
        }
    }

    private static void awaitCleaned(Path data, String topic, long offset) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (cleanedOffset(data, topic) < offset) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException("compaction of " + topic + " does not reach " + offset);
            }
            Thread.sleep(20);
        }
    }

    /** What is compacted of a topic's partition 0, as the broker says it on disk; -1 before it says anything. */
    private static long cleanedOffset(Path data, String topic) throws IOException {
        Path file = data.resolve("cleaner-offset-checkpoint");
        if (!Files.exists(file)) {
            return -1;
        }
        for (String line : Files.readString(file).split("\n")) {
            if (line.startsWith(topic + " 0 ")) {
                return Long.parseLong(line.substring(topic.length() + 3));
            }
        }
        return -1;
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? "-" : "x" + HexFormat.of().formatHex(bytes);
    }

    /** Prints every record of the topics, as readers of all and of committed records see them, and what times lead to. */
    private void read(List<String> topics) {
        for (String isolation : List.of("read_uncommitted", "read_committed")) {
            try (KafkaConsumer<byte[], byte[]> consumer = consumer("isolation.level=" + isolation)) {
                for (String topic : topics) {
                    read(consumer, new TopicPartition(topic, 0), isolation);
                }
            }
        }
    }

    private void read(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, String isolation) {
        consumer.assign(Set.of(partition));
        consumer.seekToBeginning(Set.of(partition));
        long end = consumer.endOffsets(Set.of(partition)).get(partition);
        long begin = consumer.beginningOffsets(Set.of(partition)).get(partition);
        System.out.printf("range %s %s %d %d%n", partition.topic(), isolation, begin, end);
        TreeSet<Long> times = new TreeSet<>();
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (consumer.position(partition) < end) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException(partition + " ends at " + consumer.position(partition) + ", not at " + end);
            }
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                System.out.printf("record %s %s %d %d %d %s %s %s%n", partition.topic(), isolation, record.offset(),
                    record.timestamp(), record.leaderEpoch().orElse(-1), hex(record.key()), hex(record.value()),
                    Arrays.stream(record.headers().toArray()).map(header -> header.key() + "=" + hex(header.value())).toList()
                        .toString().replace(" ", ""));
                times.add(record.timestamp());
            }
        }
        for (long time : times) {
            for (long asked : new long[] {time - 1, time, time + 500}) {
                OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, asked)).get(partition);
                System.out.printf("time %s %s %d %s%n", partition.topic(), isolation, asked,
                    found == null ? "none" : found.offset() + "@" + found.timestamp());
            }
        }
    }

    /** New producers write behind what is there. */
    private void append(List<String> topics) throws Exception {
        for (String topic : topics) {
            for (int i = 0; i < 3; i++) {
                try (KafkaProducer<byte[], byte[]> producer = producer()) {
                    for (int number = 0; number < 5; number++) {
                        long offset = producer.send(record(topic, BEGIN_MS + 1_000_000, "new", "appended")).get().offset();
                        System.out.printf("appended %s %d%n", topic, offset);
                    }
                }
            }
        }
    }

    /** Waits until another cluster's topics have as many records as these have that count, and a group its place. */
    private void awaitCopy(String copy, List<String> topics) throws Exception {
        Clients target = new Clients(copy);
        TopicPartition first = new TopicPartition(topics.get(0), 0);
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        try (Admin admin = Admin.create(target.settings()); KafkaConsumer<byte[], byte[]> consumer = target.consumer()) {
            String missing = "everything";
            while (!missing.isEmpty()) {
                if (System.currentTimeMillis() > deadline) {
                    throw new IllegalStateException(missing);
                }
                Thread.sleep(200);
                missing = missing(admin, consumer, topics);
                OffsetAndMetadata place = admin.listConsumerGroupOffsets("finished").partitionsToOffsetAndMetadata().get().get(first);
                // The copy of a commit may lie before the place that was meant, and never behind it.
                if (place == null || place.offset() <= 0 || place.offset() > count(first.topic())) {
                    missing += "finished is at " + place;
                }
            }
        }
    }

    private String missing(Admin admin, KafkaConsumer<byte[], byte[]> consumer, List<String> topics) throws Exception {
        Set<String> names = admin.listTopics().names().get();
        String missing = "";
        for (String topic : topics) {
            TopicPartition partition = new TopicPartition(topic, 0);
            long end = names.contains(topic) ? consumer.endOffsets(Set.of(partition)).get(partition) : -1;
            if (end != count(topic)) {
                missing += topic + " ends at " + end + "; ";
            }
        }
        return missing;
    }

    private long count(String topic) {
        return counts.computeIfAbsent(topic, name -> {
            TopicPartition partition = new TopicPartition(name, 0);
            try (KafkaConsumer<byte[], byte[]> consumer = consumer("isolation.level=read_committed")) {
                consumer.assign(Set.of(partition));
                consumer.seekToBeginning(Set.of(partition));
                long end = consumer.endOffsets(Set.of(partition)).get(partition);
                long count = 0;
                while (consumer.position(partition) < end) {
                    count += consumer.poll(Duration.ofMillis(200)).count();
                }
                return count;
            }
        });
    }

    private void committed(String group) throws Exception {
        try (Admin admin = Admin.create(settings())) {
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach((partition, found) ->
                System.out.printf("committed %s %s %d %s%n", group, partition, found.offset(), found.metadata()));
        }
    }
}

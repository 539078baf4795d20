import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The broker under test, and the clients that talk to it. Settings are given as {@code "key=value"}. */
public final class Broker {
    static final Duration SHORT = Duration.ofMillis(100);
    static final long PATIENCE_MS = 30000;

    static String address;
    static String release;

    static boolean isOld() {
        return release.startsWith("2.0");
    }

    static String fresh(String prefix) {
        return String.format("%s-%08x", prefix, ThreadLocalRandom.current().nextInt());
    }

    /** Time for a broker without read-your-writes to see a change; set for Apache Kafka only. */
    static void settle() {
        try {
            Thread.sleep(Long.parseLong(System.getenv().getOrDefault("SETTLE_MS", "0")));
        } catch (InterruptedException stopped) {
            throw new IllegalStateException(stopped);
        }
    }

    static Map<String, Object> settings(String... pairs) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", address);
        for (String pair : pairs) {
            int equals = pair.indexOf('=');
            settings.put(pair.substring(0, equals), pair.substring(equals + 1));
        }
        return settings;
    }

    static AdminClient admin() {
        return AdminClient.create(settings());
    }

    static KafkaProducer<String, String> producer(String... pairs) {
        return new KafkaProducer<>(settings(pairs), new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String... pairs) {
        Map<String, Object> settings = settings("auto.offset.reset=earliest", "fetch.max.wait.ms=100",
            "heartbeat.interval.ms=300", "enable.auto.commit=false");
        settings.putAll(settings(pairs));
        if ("consumer".equals(settings.get("group.protocol"))) {
            settings.remove("heartbeat.interval.ms"); // there it is the broker's to say
        }
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    /** A topic of its own for the caller, with configs as {@code "key=value"}. */
    static String createTopic(int partitions, String... configs) {
        String topic = fresh("topic");
        Map<String, String> given = new HashMap<>();
        for (String config : configs) {
            given.put(config.split("=")[0], config.split("=")[1]);
        }
        given.putIfAbsent("retention.ms", "-1"); // records of long ago are not to be cleaned away under a test
        try (AdminClient admin = admin()) {
            wait(admin.createTopics(Collections.singleton(new NewTopic(topic, partitions, (short) 1).configs(given))).all());
        }
        settle();
        return topic;
    }

    static <T> T wait(Future<T> future) {
        try {
            return future.get(PATIENCE_MS, TimeUnit.MILLISECONDS);
        } catch (ExecutionException failed) {
            if (failed.getCause() instanceof RuntimeException) {
                throw (RuntimeException) failed.getCause();
            }
            throw new AssertionError(failed.getCause());
        } catch (Exception failed) {
            throw new AssertionError(failed);
        }
    }

    static List<RecordMetadata> send(Producer<String, String> producer, String topic, int partition, int count) {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            String value = "value " + number + " of many words that are alike";
            sent.add(producer.send(new ProducerRecord<>(topic, partition, "key-" + number, value)));
        }
        List<RecordMetadata> acknowledged = new ArrayList<>();
        for (Future<RecordMetadata> future : sent) {
            acknowledged.add(wait(future));
        }
        return acknowledged;
    }

    static String fill(int count) {
        String topic = createTopic(1);
        try (Producer<String, String> producer = producer()) {
            send(producer, topic, 0, count);
        }
        return topic;
    }

    /** The next records, exactly so many. */
    static List<ConsumerRecord<String, String>> take(Consumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> found = new ArrayList<>();
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (found.size() < count && System.currentTimeMillis() < deadline) {
            consumer.poll(SHORT).forEach(found::add);
        }
        equal(count, found.size(), "records");
        return found;
    }

    static List<Long> offsets(List<ConsumerRecord<String, String>> records) {
        List<Long> offsets = new ArrayList<>();
        records.forEach(record -> offsets.add(record.offset()));
        return offsets;
    }

    static List<Long> range(long from, long to) {
        List<Long> numbers = new ArrayList<>();
        for (long number = from; number < to; number++) {
            numbers.add(number);
        }
        return numbers;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void equal(Object expected, Object got, String what) {
        boolean same = expected instanceof Number && got instanceof Number
            ? ((Number) expected).longValue() == ((Number) got).longValue()
            : java.util.Objects.equals(expected, got);
        if (!same) {
            throw new AssertionError(what + ": expected " + expected + ", got " + got);
        }
    }

    static void isTrue(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("not true: " + what);
        }
    }

    interface Attempt {
        void run() throws Exception;
    }

    static void refused(Class<? extends Throwable> wanted, Attempt attempt) {
        Throwable got = null;
        try {
            attempt.run();
        } catch (Throwable thrown) {
            got = thrown;
        }
        if (got instanceof ExecutionException) {
            got = got.getCause();
        }
        if (got == null || !wanted.isInstance(got)) {
            throw new AssertionError("expected " + wanted.getSimpleName() + ", got " + got);
        }
    }

    static void eventually(String what, BooleanSupplier condition) {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!condition.getAsBoolean()) {
            isTrue(System.currentTimeMillis() < deadline, what);
            try {
                Thread.sleep(20);
            } catch (InterruptedException stopped) {
                throw new IllegalStateException(stopped);
            }
        }
    }

    /** Calls the first of these methods that this release has: names changed between 2.0 and 4.0. */
    @SuppressWarnings("unchecked")
    static <T> T either(Object on, String... names) {
        for (String name : names) {
            try {
                Method method = on.getClass().getMethod(name);
                method.setAccessible(true);
                return (T) method.invoke(on);
            } catch (NoSuchMethodException next) {
                continue;
            } catch (ReflectiveOperationException broken) {
                throw new AssertionError(broken);
            }
        }
        throw new AssertionError("none of " + String.join(", ", names) + " on " + on.getClass());
    }

    private Broker() {
    }
}

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A topic from its beginning as a reader of committed records sees it, and what it does not see. */
final class Committed<V> implements AutoCloseable {
    private static final Duration SHORT = Duration.ofMillis(50);

    private final KafkaConsumer<String, V> committed;
    private final KafkaConsumer<String, V> everything;
    private final List<TopicPartition> partitions;
    private final Consumer<ConsumerRecord<String, V>> taken;
    private long count;
    private Map<TopicPartition, Long> marked = new HashMap<>();

    /** @param taken is told each record */
    Committed(String broker, String topic, Deserializer<V> values, Consumer<ConsumerRecord<String, V>> taken) {
        this.taken = taken;
        committed = consumer(broker, "read_committed", values);
        everything = consumer(broker, "read_uncommitted", values);
        partitions = committed.partitionsFor(topic).stream()
            .map(found -> new TopicPartition(topic, found.partition())).collect(Collectors.toList());
        committed.assign(partitions);
        committed.seekToBeginning(partitions);
    }

    private static <V> KafkaConsumer<String, V> consumer(String broker, String isolation, Deserializer<V> values) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", broker);
        settings.put("isolation.level", isolation);
        settings.put("fetch.max.wait.ms", "50");
        settings.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(settings, new StringDeserializer(), values);
    }

    /** Takes what has come; answers how many records there were so far. */
    long poll() {
        for (ConsumerRecord<String, V> record : committed.poll(SHORT)) {
            taken.accept(record);
            count++;
        }
        return count;
    }

    /** Whether there are records of which nobody knows yet whether they will be committed. */
    boolean hasOpenTransaction() {
        // In this order: what was there then and is not decided now was open all the time.
        Map<TopicPartition, Long> ends = everything.endOffsets(partitions);
        Map<TopicPartition, Long> stable = committed.endOffsets(partitions);
        return partitions.stream().anyMatch(partition -> ends.get(partition) > stable.get(partition));
    }

    boolean isAtEnd() {
        Map<TopicPartition, Long> ends = everything.endOffsets(partitions);
        return partitions.stream().allMatch(partition -> committed.position(partition) == ends.get(partition));
    }

    /** Remembers where the topic ends now, records included of which nobody knows yet whether they will be committed. */
    void mark() {
        marked = everything.endOffsets(partitions);
    }

    /** Whether all that was there at the mark is decided and taken. */
    boolean isPastMark() {
        return marked.keySet().stream().allMatch(partition -> committed.position(partition) >= marked.get(partition));
    }

    /** Records in the topic that a reader of committed ones does not see. To be asked at the end. */
    long aborted() {
        everything.assign(partitions);
        everything.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = everything.endOffsets(partitions);
        long all = 0;
        while (partitions.stream().anyMatch(partition -> everything.position(partition) < ends.get(partition))) {
            all += everything.poll(SHORT).count();
        }
        return all - count;
    }

    @Override
    public void close() {
        committed.close();
        everything.close();
    }
}

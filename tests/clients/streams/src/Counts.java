import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.LongDeserializer;

/** The counts that were committed: for each word 1, 2, 3 and so on, or something was wrong. */
final class Counts implements AutoCloseable {
    final Committed<Long> topic;
    /** How often each word was counted. */
    final Map<String, Long> words = new TreeMap<>();
    private final List<String> wrong = new ArrayList<>();

    Counts(String broker, String name) {
        topic = new Committed<>(broker, name, new LongDeserializer(), this::take);
    }

    private void take(ConsumerRecord<String, Long> update) {
        long before = words.getOrDefault(update.key(), 0L);
        if (update.value() != before + 1) {
            String where = update.partition() + "/" + update.offset();
            wrong.add(update.key() + " went from " + before + " to " + update.value() + " at " + where);
        }
        words.put(update.key(), update.value());
    }

    void check() {
        if (!wrong.isEmpty()) {
            throw new AssertionError(wrong.size() + " updates out of sequence, the first: " + wrong.subList(0, Math.min(5, wrong.size())));
        }
    }

    @Override
    public void close() {
        topic.close();
    }
}

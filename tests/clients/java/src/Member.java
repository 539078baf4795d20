import java.util.Collection;
import java.util.Collections;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/** A member of a group on a thread of its own, committing what it has read. */
final class Member implements ConsumerRebalanceListener {
    /** A listener for who must name one. */
    static final class Quiet implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
        }
    }

    final Set<String> seen = ConcurrentHashMap.newKeySet();
    final Set<Integer> partitions = ConcurrentHashMap.newKeySet();
    volatile Throwable trouble;
    private volatile boolean running = true;
    private final KafkaConsumer<String, String> consumer;
    private final Thread thread;

    Member(String group, String topic, String... settings) {
        String[] all = new String[settings.length + 3];
        System.arraycopy(settings, 0, all, 3, settings.length);
        all[0] = "group.id=" + group;
        all[1] = "enable.auto.commit=true";
        all[2] = "auto.commit.interval.ms=200";
        consumer = Broker.consumer(all);
        thread = new Thread(() -> work(topic));
        thread.setDaemon(true);
        thread.start();
    }

    private void work(String topic) {
        try {
            consumer.subscribe(Collections.singleton(topic), this);
            while (running) {
                for (ConsumerRecord<String, String> record : consumer.poll(Broker.SHORT)) {
                    seen.add(record.partition() + "/" + record.offset());
                }
            }
        } catch (Throwable thrown) {
            trouble = thrown;
        } finally {
            consumer.close();
        }
    }

    void leave() {
        running = false;
        try {
            thread.join(Broker.PATIENCE_MS);
        } catch (InterruptedException stopped) {
            throw new IllegalStateException(stopped);
        }
        if (trouble != null) {
            throw new AssertionError("a member failed", trouble);
        }
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
        partitions.removeAll(numbers(revoked));
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
        partitions.addAll(numbers(assigned));
    }

    private static Set<Integer> numbers(Collection<TopicPartition> given) {
        return given.stream().map(TopicPartition::partition).collect(Collectors.toSet());
    }
}

import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/** Writes lines of words until it is told to stop, each once whatever happens to the broker, and knows how many words there were. */
final class Lines implements AutoCloseable {
    private static final int WORDS = 60;
    private static final int WORDS_A_LINE = 3;
    private static final int LINES_A_TURN = 10;
    private static final long PAUSE_MS = 25;

    private final Map<String, Long> words = new TreeMap<>();
    private final KafkaProducer<String, String> producer;
    private final String topic;
    private final Random random;
    private final Thread thread = new Thread(this::write, "lines");
    private volatile boolean stopping;
    private volatile Throwable trouble;

    Lines(String broker, String topic, long seed) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", broker);
        settings.put("enable.idempotence", "true");
        settings.put("acks", "all");
        producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        this.topic = topic;
        random = new Random(seed);
        thread.setDaemon(true);
        thread.start();
    }

    private void write() {
        try {
            while (!stopping) {
                Future<RecordMetadata> last = null;
                for (int line = 0; line < LINES_A_TURN; line++) {
                    last = producer.send(new ProducerRecord<>(topic, Integer.toString(random.nextInt()), line()));
                }
                last.get(); // not more in flight than the broker keeps sequences of
                Thread.sleep(PAUSE_MS);
            }
            producer.flush();
        } catch (Throwable thrown) {
            trouble = thrown;
        }
    }

    private String line() {
        StringBuilder line = new StringBuilder();
        for (int number = 0; number < WORDS_A_LINE; number++) {
            String word = "word-" + random.nextInt(WORDS);
            words.merge(word, 1L, Long::sum);
            line.append(number == 0 ? "" : " ").append(word);
        }
        return line.toString();
    }

    /** Stops writing; answers how often each word was written. */
    Map<String, Long> stop() throws InterruptedException {
        stopping = true;
        thread.join(30000);
        if (thread.isAlive() || trouble != null) {
            throw new AssertionError("lines were not written", trouble);
        }
        return words;
    }

    @Override
    public void close() {
        stopping = true;
        producer.close();
    }
}

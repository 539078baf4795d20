import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * The program that is killed: {@code WordCount HOST:PORT APPLICATION STATE-DIRECTORY LINES COUNTS}. It counts the words of one
 * topic into another, exactly once, through a topic by word and a store with its changelog. No cache in front of the store:
 * each word read is one update written, so a word that was counted twice, or not at all, shows in the topic.
 */
public final class WordCount {
    public static void main(String[] args) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(args[3])
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.as("by-word"))
            .count(Materialized.as("counts"))
            .toStream()
            .to(args[4], Produced.with(Serdes.String(), Serdes.Long()));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings(args[0], args[1], args[2]));
        // Nothing that a broker does may end it: whoever started it sees the status.
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.ERROR) {
                Runtime.getRuntime().halt(1);
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(15))));
        streams.start();
    }

    private static Properties settings(String broker, String application, String stateDirectory) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", broker);
        settings.put("application.id", application);
        settings.put("state.dir", stateDirectory);
        settings.put("processing.guarantee", "exactly_once_v2");
        settings.put("num.stream.threads", "2");
        settings.put("replication.factor", "1");
        settings.put("statestore.cache.max.bytes", "0");
        settings.put("commit.interval.ms", "200");
        settings.put("default.key.serde", Serdes.StringSerde.class.getName());
        settings.put("default.value.serde", Serdes.StringSerde.class.getName());
        settings.put("consumer.auto.offset.reset", "earliest");
        // One that was killed is missed, and its transaction aborted, within seconds.
        settings.put("consumer.session.timeout.ms", "2000");
        settings.put("consumer.heartbeat.interval.ms", "300");
        settings.put("producer.transaction.timeout.ms", "3000");
        return settings;
    }

    private WordCount() {
    }
}

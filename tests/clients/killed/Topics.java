import java.util.Arrays;
import java.util.Collections;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/** Topics of one replica. */
final class Topics {
    static void create(String broker, int partitions, String... names) throws Exception {
        try (Admin admin = Admin.create(Collections.singletonMap("bootstrap.servers", broker))) {
            admin.createTopics(Arrays.stream(names).map(name -> new NewTopic(name, partitions, (short) 1)).collect(Collectors.toList()))
                .all().get(30, TimeUnit.SECONDS);
            // Apache Kafka acknowledges a topic before it knows it.
            Watch.until("the topics are known", () -> {
                try {
                    return admin.describeTopics(Arrays.asList(names)).allTopicNames().get(30, TimeUnit.SECONDS).size() == names.length;
                } catch (java.util.concurrent.ExecutionException notYet) {
                    return false;
                }
            });
        }
    }

    private Topics() {
    }
}

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.producer.KafkaProducer;

/** Three members come, one goes, and a later one takes over where they stopped. */
public final class Groups {
    static void threeMembers(String... settings) {
        String topic = Broker.createTopic(6);
        String group = Broker.fresh("group");
        List<Member> everyone = new ArrayList<>();
        try (KafkaProducer<String, String> producer = Broker.producer()) {
            fill(producer, topic);
            everyone.add(new Member(group, topic, settings));
            share(everyone, 6);
            everyone.add(new Member(group, topic, settings));
            everyone.add(new Member(group, topic, settings));
            share(everyone, 2, 2, 2);
            fill(producer, topic);
            read(everyone, 120);
            everyone.get(2).leave();
            share(everyone.subList(0, 2), 3, 3);
            fill(producer, topic);
            read(everyone, 180);
            everyone.forEach(Member::leave);
            fill(producer, topic);
        } finally {
            for (Member member : everyone) {
                member.leave();
            }
        }
        Member later = new Member(group, topic, settings);
        read(Arrays.asList(later), 60);
        later.leave();
        Broker.isTrue(later.seen.stream().allMatch(place -> Integer.parseInt(place.split("/")[1]) >= 30), "it resumed: " + later.seen);
    }

    private static void fill(KafkaProducer<String, String> producer, String topic) {
        for (int partition = 0; partition < 6; partition++) {
            Broker.send(producer, topic, partition, 10);
        }
    }

    private static void read(List<Member> members, int count) {
        Broker.eventually(count + " records", () -> {
            Set<String> all = new HashSet<>();
            members.forEach(member -> all.addAll(member.seen));
            return all.size() >= count;
        });
    }

    static void share(List<Member> members, Integer... sizes) {
        Broker.eventually("shared as " + Arrays.toString(sizes), () -> {
            List<Integer> now = members.stream().map(member -> member.partitions.size()).sorted().collect(Collectors.toList());
            return now.equals(Arrays.asList(sizes));
        });
    }

    @Suite.Test
    public void range() {
        threeMembers("partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor");
    }

    @Suite.Test
    public void roundRobin() {
        threeMembers("partition.assignment.strategy=org.apache.kafka.clients.consumer.RoundRobinAssignor");
    }

    @Suite.Test
    public void sticky() {
        threeMembers("partition.assignment.strategy=org.apache.kafka.clients.consumer.StickyAssignor");
    }

    @Suite.Test
    public void defaults() {
        threeMembers();
    }
}

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.GroupType;

/** Groups of the consumer protocol (KIP-848), and groups that change their protocol while members are in. */
public final class ConsumerProtocol {
    private static final String CONSUMER = "group.protocol=consumer";

    @Suite.Test
    public void uniform() {
        Groups.threeMembers(CONSUMER);
    }

    @Suite.Test
    public void range() {
        Groups.threeMembers(CONSUMER, "group.remote.assignor=range");
    }

    @Suite.Test
    public void staticMemberKeepsItsPartitions() {
        String topic = Broker.createTopic(4);
        String group = Broker.fresh("group");
        Member stays = new Member(group, topic, CONSUMER, "group.instance.id=stays");
        Member returns = new Member(group, topic, CONSUMER, "group.instance.id=returns");
        Groups.share(Arrays.asList(stays, returns), 2, 2);
        Set<Integer> before = new HashSet<>(returns.partitions);
        returns.leave();
        Member again = new Member(group, topic, CONSUMER, "group.instance.id=returns");
        Broker.eventually("the same partitions", () -> again.partitions.equals(before));
        stays.leave();
        again.leave();
    }

    @Suite.Test
    public void migratesThereAndBack() {
        migrate();
    }

    @Suite.Test
    public void cooperativeMembersMigrateThereAndBack() {
        migrate("partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
    }

    /** Two classic members, one of which is replaced by one of the consumer protocol and comes back. */
    private static void migrate(String... classic) {
        String topic = Broker.createTopic(4);
        String group = Broker.fresh("group");
        List<Member> everyone = new ArrayList<>();
        try (KafkaProducer<String, String> producer = Broker.producer(); Admin admin = Broker.admin()) {
            fill(producer, topic);
            Member stays = new Member(group, topic, classic);
            Member goes = new Member(group, topic, classic);
            everyone.addAll(Arrays.asList(stays, goes));
            Groups.share(everyone, 2, 2);
            Broker.equal(GroupType.CLASSIC, type(admin, group), "before");

            Member newer = new Member(group, topic, CONSUMER);
            everyone.add(newer);
            Groups.share(everyone, 1, 1, 2);
            Broker.equal(GroupType.CONSUMER, type(admin, group), "with one member of the consumer protocol");
            ConsumerGroupDescription described = Broker.wait(admin.describeConsumerGroups(Arrays.asList(group)).all()).get(group);
            Broker.equal(3, described.members().size(), "members");
            long upgraded = described.members().stream().filter(member -> member.upgraded().equals(Optional.of(true))).count();
            Broker.equal(1L, upgraded, "members of the consumer protocol");
            fill(producer, topic);
            goes.leave();
            Groups.share(Arrays.asList(stays, newer), 2, 2);
            fill(producer, topic);

            newer.leave();
            Groups.share(Arrays.asList(stays), 4);
            Broker.equal(GroupType.CLASSIC, type(admin, group), "after the last of them has left");
            fill(producer, topic);
            Broker.eventually("every record", () -> {
                Set<String> all = new HashSet<>();
                everyone.forEach(member -> all.addAll(member.seen));
                return all.size() == 160;
            });
        } finally {
            everyone.forEach(Member::leave);
        }
    }

    private static void fill(KafkaProducer<String, String> producer, String topic) {
        for (int partition = 0; partition < 4; partition++) {
            Broker.send(producer, topic, partition, 10);
        }
    }

    private static GroupType type(Admin admin, String group) {
        for (GroupListing listed : Broker.wait(admin.listGroups().all())) {
            if (listed.groupId().equals(group)) {
                return listed.type().orElse(GroupType.UNKNOWN);
            }
        }
        throw new AssertionError("not listed: " + group);
    }
}

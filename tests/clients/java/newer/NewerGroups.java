import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;

/** What came after 2.0: incremental rebalancing (KIP-429) and static members (KIP-345). */
public final class NewerGroups {
    @Suite.Test
    public void cooperativeSticky() {
        Groups.threeMembers("partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
    }

    @Suite.Test
    public void staticMemberKeepsItsPartitions() {
        String topic = Broker.createTopic(4);
        String group = Broker.fresh("group");
        Member stays = new Member(group, topic, "group.instance.id=stays");
        Member returns = new Member(group, topic, "group.instance.id=returns");
        Groups.share(Arrays.asList(stays, returns), 2, 2);
        Set<Integer> before = new HashSet<>(returns.partitions);
        Set<Integer> others = new HashSet<>(stays.partitions);
        returns.leave();
        Member again = new Member(group, topic, "group.instance.id=returns");
        Broker.eventually("the same partitions", () -> again.partitions.equals(before));
        Broker.equal(others, new HashSet<>(stays.partitions), "the other's");
        stays.leave();
        again.leave();
    }

    @Suite.Test
    public void staticMembersShare() {
        String topic = Broker.createTopic(3);
        String group = Broker.fresh("group");
        Member[] members = new Member[3];
        for (int number = 0; number < 3; number++) {
            members[number] = new Member(group, topic, "group.instance.id=static-" + number);
        }
        Groups.share(Arrays.asList(members), 1, 1, 1);
        for (Member member : members) {
            member.leave();
        }
    }
}

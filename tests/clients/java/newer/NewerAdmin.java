import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.Map;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** What AdminClient learnt between 2.0 and 2.8. */
public final class NewerAdmin {
    private static AlterConfigOp change(String key, String value, OpType how) {
        return new AlterConfigOp(new ConfigEntry(key, value), how);
    }

    private static void alter(AdminClient admin, ConfigResource resource, AlterConfigOp... changes) {
        Broker.wait(admin.incrementalAlterConfigs(Collections.singletonMap(resource, Arrays.asList(changes))).all());
        Broker.settle();
    }

    @Suite.Test
    public void incrementalConfigs() {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, Broker.createTopic(1, "retention.ms=3600000"));
        try (AdminClient admin = Broker.admin()) {
            alter(admin, topic, change("cleanup.policy", "compact", OpType.APPEND), change("retention.ms", "", OpType.DELETE),
                change("max.message.bytes", "5000", OpType.SET));
            Config config = Admin.config(admin, topic);
            Broker.equal(new HashSet<>(Arrays.asList("delete", "compact")),
                new HashSet<>(Arrays.asList(config.get("cleanup.policy").value().split(","))), "appended");
            Broker.equal("604800000", config.get("retention.ms").value(), "deleted");
            Broker.equal("5000", config.get("max.message.bytes").value(), "set");
            Broker.equal(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, config.get("max.message.bytes").source(), "source");
            alter(admin, topic, change("cleanup.policy", "delete", OpType.SUBTRACT));
            Broker.equal("compact", Admin.config(admin, topic).get("cleanup.policy").value(), "subtracted");
            Broker.refused(InvalidConfigurationException.class, () -> alter(admin, topic, change("retention.ms", "soon", OpType.SET)));
            Broker.refused(InvalidConfigurationException.class, () -> alter(admin, topic, change("no.such.config", "1", OpType.SET)));
        }
    }

    @Suite.Test
    public void brokerConfig() {
        try (AdminClient admin = Broker.admin()) {
            String node = Broker.wait(admin.describeCluster().nodes()).iterator().next().idString();
            ConfigResource one = new ConfigResource(ConfigResource.Type.BROKER, node);
            alter(admin, one, change("message.max.bytes", "2000000", OpType.SET));
            Broker.equal("2000000", Admin.config(admin, one).get("message.max.bytes").value(), "set");
            alter(admin, one, change("message.max.bytes", "", OpType.DELETE));
            Broker.equal("1048588", Admin.config(admin, one).get("message.max.bytes").value(), "back to the default");
        }
    }

    @Suite.Test
    public void createTellsWhatItDid() {
        String topic = Broker.fresh("topic");
        try (AdminClient admin = Broker.admin()) {
            NewTopic asked = new NewTopic(topic, java.util.Optional.empty(), java.util.Optional.empty());
            CreateTopicsResult created = admin.createTopics(Collections.singleton(asked));
            Broker.equal(1, Broker.wait(created.numPartitions(topic)), "partitions");
            Broker.equal(1, Broker.wait(created.replicationFactor(topic)), "replicas");
            Broker.equal("delete", Broker.wait(created.config(topic)).get("cleanup.policy").value(), "config");
        }
    }

    @Suite.Test
    public void listOffsets() {
        TopicPartition partition = new TopicPartition(Broker.fill(10), 0);
        try (AdminClient admin = Broker.admin()) {
            Broker.equal(0, offset(admin, partition, OffsetSpec.earliest()), "earliest");
            Broker.equal(10, offset(admin, partition, OffsetSpec.latest()), "latest");
            Broker.equal(0, offset(admin, partition, OffsetSpec.forTimestamp(1)), "after 1970");
            Broker.equal(-1, offset(admin, partition, OffsetSpec.forTimestamp(System.currentTimeMillis() + 100000)), "in the future");
        }
    }

    private static long offset(AdminClient admin, TopicPartition partition, OffsetSpec spec) {
        Map<TopicPartition, ListOffsetsResultInfo> all = Broker.wait(admin.listOffsets(Collections.singletonMap(partition, spec)).all());
        return all.get(partition).offset();
    }

    @Suite.Test
    public void groupOffsets() {
        String topic = Broker.fill(5);
        String group = Broker.fresh("group");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (AdminClient admin = Broker.admin()) {
            Broker.wait(admin.alterConsumerGroupOffsets(group, Collections.singletonMap(partition, new OffsetAndMetadata(2, "a note"))).all());
            Broker.equal(new OffsetAndMetadata(2, "a note"),
                Broker.wait(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(partition), "altered");
            try (KafkaConsumer<String, String> consumer = Broker.consumer("group.id=" + group)) {
                consumer.subscribe(Collections.singleton(topic));
                Broker.equal(Broker.range(2, 5), Broker.offsets(Broker.take(consumer, 3)), "from there");
                Broker.refused(UnknownMemberIdException.class, () -> Broker.wait(
                    admin.alterConsumerGroupOffsets(group, Collections.singletonMap(partition, new OffsetAndMetadata(1))).all()));
                Broker.refused(GroupSubscribedToTopicException.class, () -> deleteOffset(admin, group, partition));
            }
            deleteOffset(admin, group, partition);
            Broker.equal(null, Broker.wait(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(partition), "deleted");
        }
    }

    private static void deleteOffset(AdminClient admin, String group, TopicPartition partition) {
        Broker.wait(admin.deleteConsumerGroupOffsets(group, Collections.singleton(partition)).partitionResult(partition));
    }

    @Suite.Test
    public void removeStaticMember() {
        String topic = Broker.createTopic(1);
        String group = Broker.fresh("group");
        try (AdminClient admin = Broker.admin()) {
            Member member = new Member(group, topic, "group.instance.id=one");
            Groups.share(Arrays.asList(member), 1);
            member.leave();
            Broker.equal(1, Admin.describeGroup(admin, group).members().size(), "a static member stays");
            Broker.wait(admin.removeMembersFromConsumerGroup(group,
                new RemoveMembersFromConsumerGroupOptions(Collections.singleton(new MemberToRemove("one")))).all());
            Broker.equal(0, Admin.describeGroup(admin, group).members().size(), "removed");
        }
    }

    @Suite.Test
    public void electLeaders() {
        TopicPartition partition = new TopicPartition(Broker.createTopic(1), 0);
        try (AdminClient admin = Broker.admin()) {
            Throwable outcome = Broker.wait(admin.electLeaders(ElectionType.PREFERRED, Collections.singleton(partition)).partitions())
                .get(partition).orElse(null);
            Broker.isTrue(outcome instanceof ElectionNotNeededException, "not needed, got " + outcome);
        }
    }
}

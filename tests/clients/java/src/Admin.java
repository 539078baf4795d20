import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** What AdminClient has had since 2.0. */
public final class Admin {
    static TopicDescription describe(AdminClient admin, String topic) {
        Future<Map<String, TopicDescription>> all = Broker.either(admin.describeTopics(Collections.singleton(topic)), "allTopicNames", "all");
        return Broker.wait(all).get(topic);
    }

    static Config config(AdminClient admin, ConfigResource resource) {
        return Broker.wait(admin.describeConfigs(Collections.singleton(resource)).all()).get(resource);
    }

    private static void create(AdminClient admin, NewTopic topic) {
        Broker.wait(admin.createTopics(Collections.singleton(topic)).all());
    }

    @Suite.Test
    public void topicFromCradleToGrave() {
        try (AdminClient admin = Broker.admin()) {
            String topic = Broker.createTopic(3);
            Broker.equal(3, describe(admin, topic).partitions().size(), "partitions");
            Broker.equal(1, describe(admin, topic).partitions().get(0).isr().size(), "in sync");
            Broker.isTrue(Broker.wait(admin.listTopics().names()).contains(topic), "listed");
            Broker.wait(admin.createPartitions(Collections.singletonMap(topic, NewPartitions.increaseTo(5))).all());
            Broker.settle();
            Broker.equal(5, describe(admin, topic).partitions().size(), "more partitions");
            Broker.wait(admin.deleteTopics(Collections.singleton(topic)).all());
            Broker.settle();
            Broker.isTrue(!Broker.wait(admin.listTopics().names()).contains(topic), "gone");
            Broker.refused(UnknownTopicOrPartitionException.class, () -> describe(admin, topic));
        }
    }

    @Suite.Test
    public void refusals() {
        String topic = Broker.createTopic(1);
        String absent = Broker.fresh("absent");
        try (AdminClient admin = Broker.admin()) {
            Broker.refused(TopicExistsException.class, () -> create(admin, new NewTopic(topic, 1, (short) 1)));
            Broker.refused(InvalidReplicationFactorException.class, () -> create(admin, new NewTopic(absent, 1, (short) 9)));
            Broker.refused(InvalidPartitionsException.class, () -> create(admin, new NewTopic(absent, 0, (short) 1)));
            Broker.refused(InvalidTopicException.class, () -> create(admin, new NewTopic("no/slash", 1, (short) 1)));
            NewTopic burn = new NewTopic(absent, 1, (short) 1).configs(Collections.singletonMap("cleanup.policy", "burn"));
            Broker.refused(InvalidConfigurationException.class, () -> create(admin, burn));
            NewTopic odd = new NewTopic(absent, 1, (short) 1).configs(Collections.singletonMap("no.such.config", "1"));
            Broker.refused(InvalidConfigurationException.class, () -> create(admin, odd));
            Broker.refused(UnknownTopicOrPartitionException.class, () -> Broker.wait(admin.deleteTopics(Collections.singleton(absent)).all()));
            Broker.refused(InvalidPartitionsException.class,
                () -> Broker.wait(admin.createPartitions(Collections.singletonMap(topic, NewPartitions.increaseTo(1))).all()));
        }
    }

    @Suite.Test
    public void validateOnlyAndGivenReplicas() {
        String topic = Broker.fresh("topic");
        try (AdminClient admin = Broker.admin()) {
            NewTopic given = new NewTopic(topic, Collections.singletonMap(0, Collections.singletonList(node(admin).id())));
            Broker.wait(admin.createTopics(Collections.singleton(given), new CreateTopicsOptions().validateOnly(true)).all());
            Broker.settle();
            Broker.isTrue(!Broker.wait(admin.listTopics().names()).contains(topic), "not created");
            create(admin, given);
            Broker.settle();
            Broker.equal(node(admin).id(), describe(admin, topic).partitions().get(0).leader().id(), "leader");
        }
    }

    private static Node node(AdminClient admin) {
        return Broker.wait(admin.describeCluster().nodes()).iterator().next();
    }

    @Suite.Test
    public void cluster() {
        try (AdminClient admin = Broker.admin()) {
            DescribeClusterResult cluster = admin.describeCluster();
            Collection<Node> nodes = Broker.wait(cluster.nodes());
            Broker.equal(1, nodes.size(), "nodes");
            Node node = nodes.iterator().next();
            Broker.equal(Broker.address, node.host() + ":" + node.port(), "address");
            Broker.equal(node.id(), Broker.wait(cluster.controller()).id(), "controller");
            Broker.isTrue(!Broker.wait(cluster.clusterId()).isEmpty(), "cluster id");
        }
    }

    @Suite.Test
    public void configs() {
        String topic = Broker.createTopic(1, "retention.ms=3600000");
        try (AdminClient admin = Broker.admin()) {
            Config config = config(admin, new ConfigResource(ConfigResource.Type.TOPIC, topic));
            Broker.equal("3600000", config.get("retention.ms").value(), "set");
            Broker.isTrue(!config.get("retention.ms").isDefault(), "not a default");
            Broker.equal("delete", config.get("cleanup.policy").value(), "default");
            Broker.isTrue(config.get("cleanup.policy").isDefault(), "a default");
            Config broker = config(admin, new ConfigResource(ConfigResource.Type.BROKER, node(admin).idString()));
            Broker.equal("1", broker.get("num.partitions").value(), "of the broker");
        }
    }

    @Suite.Test
    public void deleteRecords() {
        TopicPartition partition = new TopicPartition(Broker.fill(10), 0);
        try (AdminClient admin = Broker.admin(); KafkaConsumer<String, String> consumer = Broker.consumer()) {
            Broker.equal(4, Broker.wait(admin.deleteRecords(Collections.singletonMap(partition, RecordsToDelete.beforeOffset(4)))
                .lowWatermarks().get(partition)).lowWatermark(), "low watermark");
            consumer.assign(Collections.singleton(partition));
            Broker.equal(Broker.range(4, 10), Broker.offsets(Broker.take(consumer, 6)), "what is left");
            ClientLog.expect("due to an unexpected error OFFSET_OUT_OF_RANGE");
            Broker.refused(OffsetOutOfRangeException.class,
                () -> Broker.wait(admin.deleteRecords(Collections.singletonMap(partition, RecordsToDelete.beforeOffset(11))).all()));
        }
    }

    @Suite.Test
    public void logDirs() {
        String topic = Broker.fill(10);
        try (AdminClient admin = Broker.admin()) {
            Set<Integer> brokers = Collections.singleton(node(admin).id());
            Future<?> all = Broker.either(admin.describeLogDirs(brokers), "allDescriptions", "all");
            Map<?, ?> found = (Map<?, ?>) ((Map<?, ?>) Broker.wait(all)).values().iterator().next();
            Broker.isTrue(!found.isEmpty(), "a directory");
            if (!Broker.isOld()) {
                Map<TopicPartition, ?> replicas = Broker.either(found.values().iterator().next(), "replicaInfos");
                Object replica = replicas.get(new TopicPartition(topic, 0));
                Broker.isTrue(Broker.<Long>either(replica, "size") > 300, "its size");
            }
        }
    }

    @Suite.Test
    public void groupFromCradleToGrave() {
        String topic = Broker.fill(3);
        String group = Broker.fresh("group");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (AdminClient admin = Broker.admin()) {
            try (KafkaConsumer<String, String> consumer = Broker.consumer("group.id=" + group)) {
                consumer.subscribe(Collections.singleton(topic));
                Broker.take(consumer, 3);
                consumer.commitSync();
                ConsumerGroupDescription described = describeGroup(admin, group);
                Broker.equal("Stable", described.state().toString(), "state");
                Broker.equal(Collections.singleton(partition), described.members().iterator().next().assignment().topicPartitions(), "assignment");
                Broker.isTrue(described.coordinator().id() >= 0, "coordinator");
                Broker.refused(GroupNotEmptyException.class, () -> delete(admin, group));
            }
            Broker.equal("Empty", describeGroup(admin, group).state().toString(), "state after leaving");
            Collection<ConsumerGroupListing> listed = Broker.wait(admin.listConsumerGroups().all());
            Broker.isTrue(listed.stream().anyMatch(found -> found.groupId().equals(group)), "listed");
            Broker.equal(3, Broker.wait(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(partition).offset(), "offset");
            delete(admin, group);
            Broker.refused(GroupIdNotFoundException.class, () -> delete(admin, group));
        }
    }

    static ConsumerGroupDescription describeGroup(AdminClient admin, String group) {
        return Broker.wait(admin.describeConsumerGroups(Collections.singleton(group)).all()).get(group);
    }

    private static void delete(AdminClient admin, String group) {
        Broker.wait(admin.deleteConsumerGroups(Arrays.asList(group)).all());
    }
}

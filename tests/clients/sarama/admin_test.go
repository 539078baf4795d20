package main

import (
	"fmt"
	"testing"

	"github.com/IBM/sarama"
)

// What every release of Sarama's cluster admin can do, once over, on a topic and a group of its own.
func TestAdmin(t *testing.T) {
	for _, version := range lines() {
		version := version
		t.Run(version.String(), func(t *testing.T) {
			t.Parallel()
			admin := clusterAdmin(t, version)
			nodes, _, err := admin.DescribeCluster()
			must(t, err)
			if len(nodes) != 1 {
				t.Errorf("%d nodes", len(nodes))
			}
			topic := adminTopics(t, admin, version)
			adminConfigs(t, admin, version, topic)
			adminGroups(t, admin, version, topic)
			adminRecords(t, admin, version, topic)
			must(t, admin.DeleteTopic(topic))
			settle()
			topics, err := admin.ListTopics()
			must(t, err)
			if _, there := topics[topic]; there {
				t.Error("a deleted topic is listed")
			}
		})
	}
}

func adminTopics(t *testing.T, admin sarama.ClusterAdmin, version sarama.KafkaVersion) string {
	t.Helper()
	topic, retention := fresh("admin"), "3600000"
	detail := &sarama.TopicDetail{
		NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &retention},
	}
	must(t, admin.CreateTopic(topic, detail, false))
	settle()
	if err := admin.CreateTopic(topic, detail, false); err == nil {
		t.Error("the same topic was created twice")
	}
	must(t, admin.CreateTopic(fresh("never"), detail, true))
	partitions := 2
	if version.IsAtLeast(sarama.V1_0_0_0) {
		partitions = 3
		must(t, admin.CreatePartitions(topic, 3, nil, false))
		settle()
	}
	described, err := admin.DescribeTopics([]string{topic})
	must(t, err)
	if len(described[0].Partitions) != partitions {
		t.Errorf("described as %+v", *described[0])
	}
	listed, err := admin.ListTopics()
	must(t, err)
	if got, there := listed[topic]; !there || int(got.NumPartitions) != partitions {
		t.Errorf("listed as %+v", got)
	}
	return topic
}

func adminConfigs(t *testing.T, admin sarama.ClusterAdmin, version sarama.KafkaVersion, topic string) {
	t.Helper()
	expect := func(retention string) {
		t.Helper()
		entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
		must(t, err)
		for _, entry := range entries {
			if entry.Name == "retention.ms" && entry.Value == retention {
				return
			}
		}
		t.Errorf("retention.ms is not %s", retention)
	}
	expect("3600000")
	retention := "7200000"
	must(t, admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &retention}, false))
	settle()
	expect(retention)
	if version.IsAtLeast(sarama.V2_3_0_0) {
		retention = "10800000"
		must(t, setIncrementally(admin, topic, "retention.ms", retention))
		settle()
		expect(retention)
	}
	nodes, _, err := admin.DescribeCluster()
	must(t, err)
	id := nodes[0].ID()
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.BrokerResource, Name: fmt.Sprint(id)})
	must(t, err)
	if len(entries) == 0 {
		t.Error("a broker without configuration")
	}
	if !version.IsAtLeast(sarama.V1_0_0_0) {
		return
	}
	dirs, err := admin.DescribeLogDirs([]int32{id})
	must(t, err)
	if len(dirs[id]) == 0 || dirs[id][0].ErrorCode != sarama.ErrNoError {
		t.Errorf("log dirs %+v", dirs)
	}
}

func adminGroups(t *testing.T, admin sarama.ClusterAdmin, version sarama.KafkaVersion, topic string) {
	t.Helper()
	group := fresh("group")
	commit(t, version, group, topic, 2)
	fetched, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1}})
	must(t, err)
	if at := fetched.GetBlock(topic, 0); at == nil || at.Offset != 2 {
		t.Errorf("committed offset %+v", at)
	}
	if at := fetched.GetBlock(topic, 1); at == nil || at.Offset != -1 {
		t.Errorf("an offset that nobody committed: %+v", at)
	}
	listed, err := admin.ListConsumerGroups()
	must(t, err)
	if _, there := listed[group]; !there {
		t.Error("a group with offsets is not listed")
	}
	described, err := admin.DescribeConsumerGroups([]string{group})
	must(t, err)
	if described[0].State != "Empty" {
		t.Errorf("described as %+v", *described[0])
	}
	if version.IsAtLeast(sarama.V2_4_0_0) {
		must(t, admin.DeleteConsumerGroupOffset(group, topic, 0))
		commit(t, version, group, topic, 1)
	}
	if version.IsAtLeast(sarama.V1_1_0_0) {
		must(t, admin.DeleteConsumerGroup(group))
	}
}

func commit(t *testing.T, version sarama.KafkaVersion, group, topic string, offset int64) {
	t.Helper()
	client, err := sarama.NewClient(brokers(), config(version))
	must(t, err)
	defer func() { must(t, client.Close()) }()
	offsets, err := sarama.NewOffsetManagerFromClient(group, client)
	must(t, err)
	partition, err := offsets.ManagePartition(topic, 0)
	must(t, err)
	partition.MarkOffset(offset, "by hand")
	offsets.Commit()
	must(t, partition.Close())
	must(t, offsets.Close())
}

func adminRecords(t *testing.T, admin sarama.ClusterAdmin, version sarama.KafkaVersion, topic string) {
	t.Helper()
	settings := config(version)
	settings.Producer.Partitioner = sarama.NewManualPartitioner
	send(t, settings, topic, "to be deleted")
	must(t, admin.DeleteRecords(topic, map[int32]int64{0: 4}))
	client, err := sarama.NewClient(brokers(), config(version))
	must(t, err)
	defer func() { must(t, client.Close()) }()
	oldest, err := client.GetOffset(topic, 0, sarama.OffsetOldest)
	must(t, err)
	newest, err := client.GetOffset(topic, 0, sarama.OffsetNewest)
	must(t, err)
	if oldest != 4 || newest != perProducer {
		t.Errorf("offsets %d to %d", oldest, newest)
	}
	byTime, err := client.GetOffset(topic, 0, 1_700_000_000_007)
	must(t, err)
	if byTime != 7 {
		t.Errorf("offset %d for a timestamp, 7 expected", byTime)
	}
}

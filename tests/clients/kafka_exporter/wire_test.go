package main

import (
	"strconv"
	"testing"

	"github.com/IBM/sarama"
)

// overTheWire asks what the exporter asks, in the versions in which it asks, and counts as it counts: of a topic with
// any commit every partition, with -1 where there is none, which no sum of lags has in it.
func overTheWire(t *testing.T, fetchOffsets int16) series {
	t.Helper()
	config := sarama.NewConfig()
	config.Version = sarama.V2_0_0_0
	config.Metadata.AllowAutoTopicCreation = false
	client, err := sarama.NewClient([]string{broker(t)}, config)
	must(t, err)
	defer client.Close()
	found := series{}
	found.add("kafka_brokers", float64(len(client.Brokers())))
	topics, err := client.Topics()
	must(t, err)
	ends := map[string]map[int32]int64{}
	for _, topic := range topics {
		ends[topic] = partitions(t, client, topic, found)
	}
	for _, one := range client.Brokers() {
		found.add("kafka_broker_info", 1, "id", strconv.Itoa(int(one.ID())), "address", one.Addr())
		if connected, _ := one.Connected(); !connected {
			must(t, one.Open(config))
		}
		groups(t, one, fetchOffsets, ends, found)
	}
	return found
}

func partitions(t *testing.T, client sarama.Client, topic string, found series) map[int32]int64 {
	t.Helper()
	indexes, err := client.Partitions(topic)
	must(t, err)
	found.add("kafka_topic_partitions", float64(len(indexes)), "topic", topic)
	ends := map[int32]int64{}
	for _, index := range indexes {
		leader, err := client.Leader(topic, index)
		must(t, err)
		start, err := client.GetOffset(topic, index, sarama.OffsetOldest)
		must(t, err)
		ends[index], err = client.GetOffset(topic, index, sarama.OffsetNewest)
		must(t, err)
		replicas, err := client.Replicas(topic, index)
		must(t, err)
		inSync, err := client.InSyncReplicas(topic, index)
		must(t, err)
		for name, value := range map[string]float64{
			"leader":                     float64(leader.ID()),
			"current_offset":             float64(ends[index]),
			"oldest_offset":              float64(start),
			"replicas":                   float64(len(replicas)),
			"in_sync_replica":            float64(len(inSync)),
			"leader_is_preferred":        number(leader.ID() == replicas[0]),
			"under_replicated_partition": number(len(inSync) < len(replicas)),
		} {
			found.add("kafka_topic_partition_"+name, value, "topic", topic, "partition", strconv.Itoa(int(index)))
		}
	}
	return ends
}

func groups(t *testing.T, one *sarama.Broker, version int16, ends map[string]map[int32]int64, found series) {
	t.Helper()
	listed, err := one.ListGroups(&sarama.ListGroupsRequest{})
	must(t, err)
	var ids []string
	for id := range listed.Groups {
		ids = append(ids, id)
	}
	described, err := one.DescribeGroups(&sarama.DescribeGroupsRequest{Groups: ids})
	must(t, err)
	for _, group := range described.Groups {
		found.add("kafka_consumergroup_members", float64(len(group.Members)), "consumergroup", group.GroupId)
		ask := &sarama.OffsetFetchRequest{ConsumerGroup: group.GroupId, Version: version}
		for topic, indexes := range ends {
			for index := range indexes {
				ask.AddPartition(topic, index)
			}
		}
		answer, err := one.FetchOffset(ask)
		must(t, err)
		for topic, blocks := range answer.Blocks {
			commits(group.GroupId, topic, blocks, ends[topic], found)
		}
	}
}

func commits(group, topic string, blocks map[int32]*sarama.OffsetFetchResponseBlock, ends map[int32]int64, found series) {
	any := false
	for _, block := range blocks {
		any = any || block.Offset != -1
	}
	if !any {
		return
	}
	var offsets, lags int64
	for index, block := range blocks {
		lag := int64(-1)
		if block.Offset != -1 {
			lag = ends[index] - block.Offset
			lags += lag
		}
		offsets += block.Offset
		labels := []string{"consumergroup", group, "topic", topic, "partition", strconv.Itoa(int(index))}
		found.add("kafka_consumergroup_current_offset", float64(block.Offset), labels...)
		found.add("kafka_consumergroup_lag", float64(lag), labels...)
	}
	found.add("kafka_consumergroup_current_offset_sum", float64(offsets), "consumergroup", group, "topic", topic)
	found.add("kafka_consumergroup_lag_sum", float64(lags), "consumergroup", group, "topic", topic)
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

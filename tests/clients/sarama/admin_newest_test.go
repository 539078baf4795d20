package main

import (
	"testing"

	"github.com/IBM/sarama"
)

// What only the newest release can do.
func TestAdminNewest(t *testing.T) {
	version := sarama.MaxVersion
	admin := clusterAdmin(t, version)
	topic := createTopic(t, version, 2)
	group := fresh("group")

	listed, err := admin.ListOffsets(map[string]map[int32]int64{topic: {0: sarama.OffsetNewest}}, nil)
	must(t, err)
	if at := listed[topic][0]; at == nil || at.Err != sarama.ErrNoError || at.Offset != 0 {
		t.Errorf("listed %+v", at)
	}
	offsets := map[string]map[int32]sarama.OffsetAndMetadata{topic: {0: {Offset: 0, Metadata: "set by the admin"}}}
	altered, err := admin.AlterConsumerGroupOffsets(group, offsets, nil)
	must(t, err)
	for topic, partitions := range altered.Errors {
		for partition, code := range partitions {
			if code != sarama.ErrNoError {
				t.Errorf("%s-%d: %v", topic, partition, code)
			}
		}
	}
	batch, err := admin.ListConsumerGroupOffsetsBatch(map[string]map[string][]int32{group: {topic: {0}}})
	must(t, err)
	if batch[group] == nil {
		t.Errorf("batch %+v", batch)
	}
	coordinator, err := admin.Coordinator(group)
	must(t, err)
	if coordinator.Addr() != brokers()[0] {
		t.Errorf("coordinator at %s", coordinator.Addr())
	}
}

// Package dapr holds what a broker owes to Dapr: the components' own conformance suites, and what they leave out.
package dapr

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/dapr/components-contrib/pubsub"
	kafkapubsub "github.com/dapr/components-contrib/pubsub/kafka"
	"github.com/dapr/kit/logger"
)

// patience bounds every wait for something that must happen. Dapr's own suite gives 60 s.
const patience = 60 * time.Second

var broker = os.Getenv("BROKER")

func TestMain(m *testing.M) {
	if broker == "" {
		panic("BROKER names the address of the broker")
	}
	os.Exit(m.Run())
}

func quiet() logger.Logger {
	log := logger.NewLogger("dapr.kafka")
	log.SetOutputLevel(logger.WarnLevel)
	return log
}

// unique keeps two runs against one broker apart.
func unique(name string) string {
	var salt [4]byte
	if _, err := rand.Read(salt[:]); err != nil {
		panic(err)
	}
	return name + "-" + hex.EncodeToString(salt[:])
}

// component returns the metadata of a component as a Dapr user writes it, with more on top.
func component(group string, more map[string]string) map[string]string {
	properties := map[string]string{
		"brokers":       broker,
		"consumerGroup": group,
		"authRequired":  "false",
		"initialOffset": "oldest",
	}
	maps.Copy(properties, more)
	return properties
}

func startPubsub(t *testing.T, properties map[string]string) pubsub.PubSub {
	t.Helper()
	ps := kafkapubsub.NewKafka(quiet())
	if err := initPubsub(context.Background(), ps, properties); err != nil {
		t.Fatalf("init: %v", err)
	}
	return ps
}

// publishNumbered publishes the numbers [from, to) as events whose key is the number.
func publishNumbered(t *testing.T, ps pubsub.PubSub, topic string, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		event := strconv.Itoa(n)
		request := &pubsub.PublishRequest{
			Data: []byte(event), PubsubName: "kafka", Topic: topic,
			Metadata: map[string]string{"partitionKey": event},
		}
		if err := publish(context.Background(), ps, request); err != nil {
			t.Fatalf("event %d: %v", n, err)
		}
	}
}

func admin(t *testing.T) sarama.ClusterAdmin {
	t.Helper()
	config := sarama.NewConfig()
	config.Version = sarama.V2_0_0_0
	a, err := sarama.NewClusterAdmin([]string{broker}, config)
	if err != nil {
		t.Fatalf("admin: %v", err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func createTopic(t *testing.T, topic string, partitions int32) {
	t.Helper()
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}
	if err := admin(t).CreateTopic(topic, detail, false); err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
	if ms, err := strconv.Atoi(os.Getenv("SETTLE_MS")); err == nil {
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
}

// committed sums what the group has committed over the partitions of the topic.
func committed(t *testing.T, group, topic string, partitions int32) int64 {
	t.Helper()
	wanted := map[string][]int32{topic: {}}
	for p := range partitions {
		wanted[topic] = append(wanted[topic], p)
	}
	answer, err := admin(t).ListConsumerGroupOffsets(group, wanted)
	if err != nil {
		t.Fatalf("offsets of %s: %v", group, err)
	}
	var sum int64
	for p := range partitions {
		block := answer.GetBlock(topic, p)
		if block == nil || block.Err != sarama.ErrNoError {
			t.Fatalf("offset of %s/%d: %+v", topic, p, block)
		}
		sum += max(block.Offset, 0)
	}
	return sum
}

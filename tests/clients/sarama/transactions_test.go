package main

import (
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// A transaction that is committed, one that is aborted, and one that commits a group's offset with its record.
func TestTransactions(t *testing.T) {
	for _, version := range lines() {
		version := version
		t.Run(version.String(), func(t *testing.T) {
			t.Parallel()
			topic, group := createTopic(t, version, 1), fresh("group")
			producer := transactional(t, version, fresh("transaction"))
			defer func() { must(t, producer.Close()) }()

			must(t, producer.BeginTxn())
			must(t, sendOne(producer, topic, "kept"))
			must(t, producer.CommitTxn())
			must(t, producer.BeginTxn())
			must(t, sendOne(producer, topic, "dropped"))
			must(t, producer.AbortTxn())
			must(t, producer.BeginTxn())
			must(t, sendOne(producer, topic, "kept too"))
			offset := &sarama.PartitionOffsetMetadata{Partition: 0, Offset: 1}
			must(t, producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{topic: {offset}}, group))
			must(t, producer.CommitTxn())

			expect(t, version, topic, sarama.ReadCommitted, "kept", "kept too")
			expect(t, version, topic, sarama.ReadUncommitted, "kept", "dropped", "kept too")
			eventually(t, "the offset of the transaction", func() bool { return committed(t, version, group, topic) == 1 })
		})
	}
}

// The second producer of a transactional id ends what the first has begun, and the first can do nothing more.
func TestSecondProducerFencesTheFirst(t *testing.T) {
	for _, version := range lines() {
		version := version
		t.Run(version.String(), func(t *testing.T) {
			t.Parallel()
			topic, id := createTopic(t, version, 1), fresh("transaction")
			first := transactional(t, version, id)
			must(t, first.BeginTxn())
			must(t, sendOne(first, topic, "early"))

			second := transactional(t, version, id)
			defer func() { must(t, second.Close()) }()
			err := first.CommitTxn()
			if !errors.Is(err, sarama.ErrProducerFenced) && !errors.Is(err, sarama.ErrInvalidProducerEpoch) {
				t.Errorf("a fenced producer's commit: %v", err)
			}
			_ = first.Close()

			must(t, second.BeginTxn())
			must(t, sendOne(second, topic, "late"))
			must(t, second.CommitTxn())
			expect(t, version, topic, sarama.ReadCommitted, "late")
		})
	}
}

func transactional(t *testing.T, version sarama.KafkaVersion, id string) sarama.SyncProducer {
	t.Helper()
	settings := config(version)
	settings.Producer.Idempotent = true
	settings.Producer.RequiredAcks = sarama.WaitForAll
	settings.Producer.Transaction.ID = id
	settings.Net.MaxOpenRequests = 1
	var producer sarama.SyncProducer
	// Sarama 1.41 leaves it to its user to ask again while the transaction of another producer is being aborted.
	eventually(t, "a producer", func() bool {
		var err error
		producer, err = sarama.NewSyncProducer(brokers(), settings)
		if !errors.Is(err, sarama.ErrConcurrentTransactions) {
			must(t, err)
		}
		return err == nil
	})
	return producer
}

func sendOne(producer sarama.SyncProducer, topic, value string) error {
	_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
	return err
}

// expect holds that a reader at this level gets these records first, in this order.
func expect(t *testing.T, version sarama.KafkaVersion, topic string, level sarama.IsolationLevel, values ...string) {
	t.Helper()
	settings := config(version)
	settings.Consumer.IsolationLevel = level
	consumer, err := sarama.NewConsumer(brokers(), settings)
	must(t, err)
	defer func() { must(t, consumer.Close()) }()
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	must(t, err)
	defer func() { must(t, partition.Close()) }()
	timeout := time.After(patience)
	for _, value := range values {
		select {
		case message := <-partition.Messages():
			if string(message.Value) != value {
				t.Fatalf("%q where %q was expected", message.Value, value)
			}
		case err := <-partition.Errors():
			t.Fatalf("consume: %v", err)
		case <-timeout:
			t.Fatalf("no %q within %v", value, patience)
		}
	}
}

// committed is the group's offset; -1 without one.
func committed(t *testing.T, version sarama.KafkaVersion, group, topic string) int64 {
	t.Helper()
	found, err := clusterAdmin(t, version).ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
	must(t, err)
	return found.GetBlock(topic, 0).Offset
}

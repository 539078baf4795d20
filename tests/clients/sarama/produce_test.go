package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

var acks = map[string]sarama.RequiredAcks{"0": sarama.NoResponse, "1": sarama.WaitForLocal, "all": sarama.WaitForAll}

var codecs = []sarama.CompressionCodec{
	sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
}

const perProducer = 10

// Every acks with every codec that the version allows, into one partition; what comes out is what went in, in order.
func TestProduce(t *testing.T) {
	for _, version := range versions() {
		version := version
		t.Run(version.String(), func(t *testing.T) {
			t.Parallel()
			topic := createTopic(t, version, 1)
			sent := 0
			for name, required := range acks {
				for _, codec := range codecs {
					if codec == sarama.CompressionZSTD && !version.IsAtLeast(sarama.V2_1_0_0) {
						continue
					}
					produceWith(t, version, topic, name, required, codec)
					sent += perProducer
				}
			}
			consumeAll(t, version, topic, sent)
		})
	}
}

// An idempotent producer: one connection in flight, sequence numbers, acks=all.
func TestIdempotentProducer(t *testing.T) {
	for _, version := range versions() {
		version := version
		t.Run(version.String(), func(t *testing.T) {
			t.Parallel()
			topic := createTopic(t, version, 1)
			settings := config(version)
			settings.Producer.Idempotent = true
			settings.Producer.RequiredAcks = sarama.WaitForAll
			settings.Net.MaxOpenRequests = 1
			settings.Producer.Flush.MaxMessages = 3
			send(t, settings, topic, "idempotent")
			consumeAll(t, version, topic, perProducer)
		})
	}
}

func produceWith(t *testing.T, version sarama.KafkaVersion, topic, name string, required sarama.RequiredAcks, codec sarama.CompressionCodec) {
	t.Helper()
	settings := config(version)
	settings.Producer.RequiredAcks = required
	settings.Producer.Compression = codec
	send(t, settings, topic, fmt.Sprintf("acks=%s %s", name, codec))
}

func send(t *testing.T, settings *sarama.Config, topic, label string) {
	t.Helper()
	producer, err := sarama.NewSyncProducer(brokers(), settings)
	must(t, err)
	batch := make([]*sarama.ProducerMessage, perProducer)
	for i := range batch {
		batch[i] = &sarama.ProducerMessage{
			Topic:     topic,
			Key:       sarama.StringEncoder(fmt.Sprint(i)),
			Value:     sarama.StringEncoder(value(label, i)),
			Headers:   []sarama.RecordHeader{{Key: []byte("label"), Value: []byte(label)}},
			Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
		}
	}
	if err := producer.SendMessages(batch); err != nil {
		t.Errorf("%s: %v", label, err)
	}
	must(t, producer.Close())
}

// value compresses well, so that a codec has something to do.
func value(label string, i int) string {
	return fmt.Sprintf("%s %d %0512d", label, i, 0)
}

func consumeAll(t *testing.T, version sarama.KafkaVersion, topic string, expected int) {
	t.Helper()
	consumer, err := sarama.NewConsumer(brokers(), config(version))
	must(t, err)
	defer func() { must(t, consumer.Close()) }()
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	must(t, err)
	defer func() { must(t, partition.Close()) }()

	next := map[string]int{}
	timeout := time.After(patience)
	for offset := int64(0); offset < int64(expected); offset++ {
		select {
		case message := <-partition.Messages():
			check(t, message, offset, next)
		case err := <-partition.Errors():
			t.Fatalf("consume: %v", err)
		case <-timeout:
			t.Fatalf("%d of %d messages within %v", offset, expected, patience)
		}
	}
}

func check(t *testing.T, message *sarama.ConsumerMessage, offset int64, next map[string]int) {
	t.Helper()
	if message.Offset != offset {
		t.Fatalf("offset %d where %d was expected", message.Offset, offset)
	}
	if len(message.Headers) != 1 || string(message.Headers[0].Key) != "label" {
		t.Fatalf("offset %d: headers %v", offset, message.Headers)
	}
	label := string(message.Headers[0].Value)
	i := next[label]
	next[label]++
	if string(message.Value) != value(label, i) || string(message.Key) != fmt.Sprint(i) {
		t.Fatalf("offset %d: %q with key %q, expected number %d of %q", offset, message.Value, message.Key, i, label)
	}
	if message.Timestamp.UnixMilli() != 1_700_000_000_000+int64(i) {
		t.Fatalf("offset %d: timestamp %v", offset, message.Timestamp)
	}
}

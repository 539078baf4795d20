package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// oldVersions are those that produce and consume message sets, the formats before record batches.
var oldVersions = []sarama.KafkaVersion{
	sarama.V0_8_2_0, sarama.V0_8_2_2, sarama.V0_9_0_0, sarama.V0_9_0_1, sarama.V0_10_0_0, sarama.V0_10_1_0, sarama.V0_10_2_0,
}

// Every acks with every codec from an old producer and from a new one, read by an old consumer and by a new one.
func TestOldFormats(t *testing.T) {
	for _, version := range oldVersions {
		version := version
		t.Run(version.String(), func(t *testing.T) {
			t.Parallel()
			topic := createTopic(t, sarama.V2_0_0_0, 1)
			var labels []string
			for _, writer := range []sarama.KafkaVersion{version, sarama.V2_0_0_0} {
				for name, required := range acks {
					for _, codec := range codecs {
						// Frames in messages of magic 0 have the checksum that Kafka 0.8 and 0.9 want, which Sarama refuses.
						if codec == sarama.CompressionZSTD || (codec == sarama.CompressionLZ4 && !version.IsAtLeast(sarama.V0_10_0_0)) {
							continue
						}
						label := fmt.Sprintf("%s acks=%s %s", writer, name, codec)
						settings := config(writer)
						settings.Producer.RequiredAcks = required
						settings.Producer.Compression = codec
						sendOld(t, settings, topic, label)
						labels = append(labels, label)
					}
				}
			}
			for _, reader := range []sarama.KafkaVersion{version, sarama.V2_0_0_0} {
				for _, fetch := range []int32{1 << 20, 200} {
					expectLabels(t, reader, topic, labels, fetch)
				}
			}
		})
	}
}

func sendOld(t *testing.T, settings *sarama.Config, topic, label string) {
	t.Helper()
	producer, err := sarama.NewSyncProducer(brokers(), settings)
	must(t, err)
	batch := make([]*sarama.ProducerMessage, perProducer)
	for i := range batch {
		batch[i] = &sarama.ProducerMessage{
			Topic:     topic,
			Key:       sarama.StringEncoder(fmt.Sprint(i)),
			Value:     sarama.StringEncoder(value(label, i)),
			Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
		}
		if settings.Version.IsAtLeast(sarama.V0_11_0_0) {
			batch[i].Headers = []sarama.RecordHeader{{Key: []byte("label"), Value: []byte(label)}}
		}
	}
	if err := producer.SendMessages(batch); err != nil {
		t.Errorf("%s: %v", label, err)
	}
	must(t, producer.Close())
}

// expectLabels reads the whole topic, fetching so many bytes at a time: less than one message is enough to go on. What
// each producer sent comes in its order; producers with acks=0 may overlap.
func expectLabels(t *testing.T, version sarama.KafkaVersion, topic string, labels []string, fetchBytes int32) {
	t.Helper()
	settings := config(version)
	settings.Consumer.Fetch.Default = fetchBytes
	consumer, err := sarama.NewConsumer(brokers(), settings)
	must(t, err)
	defer func() { must(t, consumer.Close()) }()
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	must(t, err)
	defer func() { must(t, partition.Close()) }()

	expected := map[string]string{}
	for _, label := range labels {
		expected[value(label, 0)] = label
	}
	count := len(labels) * perProducer
	timeout := time.After(patience)
	for offset := 0; offset < count; offset++ {
		select {
		case message := <-partition.Messages():
			label, known := expected[string(message.Value)]
			if message.Offset != int64(offset) || !known {
				t.Fatalf("%s read offset %d: %.80q, which nobody sent there; offset %d was expected", version, message.Offset, message.Value, offset)
			}
			var i int
			if _, err := fmt.Sscan(string(message.Key), &i); err != nil || value(label, i) != string(message.Value) {
				t.Fatalf("offset %d: key %q does not fit %.80q", offset, message.Key, message.Value)
			}
			delete(expected, string(message.Value))
			expected[value(label, i+1)] = label
		case err := <-partition.Errors():
			t.Fatalf("%s: consume: %v", version, err)
		case <-timeout:
			t.Fatalf("%s: %d of %d messages within %v", version, offset, count, patience)
		}
	}
}

// Groups of old consumers: JoinGroup v0, no ApiVersions. Sarama knows groups from 0.10.2 on.
func TestOldGroups(t *testing.T) {
	for _, version := range oldVersions {
		if !version.IsAtLeast(sarama.V0_10_2_0) {
			continue
		}
		version := version
		t.Run(version.String(), func(t *testing.T) {
			t.Parallel()
			growAndResume(t, version, "range")
		})
	}
}

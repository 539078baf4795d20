package dapr

import (
	"context"
	"testing"

	"github.com/IBM/sarama"
	"github.com/dapr/components-contrib/bindings"
	kafkabinding "github.com/dapr/components-contrib/bindings/kafka"
	"github.com/dapr/components-contrib/metadata"
	"github.com/dapr/components-contrib/pubsub"
	kafkapubsub "github.com/dapr/components-contrib/pubsub/kafka"
	bindingsuite "github.com/dapr/components-contrib/tests/conformance/bindings"
	pubsubsuite "github.com/dapr/components-contrib/tests/conformance/pubsub"
)

// The protocol levels people write into `version`: Dapr's default, its advice for Event Hubs, and the newest that it knows.
var levels = []string{"2.0.0", "1.0.0", "2.8.0", sarama.MaxVersion.String()}

var strategies = []string{"range", "sticky", "roundrobin"}

var publishOptions = map[string]map[string]string{
	"acks none":  {"producerRequiredAcks": "none"},
	"acks local": {"producerRequiredAcks": "local"},
	"gzip":       {"compression": "gzip"},
	"snappy":     {"compression": "snappy"},
	"lz4":        {"compression": "lz4"},
	"zstd":       {"compression": "zstd", "version": "2.1.0"},
}

func initPubsub(ctx context.Context, ps pubsub.PubSub, properties map[string]string) error {
	return ps.Init(ctx, pubsub.Metadata{Base: metadata.Base{Properties: properties}})
}

func publish(ctx context.Context, ps pubsub.PubSub, request *pubsub.PublishRequest) error {
	return ps.Publish(ctx, request)
}

func initBinding(ctx context.Context, b bindings.InputOutputBinding, properties map[string]string) error {
	return b.Init(ctx, bindings.Metadata{Base: metadata.Base{Properties: properties}})
}

func pubsubConformance(t *testing.T, properties map[string]string, config map[string]any) {
	suite, err := pubsubsuite.NewTestConfig("kafka", []string{"bulkpublish", "bulksubscribe"}, config)
	if err != nil {
		t.Fatal(err)
	}
	pubsubsuite.ConformanceTests(t, properties, kafkapubsub.NewKafka(quiet()), suite)
}

func bindingConformance(t *testing.T, properties map[string]string) {
	suite, err := bindingsuite.NewTestConfig("kafka", []string{"create", "operations", "read"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := kafkabinding.NewKafka(quiet())
	bindingsuite.ConformanceTests(t, properties, b, b, suite)
}

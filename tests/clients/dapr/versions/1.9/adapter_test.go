package dapr

import (
	"context"
	"testing"

	"github.com/Shopify/sarama"
	"github.com/dapr/components-contrib/bindings"
	kafkabinding "github.com/dapr/components-contrib/bindings/kafka"
	"github.com/dapr/components-contrib/metadata"
	"github.com/dapr/components-contrib/pubsub"
	kafkapubsub "github.com/dapr/components-contrib/pubsub/kafka"
	bindingsuite "github.com/dapr/components-contrib/tests/conformance/bindings"
	pubsubsuite "github.com/dapr/components-contrib/tests/conformance/pubsub"
)

// The protocol levels people write into `version`: Dapr's default, its advice for Event Hubs, and the newest that it knows (it writes OffsetCommit v1 at every one of them).
var levels = []string{"2.0.0", "1.0.0", "2.8.0", sarama.MaxVersion.String()}

// This release takes no strategy and no options for its producer: what stands here is ignored, the tests run all the same.
var strategies = []string{"range"}

var publishOptions = map[string]map[string]string{
	"acks all": {},
}

func initPubsub(_ context.Context, ps pubsub.PubSub, properties map[string]string) error {
	return ps.Init(pubsub.Metadata{Base: metadata.Base{Properties: properties}})
}

func publish(_ context.Context, ps pubsub.PubSub, request *pubsub.PublishRequest) error {
	return ps.Publish(request)
}

func initBinding(_ context.Context, b bindings.InputOutputBinding, properties map[string]string) error {
	return b.Init(bindings.Metadata{Base: metadata.Base{Properties: properties}})
}

func pubsubConformance(t *testing.T, properties map[string]string, config map[string]any) {
	suite, err := pubsubsuite.NewTestConfig("kafka", true, nil, config)
	if err != nil {
		t.Fatal(err)
	}
	pubsubsuite.ConformanceTests(t, properties, kafkapubsub.NewKafka(quiet()), suite)
}

func bindingConformance(t *testing.T, properties map[string]string) {
	suite, err := bindingsuite.NewTestConfig("kafka", false, []string{"create", "operations", "read"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := kafkabinding.NewKafka(quiet())
	bindingsuite.ConformanceTests(t, properties, b, b, suite)
}

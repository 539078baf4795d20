package dapr

import "testing"

// The suites that Dapr holds its own components against. Most of their time is spent asleep, so all levels run at once.
func TestPubsubConformance(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			topics := map[string]any{
				"testTopicName":       unique("testTopic"),
				"testTopicForBulkSub": unique("testTopicBulk"),
				"testMultiTopic1Name": unique("multiTopic1"),
				"testMultiTopic2Name": unique("multiTopic2"),
			}
			pubsubConformance(t, component(unique("pubsubgroup"), map[string]string{"version": level}), topics)
		})
	}
}

// Of the binding Dapr's own pipeline reads nothing back; its suite can, so here it does.
func TestBindingConformance(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			topic := unique("binding-topic")
			bindingConformance(t, component(unique("bindinggroup"), map[string]string{
				"version": level, "topics": topic, "publishTopic": topic,
			}))
		})
	}
}

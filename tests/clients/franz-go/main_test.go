// Package franzgo pins the release of franz-go whose own tests the run script runs, out of the module as it was
// published, and holds what those tests let pass.
package franzgo

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const fetchKey = 1

// fetches counts the answers to Fetch.
type fetches struct{ atomic.Int64 }

func (f *fetches) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key == fetchKey && err == nil {
		f.Add(1)
	}
}

var _ kgo.HookBrokerRead = (*fetches)(nil)

func dial(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	seed := os.Getenv("KGO_SEEDS")
	if _, _, err := net.SplitHostPort(seed); err != nil {
		t.Fatalf("KGO_SEEDS names the address of the broker: %v", err)
	}
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(seed))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func createTopic(t *testing.T, admin *kgo.Client, topic string) {
	t.Helper()
	request := kmsg.NewPtrCreateTopicsRequest()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, 1, 1
	request.Topics = append(request.Topics, wanted)
	answer, err := request.RequestWith(context.Background(), admin)
	if err == nil {
		err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
	if ms, err := strconv.Atoi(os.Getenv("SETTLE_MS")); err == nil {
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
}

func deleteTopic(t *testing.T, admin *kgo.Client, topic string) {
	t.Helper()
	request := kmsg.NewPtrDeleteTopicsRequest()
	wanted := kmsg.NewDeleteTopicsRequestTopic()
	wanted.Topic = kmsg.StringPtr(topic)
	request.TopicNames, request.Topics = []string{topic}, append(request.Topics, wanted)
	answer, err := request.RequestWith(context.Background(), admin)
	if err == nil {
		err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("delete %s: %v", topic, err)
	}
}

// A consumer believes only after some 15 s that a topic is gone, and names it in every fetch until then. A broker that
// answers each at once makes it ask some ten thousand times a second; the topics that are left still have to wait.
func TestDeletedTopicLeavesTheOthersWaiting(t *testing.T) {
	const wait, watch, most = 500 * time.Millisecond, 3 * time.Second, 30
	salt := time.Now().UnixNano()
	kept, gone := fmt.Sprintf("kept-%d", salt), fmt.Sprintf("gone-%d", salt)
	admin := dial(t)
	createTopic(t, admin, kept)
	createTopic(t, admin, gone)

	var count fetches
	consumer := dial(t, kgo.ConsumeTopics(kept, gone), kgo.FetchMaxWait(wait), kgo.WithHooks(&count))
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	records := []*kgo.Record{{Topic: kept, Value: []byte("1")}, {Topic: gone, Value: []byte("1")}}
	if err := admin.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for read := 0; read < len(records); {
		polled := consumer.PollFetches(ctx)
		if err := polled.Err0(); err != nil {
			t.Fatal(err)
		}
		read += polled.NumRecords()
	}
	deleteTopic(t, admin, gone)

	before := count.Load()
	quiet, stop := context.WithTimeout(context.Background(), watch)
	defer stop()
	for quiet.Err() == nil {
		consumer.PollFetches(quiet)
	}
	if n := count.Load() - before; n > most {
		t.Errorf("%d fetches in %v, each of which may wait %v", n, watch, wait)
	}

	// The wait is for news, not instead of it.
	sent := time.Now()
	if err := admin.ProduceSync(ctx, &kgo.Record{Topic: kept, Value: []byte("2")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for {
		polled := consumer.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatal("the topic that is left gives nothing any more")
		}
		if polled.NumRecords() > 0 {
			break
		}
	}
	t.Logf("news after %v", time.Since(sent))
}

package dapr

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/dapr/components-contrib/pubsub"
)

// received counts deliveries by the number in the event.
type received struct {
	sync.Mutex
	times  map[int]int
	change chan struct{}
}

func newReceived() *received {
	return &received{times: map[int]int{}, change: make(chan struct{}, 1)}
}

func (r *received) handle(_ context.Context, message *pubsub.NewMessage) error {
	n, err := strconv.Atoi(string(message.Data))
	if err != nil {
		n = -1
	}
	r.Lock()
	r.times[n]++
	r.Unlock()
	select {
	case r.change <- struct{}{}:
	default:
	}
	return nil
}

func (r *received) distinct() int {
	r.Lock()
	defer r.Unlock()
	return len(r.times)
}

// outside returns how many of the events received were not in [from, to).
func (r *received) outside(from, to int) (count int) {
	r.Lock()
	defer r.Unlock()
	for n := range r.times {
		if n < from || n >= to {
			count++
		}
	}
	return count
}

func (r *received) repeated() (count int) {
	r.Lock()
	defer r.Unlock()
	for _, times := range r.times {
		if times > 1 {
			count++
		}
	}
	return count
}

// waitFor returns once count different events have arrived at the receivers together.
func waitFor(t *testing.T, count int, receivers ...*received) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		sum := 0
		for _, r := range receivers {
			sum += r.distinct()
		}
		if sum >= count {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d events after %v", sum, count, patience)
		}
		select {
		case <-receivers[0].change:
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func subscribe(t *testing.T, ps pubsub.PubSub, topic string, r *received) {
	t.Helper()
	if err := ps.Subscribe(context.Background(), pubsub.SubscribeRequest{Topic: topic}, r.handle); err != nil {
		t.Fatalf("subscribe: %v", err)
	}
}

// A sidecar that restarts goes on where it stopped. This is the one that goes wrong in silence when a broker does not
// take the version of OffsetCommit that the component speaks: everything looks healthy until the restart.
func TestRestart(t *testing.T) {
	const events, partitions = 1000, 3
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			topic, group := unique("restart"), unique("restart")
			properties := component(group, map[string]string{"version": level})
			createTopic(t, topic, partitions)

			first, before := startPubsub(t, properties), newReceived()
			subscribe(t, first, topic, before)
			publishNumbered(t, first, topic, 0, events)
			waitFor(t, events, before)
			if err := first.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if n := before.repeated(); n != 0 {
				t.Errorf("%d events came more than once in an undisturbed session", n)
			}
			if sum := committed(t, group, topic, partitions); sum != events {
				t.Errorf("committed %d of %d", sum, events)
			}

			second, after := startPubsub(t, properties), newReceived()
			defer func() { _ = second.Close() }()
			subscribe(t, second, topic, after)
			publishNumbered(t, second, topic, events, 2*events)
			waitFor(t, events, after)
			if n := after.outside(events, 2*events); n != 0 {
				t.Errorf("%d events of before the restart came again", n)
			}
		})
	}
}

// What an application sees of a small broker: a thousand events, each published when the one before is acknowledged.
func TestThousandEvents(t *testing.T) {
	const events, partitions = 1000, 3
	topic := unique("thousand")
	createTopic(t, topic, partitions)
	ps, r := startPubsub(t, component(unique("thousand"), nil)), newReceived()
	defer func() { _ = ps.Close() }()
	subscribe(t, ps, topic, r)
	began := time.Now()
	publishNumbered(t, ps, topic, 0, events)
	published := time.Since(began)
	waitFor(t, events, r)
	t.Logf("%d events: published after %v, received after %v", events, published, time.Since(began))
	if n := r.outside(0, events) + r.repeated(); n != 0 {
		t.Errorf("%d events came more than once or were never published", n)
	}
}

// Two sidecars of one app share the partitions, and what one leaves the other takes up.
func TestTwoSidecars(t *testing.T) {
	const events, partitions = 300, 4
	for _, strategy := range strategies {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			topic := unique("sidecars")
			properties := component(unique("sidecars"), map[string]string{"consumerGroupRebalanceStrategy": strategy})
			createTopic(t, topic, partitions)
			one, two := startPubsub(t, properties), startPubsub(t, properties)
			defer func() { _ = one.Close() }()
			atOne, atTwo := newReceived(), newReceived()
			subscribe(t, one, topic, atOne)
			subscribe(t, two, topic, atTwo)

			sent := 0
			for deadline := time.Now().Add(patience); atOne.distinct() == 0 || atTwo.distinct() == 0; sent++ {
				if time.Now().After(deadline) {
					t.Fatalf("of %d events one sidecar saw %d, the other %d", sent, atOne.distinct(), atTwo.distinct())
				}
				publishNumbered(t, one, topic, sent, sent+1)
			}
			if err := two.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			publishNumbered(t, one, topic, sent, sent+events)
			last := func() int { return events - missing(sent, sent+events, atOne) }
			deadline := time.Now().Add(patience)
			for last() < events && time.Now().Before(deadline) {
				time.Sleep(20 * time.Millisecond)
			}
			if n := last(); n < events {
				t.Errorf("the sidecar that stayed saw %d of %d", n, events)
			}
			if n := missing(0, sent, atOne, atTwo); n != 0 {
				t.Errorf("%d of the first %d events reached neither", n, sent)
			}
		})
	}
}

// missing returns how many numbers of [from, to) reached none of the receivers.
func missing(from, to int, receivers ...*received) (count int) {
	for n := from; n < to; n++ {
		seen := false
		for _, r := range receivers {
			r.Lock()
			seen = seen || r.times[n] > 0
			r.Unlock()
		}
		if !seen {
			count++
		}
	}
	return count
}

// What a user may set on the producing side: how many must acknowledge and how batches are packed.
func TestPublishOptions(t *testing.T) {
	for name, options := range publishOptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := unique("options")
			createTopic(t, topic, 1)
			ps, r := startPubsub(t, component(unique("options"), options)), newReceived()
			defer func() { _ = ps.Close() }()
			subscribe(t, ps, topic, r)
			publishNumbered(t, ps, topic, 0, 100)
			waitFor(t, 100, r)
			if n := r.outside(0, 100); n != 0 {
				t.Errorf("%d events are not what was published", n)
			}
		})
	}
}

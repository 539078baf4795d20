package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

const groupPartitions = 6

// Two members share six partitions, a third joins, all leave; the next member gets only what came after.
func TestGroups(t *testing.T) {
	for _, version := range lines() {
		for _, strategy := range strategies(version) {
			version, strategy := version, strategy
			t.Run(fmt.Sprintf("%s/%s", version, strategy), func(t *testing.T) {
				t.Parallel()
				growAndResume(t, version, strategy)
			})
		}
	}
}

func growAndResume(t *testing.T, version sarama.KafkaVersion, strategy string) {
	topic := createTopic(t, version, groupPartitions)
	group := fresh("group")
	seen := newTally()

	first := join(t, version, strategy, group, topic, seen)
	second := join(t, version, strategy, group, topic, seen)
	balanced(t, first, second)
	spread(t, version, topic, "two", 60)
	eventually(t, "60 messages at two members", func() bool { return seen.count("two") == 60 })

	third := join(t, version, strategy, group, topic, seen)
	balanced(t, first, second, third)
	spread(t, version, topic, "three", 60)
	eventually(t, "60 messages at three members", func() bool { return seen.count("three") == 60 })

	for _, m := range []*member{first, second, third} {
		m.leave(t)
	}
	after := newTally()
	last := join(t, version, strategy, group, topic, after)
	balanced(t, last)
	spread(t, version, topic, "after", 12)
	eventually(t, "12 messages after the group came back", func() bool { return after.count("after") == 12 })
	last.leave(t)
	if again := after.count("two") + after.count("three"); again > 0 {
		t.Errorf("%d messages came again although they were committed", again)
	}
}

// tally counts the distinct messages by label.
type tally struct {
	mutex sync.Mutex
	seen  map[string]map[string]bool
}

func newTally() *tally { return &tally{seen: map[string]map[string]bool{}} }

func (t *tally) add(label, id string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.seen[label] == nil {
		t.seen[label] = map[string]bool{}
	}
	t.seen[label][id] = true
}

func (t *tally) count(label string) int {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return len(t.seen[label])
}

// member is one consumer of a group, and what it owns now.
type member struct {
	group  sarama.ConsumerGroup
	cancel context.CancelFunc
	done   chan struct{}
	tally  *tally

	mutex   sync.Mutex
	session sarama.ConsumerGroupSession
	owned   map[int32]bool
}

func join(t *testing.T, version sarama.KafkaVersion, strategy, group, topic string, seen *tally) *member {
	t.Helper()
	settings := config(version)
	setStrategy(settings, strategy)
	settings.Consumer.Group.Session.Timeout = 10 * time.Second
	settings.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	settings.Consumer.Group.Rebalance.Timeout = 20 * time.Second
	settings.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	consumers, err := sarama.NewConsumerGroup(brokers(), group, settings)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: consumers, cancel: cancel, done: make(chan struct{}), tally: seen}
	go func() {
		for err := range consumers.Errors() {
			t.Errorf("group %s: %v", group, err)
		}
	}()
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			err := consumers.Consume(ctx, []string{topic}, m)
			if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
				t.Errorf("consume: %v", err)
				return
			}
		}
	}()
	return m
}

func (m *member) leave(t *testing.T) {
	t.Helper()
	m.cancel()
	select {
	case <-m.done:
	case <-time.After(patience):
		t.Fatalf("a member did not stop within %v", patience)
	}
	must(t, m.group.Close())
}

// owns tells the generation and the partitions that are being consumed. A cooperative rebalance changes both while the
// session goes on.
func (m *member) owns() (int32, []int32) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.session == nil {
		return -1, nil
	}
	var owned []int32
	for partition := range m.owned {
		owned = append(owned, partition)
	}
	return m.session.GenerationID(), owned
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session, m.owned = session, map[int32]bool{}
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session = nil
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.own(claim.Partition(), true)
	defer m.own(claim.Partition(), false)
	for message := range claim.Messages() {
		m.tally.add(string(message.Key), string(message.Value))
		session.MarkMessage(message, "")
	}
	return nil
}

func (m *member) own(partition int32, mine bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if mine {
		m.owned[partition] = true
	} else {
		delete(m.owned, partition)
	}
}

// balanced waits until the members share all partitions evenly, each with one owner, in one generation.
func balanced(t *testing.T, members ...*member) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d members share %d partitions", len(members), groupPartitions), func() bool {
		owners := map[int32]int{}
		agreed, _ := members[0].owns()
		for _, m := range members {
			generation, owned := m.owns()
			if generation != agreed || len(owned) != groupPartitions/len(members) {
				return false
			}
			for _, partition := range owned {
				owners[partition]++
			}
		}
		return len(owners) == groupPartitions
	})
}

// spread sends count messages with a key of label, round robin over the partitions.
func spread(t *testing.T, version sarama.KafkaVersion, topic, label string, count int) {
	t.Helper()
	settings := config(version)
	settings.Producer.Partitioner = sarama.NewManualPartitioner
	producer, err := sarama.NewSyncProducer(brokers(), settings)
	must(t, err)
	batch := make([]*sarama.ProducerMessage, count)
	for i := range batch {
		batch[i] = &sarama.ProducerMessage{
			Topic:     topic,
			Partition: int32(i % groupPartitions),
			Key:       sarama.StringEncoder(label),
			Value:     sarama.StringEncoder(fmt.Sprint(i)),
		}
	}
	must(t, producer.SendMessages(batch))
	must(t, producer.Close())
}

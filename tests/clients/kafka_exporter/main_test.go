// What kafka_exporter computes over the wire and what /metrics says, under the same names: the same numbers.
//
// The broker's address comes from BROKER, the address of its page from METRICS (without one, against Apache Kafka, only
// the exporter and our way of asking as it asks are compared), and the programs to run from EXPORTERS.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// How long anything that should happen may take.
const patience = 30 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func broker(t *testing.T) string {
	address := os.Getenv("BROKER")
	if address == "" {
		t.Fatal("BROKER is not set")
	}
	return address
}

func TestSameNumbers(t *testing.T) {
	fillBroker(t)
	settled := overTheWire(t, 4)
	// v1 is what the exporter's 1.7.0 asks for, v4 what later ones do.
	for _, fetchOffsets := range []int16{1, 4} {
		t.Run(fmt.Sprintf("OffsetFetch%d", fetchOffsets), func(t *testing.T) {
			same(t, "over the wire", overTheWire(t, fetchOffsets), settled)
			ours(t, overTheWire(t, fetchOffsets))
		})
	}
	for _, program := range strings.Fields(os.Getenv("EXPORTERS")) {
		for _, flags := range [][]string{nil, {"--kafka.version=1.0.0"}, {"--kafka.version=3.6.0"}} {
			t.Run(filepath.Base(program)+strings.Join(flags, ""), func(t *testing.T) {
				wire, told := overTheWire(t, 4), whole(t, start(t, program, flags...))
				same(t, "the exporter", wire, told)
				ours(t, told)
			})
		}
	}
}

// whole scrapes an exporter until it tells of as much as the wire: every release of it sometimes loses the last sample,
// which it still writes when it takes its list as finished.
func whole(t *testing.T, url string) series {
	t.Helper()
	for tries := 0; ; tries++ {
		told := scrape(t, url, nil)
		if tries == 20 || len(told) >= len(overTheWire(t, 4)) {
			return told
		}
	}
}

// ours compares a reading of the wire with the broker's page.
func ours(t *testing.T, wanted series) {
	t.Helper()
	url := os.Getenv("METRICS")
	if url == "" {
		return
	}
	if same(t, "/metrics", wanted, scrape(t, url, wanted.families())) {
		t.Logf("%d series of %d families are the same", len(wanted), len(wanted.families()))
	}
}

func same(t *testing.T, what string, wanted, found series) bool {
	t.Helper()
	lines := differences(wanted, found)
	for _, line := range lines {
		t.Errorf("%s: %s", what, line)
	}
	return len(lines) == 0
}

// start runs an exporter until the test ends: the address of its page.
func start(t *testing.T, program string, flags ...string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	must(t, listener.Close())
	flags = append([]string{"--kafka.server=" + broker(t), "--web.listen-address=" + address}, flags...)
	exporter := exec.Command(program, flags...)
	exporter.Stderr = os.Stderr
	must(t, exporter.Start())
	t.Cleanup(func() {
		_ = exporter.Process.Kill()
		_ = exporter.Wait()
	})
	deadline := time.Now().Add(patience)
	for {
		answer, err := http.Get("http://" + address + "/healthz")
		if err == nil {
			answer.Body.Close()
			return "http://" + address + "/metrics"
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", program, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// fillBroker makes topics and groups of every kind that the numbers tell apart, and leaves them quiet.
func fillBroker(t *testing.T) {
	t.Helper()
	config := sarama.NewConfig()
	config.Version = sarama.V2_0_0_0
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Group.Session.Timeout = 5 * time.Minute
	client, err := sarama.NewClient([]string{broker(t)}, config)
	must(t, err)
	t.Cleanup(func() { client.Close() })
	admin, err := sarama.NewClusterAdminFromClient(client)
	must(t, err)
	producer, err := sarama.NewSyncProducerFromClient(client)
	must(t, err)
	for topic, width := range map[string]int32{"orders.placed": 3, "cut": 1, "never-written": 2, "gone": 1} {
		must(t, admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: width, ReplicationFactor: 1}, false))
		settle()
		must(t, client.RefreshMetadata(topic))
	}
	for topic, counts := range map[string][]int{"orders.placed": {5, 7, 0}, "cut": {9}, "gone": {2}} {
		for partition, count := range counts {
			for i := 0; i < count; i++ {
				message := &sarama.ProducerMessage{Topic: topic, Partition: int32(partition), Value: sarama.StringEncoder("x")}
				_, _, err := producer.SendMessage(message)
				must(t, err)
			}
		}
	}
	must(t, admin.DeleteRecords("cut", map[int32]int64{0: 4}))
	commit(t, client, "behind", "orders.placed", map[int32]int64{0: 2, 1: 7, 2: 0})
	// Of one partition only: the others are -1, and no part of the sum.
	commit(t, client, "partial", "orders.placed", map[int32]int64{1: 1})
	// Before the start of what is left, and of two topics of which one goes.
	commit(t, client, "before \"the\" start\\", "cut", map[int32]int64{0: 1})
	commit(t, client, "two", "orders.placed", map[int32]int64{0: 5})
	commit(t, client, "two", "gone", map[int32]int64{0: 1})
	commit(t, client, "orphan", "gone", map[int32]int64{0: 2})
	member(t, config, "reads", "orders.placed")
	member(t, config, "waits", "never-written")
	must(t, admin.DeleteTopic("gone"))
	settle()
	quiet(t)
}

// settle waits for what Apache Kafka acknowledges before it shows it.
func settle() {
	if ms, err := time.ParseDuration(os.Getenv("SETTLE_MS") + "ms"); err == nil {
		time.Sleep(ms)
	}
}

func commit(t *testing.T, client sarama.Client, group, topic string, offsets map[int32]int64) {
	t.Helper()
	manager, err := sarama.NewOffsetManagerFromClient(group, client)
	must(t, err)
	for partition, offset := range offsets {
		one, err := manager.ManagePartition(topic, partition)
		must(t, err)
		one.ResetOffset(offset, "")
		one.MarkOffset(offset, "")
	}
	manager.Commit()
	must(t, manager.Close())
}

// member joins a group, reads what there is, and stays until the test ends.
func member(t *testing.T, config *sarama.Config, group, topic string) {
	t.Helper()
	consumer, err := sarama.NewConsumerGroup([]string{broker(t)}, group, config)
	must(t, err)
	joined := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- consumer.Consume(ctx, []string{topic}, &reader{joined: joined}) }()
	select {
	case <-joined:
	case err := <-ended:
		t.Fatalf("%s: %v", group, err)
	case <-time.After(patience):
		t.Fatalf("%s: nobody joined", group)
	}
	t.Cleanup(func() {
		cancel()
		<-ended
		consumer.Close()
	})
}

type reader struct{ joined chan struct{} }

func (r *reader) Setup(sarama.ConsumerGroupSession) error {
	close(r.joined)
	return nil
}

func (r *reader) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (r *reader) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message := <-claim.Messages():
			if message != nil {
				session.MarkMessage(message, "")
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

// quiet returns when the member has committed everything and nothing moves any more.
func quiet(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(patience)
	before := overTheWire(t, 4)
	for {
		time.Sleep(300 * time.Millisecond)
		now := overTheWire(t, 4)
		lag, there := now[`kafka_consumergroup_lag_sum{consumergroup="reads",topic="orders.placed"}`]
		if there && lag == 0 && len(differences(before, now)) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to rest: %v", differences(before, now))
		}
		before = now
	}
}

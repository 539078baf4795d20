// Sarama against a broker: what its users do, at every protocol version that it can speak.
//
// The broker's address comes from BROKER. Sarama has one logger for the process, so every line that tells of trouble
// fails the run at its end, whichever test caused it.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// How long anything that should happen may take.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	log := &troubleLog{}
	sarama.Logger = log
	status := m.Run()
	if lines := log.lines(); len(lines) > 0 {
		fmt.Printf("--- FAIL: ClientLog\n")
		for _, line := range lines {
			fmt.Printf("main_test.go:0: sarama logged: %s\n", line)
		}
		status = 1
	} else {
		fmt.Println("--- PASS: ClientLog")
	}
	os.Exit(status)
}

// troubleLog keeps the lines that Sarama writes only when something went wrong.
type troubleLog struct {
	mutex sync.Mutex
	found []string
}

var trouble = []string{
	"error", "fail", "retry", "abandon", "unexpected", "eof", "reset by peer", "timed out", "timeout", "invalid",
	"out of range", "unknown", "not the leader", "shutting down because", "disconnect", "unable",
}

// A producer of every release of Sarama may find that it closed its own connection while it started, and takes another;
// it does so with any broker. When the broker is at fault the line says "because kafka server". A producer of transactions
// tries again until the markers of the one before are written, which the broker does behind its answer.
var itsOwn = []string{
	"kafka: broker not connected", "state change to [retrying-", "abandoning broker",
	"another concurrent operation on the same transaction", "txnmgr/transition", "successful to add partitions txn",
}

func (l *troubleLog) add(line string) {
	for _, part := range itsOwn {
		if strings.Contains(line, part) {
			return
		}
	}
	lower := strings.ToLower(strings.ReplaceAll(line, sarama.ErrNoError.Error(), ""))
	for _, word := range trouble {
		if strings.Contains(lower, word) {
			l.mutex.Lock()
			l.found = append(l.found, strings.TrimSpace(line))
			l.mutex.Unlock()
			return
		}
	}
}

func (l *troubleLog) lines() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return append([]string(nil), l.found...)
}

func (l *troubleLog) Print(v ...interface{})                 { l.add(fmt.Sprint(v...)) }
func (l *troubleLog) Printf(format string, v ...interface{}) { l.add(fmt.Sprintf(format, v...)) }
func (l *troubleLog) Println(v ...interface{})               { l.add(fmt.Sprintln(v...)) }

func brokers() []string { return []string{os.Getenv("BROKER")} }

// versions are those that Sarama knows from 0.11 on: old_test.go has those before.
func versions() []sarama.KafkaVersion {
	var found []sarama.KafkaVersion
	for _, version := range sarama.SupportedVersions {
		if version.IsAtLeast(sarama.V0_11_0_0) {
			found = append(found, version)
		}
	}
	return found
}

// lines are the versions at which Sarama changes what it sends, and the newest.
func lines() []sarama.KafkaVersion {
	var found []sarama.KafkaVersion
	for _, version := range versions() {
		if strings.HasSuffix(version.String(), ".0") {
			found = append(found, version)
		}
	}
	return found
}

func config(version sarama.KafkaVersion) *sarama.Config {
	config := sarama.NewConfig()
	config.Version = version
	config.ClientID = "sarama-suite"
	config.Producer.Return.Successes = true
	config.Consumer.Return.Errors = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	return config
}

// fresh is a name that no other test and no other run has.
func fresh(prefix string) string {
	return fmt.Sprintf("%s-%08x", prefix, rand.Uint32())
}

func createTopic(t *testing.T, version sarama.KafkaVersion, partitions int32) string {
	t.Helper()
	admin := clusterAdmin(t, version)
	topic := fresh("topic")
	must(t, admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false))
	settle()
	return topic
}

func clusterAdmin(t *testing.T, version sarama.KafkaVersion) sarama.ClusterAdmin {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(brokers(), config(version))
	must(t, err)
	t.Cleanup(func() {
		if err := admin.Close(); err != nil {
			t.Errorf("close the admin client: %v", err)
		}
	})
	return admin
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// settle gives a broker without read-your-writes the time to see a change; SETTLE_MS is set for Apache Kafka only.
func settle() {
	if ms, err := strconv.Atoi(os.Getenv("SETTLE_MS")); err == nil {
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
}

// eventually waits for something that happens by itself, and says what when it does not.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !happened() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// kafka-go (segmentio) against a running broker: every codec, range and round-robin groups, commit and resume, offsets within transactions, isolation.
// Usage: kafka_go HOST:PORT. This client has neither idempotent producers nor records within transactions.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"time"

	"kappa/test/clients/checks"

	"github.com/segmentio/kafka-go"
)

const partitions = 4

var broker = os.Args[1]
var run = fmt.Sprintf("kafka-go-%d", rand.Int63())
var ctx = context.Background()
var client = &kafka.Client{Addr: kafka.TCP(broker), Timeout: 20 * time.Second}

type member struct {
	reader   *kafka.Reader
	values   checks.Values
	finished chan struct{}
}

func join(group string, balancer kafka.GroupBalancer) *member {
	m := &member{finished: make(chan struct{})}
	m.reader = kafka.NewReader(kafka.ReaderConfig{Brokers: []string{broker}, GroupID: group, Topic: run, GroupBalancers: []kafka.GroupBalancer{balancer},
		HeartbeatInterval: 200 * time.Millisecond, SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second, StartOffset: kafka.FirstOffset,
		MaxWait: 200 * time.Millisecond, CommitInterval: 20 * time.Millisecond, IsolationLevel: kafka.ReadCommitted})
	go func() {
		defer close(m.finished)
		for {
			message, err := m.reader.FetchMessage(ctx)
			if err != nil {
				return // closed
			}
			m.values.Add(message.Value)
			checks.Check(m.reader.CommitMessages(ctx, message), "commit")
		}
	}()
	return m
}

func (m *member) leave() {
	checks.Check(m.reader.Close(), "close")
	<-m.finished
}

// shared says whether the group has so many members, all with the same number of partitions.
func shared(group string, members int) bool {
	response, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	checks.Check(err, "describe group")
	if len(response.Groups[0].Members) != members {
		return false
	}
	for _, m := range response.Groups[0].Members {
		owned := 0
		for _, topic := range m.MemberAssignments.Topics {
			owned += len(topic.Partitions)
		}
		if owned != partitions/members {
			return false
		}
	}
	return true
}

func committed(group string) int64 {
	response, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{run: {0, 1, 2, 3}}})
	checks.Check(err, "fetch offsets")
	checks.Check(response.Error, "fetch offsets")
	total := int64(0)
	for _, p := range response.Topics[run] {
		checks.Check(p.Error, "fetch offsets")
		total += max(p.CommittedOffset, 0)
	}
	return total
}

// commitInTransaction commits an offset of the first partition for the group in a transaction of its own, and ends that.
func commitInTransaction(group string, offset int64, commit bool) {
	id := run + "-transactions"
	begun, err := client.InitProducerID(ctx, &kafka.InitProducerIDRequest{TransactionalID: id, TransactionTimeoutMs: 60000, ProducerID: -1, ProducerEpoch: -1})
	checks.Check(err, "producer id")
	checks.Check(begun.Error, "producer id")
	producer, epoch := begun.Producer.ProducerID, begun.Producer.ProducerEpoch
	added, err := client.AddOffsetsToTxn(ctx, &kafka.AddOffsetsToTxnRequest{TransactionalID: id, ProducerID: producer, ProducerEpoch: epoch, GroupID: group})
	checks.Check(err, "add offsets to the transaction")
	checks.Check(added.Error, "add offsets to the transaction")
	response, err := client.TxnOffsetCommit(ctx, &kafka.TxnOffsetCommitRequest{TransactionalID: id, GroupID: group, ProducerID: producer, ProducerEpoch: epoch, GenerationID: -1,
		Topics: map[string][]kafka.TxnOffsetCommit{run: {{Partition: 0, Offset: offset}}}})
	checks.Check(err, "commit in the transaction")
	checks.Check(response.Topics[run][0].Error, "commit in the transaction")
	ended, err := client.EndTxn(ctx, &kafka.EndTxnRequest{TransactionalID: id, ProducerID: producer, ProducerEpoch: epoch, Committed: commit})
	checks.Check(err, "end the transaction")
	checks.Check(ended.Error, "end the transaction")
}

func main() {
	created, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: run, NumPartitions: partitions, ReplicationFactor: 1}}})
	checks.Check(err, "create topic")
	checks.Check(created.Errors[run], "create topic")

	sent := 0
	send := func(codec kafka.Compression, count int) {
		writer := &kafka.Writer{Addr: kafka.TCP(broker), Topic: run, Compression: codec, RequiredAcks: kafka.RequireAll, Balancer: &kafka.RoundRobin{}, BatchTimeout: 5 * time.Millisecond}
		messages := []kafka.Message{}
		for i := 0; i < count; i++ {
			sent++
			messages = append(messages, kafka.Message{Value: fmt.Appendf(nil, "value %d of a text that compresses well, well, well", sent), Headers: []kafka.Header{{Key: "n", Value: fmt.Append(nil, sent)}}})
		}
		checks.Check(writer.WriteMessages(ctx, messages...), "produce")
		checks.Check(writer.Close(), "close")
	}
	for _, codec := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		send(codec, 200)
	}
	fmt.Println("ok  kafka-go: producer with every codec")

	for name, balancer := range map[string]kafka.GroupBalancer{"range": kafka.RangeGroupBalancer{}, "round-robin": kafka.RoundRobinGroupBalancer{}} {
		group := run + "-" + name
		a := join(group, balancer)
		checks.Eventually(func() bool { return shared(group, 1) }, "one member has all partitions")
		b := join(group, balancer)
		checks.Eventually(func() bool { return shared(group, 2) }, "two members share")
		checks.Eventually(func() bool { return checks.Distinct(&a.values, &b.values) == sent }, "all records are read")
		a.leave()
		checks.Eventually(func() bool { return shared(group, 1) }, "the one that stays takes over")
		send(kafka.Zstd, 40)
		checks.Eventually(func() bool { return checks.Distinct(&a.values, &b.values) == sent }, "all records are read after one left")
		b.leave()
		if total := committed(group); total != int64(sent) {
			checks.Check(fmt.Errorf("%d, wanted %d", total, sent), "committed offsets")
		}
		c := join(group, balancer)
		checks.Eventually(func() bool { return shared(group, 1) }, "a member comes back")
		send(0, 8)
		checks.Eventually(func() bool { return checks.Distinct(&c.values) == 8 }, "reading goes on at what was committed")
		c.leave()
		fmt.Printf("ok  kafka-go: %s group, rebalance, commit and resume\n", name)
	}

	for turn, commit := range []bool{true, false, true, false} {
		commitInTransaction(run+"-offsets", int64(10+turn), commit)
		if wanted := int64(10 + turn - turn%2); committed(run+"-offsets") != wanted {
			checks.Check(fmt.Errorf("%d, wanted %d", committed(run+"-offsets"), wanted), "offsets of committed transactions alone")
		}
	}
	fmt.Println("ok  kafka-go: offsets within transactions, committed and aborted")
}

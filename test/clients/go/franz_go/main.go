// franz-go against a running broker: every codec, idempotence, cooperative and eager groups, commit and resume, transactions. Usage: franz_go HOST:PORT
package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"sync"
	"time"

	"kappa/test/clients/checks"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var broker = os.Args[1]
var run = fmt.Sprintf("franz-%d", rand.Int63())

type member struct {
	client   *kgo.Client
	mutex    sync.Mutex
	owned    map[int32]bool
	values   checks.Values
	stop     context.CancelFunc
	finished chan struct{}
}

func join(group string, balancer kgo.GroupBalancer) *member {
	m := &member{owned: map[int32]bool{}, finished: make(chan struct{})}
	change := func(add bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for _, partitions := range topics {
				for _, p := range partitions {
					if add {
						m.owned[p] = true
					} else {
						delete(m.owned, p)
					}
				}
			}
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumerGroup(group), kgo.ConsumeTopics(run), kgo.Balancers(balancer), kgo.SessionTimeout(10*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.OnPartitionsAssigned(change(true)),
		kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)))
	checks.Check(err, "client")
	m.client = client
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	go func() {
		defer close(m.finished)
		for ctx.Err() == nil {
			fetches := client.PollFetches(ctx)
			fetches.EachRecord(func(r *kgo.Record) { m.values.Add(r.Value) })
			if ctx.Err() == nil && !fetches.Empty() {
				_ = client.CommitUncommittedOffsets(ctx) // fails in the middle of a rebalance: whoever has the partition then reads again
			}
		}
	}()
	return m
}

func (m *member) count() int { m.mutex.Lock(); defer m.mutex.Unlock(); return len(m.owned) }

func (m *member) leave() {
	m.stop()
	<-m.finished
	m.client.Close()
}

func main() {
	ctx := context.Background()
	admin, err := kgo.NewClient(kgo.SeedBrokers(broker))
	checks.Check(err, "client")
	create := kmsg.NewCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = run, 4, 1
	create.Topics = append(create.Topics, topic)
	_, err = create.RequestWith(ctx, admin)
	checks.Check(err, "create topic")

	sent := 0
	send := func(codec kgo.CompressionCodec, count int) {
		producer, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic(run), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
		checks.Check(err, "producer")
		for i := 0; i < count; i++ {
			sent++
			producer.Produce(ctx, &kgo.Record{Value: []byte(fmt.Sprintf("value %d of a text that compresses well, well, well", sent))}, func(_ *kgo.Record, err error) { checks.Check(err, "produce") })
		}
		checks.Check(producer.Flush(ctx), "flush")
		producer.Close()
	}
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		send(codec, 200)
	}
	fmt.Println("ok  franz-go: idempotent producer with every codec")

	for name, balancer := range map[string]func() kgo.GroupBalancer{"range": kgo.RangeBalancer, "cooperative": kgo.CooperativeStickyBalancer} {
		group := run + "-" + name
		a := join(group, balancer())
		checks.Eventually(func() bool { return a.count() == 4 }, "one member has all partitions")
		b := join(group, balancer())
		checks.Eventually(func() bool { return a.count() == 2 && b.count() == 2 }, "two members share")
		checks.Eventually(func() bool { return checks.Distinct(&a.values, &b.values) == sent }, "all records are read")
		a.leave()
		checks.Eventually(func() bool { return b.count() == 4 }, "the one that stays takes over")
		send(kgo.NoCompression(), 40)
		checks.Eventually(func() bool { return checks.Distinct(&a.values, &b.values) == sent }, "all records are read after one left")
		b.leave()
		fetch := kmsg.NewOffsetFetchRequest()
		fetch.Group = group
		one := kmsg.NewOffsetFetchRequestGroup()
		one.Group = group
		fetch.Groups = append(fetch.Groups, one)
		response, err := fetch.RequestWith(ctx, admin)
		checks.Check(err, "fetch offsets")
		total := int64(0)
		for _, t := range response.Groups[0].Topics {
			for _, p := range t.Partitions {
				total += p.Offset
			}
		}
		if total != int64(sent) {
			checks.Check(fmt.Errorf("%d, wanted %d", total, sent), "committed offsets")
		}
		c := join(group, balancer())
		checks.Eventually(func() bool { return c.count() == 4 }, "a member comes back")
		send(kgo.NoCompression(), 8)
		checks.Eventually(func() bool { return checks.Distinct(&c.values) == 8 }, "reading goes on at what was committed")
		c.leave()
		fmt.Printf("ok  franz-go: %s group, rebalance, commit and resume\n", name)
	}

	// Transactions, every other one aborted; in each a record of its own.
	name := run + "-transactions"
	topic.Topic = name
	create.Topics = []kmsg.CreateTopicsRequestTopic{topic}
	_, err = create.RequestWith(ctx, admin)
	checks.Check(err, "create topic")
	producer, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.TransactionalID(name), kgo.DefaultProduceTopic(name))
	checks.Check(err, "transactional producer")
	for turn := 0; turn < 20; turn++ {
		checks.Check(producer.BeginTransaction(), "begin")
		checks.Check(producer.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint(turn))).FirstErr(), "produce in a transaction")
		checks.Check(producer.EndTransaction(ctx, kgo.TransactionEndTry(turn%2 == 0)), "end")
	}
	producer.Close()
	reader, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	checks.Check(err, "reader")
	values := map[string]bool{}
	for len(values) < 10 {
		fetches := reader.PollFetches(ctx)
		checks.Check(fetches.Err(), "read committed records")
		fetches.EachRecord(func(r *kgo.Record) { values[string(r.Value)] = true })
	}
	for turn := 0; turn < 20; turn++ {
		if values[fmt.Sprint(turn)] != (turn%2 == 0) {
			checks.Check(fmt.Errorf("transaction %d", turn), "records of committed transactions alone")
		}
	}
	reader.Close()
	fmt.Println("ok  franz-go: transactions, committed and aborted")
	admin.Close()
}

// What a client can do, through franz-go: ../python/librdkafka.py describes the commands.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	limit           = 30 * time.Second
	settleLimit     = 60 * time.Second
	firstTimeMs     = 1_700_000_000_000
	messageBytesMax = 1_500_000
	mib             = 1 << 20
	outstandingMax  = 300
	createTime      = 0

	roundRobinCount = 40
	keys            = 20
	ofEachKey       = 10
	ofEachUser      = 5
)

var users = []string{"vip-1", "user-1", "vip-2", "user-2", "user-3", "user-10", "user-25"}

type object = map[string]any

type codec struct {
	name        string
	compression kgo.CompressionCodec
}

var codecs = []codec{
	{"none", kgo.NoCompression()},
	{"gzip", kgo.GzipCompression()},
	{"snappy", kgo.SnappyCompression()},
	{"lz4", kgo.Lz4Compression()},
	{"zstd", kgo.ZstdCompression()},
}

func main() {
	bootstrap, arguments := os.Args[2], os.Args[3:]
	var result object
	switch os.Args[1] {
	case "topics":
		result = topics(bootstrap, arguments[0])
	case "write":
		result = write(bootstrap, arguments[0])
	case "read":
		result = read(bootstrap, arguments[0])
	case "place":
		result = place(bootstrap)
	case "load":
		result = load(bootstrap, arguments[0], must(strconv.Atoi(arguments[1])))
	case "member":
		member(bootstrap, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4])
		return
	default:
		log.Fatal("no such command: ", os.Args[1])
	}
	fmt.Println(string(must(json.Marshal(result))))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Panic(err)
	}
	return value
}

// The number of Kafka's error, 0 for none.
func codeOf(err error) int16 {
	var known *kerr.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &known):
		return known.Code
	default:
		panic(err)
	}
}

func within(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func client(bootstrap string, options ...kgo.Opt) *kgo.Client {
	return must(kgo.NewClient(append(options, kgo.SeedBrokers(bootstrap))...))
}

func producer(bootstrap string, options ...kgo.Opt) *kgo.Client {
	return client(bootstrap, append([]kgo.Opt{
		kgo.AllowAutoTopicCreation(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(4 * mib),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		// What is flushed together is in one batch, however slow the machine is.
		kgo.ProducerLinger(10 * time.Second),
	}, options...)...)
}

func create(
	admin *kadm.Client, name string, partitions int32, replicas int16, configs map[string]*string,
) error {
	_, err := admin.CreateTopic(within(limit), partitions, replicas, configs, name)
	return err
}

func deleteTopic(admin *kadm.Client, name string) error {
	_, err := admin.DeleteTopic(within(limit), name)
	return err
}

func grow(admin *kadm.Client, name string, partitions int) error {
	grown, err := admin.UpdatePartitions(within(limit), partitions, name)
	if err != nil {
		return err
	}
	return grown.Error()
}

// Sends records together and gives their offsets.
func send(producer *kgo.Client, records ...*kgo.Record) ([]int64, error) {
	var failure error
	for _, record := range records {
		producer.Produce(within(limit), record, func(_ *kgo.Record, err error) {
			if err != nil {
				failure = err
			}
		})
	}
	if err := producer.Flush(within(limit)); err != nil {
		return nil, err
	}
	offsets := []int64{}
	for _, record := range records {
		offsets = append(offsets, record.Offset)
	}
	return offsets, failure
}

func topics(bootstrap, prefix string) object {
	admin := kadm.NewClient(client(bootstrap))
	name, other, unknown := prefix+"-managed", prefix+"-x", prefix+"-unknown"
	if err := create(admin, name, 3, 1, sizeConfig()); err != nil {
		log.Panic(err)
	}
	cluster := must(admin.BrokerMetadata(within(limit)))
	configs := object{}
	for _, config := range described(must(admin.DescribeTopicConfigs(within(limit), name))) {
		if config.Key == "max.message.bytes" || config.Key == "cleanup.policy" {
			isDefault := config.Source == kmsg.ConfigSourceDefaultConfig
			configs[config.Key] = []any{config.MaybeValue(), isDefault}
		}
	}
	var brokerID string
	for _, config := range described(must(admin.DescribeBrokerConfigs(within(limit), 1))) {
		if config.Key == "broker.id" {
			brokerID = config.MaybeValue()
		}
	}
	listed := must(admin.ListTopics(within(limit)))
	if err := grow(admin, name, 5); err != nil {
		log.Panic(err)
	}
	// One that has been told nothing yet: a client keeps what it was told for some seconds.
	grown := must(kadm.NewClient(client(bootstrap)).ListTopics(within(limit)))
	no, many := "1", "many"
	tooMuch := &kgo.Record{Topic: name, Value: make([]byte, messageBytesMax+1)}
	_, tooMuchError := send(producer(bootstrap), tooMuch)
	unknownConfigs := must(admin.DescribeTopicConfigs(within(limit), unknown))
	failures := object{
		"create again":             codeOf(create(admin, name, 1, 1, nil)),
		"create with a bad name":   codeOf(create(admin, "no blanks", 1, 1, nil)),
		"create with a bad config": codeOf(create(admin, other, 1, 1, map[string]*string{"no": &no})),
		"create with a bad value": codeOf(
			create(admin, other, 1, 1, map[string]*string{"max.message.bytes": &many})),
		"create with two copies": codeOf(create(admin, other, 1, 2, nil)),
		"grow to fewer":          codeOf(grow(admin, name, 4)),
		"grow unknown":           codeOf(grow(admin, unknown, 4)),
		"delete unknown":         codeOf(deleteTopic(admin, unknown)),
		"describe unknown":       codeOf(unknownConfigs[0].Err),
		"send too much":          codeOf(tooMuchError),
	}
	one := &kgo.Record{Topic: prefix + "-made-by-sending", Value: []byte("1")}
	madeBySending := must(send(producer(bootstrap), one))
	if err := deleteTopic(admin, name); err != nil {
		log.Panic(err)
	}
	left := []string{}
	fresh := kadm.NewClient(client(bootstrap))
	for _, topic := range must(fresh.ListTopics(within(limit))).Names() {
		if strings.HasPrefix(topic, prefix+"-") {
			left = append(left, topic)
		}
	}
	sort.Strings(left)
	return object{
		"brokers":         cluster.Brokers.NodeIDs(),
		"controller":      cluster.Controller,
		"has_cluster_id":  cluster.Cluster != "",
		"partitions":      listed[name].Partitions.Numbers(),
		"grown":           grown[name].Partitions.Numbers(),
		"configs":         configs,
		"broker_id":       brokerID,
		"errors":          failures,
		"made_by_sending": madeBySending[0],
		"left":            left,
	}
}

func sizeConfig() map[string]*string {
	return map[string]*string{"max.message.bytes": kadm.StringPtr(strconv.Itoa(messageBytesMax))}
}

func described(resources kadm.ResourceConfigs) []kadm.Config {
	if err := resources[0].Err; err != nil {
		log.Panic(err)
	}
	return resources[0].Configs
}

func write(bootstrap, topic string) object {
	admin := kadm.NewClient(client(bootstrap))
	if err := create(admin, topic, 2, 1, sizeConfig()); err != nil {
		log.Panic(err)
	}
	large := make([]byte, mib)
	for i := range large {
		large[i] = byte(i*31 + i/251)
	}
	offsets := []int64{}
	timeMs := int64(firstTimeMs)
	for _, codec := range codecs {
		name := []byte(codec.name)
		headers := []kgo.RecordHeader{
			{Key: "first", Value: []byte{0, 0xff}},
			{Key: "again", Value: name},
			{Key: "again", Value: []byte{}},
			{Key: "null", Value: nil},
		}
		records := []*kgo.Record{
			{Key: name, Value: []byte(strings.Repeat(codec.name, 100)), Headers: headers},
			{Key: nil, Value: []byte{}},
			{Key: []byte{}, Value: nil},
			{Key: []byte("large"), Value: large},
		}
		for _, record := range records {
			record.Topic, record.Timestamp = topic, time.UnixMilli(timeMs)
			timeMs += 1000
		}
		producer := producer(bootstrap, kgo.ProducerBatchCompression(codec.compression))
		offsets = append(offsets, must(send(producer, records...))...)
	}
	return object{"offsets": offsets}
}

// A client that reads one partition from an offset.
func consumer(
	bootstrap, topic string, partition int32, offset int64, options ...kgo.Opt,
) *kgo.Client {
	return client(bootstrap, append(options,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			topic: {partition: kgo.NewOffset().At(offset)},
		}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)...)
}

func take(consumer *kgo.Client, count int64, limit time.Duration) ([]*kgo.Record, error) {
	defer consumer.Close()
	ctx := within(limit)
	records := []*kgo.Record{}
	for int64(len(records)) < count {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return records, err
		}
		records = append(records, fetches.Records()...)
	}
	return records, nil
}

func hexed(data []byte) any {
	if data == nil {
		return nil
	}
	return hex.EncodeToString(data)
}

func shown(record *kgo.Record) object {
	headers := [][]any{}
	for _, header := range record.Headers {
		headers = append(headers, []any{header.Key, hexed(header.Value)})
	}
	shown := object{
		"offset":         record.Offset,
		"time":           record.Timestamp.UnixMilli(),
		"is_create_time": record.Attrs.TimestampType() == createTime,
		"key":            hexed(record.Key),
		"size":           nil,
		"crc":            nil,
		"headers":        headers,
	}
	if record.Value != nil {
		shown["size"], shown["crc"] = len(record.Value), crc32.ChecksumIEEE(record.Value)
	}
	return shown
}

func read(bootstrap, topic string) object {
	admin := kadm.NewClient(client(bootstrap))
	offsetOf := func(offsets kadm.ListedOffsets, err error) kadm.ListedOffset {
		offset, _ := must(offsets, err).Lookup(topic, 0)
		if offset.Err != nil {
			log.Panic(offset.Err)
		}
		return offset
	}
	beginning := offsetOf(admin.ListStartOffsets(within(limit), topic)).Offset
	end := offsetOf(admin.ListEndOffsets(within(limit), topic)).Offset
	records := []object{}
	for _, record := range must(take(consumer(bootstrap, topic, 0, beginning), end, limit)) {
		records = append(records, shown(record))
	}

	offsetAt := func(offset int64) int64 {
		return must(take(consumer(bootstrap, topic, 0, offset), 1, limit))[0].Offset
	}
	// Where there is none, the client says the end, without a time.
	offsetOfTime := func(timeMs int64) any {
		found := offsetOf(admin.ListOffsetsAfterMilli(within(limit), timeMs, topic))
		if found.Timestamp == -1 {
			return nil
		}
		return found.Offset
	}
	seeks := object{
		"7":         offsetAt(7),
		"beginning": offsetAt(beginning),
		"last":      offsetAt(end - 1),
		"time":      offsetAt(offsetOfTime(firstTimeMs + 1500).(int64)),
		"end":       nil,
	}
	atEnd, err := take(consumer(bootstrap, topic, 0, end), 1, 200*time.Millisecond)
	if len(atEnd) != 0 || !errors.Is(err, context.DeadlineExceeded) {
		seeks["end"] = fmt.Sprint(len(atEnd), " records, ", err)
	}
	times := object{
		"before all": offsetOfTime(1),
		"exactly":    offsetOfTime(firstTimeMs + 1000),
		"between":    offsetOfTime(firstTimeMs + 1500),
		"compressed": offsetOfTime(firstTimeMs + 9500),
		"after all":  offsetOfTime(firstTimeMs + 1_000_000),
	}
	_, pastEnd := take(consumer(bootstrap, topic, 0, end+100), 1, limit)
	isolation := kgo.FetchIsolationLevel(kgo.ReadCommitted())
	committed := must(take(consumer(bootstrap, topic, 0, beginning, isolation), end, limit))

	// One that waits at the end gets what comes next.
	ends := must(admin.ListEndOffsets(within(limit), topic))
	second, _ := ends.Lookup(topic, 1)
	waiting := consumer(bootstrap, topic, 1, second.Offset)
	next := &kgo.Record{Topic: topic, Partition: 1, Value: []byte("next")}
	sent := must(send(producer(bootstrap), next))[0]
	record := must(take(waiting, 1, limit))[0]
	return object{
		"records":   records,
		"seeks":     seeks,
		"times":     times,
		"ends":      []int64{beginning, end},
		"past_end":  codeOf(pastEnd),
		"committed": len(committed),
		"next":      []any{record.Offset == sent, string(record.Value)},
	}
}

// Important users have the first partition, the others share the rest.
func partitionOfUser(record *kgo.Record, partitions int) int {
	if strings.HasPrefix(string(record.Key), "vip-") {
		return 0
	}
	sum := 0
	for _, one := range record.Key {
		sum += int(one)
	}
	return 1 + sum%(partitions-1)
}

func place(bootstrap string) object {
	custom := kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
		return partitionOfUser
	})
	acknowledged := 0
	sendAll := func(partitioner kgo.Partitioner, records []*kgo.Record) {
		offsets := must(send(producer(bootstrap, kgo.RecordPartitioner(partitioner)), records...))
		acknowledged += len(offsets)
	}
	records := []*kgo.Record{}
	add := func(topic string, key []byte, number int) {
		value := []byte(strconv.Itoa(number))
		records = append(records, &kgo.Record{Topic: topic, Key: key, Value: value})
	}
	for number := range ofEachUser {
		for _, user := range users {
			add("custom", []byte(user), number)
		}
	}
	sendAll(custom, records)
	records = nil
	for number := range roundRobinCount {
		add("round-robin", nil, number)
	}
	sendAll(kgo.RoundRobinPartitioner(), records)
	records = nil
	for number := range ofEachKey {
		for key := range keys {
			add("keyed", []byte(fmt.Sprint("key-", key)), number)
		}
	}
	sendAll(kgo.StickyKeyPartitioner(nil), records)
	return object{"acknowledged": acknowledged}
}

func load(bootstrap, topic string, partitions int) object {
	producer := producer(bootstrap,
		kgo.ProducerLinger(time.Millisecond),
		kgo.ProducerBatchMaxBytes(1000),
		kgo.MaxBufferedRecords(outstandingMax),
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.MetadataMinAge(50*time.Millisecond),
		// A connection that ends at once is no hint at TLS here: the broker is away.
		kgo.AlwaysRetryEOF(),
	)
	var lock sync.Mutex
	sent, acknowledged, misplaced := 0, 0, 0
	failures := []string{}
	isOver := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(isOver)
	}()
	for number := int64(0); ; number++ {
		select {
		case <-isOver:
			if err := producer.Flush(within(settleLimit)); err != nil {
				log.Panic(err)
			}
			lock.Lock()
			defer lock.Unlock()
			return object{
				"unsettled": sent - acknowledged - len(failures),
				"misplaced": misplaced,
				"errors":    failures,
				"sent":      sent,
			}
		default:
		}
		for partition := range partitions {
			sent++
			record := &kgo.Record{
				Topic:     topic,
				Partition: int32(partition),
				Value:     []byte(strconv.FormatInt(number, 10)),
			}
			producer.Produce(context.Background(), record, func(record *kgo.Record, err error) {
				lock.Lock()
				defer lock.Unlock()
				if err != nil {
					failures = append(failures, err.Error())
					return
				}
				if record.Offset != number {
					misplaced++
				}
				acknowledged++
				if acknowledged%1000 == 0 {
					fmt.Println(acknowledged)
				}
			})
		}
	}
}

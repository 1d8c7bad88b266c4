package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	sessionTimeout    = 6 * time.Second
	heartbeatInterval = 500 * time.Millisecond
)

func tell(event string, more object) {
	line := object{"event": event, "at": time.Now().UnixMicro()}
	for name, value := range more {
		line[name] = value
	}
	fmt.Println(string(must(json.Marshal(line))))
}

// What is to be told when partitions come and go.
func tellPartitions(event, topic string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, client *kgo.Client, partitions map[string][]int32) {
		_, generation := client.GroupMetadata()
		tell(event, object{
			"partitions": append([]int32{}, partitions[topic]...),
			"generation": generation,
		})
	}
}

func memberOptions(group, topic, instance, protocol, commit string) []kgo.Opt {
	options := []kgo.Opt{
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		// Partitions are revoked between two polls, never while their records are processed.
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(tellPartitions("assigned", topic)),
		kgo.OnPartitionsRevoked(tellPartitions("revoked", topic)),
		kgo.OnPartitionsLost(tellPartitions("lost", topic)),
	}
	if instance != "-" {
		options = append(options, kgo.InstanceID(instance))
	}
	switch protocol {
	case "range":
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	case "cooperative-sticky":
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	case "consumer":
		options = append(options, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	default:
		log.Fatal("no such protocol: ", protocol)
	}
	if commit == "auto" {
		return append(options, kgo.AutoCommitInterval(500*time.Millisecond))
	}
	return append(options, kgo.DisableAutoCommit())
}

// A member of a group: ../python/member.py describes it.
func member(bootstrap, group, topic, instance, protocol, commit string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client := client(bootstrap, memberOptions(group, topic, instance, protocol, commit)...)
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		fetches.EachError(func(_ string, _ int32, err error) {
			if !errors.Is(err, context.Canceled) {
				log.Panic(err)
			}
		})
		fetches.EachRecord(func(record *kgo.Record) {
			tell("record", object{"partition": record.Partition, "offset": record.Offset})
			if commit != "each" {
				return
			}
			if err := client.CommitRecords(within(limit), record); err != nil {
				tell("commit_failed", object{"error": err.Error()})
			}
		})
		client.AllowRebalance()
	}
	// Leaves the group, unless it is a static member, and tells that partitions are revoked.
	client.CloseAllowingRebalance()
	tell("closed", nil)
}

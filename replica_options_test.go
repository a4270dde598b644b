package evercache

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestWrongOptionsOfReplicaReadsAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		o    Options
		want string
	}{
		"a single server":   {Options{Addr: "a:1", ReplicaReads: true}, "ReplicaReads: the replicas of a single server are not known here; give Sentinels or ClusterNodes"},
		"a zone for nobody": {Options{ClusterNodes: []string{"a:1"}, Zone: "z"}, "Zone: it is for reads from replicas; set ReplicaReads too"},
		"a long zone":       {Options{ClusterNodes: []string{"a:1"}, ReplicaReads: true, Zone: strings.Repeat("z", 257)}, "Zone: 257 bytes, at most 256"},
	} {
		c, err := Open(t.Context(), tt.o)
		if err == nil {
			_ = c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrongPoliciesOfReplicaReadsAreRefused(t *testing.T) {
	client, err := Open(t.Context(), Options{Addr: "127.0.0.1:1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	memory, err := Open(t.Context(), Options{MemoryOnly: true, ReplicaReads: true})
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	for name, tt := range map[string]struct {
		c    *Client
		p    Policy
		want string
	}{
		"the client does not":  {client, Policy{ReplicaReads: true}, "Policy.ReplicaReads: no replica is read from; set Options.ReplicaReads too"},
		"a bound for nobody":   {memory, Policy{MaxStaleness: time.Second}, "Policy.MaxStaleness 1s: it is for reads from replicas; set ReplicaReads too"},
		"too short a bound":    {memory, Policy{ReplicaReads: true, MaxStaleness: MinMaxStaleness - 1}, "want between 200ms and 1m0s"},
		"too long a bound":     {memory, Policy{ReplicaReads: true, MaxStaleness: MaxMaxStaleness + 1}, "want between 200ms and 1m0s"},
		"a bound that is past": {memory, Policy{ReplicaReads: true, MaxStaleness: Never}, "want between 200ms and 1m0s"},
	} {
		if _, err := NewCache[string](tt.c, "c", tt.p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewCache[string](memory, "good", Policy{ReplicaReads: true}); err != nil {
		t.Error(err)
	}
}

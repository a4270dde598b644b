package evercache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/faultnet"
	"github.com/evercache/evercache/internal/redisproc"
)

func manyKeys(n int) (keys []string, values map[string]string) {
	values = map[string]string{}
	for i := range n {
		keys = append(keys, fmt.Sprint(i))
		values[keys[i]] = "v"
	}
	return keys, values
}

// loadMany gives every key the same value.
func loadMany(_ context.Context, keys []string) (map[string]string, error) {
	values := map[string]string{}
	for _, key := range keys {
		values[key] = "v"
	}
	return values, nil
}

func TestSetManyWaitsInVainNoLongerThanOneWrite(t *testing.T) {
	t.Parallel()
	const patience = 500 * time.Millisecond
	_, values := manyKeys(1000)
	for name, without := range map[string]func(t *testing.T) *Client{
		"no master is known": func(t *testing.T) *Client {
			return open(t, Options{Sentinels: []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, MasterName: "m"})
		},
		"the master hangs": func(t *testing.T) *Client {
			p := startRedis(t, redisproc.Options{})
			client := openAt(t, p.Addr())
			connect(t, client, 20*time.Second)
			wantErr(t, p.Pause(), nil)
			return client
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := without(t)
			c := cacheOf[string](t, client, "c", Policy{WriteTimeout: patience})
			late, began := lateness(t), time.Now()
			r, err := c.SetMany(t.Context(), values)
			if took := time.Since(began); took > 4*patience+late() {
				t.Errorf("it took %v", took)
			}
			wantValue(t, r.Durability, err, Memory)
			if n := client.Health().OutboxEntries; n != len(values) {
				t.Errorf("%d of %d are kept", n, len(values))
			}
		})
	}
}

// The origin sees one call, however many keys.
func TestAnOutageLimitsTheCallsOfAManyLoader(t *testing.T) {
	t.Parallel()
	c := cacheOf[string](t, open(t, Options{Addr: noRedis}), "c", Policy{OutageLoadRate: 1})
	keys, _ := manyKeys(500)
	got, err := c.GetMany(t.Context(), keys, loadMany)
	if err != nil || len(got) != len(keys) {
		t.Errorf("%d of %d, %v", len(got), len(keys), err)
	}
	others := []string{"x", "y"}
	_, first := c.GetMany(t.Context(), others, loadMany)
	_, second := c.GetMany(t.Context(), others, loadMany)
	if !errors.Is(first, ErrUnavailable) && !errors.Is(second, ErrUnavailable) {
		t.Errorf("three calls at one in a second: %v, %v", first, second)
	}
}

// It takes longer to ask than a load may take.
func TestTheTimeOfALoadBeginsWhenAllKeysHaveBeenAskedFor(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	link := startProxy(t, p.Addr())
	client := open(t, Options{Addr: link.Addr(), ReadTimeout: 2 * time.Second})
	c := cacheOf[string](t, client, "c", Policy{LoadTimeout: 500 * time.Millisecond})
	connect(t, client, 20*time.Second)
	link.SetLatency(faultnet.ToClient, 100*time.Millisecond)
	keys, _ := manyKeys(1000) // eight pipelines
	got, err := c.GetMany(t.Context(), keys, loadMany)
	if err != nil || len(got) != len(keys) {
		t.Errorf("%d of %d, %v", len(got), len(keys), err)
	}
}

// Values that a script has to write go together as others do: key by key a hundred of them
// take a hundred times the way to the master, and most of a call's time.
func TestSetManySendsTogetherWhatAScriptHasToWrite(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	link := startProxy(t, p.Addr())
	client := open(t, Options{Addr: link.Addr(), ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second})
	c, hurried := cacheOf[string](t, client, "c", Policy{}), cacheOf[string](t, client, "hurried", Policy{ReadTimeout: 30 * time.Millisecond})
	connect(t, client, 20*time.Second)
	_, err := c.Delete(t.Context(), "none") // the next script is not the first
	wantErr(t, err, nil)
	const way, keys = 60 * time.Millisecond, 100
	for name, tt := range map[string]struct {
		bytes   int
		options []WriteOption
		miss    bool
	}{
		"long values":           {bytes: 20 << 10},
		"a short life":          {bytes: 10, options: []WriteOption{TTL(time.Minute)}},
		"after a missed answer": {bytes: 10, miss: true},
		"long and short ones":   {bytes: -1},
	} {
		t.Run(name, func(t *testing.T) {
			values := map[string]string{}
			for i := range keys {
				bytes := tt.bytes
				if bytes < 0 {
					bytes = 10 + i%2*20<<10
				}
				values[fmt.Sprint(name, i)] = fmt.Sprint(i) + strings.Repeat("v", bytes)
			}
			link.SetLatency(faultnet.ToTarget, way)
			defer func() { _ = link.Heal() }()
			if tt.miss {
				_, err := hurried.Lookup(t.Context(), "k")
				if err == nil || !client.one().Node.Load().InTime(0) {
					t.Fatalf("no answer was missed: %v", err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), keys*way*2/3)
			defer cancel()
			r, err := c.SetMany(ctx, values, tt.options...)
			if err != nil || r.Durability < Master {
				t.Errorf("%v, %v", r, err)
			}
			wantErr(t, link.Heal(), nil)
			for key, want := range values {
				if got := redisDo(t, p, "GET", "c:"+key); got != want {
					t.Fatalf("Redis holds %.20v of %s", got, key)
				}
				waitCovers(t, c, key, want)
			}
		})
	}
}

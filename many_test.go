package evercache

import (
	"context"
	"errors"
	"fmt"
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

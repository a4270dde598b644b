package evercache

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// Every memory asks once a second, when it looks for what has expired.
func TestTheClockOfAnIdleClientIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := openMemory(t)
		for i := range 100 {
			c := cacheOf[string](t, client, fmt.Sprint("class", i), Policy{MaxEntries: 100})
			_, _ = c.Set(t.Context(), "a", "v", TTL(3*time.Second))
		}
		time.Sleep(time.Second)
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			if client.one().Clock.Ticking() {
				t.Fatalf("it ticks %v after the last call", time.Since(client.one().Clock.Start))
			}
		}
	})
}

// Nothing has ticked since the process was stopped, but a call comes.
func TestTheFirstCallAfterAStopIsAnsweredByTheTimeOfItsCall(t *testing.T) {
	t.Parallel()
	client := open(t, Options{Addr: noRedis})
	c := cacheOf[string](t, client, "c", Policy{})
	reads := map[string]func(key string) (Entry[string], error){
		"Lookup": func(key string) (Entry[string], error) { return c.Lookup(t.Context(), key) },
		"GetEntry": func(key string) (Entry[string], error) {
			return c.GetEntry(t.Context(), key, func(context.Context, string) (string, error) { return "", ErrNotFound })
		},
		"GetMany": func(key string) (e Entry[string], err error) {
			got, err := c.GetMany(t.Context(), []string{key}, nil)
			return Entry[string]{Value: got[key]}, err
		},
	}
	begun := client.one().Clock.Now()
	for name, read := range reads {
		covered := c.newItem("v", begun, 0, time.Hour)
		covered.Cover = client.one().Feed.Cover()
		c.put("covered", covered)
		c.put("over", c.newItem("v", begun, 0, time.Microsecond))
		waitUntil(t, time.Second, func() bool { return client.one().Clock.Now() > begun+int64(time.Millisecond) }, func() string { return "time stands still" })
		client.one().Feed.Cover().Renew(client.one().Clock.Now())
		client.one().Clock.Stand(begun)
		if e, err := read("covered"); err != nil || e.Coherent {
			t.Errorf("%s after the lease: %+v, %v", name, e, err)
		}
		if e, err := read("over"); err == nil || e.Value != "" {
			t.Errorf("%s after its end: %+v, %v", name, e, err)
		}
	}
}

// Only memory may ask the clock that can be late.
func TestNothingButMemoryAsksTheCoarseClock(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir() != "." && s.dir() != "internal/shard" || s.isTest() {
			continue
		}
		data, err := os.ReadFile(s.file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("NowNano")) {
			t.Errorf("%s asks NowNano: a promise needs Now", s.file)
		}
	}
}

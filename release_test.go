package evercache

import (
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// TestAClassThatWasReleasedCanBeMadeAgain and holds nothing of before.
func TestAClassThatWasReleasedCanBeMadeAgain(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client, there := openAt(t, p.Addr()), openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	connect(t, there, 20*time.Second)
	c, other := cacheOf[string](t, client, "c", Policy{}), cacheOf[string](t, there, "c", Policy{})
	if _, err := c.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	if !c.Release() || c.Release() {
		t.Fatal("Release = false, then true")
	}
	if n := client.memory.Len(); n != 0 {
		t.Errorf("memory holds %d entries of it", n)
	}
	if _, err := other.Set(t.Context(), "k", "new"); err != nil {
		t.Fatal(err)
	}
	again := cacheOf[string](t, client, "c", Policy{})
	if e, err := again.Lookup(t.Context(), "k"); err != nil || e.Value != "new" {
		t.Errorf("Lookup = %q, %v", e.Value, err)
	}
	waitUntil(t, 20*time.Second, func() bool {
		e, err := again.Lookup(t.Context(), "k")
		return err == nil && e.Coherent && e.Source == SourceMemory
	}, func() string { return "the class is not announced" })
	if _, err := other.Set(t.Context(), "k", "newer"); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { e, _ := again.Lookup(t.Context(), "k"); return e.Value == "newer" }, func() string { return "a change is not heard of" })
	kill(t, p)
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "no outage" })
	if _, err := again.Set(t.Context(), "k", "kept"); err != nil {
		t.Fatal(err)
	}
	if again.Release() {
		t.Error("it was released while a write of it waits")
	}
}

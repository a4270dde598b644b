package evercache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

type account struct{ balance int }

var _ = account{}.balance

// refusal is the error of NewCache for a type, which must not take the class.
func refusal[V any](t *testing.T, o ...CacheOption[V]) string {
	t.Helper()
	client := openMemory(t)
	c, err := NewCache[V](client, "c", Policy{}, o...)
	if err == nil {
		return ""
	}
	if c != nil {
		t.Error("there is a cache beside the error")
	}
	cacheOf[string](t, client, "c", Policy{})
	return err.Error()
}

func TestWhatAnotherProcessWouldNotReadIsRefused(t *testing.T) {
	tests := []struct {
		name string
		got  string
		want []string
	}{
		{"a field that is not exported", refusal[account](t), []string{"class c", "balance: it is not exported", "WithCodec"}},
		{"anything", refusal[any](t), []string{"the value: it is an interface", "float64", "WithCodec(evercache.JSON[V]())"}},
		{"all faults at once", refusal[struct {
			A any
			F func()
		}](t), []string{"A: it is an interface", "F: JSON has no func"}},
		{"no codec", refusal(t, WithCodec[string](nil)), []string{"WithCodec: nil was given"}},
		{"a codec that is a nil pointer", refusal(t, WithCodec[string]((*heldCodec)(nil))), []string{"WithCodec: a nil *evercache.heldCodec was given"}},
		{"no clone", refusal(t, WithClone[string](nil)), []string{"WithClone: nil was given"}},
		{"no weight", refusal(t, WithWeight[string](nil)), []string{"WithWeight: nil was given"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, part := range tt.want {
				if !strings.Contains(tt.got, part) {
					t.Errorf("refused with %q, want %q in it", tt.got, part)
				}
			}
		})
	}
}

func TestACodecThatWasGivenMayStoreAnything(t *testing.T) {
	for _, got := range []string{
		refusal(t, WithCodec(JSON[account]())),
		refusal(t, WithCodec(JSON[map[string]any]())),
		refusal[product](t), refusal[*product](t), refusal[[]byte](t), refusal[time.Time](t),
	} {
		if got != "" {
			t.Errorf("refused: %s", got)
		}
	}
}

func TestAStringThatIsNoUTF8IsNotAcknowledged(t *testing.T) {
	c := cacheOf[product](t, openMemory(t), "c", Policy{})
	_, err := c.Set(t.Context(), "a", product{Name: "caf\xe9"})
	if err == nil || !strings.Contains(err.Error(), "Name: a string that is no UTF-8") {
		t.Errorf("error = %v", err)
	}
	if n := c.client.Stats().EncodeFailures; n != 1 {
		t.Errorf("%d encode failures are counted, want 1", n)
	}
}

// failingCodec cannot store anything.
type failingCodec struct{ stringCodec }

func (failingCodec) Encode(string) ([]byte, error) { return nil, errors.New("no") }

func TestALoadedValueThatCannotBeStoredIsKeptHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf(t, openMemory(t), "c", Policy{TTL: time.Hour}, WithCodec[string](failingCodec{}))
		e, err := c.GetEntry(t.Context(), "a", constant("v"))
		if err != nil || e.Value != "v" || e.Source != SourceLoader || e.Cause == nil {
			t.Errorf("read %+v, %v", e, err)
		}
		got, err := c.Get(t.Context(), "a", failing)
		wantValue(t, got, err, "v")
		time.Sleep(time.Hour)
		_, err = c.Lookup(t.Context(), "a")
		wantErr(t, err, ErrNotFound)
		if _, err := c.Set(t.Context(), "a", "v"); err == nil {
			t.Error("Set of what cannot be stored was acknowledged")
		}
		if n := c.client.Stats().EncodeFailures; n != 2 {
			t.Errorf("%d encode failures are counted, want 2", n)
		}
	})
}

func TestWhatCannotBeStoredKeepsTheBoundOfMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := open(t, Options{MemoryOnly: true, MemoryBytes: 64 << 10})
		c := cacheOf(t, client, "c", Policy{TTL: time.Hour}, WithCodec[string](failingCodec{}))
		for i := range 100 {
			_, err := c.Get(t.Context(), fmt.Sprint(i), constant(strings.Repeat("x", 4<<10)))
			wantErr(t, err, nil)
		}
		synctest.Wait()
		if n := client.Stats().L1Bytes; n > 64<<10 || n < 4<<10 {
			t.Errorf("memory holds %d bytes", n)
		}
	})
}

func TestANumberThatJSONDoesNotKnowIsLoadedOnceAndTold(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[float64](t, client, "c", Policy{})
	var loads atomic.Int64
	for range 500 {
		v, err := c.Get(t.Context(), "a", func(context.Context, string) (float64, error) { loads.Add(1); return math.NaN(), nil })
		if err != nil || !math.IsNaN(v) {
			t.Fatalf("read %v, %v", v, err)
		}
	}
	if n := loads.Load(); n > 5 { // one, and one each time that the machine stood still for L1TTL or a lease
		t.Errorf("%d loads for 500 reads", n)
	}
	wantFinding(t, client, "value-unencodable", "class c: ")
	redisDo(t, p, "SET", "c:a", "7")
	waitUntil(t, 20*time.Second, func() bool { e, _ := c.Lookup(t.Context(), "a"); return e.Value == 7 },
		func() string { return "what another program wrote is not seen" })
}

func wantFinding(t *testing.T, c *Client, code, detail string) {
	t.Helper()
	for _, f := range c.Health().Findings {
		if f.Code == code {
			wantWhole(t, f)
			if !strings.Contains(f.Detail, detail) {
				t.Errorf("%s says %q, want %q in it", code, f.Detail, detail)
			}
			return
		}
	}
	t.Errorf("no finding %s", code)
}

// besideAt is a class at a client of its own, as another process would have it, whose
// feed covers it.
func besideAt[V any](t *testing.T, addr, class string, p Policy) *Cache[V] {
	t.Helper()
	c := cacheOf[V](t, cacheAt(t, addr, Policy{}).client, class, p)
	waitUntil(t, 20*time.Second, func() bool { return c.keys.Mark(c.full("")).Cover() != nil && c.client.Health().Feed.Coherent },
		func() string { return "the feed does not cover " + class })
	return c
}

func TestTwoFormsOfAValueDoNotOverwriteEachOtherForEver(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	older, newer := besideAt[[]string](t, p.Addr(), "d", Policy{}), besideAt[int](t, p.Addr(), "d", Policy{})
	redisDo(t, p, "SET", "d:a", `["v"]`)
	loads := 0
	for range 100 {
		_, err := older.Get(t.Context(), "a", func(context.Context, string) ([]string, error) { loads++; return []string{"v"}, nil })
		wantErr(t, err, nil)
		v, err := newer.Get(t.Context(), "a", func(context.Context, string) (int, error) { loads++; return 7, nil })
		wantValue(t, v, err, 7)
		time.Sleep(3 * time.Millisecond) // what is stored meanwhile is announced
	}
	if loads > 20 { // four, and one each time that the machine stood still for a lease
		t.Errorf("%d loads in 200 reads", loads)
	}
	wantFinding(t, newer.client, "value-undecodable", "class d: ")
}

func TestWhatDoesNotDecodeIsOverwrittenOnce(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := besideAt[int](t, p.Addr(), "d", Policy{})
	loads := 0
	load := func(context.Context, string) (int, error) { loads++; return loads, nil }
	redisDo(t, p, "SET", "d:a", `["v"]`)
	v, err := c.Get(t.Context(), "a", load)
	wantValue(t, v, err, 1)
	waitUntil(t, 20*time.Second, func() bool { return redisDo(t, p, "GET", "d:a") == "1" && c.unread.overwritten.has("a") },
		func() string { return "it is not overwritten" })
	wantFinding(t, c.client, "value-undecodable", "class d: 1 so far")
	redisDo(t, p, "SET", "d:a", `["w"]`)
	waitUntil(t, 20*time.Second, func() bool {
		v, err := c.Get(t.Context(), "a", load)
		return err == nil && v == loads && v > 1 && c.covers("a", loads)
	}, func() string { return "what another wrote is not seen, or what was loaded then not kept" })
	wantFinding(t, c.client, "value-undecodable", "not replaced a second time: class d: ")
	if got := redisDo(t, p, "GET", "d:a"); got != `["w"]` {
		t.Errorf("Redis holds %v: it was overwritten twice", got)
	}
	redisDo(t, p, "SET", "d:a", "7")
	waitUntil(t, 20*time.Second, func() bool { v, err := c.Get(t.Context(), "a", load); return err == nil && v == 7 },
		func() string { return "a value that decodes is not read" })
}

func TestAKeySetForgetsNothingAndIsBounded(t *testing.T) {
	var s keySet
	if s.has("a") {
		t.Error("an empty set has a key")
	}
	const n = 100_000
	for i := range n {
		s.add(fmt.Sprint("in", i))
	}
	wrong := 0
	for i := range n {
		if !s.has(fmt.Sprint("in", i)) {
			t.Fatalf("%d is forgotten", i)
		}
		if s.has(fmt.Sprint("out", i)) {
			wrong++
		}
	}
	if wrong > n/20 {
		t.Errorf("of %d other keys %d seem to be in it", n, wrong)
	}
}

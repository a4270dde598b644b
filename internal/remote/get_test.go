package remote

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func TestValuesOfEverySizeAreReadWhole(t *testing.T) {
	for _, refused := range []string{"", "rename-command GETRANGE \"\"", "user default on nopass ~* &* +@all -getrange", "user default on nopass ~* &* +@all -getrange -strlen"} {
		t.Run(refused, func(t *testing.T) {
			o := redisproc.Options{}
			if refused != "" {
				o.Config = []string{refused}
			}
			p := startRedis(t, o)
			n := dial(t, p.Addr(), nil)
			var keys []string
			for _, size := range []int{0, 1, span - 1, span, span + 1, 5 << 20} {
				key := fmt.Sprint("k", size)
				keys = append(keys, key)
				ask(t, p, "EVAL", "redis.call('SET', KEYS[1], string.rep('x', ARGV[1]))", "1", key, fmt.Sprint(size))
				v, err := n.Get(t.Context(), key, long)
				if err != nil || !bytes.Equal(v.Data, []byte(strings.Repeat("x", size))) || v.TTL >= 0 {
					t.Errorf("%d bytes: got %d, %v", size, len(v.Data), err)
				}
			}
			found, err := n.GetMany(t.Context(), keys, long)
			for i, f := range found {
				if want := strings.TrimPrefix(keys[i], "k"); f.Err != nil || fmt.Sprint(len(f.Data)) != want {
					t.Errorf("of many, %s bytes: got %d, %v, %v", want, len(f.Data), f.Err, err)
				}
			}
			ask(t, p, "LPUSH", "list", "v")
			if _, err := n.Get(t.Context(), "list", long); KindOf(err) != Logical {
				t.Errorf("a list: %v", err)
			}
			if _, err := n.Get(t.Context(), "none", long); !IsNil(err) {
				t.Errorf("a missing key: %v", err)
			}
		})
	}
}

// TestALargeValueThatEndsItsConnectionIsNotAskedForAgain: the sizes are
// remembered, and smaller ones are read.
func TestALargeValueThatEndsItsConnectionIsNotAskedForAgain(t *testing.T) {
	p := startRedis(t, redisproc.Options{Config: []string{"client-output-buffer-limit normal 1mb 0 0"}})
	for key, size := range map[string]string{"huge": "3000000", "large": "400000"} {
		ask(t, p, "EVAL", "redis.call('SET', KEYS[1], string.rep('x', ARGV[1]))", "1", key, size)
	}
	n := dial(t, p.Addr(), nil)
	for range 20 {
		if _, err := n.Get(t.Context(), "huge", long); KindOf(err) != Other {
			t.Fatalf("the huge one: %v", err)
		}
		if v, err := n.Get(t.Context(), "large", long); err != nil || len(v.Data) != 400000 {
			t.Fatalf("the large one: %d, %v", len(v.Data), err)
		}
	}
	select {
	case <-n.Opened():
		t.Errorf("the node is given up: %v", n.OpenErr())
	default:
	}
	if ended := strings.Count(p.Log(), "output buffer limits"); ended != 1 {
		t.Errorf("the server has ended %d connections", ended)
	}
}

// TestLargeValuesAreReadOneAtATime bounds what they take of memory together.
func TestLargeValuesAreReadOneAtATime(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	for i := range 4 {
		ask(t, p, "SETRANGE", fmt.Sprint(i), "49999999", "x") // quicker than to send it
	}
	n := dial(t, p.Addr(), nil)
	most, stop := 0, make(chan struct{})
	var watcher, readers sync.WaitGroup
	watcher.Go(func() {
		for {
			most = max(most, int(n.bulk.underWay.Load()))
			select {
			case <-stop:
				return
			default:
				time.Sleep(100 * time.Microsecond)
			}
		}
	})
	for i := range 4 {
		readers.Go(func() {
			if v, err := n.Get(t.Context(), fmt.Sprint(i), patience); err != nil || len(v.Data) != 50000000 {
				t.Errorf("%d bytes, %v", len(v.Data), err)
			}
		})
	}
	readers.Wait()
	close(stop)
	watcher.Wait()
	if most != 1 {
		t.Errorf("%d were on their way together", most)
	}
}

// TestASizeThatTheServerRefusesIsNotSentAgain: where the size may not be asked for,
// the server ends the connection the first time.
func TestASizeThatTheServerRefusesIsNotSentAgain(t *testing.T) {
	p := startRedis(t, redisproc.Options{Config: []string{"proto-max-bulk-len 1mb", "user default on nopass ~* &* +@all -getbit"}})
	c := config(p.Addr())
	value := Pair{Key: "k", Data: make([]byte, 2<<20), TTL: time.Hour}
	eventually(t, patience, "the server's words arrive", func() bool { // the end of the connection can come before them
		c.Sizes = new(Sizes)
		_, err := dialWith(t, c, nil).Set(t.Context(), value, long)
		return errors.Is(err, ErrTooLarge)
	})
	n := dialWith(t, c, nil)
	for range 5 {
		if _, err := n.Set(t.Context(), value, long); KindOf(err) != Logical || !errors.Is(err, ErrTooLarge) {
			t.Fatalf("again: %v", err)
		}
	}
	if _, err := n.Set(t.Context(), Pair{Key: "k", Data: make([]byte, 1<<19), TTL: time.Hour}, long); err != nil {
		t.Errorf("a smaller one on the same connection: %v", err)
	}
}

// TestASizeThatTheServerDoesNotTakeIsNotSent: it would end the connection of all.
func TestASizeThatTheServerDoesNotTakeIsNotSent(t *testing.T) {
	p := startRedis(t, redisproc.Options{Config: []string{"proto-max-bulk-len 2mb"}})
	n := dial(t, p.Addr(), nil)
	ask(t, p, "HSET", "hash", "f", "v")
	most, more := make([]byte, 2<<20), make([]byte, 2<<20+1)
	refused := func(what string, err error) {
		t.Helper()
		if KindOf(err) != Logical || !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, inTime := range []bool{false, true} {
		for _, key := range []string{"none", "hash"} {
			_, err := n.Set(t.Context(), Pair{Key: key, Data: more, TTL: time.Hour, InTime: inTime}, long)
			refused(fmt.Sprint("Set ", key, inTime), err)
		}
		if _, err := n.Set(t.Context(), Pair{Key: "most", Data: most, TTL: time.Hour, InTime: inTime}, long); err != nil {
			t.Errorf("the longest that it takes: %v", err)
		}
	}
	_, _, err := n.SetAbsent(t.Context(), Pair{Key: "none", Data: more, TTL: time.Hour}, long)
	refused("SetAbsent", err)
	set := func(key string, data []byte) Write {
		return Write{Kind: WriteSet, Pair: Pair{Key: key, Data: data, TTL: time.Hour}}
	}
	errs, err := n.WriteMany(t.Context(), []Write{set("a", []byte("v")), set("b", more), set("c", most)}, long)
	refused("the whole of many", err)
	refused("one of many", errs[1])
	if errs[0] != nil || errs[2] != nil {
		t.Errorf("the others of many: %v", errs)
	}
	if got := ask(t, p, "EXISTS", "a", "b", "c"); got != int64(2) {
		t.Errorf("%v of the two others are there", got)
	}
	ask(t, p, "CONFIG", "SET", "proto-max-bulk-len", "3mb") // it is asked each time
	if _, err := n.Set(t.Context(), Pair{Key: "k", Data: more, TTL: time.Hour}, long); err != nil {
		t.Errorf("with a higher limit: %v", err)
	}
	wantClosed(t, n)
}

// TestAValueThatIsTooLongIsNotSentFor: others are answered on the same connections,
// and a key that we have written ourselves is read no further than need be.
func TestAValueThatIsTooLongIsNotSentFor(t *testing.T) {
	for _, forbidden := range []string{"", " -getrange"} {
		p := startRedis(t, redisproc.Options{Config: []string{"user default on nopass ~* &* +@all" + forbidden}})
		grow := func(key string, size int) {
			ask(t, p, "SETRANGE", key, fmt.Sprint(size-1), "x")
		}
		c := config(p.Addr())
		c.MaxValue = 1 << 20
		grow("most", 1<<20)
		grow("more", 1<<20+1)
		grow("huge", 8<<20)
		if forbidden == "" {
			grow(heartbeat.Key, 8<<20)
			grow(heartbeat.Marker, 8<<20)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := dialWith(t, c, nil)
		for range 5 {
			for _, key := range []string{"more", "huge"} {
				if _, err := n.Get(t.Context(), key, long); KindOf(err) != Oversize {
					t.Errorf("%s: %v", key, err)
				}
			}
			found, err := n.GetMany(t.Context(), []string{"more", "huge", "none"}, long)
			if err != nil || KindOf(found[0].Err) != Oversize || KindOf(found[1].Err) != Oversize || !IsNil(found[2].Err) {
				t.Errorf("of many: %v, %v", found, err)
			}
		}
		if v, err := n.Get(t.Context(), "most", long); err != nil || len(v.Data) != 1<<20 {
			t.Errorf("the longest that is read: %d bytes, %v", len(v.Data), err)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%d MiB were allocated", used>>20)
		}
		select {
		case <-n.Opened():
			t.Errorf("the node is given up: %v", n.OpenErr())
		default:
		}
		if n.Oversize() == nil {
			t.Error("nothing is told")
		}
	}
}

package evercache

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/deadline"
	"github.com/evercache/evercache/internal/kit"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

// A late write of another process may be announced between the answer to a write of ours
// and the moment at which this process has noted that: the announcement is read by one
// goroutine, the answer by another, which a busy machine keeps waiting. It must be
// undone all the same, whatever this process has written.

// lateComer writes what another process sent before the test began.
type lateComer struct {
	server *redisproc.Process
	before string
	once   sync.Once
	came   atomic.Bool
}

// newLateComer notes the life of the class, and the time.
func newLateComer(t *testing.T, server *redisproc.Process, c *Cache[string]) *lateComer {
	t.Helper()
	wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "warm", "up") })
	reply := redisDo(t, server, "TIME").([]any)
	s, _ := strconv.ParseInt(fmt.Sprint(reply[0]), 10, 64)
	return &lateComer{server: server, before: strconv.FormatInt((s-1)*1000+time.Hour.Milliseconds(), 10)}
}

// comes lets it arrive, and returns when c has been told of it.
func (l *lateComer) comes(t *testing.T, c *Cache[string], key string) {
	l.once.Do(func() {
		m := c.keys.Mark("c:" + key)
		if _, err := l.server.Do(t.Context(), "SET", "c:"+key, "late", "PXAT", l.before); err != nil {
			t.Error(err)
		}
		disturbed(t, c, m)
		l.came.Store(true)
	})
}

// disturbed waits until the key of m has been announced; it may run on any goroutine.
func disturbed(t *testing.T, c *Cache[string], m shard.Mark) {
	for end := time.Now().Add(20 * time.Second); c.client.store.Undisturbed(m); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Error("nothing was announced")
			return
		}
	}
}

// waitHeld waits until Redis holds a value; it may run on any goroutine.
func waitHeld(t *testing.T, p *redisproc.Process, key string, want any) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		got, err := p.Do(t.Context(), "GET", key)
		if err == nil && got == want {
			return
		}
		if err != nil || time.Now().After(end) {
			t.Errorf("Redis holds %v under %s, want %v (%v)", got, key, want, err)
			return
		}
	}
}

func TestALateWriteThatIsAnnouncedBeforeOursIsNotedUndoesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t, redisproc.Options{})
	client := openAt(t, server.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	for key, want := range map[string]any{"set": "last", "deleted": nil} {
		comer := newLateComer(t, server, c)
		w, err := setOf(c, key, "last")
		if want == nil {
			w = new(write)
			err = c.begin(w, shard.KindDelete, key, nil)
		}
		wantErr(t, err, nil)
		w.patience = deadline.New(t.Context(), time.Now(), 20*time.Second)
		held, err := client.store.Locks.Lock(&w.patience, w.Rec.Key)
		wantErr(t, err, nil)
		c.inTurn(w)
		sent := c.keys.Write(&w.patience, &w.Outgoing)
		if sent.Outcome != shard.Taken {
			t.Fatalf("not taken: %v", sent.Err)
		}
		if want == nil { // the script that deletes is announced to us too
			disturbed(t, c, sent.Mark)
		}
		comer.comes(t, c, key)
		_, err = c.delivered(&w.patience, w, sent)
		wantErr(t, err, nil)
		client.store.Locks.Unlock(held)
		w.patience.Release()
		waitHeld(t, server, "c:"+key, want)
	}
}

// A replay sends several records before it notes what became of the first.
func TestALateWriteThatIsAnnouncedDuringAReplayUndoesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t, redisproc.Options{})
	var c *Cache[string]
	var comer *lateComer
	var before shard.Mark
	var armed atomic.Bool
	link := startTranslator(t, func(words []string) []string {
		if len(words) > 3 && words[2] == "5" && words[3] == "c:second" && armed.CompareAndSwap(true, false) {
			waitHeld(t, server, "c:first", "last")
			disturbed(t, c, before) // by our own script
			comer.comes(t, c, "first")
		}
		return nil
	}, func(int) string { return server.Addr() })
	client := open(t, Options{Addr: link.addr(), WriteTimeout: 20 * time.Second})
	connect(t, client, 20*time.Second)
	c = cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
	comer, before = newLateComer(t, server, c), c.keys.Mark("c:first")
	replay := func(keys ...string) {
		for _, key := range keys {
			w, err := setOf(c, key, "last")
			wantErr(t, err, nil)
			_, err = c.keep(w)
			wantErr(t, err, nil)
		}
		client.one().WakeReplay()
		waitHeld(t, server, "c:"+keys[len(keys)-1], "last")
	}
	replay("before") // the server has the script then
	armed.Store(true)
	replay("first", "second")
	waitHeld(t, server, "c:first", "last")
}

// A prefix is deleted in steps: a write may arrive behind the one that has looked at its
// key. So it is where the delete was kept, and where it is long over.
func TestALateWriteUnderAPrefixThatIsDeletedUndoesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		keep bool // the delete is kept for the next master
		last func(words []string, marks int64) bool
	}{
		{"while it is deleted", false, func(words []string, marks int64) bool { return marks == 2 }},
		{"during a replay", true, func(words []string, _ int64) bool { return words[2] == "5" && words[3] == "c:p-there" }},
		{"after a replay", true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t, redisproc.Options{})
			var c *Cache[string]
			var comer *lateComer
			var armed atomic.Bool
			var marks atomic.Int64
			link := startTranslator(t, func(words []string) []string {
				if len(words) < 4 || !armed.Load() {
					return nil
				}
				if words[2] == "1" && strings.HasPrefix(words[3], "~p:") {
					marks.Add(1)
				}
				if tt.last != nil && tt.last(words, marks.Load()) {
					comer.comes(t, c, "p-late")
				}
				return nil
			}, func(int) string { return server.Addr() })
			client := open(t, Options{Addr: link.addr(), WriteTimeout: 20 * time.Second})
			connect(t, client, 20*time.Second)
			c = cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
			comer = newLateComer(t, server, c)
			wantMaster(t, func() (Receipt, error) { return c.Set(t.Context(), "p-there", "v") })
			_, _, err := c.DeletePrefix(t.Context(), "q") // the server has the script then
			wantErr(t, err, nil)
			waitUntil(t, 20*time.Second, nothingWaits(client), func() string { return "not sent" })
			armed.Store(true)
			if tt.keep {
				_, err = c.keys.KeepPrefix("p-")
				client.one().WakeReplay()
				waitUntil(t, 20*time.Second, nothingWaits(client), func() string { return "not sent" })
			} else {
				_, _, err = c.DeletePrefix(t.Context(), "p-")
			}
			wantErr(t, err, nil)
			if comer.came.Load() != (tt.last != nil) {
				t.Fatal("it came at another moment")
			}
			comer.comes(t, c, "p-late")
			waitHeld(t, server, "c:p-late", nil)
			waitHeld(t, server, "c:p-there", nil)
		})
	}
}

// When nothing is left to be asked, all that came late has been undone.
func TestNothingIsLeftToBeAskedWhenAllThatCameLateIsUndone(t *testing.T) {
	t.Parallel()
	server := startRedis(t, redisproc.Options{})
	client := openAt(t, server.Addr())
	connect(t, client, 20*time.Second)
	const keys = 400
	c, late := lateWrites(t, client, server, keys)
	m := c.keys.Mark("c:k0")
	late()
	disturbed(t, c, m)
	wantErr(t, client.one().Node.Load().PingFeed(t.Context(), 20*time.Second), nil) // behind what was announced
	waitUntil(t, 30*time.Second, func() bool { return kit.Of(client).Unasked() == 0 && nothingWaits(client)() },
		func() string { return fmt.Sprintf("%d keys are to be asked for", kit.Of(client).Unasked()) })
	for i := range keys {
		wantInRedis(t, server, fmt.Sprint("c:k", i), "last")
	}
}

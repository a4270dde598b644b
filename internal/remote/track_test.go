package remote

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// heard is what a feed has announced.
type heard struct {
	mu   sync.Mutex // guards both
	keys []string
	all  int
}

func (h *heard) invalidated(keys []string, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys = append(h.keys, keys...)
	if all {
		h.all++
	}
}

// take returns what was announced since the last take.
func (h *heard) take() (keys []string, all int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys, all = h.keys, h.all
	h.keys, h.all = nil, 0
	slices.Sort(keys)
	return keys, all
}

func tracked(t *testing.T, p *redisproc.Process, prefixes ...string) (*Node, *heard) {
	t.Helper()
	h := &heard{}
	c := config(p.Addr())
	c.Track = &Tracking{Prefixes: prefixes, Invalidated: h.invalidated}
	n := dialWith(t, c, nil)
	if ok, why := n.Tracks(); !ok {
		t.Fatalf("no feed: %v", why)
	}
	return n, h
}

// catchUp returns when all that has happened was announced.
func catchUp(t *testing.T, n *Node) {
	t.Helper()
	for range 2 {
		if err := n.PingFeed(t.Context(), long); err != nil {
			t.Fatal(err)
		}
	}
}

// wantHeard fails unless just these keys have been announced.
func wantHeard(t *testing.T, n *Node, h *heard, what string, want ...string) {
	t.Helper()
	catchUp(t, n)
	if keys, all := h.take(); !slices.Equal(keys, want) || all != 0 {
		t.Errorf("%s: announced %q and %d times all, want %q", what, keys, all, want)
	}
}

const script = `redis.call('SET', KEYS[1], 'x'); redis.call('PEXPIRE', KEYS[1], 100000); return redis.call('DEL', KEYS[2])`

func TestOwnWritesAreSilent(t *testing.T) {
	n, h := tracked(t, startRedis(t, redisproc.Options{}), "p:")
	ctx := t.Context()
	for range 3 {
		for _, err := range []error{
			second(n.Set(ctx, Pair{Key: "p:k", Data: []byte("v"), TTL: time.Hour}, long)),
			third(n.SetAbsent(ctx, Pair{Key: "p:l", TTL: time.Hour}, long)),
			third(n.Expire(ctx, Pair{Key: "p:k", TTL: time.Minute}, long)),
			second(n.WriteMany(ctx, []Write{{WriteSet, Pair{Key: "p:m", TTL: time.Hour}}, {Kind: WriteDelete, Pair: Pair{Key: "p:l"}}}, long)),
		} {
			if err != nil {
				t.Error(err)
			}
		}
	}
	wantHeard(t, n, h, "own writes")
}

// To the server a script is a client of its own.
func TestWhatOwnScriptsWriteIsAnnounced(t *testing.T) {
	n, h := tracked(t, startRedis(t, redisproc.Options{}), "p:")
	if _, err := n.Set(t.Context(), Pair{Key: "p:m", TTL: time.Hour}, long); err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Do(t.Context(), n.b().Arbitrary("EVAL", script, "2", "p:a", "p:m").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	wantHeard(t, n, h, "a script of ours", "p:a", "p:m")
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func TestWhatOthersChangeIsAnnounced(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n, h := tracked(t, p, "p:", "~d:")
	for _, tt := range []struct {
		name   string
		before []string
		does   []string
		want   []string
	}{
		{"a write", nil, []string{"SET", "p:1", "v"}, []string{"p:1"}},
		{"a write of what we wrote", nil, []string{"SET", "p:ours", "v"}, []string{"p:ours"}},
		{"one of the other prefix", nil, []string{"SET", "~d:1", "v"}, []string{"~d:1"}},
		{"a write elsewhere", nil, []string{"SET", "q:1", "v"}, nil},
		{"a write of a shorter key", nil, []string{"SET", "p", "v"}, nil},
		{"several", nil, []string{"MSET", "p:1", "v", "q:1", "v", "p:2", "v"}, []string{"p:1", "p:2"}},
		{"a delete", nil, []string{"DEL", "p:1"}, []string{"p:1"}},
		{"a delete of nothing", nil, []string{"DEL", "p:1"}, nil},
		{"an unlink", nil, []string{"UNLINK", "p:2"}, []string{"p:2"}},
		{"a shorter life", []string{"SET", "p:3", "v"}, []string{"PEXPIRE", "p:3", "100000"}, []string{"p:3"}},
		{"an endless life", nil, []string{"PERSIST", "p:3"}, []string{"p:3"}},
		{"an end in the past", nil, []string{"PEXPIREAT", "p:3", "1"}, []string{"p:3"}},
		{"a rename", []string{"SET", "p:4", "v"}, []string{"RENAME", "p:4", "p:5"}, []string{"p:4", "p:5"}},
		{"a script", []string{"SET", "p:6", "v"}, []string{"EVAL", script, "2", "p:5", "p:6"}, []string{"p:5", "p:6"}},
		{"any bytes", nil, []string{"SET", "p:\x00\r\n\xff$1", "v"}, []string{"p:\x00\r\n\xff$1"}},
		{"a read", nil, []string{"GET", "p:5"}, nil},
		{"a swap of databases, which nobody tells", nil, []string{"SWAPDB", "0", "1"}, nil},
	} {
		if _, err := n.Set(t.Context(), Pair{Key: "p:ours", TTL: time.Hour}, long); err != nil {
			t.Fatal(err)
		}
		if tt.before != nil {
			ask(t, p, tt.before...)
		}
		catchUp(t, n)
		h.take()
		ask(t, p, tt.does...)
		wantHeard(t, n, h, tt.name, tt.want...)
	}
}

// An announcement does not say of which database it is: a key of the same name
// elsewhere is announced too, which costs a read.
func TestWritesInOtherDatabasesAreAnnouncedToo(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	h := &heard{}
	c := config(p.Addr())
	c.DB = 3
	c.Track = &Tracking{Prefixes: []string{"p:"}, Invalidated: h.invalidated}
	n := dialWith(t, c, nil)
	for _, db := range []string{"0", "3", "5"} {
		if _, err := p.Pipeline(t.Context(), []string{"SELECT", db}, []string{"SET", "p:" + db, "v"}); err != nil {
			t.Fatal(err)
		}
		wantHeard(t, n, h, "database "+db, "p:"+db)
	}
	if _, err := p.Pipeline(t.Context(), []string{"SELECT", "5"}, []string{"FLUSHDB"}); err != nil {
		t.Fatal(err)
	}
	catchUp(t, n)
	if keys, all := h.take(); all != 1 || keys != nil {
		t.Errorf("FLUSHDB of another database: %q, %d times all", keys, all)
	}
}

func TestAFlushIsAnnouncedAsAll(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n, h := tracked(t, p, "p:")
	for _, flush := range []string{"FLUSHALL", "FLUSHDB"} {
		ask(t, p, "SET", "p:1", "v")
		ask(t, p, flush)
		catchUp(t, n)
		if keys, all := h.take(); all != 1 {
			t.Errorf("%s: announced %q and %d times all", flush, keys, all)
		}
	}
}

func TestAnExpiryIsAnnounced(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n, h := tracked(t, p, "p:")
	once := map[string]func() bool{
		"in its own time": func() bool { return true },
		"found by a read": func() bool { _, err := n.Get(t.Context(), "p:k", long); return IsNil(err) },
	}
	for name, look := range once {
		if name == "found by a read" {
			ask(t, p, "CONFIG", "SET", "hz", "1")
		}
		if _, err := n.Set(t.Context(), Pair{Key: "p:k", TTL: 30 * time.Millisecond}, long); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, name, func() bool {
			if !look() {
				return false
			}
			catchUp(t, n)
			keys, _ := h.take()
			return slices.Equal(keys, []string{"p:k"})
		})
	}
}

func TestAnEvictionIsAnnounced(t *testing.T) {
	p := startRedis(t, redisproc.Options{Config: []string{"maxmemory 6mb", "maxmemory-policy allkeys-lru"}})
	n, h := tracked(t, p, "p:")
	if _, err := n.Set(t.Context(), Pair{Key: "p:ours", TTL: time.Hour}, long); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 256<<10)
	i := 0
	eventually(t, patience, "the key is evicted and announced", func() bool {
		i++
		ask(t, p, "SET", "q:"+strings.Repeat("i", i), big)
		if ask(t, p, "EXISTS", "p:ours") == int64(1) {
			return false
		}
		catchUp(t, n)
		keys, _ := h.take()
		if !slices.Equal(keys, []string{"p:ours"}) {
			t.Fatalf("announced %q", keys)
		}
		return true
	})
}

func TestPrefixesMayBeAddedAndRepeated(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n, h := tracked(t, p, "p:", "p:", "p:sub:")
	for _, prefix := range []string{"q:", "q:", "p:", "p:1", "~d:"} {
		if err := n.Track(t.Context(), prefix, long); err != nil {
			t.Errorf("Track(%q): %v", prefix, err)
		}
	}
	wantKind(t, n.Track(t.Context(), "p", long), UnknownReply)
	if ok, why := n.Tracks(); !ok {
		t.Error(why)
	}
	for _, key := range []string{"p:1", "p:sub:1", "q:1", "r:1", "~d:1"} {
		ask(t, p, "SET", key, "v")
	}
	wantHeard(t, n, h, "all prefixes", "p:1", "p:sub:1", "q:1", "~d:1")
}

func TestAPrefixWhoseAnswerWasLostMayBeAskedForAgain(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n, h := tracked(t, p)
	if err := n.cmd.Do(t.Context(), n.b().Arbitrary("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP", "PREFIX", "q:").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if err := n.Track(t.Context(), "q:", long); err != nil {
		t.Error(err)
	}
	ask(t, p, "SET", "q:1", "v")
	wantHeard(t, n, h, "the prefix", "q:1")
}

func TestANodeWithoutAFeedSaysWhy(t *testing.T) {
	user := func(rules ...string) redisproc.Options {
		return redisproc.Options{Users: []redisproc.User{{Name: "app", Password: "secret", Rules: rules}}}
	}
	for name, tt := range map[string]struct {
		server redisproc.Options
		user   string
		want   Kind
	}{
		"the ACL forbids it":     {server: user("~*", "&*", "+@all", "-client|tracking"), user: "app", want: NoPerm},
		"an unknown command":     {server: redisproc.Options{Config: []string{`rename-command CLIENT ""`}}, want: Other},
		"a server without RESP3": {server: redisproc.Options{Config: []string{`rename-command HELLO ""`}}, want: Other},
	} {
		t.Run(name, func(t *testing.T) {
			p := startRedis(t, tt.server)
			h := &heard{}
			c := config(p.Addr())
			c.Track = &Tracking{Prefixes: []string{"p:"}, Invalidated: h.invalidated}
			if tt.user != "" {
				c.Username, c.Password = tt.user, "secret"
			}
			n := dialWith(t, c, nil)
			ok, why := n.Tracks()
			if ok {
				t.Error("it is said to have a feed")
			}
			t.Log(why)
			wantKind(t, why, tt.want)
			wantKind(t, n.Track(t.Context(), "q:", long), tt.want)
			if _, err := n.Set(t.Context(), Pair{Key: "p:k", TTL: time.Hour}, long); err != nil {
				t.Error(err)
			}
			wantClosed(t, n)
		})
	}
	n := dial(t, startRedis(t, redisproc.Options{}).Addr(), nil)
	if ok, why := n.Tracks(); ok || why == nil {
		t.Errorf("not asked for: %v, %v", ok, why)
	}
}

func TestAConnectionThatEndsAnnouncesNothing(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n, h := tracked(t, p, "p:")
	ask(t, p, "CLIENT", "KILL", "TYPE", "normal")
	wantKind(t, n.PingFeed(t.Context(), long), Conn)
	eventually(t, patience, "the node is given up", func() bool { return isOpen(n) })
	eventually(t, patience, "all is read", n.cmd.conn.over.Load)
	time.Sleep(50 * time.Millisecond) // what rueidis calls then has no end to wait for
	if keys, all := h.take(); keys != nil || all != 0 {
		t.Errorf("announced %q and %d times all", keys, all)
	}
}

// The table of a server's tracking is for what is not BCAST: it bounds nothing here.
func TestMoreKeysThanTheServersTableHoldsAreAnnounced(t *testing.T) {
	p := startRedis(t, redisproc.Options{Config: []string{"tracking-table-max-keys 2"}})
	n, h := tracked(t, p, "p:")
	want := []string{"p:1", "p:2", "p:3", "p:4", "p:5"}
	for _, key := range want {
		_, _ = n.Get(t.Context(), key, long)
		ask(t, p, "SET", key, "v")
	}
	wantHeard(t, n, h, "five keys", want...)
}

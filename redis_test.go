package evercache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// The tests of this file and its neighbours run against real redis-server
// processes. Times are bounds of promises, not measurements.

func openAt(t *testing.T, addr string) *Client {
	t.Helper()
	return open(t, Options{Addr: addr})
}

// patientAt opens a client for a test of what is written, not of when: a busy machine is
// no outage to it.
func patientAt(t *testing.T, addr string) *Client {
	t.Helper()
	return open(t, Options{Addr: addr, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second})
}

// heartbeats is how many were sent.
func heartbeats(c *Client) uint64 {
	n := c.Stats().RedisRequests["heartbeat"]
	return n["ok"] + n["error"]
}

func TestOpenNeverWaitsForRedisAndUsesItWhenItComes(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	late := lateness(t)
	start := time.Now()
	client := openAt(t, p.Addr())
	if took := time.Since(start); took > 50*time.Millisecond+late() {
		t.Errorf("Open took %v", took)
	}
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
	r, err := c.Set(t.Context(), "a", "1")
	wantValue(t, r.Durability, err, Memory)
	e, err := c.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "1")
	waitFinding(t, client, "redis-unreachable")
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	connect(t, client, 20*time.Second)
	if got := redisDo(t, p, "GET", "c:a"); fmt.Sprint(got) != "1" {
		t.Errorf("Redis holds %v for what was written before it came", got)
	}
	e, err = c.Lookup(t.Context(), "a")
	wantValue(t, e.Source, err, SourceRedis)
	if h := client.Health(); !h.Connected || h.Master != p.Addr() || h.Cause != nil || len(h.Findings) > 0 {
		t.Errorf("health = %+v", h)
	}
}

func TestValuesOnTheWireArePlain(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := open(t, Options{Addr: p.Addr(), KeyPrefix: "app:"})
	connect(t, client, 20*time.Second)
	type product struct{ Name string }
	c := cacheOf[product](t, client, "product", Policy{TTL: time.Minute})
	r, err := c.Set(t.Context(), "42", product{"lamp"})
	wantValue(t, r.Durability, err, Master)
	if got := redisDo(t, p, "GET", "app:product:42"); fmt.Sprint(got) != `{"Name":"lamp"}` {
		t.Errorf("Redis holds %v", got)
	}
	if ms := redisDo(t, p, "PTTL", "app:product:42").(int64); ms > 60_000 || ms < 59_000 {
		t.Errorf("it lives %d ms", ms)
	}
	redisDo(t, p, "SET", "app:product:7", `{"Name":"chair"}`)
	e, err := c.Lookup(t.Context(), "7")
	wantValue(t, e.Value, err, product{"chair"})
}

// TestAWriteElsewhereIsSeenAfterL1TTL also shows that age and end come from Redis.
func TestAWriteElsewhereIsSeenAfterL1TTL(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute, L1TTL: 200 * time.Millisecond})
	_, _ = c.Set(t.Context(), "a", "mine")
	redisDo(t, p, "SET", "c:a", "theirs", "PX", "30000")
	waitUntil(t, time.Second, func() bool { e, _ := c.Lookup(t.Context(), "a"); return e.Value == "theirs" }, func() string { return "old value" })
	e, err := c.Lookup(t.Context(), "a")
	if err != nil || !e.Fresh || e.Age < 29*time.Second || e.Age > 32*time.Second {
		t.Errorf("entry = %+v, %v, want one 30 s old", e, err)
	}
	redisDo(t, p, "DEL", "c:a")
	waitUntil(t, time.Second, func() bool { _, err := c.Lookup(t.Context(), "a"); return errors.Is(err, ErrNotFound) }, func() string { return "still there" })
	if err := p.Kill(); err != nil { // a deleted key does not come back from memory
		t.Fatal(err)
	}
	waitUntil(t, time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	_, err = c.Lookup(t.Context(), "a")
	wantErr(t, err, ErrUnavailable)
}

func TestAddIsAtomicAtTheMaster(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	one, two := patientAt(t, p.Addr()), patientAt(t, p.Addr())
	connect(t, one, 20*time.Second)
	connect(t, two, 20*time.Second)
	a, b := cacheOf[string](t, one, "c", Policy{}), cacheOf[string](t, two, "c", Policy{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	added := 0
	for i := range 20 {
		c := []*Cache[string]{a, b}[i%2]
		wg.Go(func() {
			ok, _, err := c.Add(t.Context(), "a", fmt.Sprint(i))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if ok {
				added++
			}
		})
	}
	wg.Wait()
	if added != 1 {
		t.Errorf("%d of 20 were added", added)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { return one.State() == health.Degraded }, func() string { return "connected" })
	_, _, err := a.Add(t.Context(), "b", "v")
	wantErr(t, err, ErrUnavailable)
}

func TestDeletePrefixDeletesThatPrefixAndNothingElse(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := patientAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	for _, prefix := range []string{"*", "?", "[a-z]", `\`, "plain"} {
		_, _ = c.Set(t.Context(), prefix+"1", "v")
		_, _ = c.Set(t.Context(), prefix+"2", "v")
		_, _ = c.Set(t.Context(), "other", "v")
		redisDo(t, p, "SET", "d:"+prefix, "another class")
		keys := func() int { return len(redisDo(t, p, "KEYS", "[cd]:*").([]any)) }
		before := keys()
		n, r, err := c.DeletePrefix(t.Context(), prefix)
		wantValue(t, n, err, 2)
		wantValue(t, r.Durability, err, Master)
		if after := keys(); after != before-2 {
			t.Errorf("prefix %q: %d keys are gone, want 2", prefix, before-after)
		}
		_, err = c.Lookup(t.Context(), prefix+"1")
		wantErr(t, err, ErrNotFound)
	}
}

func TestDeletePrefixInAnOutageIsCarriedOutBeforeItsKeysAreRead(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
	for _, key := range []string{"x1", "x2", "x3", "y"} {
		_, _ = c.Set(t.Context(), key, "old")
	}
	if err := p.Restart(t.Context(), redisproc.KeepData); err != nil {
		t.Fatal(err)
	}
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	n, r, err := c.DeletePrefix(t.Context(), "x")
	wantValue(t, n, err, -1)
	wantValue(t, r.Durability, err, Memory)
	_, _ = c.Set(t.Context(), "x3", "new")
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	for client.State() != health.Connected {
		for key, want := range map[string]string{"x1": "", "x2": "", "x3": "new", "y": "old"} {
			if e, err := c.Lookup(t.Context(), key); e.Value != want && !IsUnavailable(err) {
				t.Fatalf("%s while recovering = %q, %v, want %q", key, e.Value, err, want)
			}
		}
	}
	if got := redisDo(t, p, "EXISTS", "c:x1", "c:x2").(int64); got != 0 {
		t.Errorf("%d of the deleted keys are in Redis", got)
	}
	if got := redisDo(t, p, "GET", "c:x3"); fmt.Sprint(got) != "new" {
		t.Errorf("x3 = %v in Redis", got)
	}
}

func TestManyKeysGoInPipelines(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := patientAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
	values, keys := map[string]string{}, []string{"none"}
	for i := range 1000 {
		key := fmt.Sprint("k", i)
		values[key], keys = fmt.Sprint(i), append(keys, key)
	}
	r, err := c.SetMany(t.Context(), values)
	wantValue(t, r.Durability, err, Master)
	before := client.Stats().RedisRequests["mget"]["ok"]
	got, err := c.GetMany(t.Context(), keys, nil)
	if err != nil || len(got) != 1000 || got["k7"] != "7" {
		t.Errorf("GetMany returned %d values, %v", len(got), err)
	}
	if n := client.Stats().RedisRequests["mget"]["ok"] - before; n != 8 {
		t.Errorf("1001 keys took %d pipelines, want 8", n)
	}
}

func TestAnUndecodableValueIsAMissThatTheNextFillOverwrites(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[int](t, client, "c", Policy{})
	redisDo(t, p, "SET", "c:a", "not a number")
	redisDo(t, p, "LPUSH", "c:b", "not a string")
	_, err := c.Lookup(t.Context(), "a")
	wantErr(t, err, ErrNotFound)
	for _, key := range []string{"a", "b"} {
		v, err := c.Get(t.Context(), key, func(context.Context, string) (int, error) { return 7, nil })
		wantValue(t, v, err, 7)
		waitUntil(t, time.Second, func() bool { got, _ := p.Do(t.Context(), "GET", "c:"+key); return fmt.Sprint(got) == "7" },
			func() string { return "not overwritten" })
	}
	if n := client.Stats().DecodeFailures; n != 3 {
		t.Errorf("%d decode failures are counted, want 3", n)
	}
	if client.State() != health.Connected {
		t.Error("a value that does not decode counted as an outage")
	}
}

func TestAFillDoesNotOverwriteWhatAnotherProcessWrote(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	_, err := c.Get(t.Context(), "a", func(context.Context, string) (string, error) {
		redisDo(t, p, "SET", "c:a", "theirs")
		return "loaded", nil
	})
	wantErr(t, err, nil)
	waitUntil(t, time.Second, func() bool { e, _ := c.Lookup(t.Context(), "a"); return e.Value == "theirs" },
		func() string { return "the loaded value stays" })
}

func TestASetBeforeAHangIsReplayedAfterIt(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		r, err := c.Set(t.Context(), fmt.Sprint(i), "v")
		wantValue(t, r.Durability, err, Memory)
		if i == 10 {
			_, err = c.Delete(t.Context(), "5")
			wantErr(t, err, nil)
		}
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	connect(t, client, 20*time.Second)
	for i := range 500 {
		got := redisDo(t, p, "GET", fmt.Sprint("c:", i))
		if i == 5 && got != nil || i != 5 && fmt.Sprint(got) != "v" {
			t.Fatalf("key %d is %v in Redis", i, got)
		}
	}
	if h := client.Health(); h.OutboxEntries != 0 || len(h.Findings) != 0 {
		t.Errorf("health = %+v", h)
	}
}

func TestWhatExpiredInAnOutageIsDeletedNotLeft(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	_, _ = c.Set(t.Context(), "a", "old")
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	_, _ = c.Set(t.Context(), "a", "new", TTL(50*time.Millisecond))
	waitUntil(t, time.Second, func() bool { _, err := c.Lookup(t.Context(), "a"); return err != nil }, func() string { return "lives on" })
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	connect(t, client, 20*time.Second)
	if got := redisDo(t, p, "GET", "c:a"); got != nil {
		t.Errorf("the value of before is back: %v", got)
	}
	if n := client.Stats().OutboxExpired; n != 1 {
		t.Errorf("%d expired records are counted", n)
	}
}

func TestInvalidateDeletesInsteadOfRestoring(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{Recovery: Invalidate})
	_, _ = c.Set(t.Context(), "a", "old")
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	_, _ = c.Set(t.Context(), "a", "new")
	e, err := c.Lookup(t.Context(), "a")
	wantValue(t, e.Value, err, "new")
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	connect(t, client, 20*time.Second)
	if got := redisDo(t, p, "GET", "c:a"); got != nil {
		t.Errorf("a in Redis = %v, want it deleted", got)
	}
}

func TestCloseSendsWhatIsKept(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := open(t, Options{Addr: p.Addr(), CloseTimeout: 5 * time.Second})
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	_, _ = c.Set(t.Context(), "a", "v")
	time.AfterFunc(300*time.Millisecond, func() { _ = p.Resume() })
	if err := client.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if got := redisDo(t, p, "GET", "c:a"); fmt.Sprint(got) != "v" {
		t.Errorf("a in Redis = %v", got)
	}
}

func TestTLSAndLogin(t *testing.T) {
	t.Parallel()
	keys, err := redisproc.NewTLS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := startRedis(t, redisproc.Options{Password: "s3cret", TLS: keys, RequireClientCert: true})
	client := open(t, Options{Addr: p.Addr(), Password: "s3cret", TLS: keys.ClientConfig(), DB: 3})
	connect(t, client, 20*time.Second)
	_, err = cacheOf[string](t, client, "c", Policy{}).Set(t.Context(), "a", "v", MinDurability(Master))
	wantErr(t, err, nil)
	strange := keys.ClientConfig()
	strange.ServerName = "elsewhere.example"
	waitFinding(t, open(t, Options{Addr: p.Addr(), Password: "s3cret", TLS: strange}), "redis-tls")
}

func TestARotatedPasswordIsReadAgainFromItsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all")
	write("wrong")
	client := open(t, Options{Addr: p.Addr(), Username: "app", PasswordFile: file})
	waitFinding(t, client, "redis-auth")
	write("one")
	connect(t, client, 20*time.Second)
	redisDo(t, p, "ACL", "SETUSER", "app", "resetpass", ">two")
	redisDo(t, p, "CLIENT", "KILL", "USER", "app")
	waitFinding(t, client, "redis-auth")
	write("two")
	connect(t, client, 20*time.Second)
	for _, f := range client.Health().Findings {
		t.Errorf("finding after recovery: %+v", f)
	}
}

// TestEachFaultHasItsFindingAndEndsWithoutARestart also watches that nothing
// is asked in a storm: the dials and commands of a second are few.
func TestEachFaultHasItsFindingAndEndsWithoutARestart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, finding string
		config        []string
		begin, end    func(t *testing.T, p *redisproc.Process)
		readsGoOn     bool
	}{
		{
			name: "out of memory", finding: "redis-oom", readsGoOn: true,
			begin: func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "CONFIG", "SET", "maxmemory", "1") },
			end:   func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "CONFIG", "SET", "maxmemory", "0") },
		},
		{
			name: "too few replicas", finding: "redis-noreplicas", readsGoOn: true,
			begin: func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "CONFIG", "SET", "min-replicas-to-write", "1") },
			end:   func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "CONFIG", "SET", "min-replicas-to-write", "0") },
		},
		{
			name: "made a replica", finding: "redis-replica",
			begin: func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "REPLICAOF", "127.0.0.1", "1") },
			end:   func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "REPLICAOF", "NO", "ONE") },
		},
		{
			name: "paused clients", finding: "redis-timeout",
			begin: func(t *testing.T, p *redisproc.Process) { redisDo(t, p, "CLIENT", "PAUSE", "3000") },
			end:   func(*testing.T, *redisproc.Process) {}, // nobody gets in to end it sooner
		},
		{
			name: "no connection left", finding: "redis-maxclients",
			begin: func(t *testing.T, p *redisproc.Process) {
				_, err := p.Pipeline(t.Context(), []string{"CONFIG", "SET", "maxclients", "1"}, []string{"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"})
				wantErr(t, err, nil)
			},
			end: func(t *testing.T, p *redisproc.Process) {
				waitUntil(t, 20*time.Second, func() bool { _, err := p.Do(t.Context(), "CONFIG", "SET", "maxclients", "100"); return err == nil },
					func() string { return "no way in" })
			},
		},
		{
			name: "loading", finding: "redis-loading", config: []string{"key-load-delay 100", "loading-process-events-interval-bytes 1024"},
			begin: func(t *testing.T, p *redisproc.Process) {
				redisDo(t, p, "DEBUG", "POPULATE", "20000", "filler", "100")
				go func() { _ = p.Restart(context.Background(), redisproc.KeepData) }()
			},
			end: func(*testing.T, *redisproc.Process) {},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := startRedis(t, redisproc.Options{Config: append([]string{"enable-debug-command yes"}, tt.config...)})
			client := openAt(t, p.Addr())
			connect(t, client, 20*time.Second)
			c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
			_, _ = c.Set(t.Context(), "a", "before")
			tt.begin(t, p)
			r, err := c.Set(t.Context(), "a", "during")
			if err != nil {
				t.Fatal(err)
			}
			waitFinding(t, client, tt.finding)
			if tt.readsGoOn && !client.Health().Connected {
				t.Error("reads do not go on")
			}
			e, err := c.Lookup(t.Context(), "a")
			wantValue(t, e.Value, err, "during")
			before := client.Stats()
			tt.end(t, p)
			connect(t, client, 30*time.Second)
			after := client.Stats()
			if n := after.RedisDials["error"] - before.RedisDials["error"]; n > 30 {
				t.Errorf("%d dials failed on the way back", n)
			}
			if r.Durability == Memory {
				if got := redisDo(t, p, "GET", "c:a"); fmt.Sprint(got) != "during" {
					t.Errorf("a in Redis = %v", got)
				}
			}
		})
	}
}

func TestAKilledConnectionIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
	_, _ = c.Set(t.Context(), "a", "v")
	for range 5 {
		redisDo(t, p, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		e, err := c.Lookup(t.Context(), "a")
		wantValue(t, e.Value, err, "v")
		connect(t, client, 20*time.Second)
	}
}

func TestNoSecretIsInHealthOrErrors(t *testing.T) {
	t.Parallel()
	const canary = "canary-9b1d"
	p := startRedis(t, redisproc.Options{Password: "another"})
	client := open(t, Options{Addr: p.Addr(), Password: canary})
	waitFinding(t, client, "redis-auth")
	_, err := cacheOf[string](t, client, "c", Policy{}).Lookup(t.Context(), "a")
	text := fmt.Sprintf("%+v %v %+v", client.Health(), err, client.opts)
	if strings.Contains(text, canary) {
		t.Errorf("the password is in %s", text)
	}
}

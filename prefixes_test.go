package evercache

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
)

// keptKeys is how many keys there are that no prefix of these tests covers.
const keptKeys = 20

func setKept(t *testing.T, c *Cache[string]) {
	t.Helper()
	for i := range keptKeys {
		if _, err := c.Set(t.Context(), fmt.Sprint("keep", i), "v"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
}

func wantAllKept(t *testing.T, p *redisproc.Process) {
	t.Helper()
	for i := range keptKeys {
		wantStored(t, p, fmt.Sprint("c:keep", i), "v"+strconv.Itoa(i))
	}
}

// deletePrefixes deletes n prefixes that cover none of the kept keys.
func deletePrefixes(t *testing.T, c *Cache[string], n int) {
	t.Helper()
	for i := range n {
		if _, _, err := c.DeletePrefix(t.Context(), fmt.Sprint("user:", i, ":")); err != nil {
			t.Fatalf("prefix %d: %v", i, err)
		}
	}
}

func drained(t *testing.T, c *Client) {
	t.Helper()
	waitUntil(t, time.Minute, func() bool { return c.State() == health.Connected && c.Health().OutboxEntries == 0 }, func() string { return fmt.Sprintf("%+v", c.Health()) })
}

func TestManyPrefixesDeletedInAnOutageTakeNothingElse(t *testing.T) {
	t.Parallel()
	for _, n := range []int{65, 1000, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{Config: []string{"appendonly yes", "appendfsync always"}})
			client := openAt(t, p.Addr())
			connect(t, client, 20*time.Second)
			c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
			for _, i := range []int{0, n / 2, n - 1, n} {
				_, _ = c.Set(t.Context(), fmt.Sprint("user:", i, ":k"), "old")
			}
			kill(t, p)
			waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "no outage" })
			setKept(t, c)
			deletePrefixes(t, c, n)
			_, _, _ = c.DeletePrefix(t.Context(), "other:") // what is common to all covers the whole class
			_, _ = c.Set(t.Context(), fmt.Sprint("user:", n/2, ":k"), "new")
			restart(t, p, redisproc.KeepData)
			drained(t, client)
			wantAllKept(t, p)
			for i := range keptKeys { // and stays in memory
				if c.peek(fmt.Sprint("keep", i)) == nil {
					t.Errorf("keep%d has left memory", i)
				}
			}
			for i, want := range map[int]string{0: "", n / 2: "new", n - 1: "", n: "old"} {
				wantStored(t, p, fmt.Sprint("c:user:", i, ":k"), want)
			}
			if r := client.Health().Recovery; r.Superseded+r.Invalidated != 0 {
				t.Errorf("recovery = %+v", r)
			}
		})
	}
}

func TestManyPrefixesDeletedBeforeARestartTakeNothingElse(t *testing.T) {
	t.Parallel()
	for _, n := range []int{65, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{})
			client := openAt(t, p.Addr())
			connect(t, client, 20*time.Second)
			c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
			setKept(t, c)
			deletePrefixes(t, c, n)
			before := times(client)
			kill(t, p)
			restart(t, p, redisproc.Empty)
			returned(t, client, before)
			drained(t, client)
			wantAllKept(t, p)
		})
	}
}

func TestManyPrefixesDeletedByAnotherTakeNothingElse(t *testing.T) {
	t.Parallel()
	for _, n := range []int{65, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{})
			f := startProxy(t, p.Addr())
			there, away := openAt(t, p.Addr()), openAt(t, f.Addr())
			connect(t, there, 20*time.Second)
			connect(t, away, 20*time.Second)
			a, b := cacheOf[string](t, there, "c", Policy{}), cacheOf[string](t, away, "c", Policy{})
			_, _ = b.Set(t.Context(), "user:1:k", "online") // the class's lives are known
			waitUntil(t, 20*time.Second, func() bool { return hasBarrier(away) }, func() string { return "the server's time is not known" })
			f.Blackhole(true)
			waitUntil(t, 20*time.Second, func() bool { return away.State() == health.Degraded }, func() string { return "no outage" })
			setKept(t, b)
			_, _ = b.Set(t.Context(), fmt.Sprint("user:", n-1, ":k"), "before the delete")
			time.Sleep(50 * time.Millisecond) // the server's time is known to the millisecond
			deletePrefixes(t, a, n)
			if err := f.Heal(); err != nil {
				t.Fatal(err)
			}
			drained(t, away)
			wantAllKept(t, p)
			wantStored(t, p, fmt.Sprint("c:user:", n-1, ":k"), "")
		})
	}
}

func TestAFillBesideTenThousandMarksIsStored(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{L1TTL: time.Millisecond})
	node := client.one().Node.Load()
	for first := 0; first < 10_000; first += 100 {
		marks := make([]remote.PrefixMark, 100)
		for i := range marks {
			marks[i] = remote.PrefixMark{Marks: c.keys.Marks(), Rest: fmt.Sprint("user:", first+i, ":"), Process: "another"}
		}
		if err := node.MarkPrefixes(t.Context(), marks, 20*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"keep", "user:", "user:x:k"} {
		if v, err := c.Get(t.Context(), key, constant("loaded")); err != nil || v != "loaded" {
			t.Fatalf("%s: %q, %v", key, v, err)
		}
		waitUntil(t, 20*time.Second, func() bool { return redisDo(t, p, "GET", "c:"+key) != nil }, func() string { return key + " is not stored" })
	}
}

func TestManyPrefixesAreDeletedInOneWayOverTheKeys(t *testing.T) {
	t.Parallel()
	const prefixes, keys = 1000, 30_000
	p := startRedis(t, redisproc.Options{})
	f := startProxy(t, p.Addr())
	client := openAt(t, f.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
	redisDo(t, p, "EVAL", `for i = 1, ARGV[1] do
  redis.call('SET', 'other:' .. i, 'v')
  redis.call('SET', 'c:user:' .. i % 2000 .. ':' .. i, 'old', 'PX', 600000)
end`, "0", strconv.Itoa(keys))
	f.Blackhole(true)
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "no outage" })
	deletePrefixes(t, c, prefixes)
	redisDo(t, p, "CONFIG", "RESETSTAT")
	if err := f.Heal(); err != nil {
		t.Fatal(err)
	}
	drained(t, client)
	left := redisDo(t, p, "EVAL", `local n = 0
for _, k in ipairs(redis.call('KEYS', 'c:user:*')) do
  if tonumber(string.match(k, '^c:user:(%d+):')) < tonumber(ARGV[1]) then return -1 end
  n = n + 1
end
return n`, "0", strconv.Itoa(prefixes))
	if left != int64(keys/2) {
		t.Errorf("%v keys are left, want %d (-1: one that was deleted)", left, keys/2)
	}
	if scans := scansOf(t, p); scans == 0 || scans > prefixes/2 {
		t.Errorf("%d SCANs for %d prefixes and %d keys", scans, prefixes, 2*keys)
	}
}

func TestAKeyUnderTwoDeletedPrefixesWasDeletedByTheLater(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	f := startProxy(t, p.Addr())
	one, other := openAt(t, f.Addr()), openAt(t, p.Addr())
	connect(t, one, 20*time.Second)
	connect(t, other, 20*time.Second)
	away, there := cacheOf[string](t, one, "c", Policy{}), cacheOf[string](t, other, "c", Policy{})
	waitUntil(t, 20*time.Second, func() bool { return hasBarrier(one) }, func() string { return "the server's time is not known" })
	_, _ = there.Set(t.Context(), "ax", "old") // the class's lives are known
	f.Blackhole(true)
	waitUntil(t, 20*time.Second, func() bool { return one.State() == health.Degraded }, func() string { return "no outage" })
	pause := func() { time.Sleep(50 * time.Millisecond) } // the server's time is known to the millisecond
	_, _, _ = away.DeletePrefix(t.Context(), "a")
	pause()
	for _, key := range []string{"ab1", "ac1"} {
		_, _ = there.Set(t.Context(), key, "between")
	}
	pause()
	_, _, _ = away.DeletePrefix(t.Context(), "ab")
	if err := f.Heal(); err != nil {
		t.Fatal(err)
	}
	drained(t, one)
	for key, want := range map[string]string{"ax": "", "ab1": "", "ac1": "between"} {
		wantStored(t, p, "c:"+key, want)
	}
}

// scansOf is how many SCANs a server has carried out since its counts were reset.
func scansOf(t *testing.T, p *redisproc.Process) (n int) {
	t.Helper()
	if at := regexp.MustCompile(`cmdstat_scan:calls=(\d+)`).FindStringSubmatch(fmt.Sprint(redisDo(t, p, "INFO", "commandstats"))); at != nil {
		n, _ = strconv.Atoi(at[1])
	}
	return n
}

// TestPrefixesOfManyClassesAreDeletedInOneWayOverTheKeys that are there, most of
// which are of none of the classes.
func TestPrefixesOfManyClassesAreDeletedInOneWayOverTheKeys(t *testing.T) {
	t.Parallel()
	const classes, keys = 40, 20_000
	p := startRedis(t, redisproc.Options{})
	f := startProxy(t, p.Addr())
	client := openAt(t, f.Addr())
	connect(t, client, 20*time.Second)
	var cs []*Cache[string]
	for i := range classes {
		cs = append(cs, cacheOf[string](t, client, fmt.Sprint("c", i), Policy{L1TTL: Never}))
	}
	redisDo(t, p, "EVAL", `for i = 1, ARGV[1] do redis.call('SET', 'foreign:a:' .. i, 'v') end
for i = 0, ARGV[2] - 1 do
  redis.call('SET', 'c' .. i .. ':a:k', 'old', 'PX', 600000)
  redis.call('SET', 'c' .. i .. ':b:k', 'old', 'PX', 600000)
end`, "0", strconv.Itoa(keys), strconv.Itoa(classes))
	f.Blackhole(true)
	waitUntil(t, 20*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "no outage" })
	for _, c := range cs {
		if _, _, err := c.DeletePrefix(t.Context(), "a:"); err != nil {
			t.Fatal(err)
		}
	}
	redisDo(t, p, "CONFIG", "RESETSTAT")
	if err := f.Heal(); err != nil {
		t.Fatal(err)
	}
	drained(t, client)
	if scans, once := scansOf(t, p), keys/1000; scans == 0 || scans > 8*once {
		t.Errorf("%d SCANs for %d classes; one way takes about %d", scans, classes, once)
	}
	for i := range classes {
		wantStored(t, p, fmt.Sprintf("c%d:a:k", i), "")
		wantStored(t, p, fmt.Sprintf("c%d:b:k", i), "old")
	}
	if left := redisDo(t, p, "EVAL", `return #redis.call('KEYS', 'foreign:*')`, "0"); left != int64(keys) {
		t.Errorf("%v of %d keys of another program are left", left, keys)
	}
}

// TestManyDeletesOfPrefixesAtOnceShareAWayOverTheKeys while Redis is there.
func TestManyDeletesOfPrefixesAtOnceShareAWayOverTheKeys(t *testing.T) {
	t.Parallel()
	const callers, keys = 200, 20_000
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
	redisDo(t, p, "EVAL", `for i = 1, ARGV[1] do redis.call('SET', 'foreign:' .. i, 'v') end
for i = 0, ARGV[2] - 1 do redis.call('SET', 'c:' .. i .. ':k', 'old', 'PX', 600000) end`, "0", strconv.Itoa(keys), strconv.Itoa(callers))
	setKept(t, c)
	redisDo(t, p, "CONFIG", "RESETSTAT")
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			if _, _, err := c.DeletePrefix(t.Context(), fmt.Sprint(i, ":")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	drained(t, client)
	if scans, each := scansOf(t, p), keys/1000; scans == 0 || scans > 15*each {
		t.Errorf("%d SCANs for %d callers; %d for each that goes alone", scans, callers, each)
	}
	wantAllKept(t, p)
	for i := range callers {
		wantStored(t, p, fmt.Sprintf("c:%d:k", i), "")
	}
}

// What readers bring into memory while the keys of a prefix are deleted in Redis is not there
// when DeletePrefix returns.
func TestWhatIsReadWhileAPrefixIsDeletedIsGoneAfterIt(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := openAt(t, p.Addr())
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second})
	const keys = 3000
	values := map[string]string{}
	for i := range keys {
		values[fmt.Sprint("a", i)] = "v"
	}
	for range 5 {
		_, err := c.SetMany(t.Context(), values)
		wantErr(t, err, nil)
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for r := range 3 {
			readers.Go(func() {
				for i := r; ; i++ {
					select {
					case <-stop:
						return
					default:
						_, _ = c.Lookup(t.Context(), fmt.Sprint("a", i*7%keys))
					}
				}
			})
		}
		_, _, err = c.DeletePrefix(t.Context(), "a")
		wantErr(t, err, nil)
		left := 0
		for k := range values {
			if it := c.peek(k); it != nil && !it.Absent {
				left++
			}
		}
		close(stop)
		readers.Wait()
		if left > 0 {
			t.Errorf("memory holds %d keys of the prefix", left)
		}
	}
}

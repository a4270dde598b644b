package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/survey"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

// TestEverythingComesBack: values of all types, and their ends to the millisecond.
func TestEverythingComesBack(t *testing.T) {
	t.Parallel()
	from, to := redistest.Start(t), redistest.Start(t)
	from.Do("HSET", "app:h", "a", "1", "b", "2")
	from.Do("RPUSH", "app:l", "a", "b", "c")
	from.Do("XADD", "app:x", "1-1", "f", "v")
	from.Do("XGROUP", "CREATE", "app:x", "g", "0")
	from.Do("ZADD", "app:z", "1.5", "m")
	from.Do("SADD", "app:s", "m") // of several the order would not be the same
	from.Do("SET", "app:bin", "\x00\xff\r\n")
	from.Do("SET", "other", "not ours")
	from.Do("SET", "app:empty", "")
	end := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli()+123, 10)
	from.Do("SET", "app:ends", "v", "PXAT", end)
	from.Do("SET", "app:soon", "v", "PX", "3000") // it must still be there when the copy is made
	for _, own := range []string{"~b:p1", "~d:{app:x}", "~s:{app:x}", "~p:x", "~t:x", "~dataset"} {
		from.Do("SET", "app:"+own, "9")
	}
	from.Do("ZADD", "app:~r:{tokens}:set", "1", "m")
	from.Do("XADD", "app:~r:{tokens}:stream", "1-1", "f", "v")
	from.Do("HSET", "app:~r:{tokens}:n", "seq", "1")

	name, s := taken(t, serverTarget(from), Options{Gzip: true})
	if s.Footer.Records != 13 || s.Expires != 2 || s.Footer.Sections != 1 || s.Sections[0].RDBVersion == 0 || s.Sections[0].ReplicationID == "" {
		t.Errorf("%+v", s)
	}
	to.Do("SET", "app:bin", "already there")
	to.Do("ZADD", "app:~r:{tokens}:set", "2", "newer")
	for int64(time.Now().UnixMilli()) < int64(0)+from.Do("PEXPIRETIME", "app:soon").(int64) {
		time.Sleep(10 * time.Millisecond)
	}
	counts, err := restoreFrom(t.Context(), t, serverTarget(to), name, RestoreOptions{})
	if err != nil || counts.Restored != 10 || counts.Existed != 2 || counts.Expired != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
	if got := to.Do("GET", "app:bin"); got != "already there" {
		t.Errorf("a key that existed became %q", got)
	}
	counts, err = restoreFrom(t.Context(), t, serverTarget(to), name, RestoreOptions{Replace: true})
	if err != nil || counts.Restored != 9 || counts.Existed != 3 {
		t.Errorf("with --replace: %+v, %v", counts, err)
	}
	if n := to.Do("ZSCORE", "app:~r:{tokens}:set", "newer"); n == nil {
		t.Error("a denylist was overwritten")
	}
	for _, k := range []string{"app:h", "app:l", "app:x", "app:z", "app:s", "app:bin", "other", "app:empty", "app:ends"} {
		if a, b := from.Do("DUMP", k), to.Do("DUMP", k); a != b {
			t.Errorf("%s is not what it was", k)
		}
	}
	if got := fmt.Sprint(to.Do("PEXPIRETIME", "app:ends")); got != end {
		t.Errorf("it ends at %s, not at %s", got, end)
	}
	if n := count(to.Do, "app:~[bdspt]*"); n != 0 {
		t.Errorf("%d keys of bookkeeping", n)
	}
}

func TestSomeKeysOnly(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	for _, k := range []string{"a*:1", "a*:2", "ab:1", "b:1"} {
		r.Do("SET", k, "v")
	}
	for _, c := range []struct {
		o    Options
		want int64
	}{{Options{Prefix: "a*:"}, 2}, {Options{Match: "a*"}, 3}, {Options{Match: "*:1", Prefix: "a*"}, 1}} {
		if _, s := taken(t, serverTarget(r), c.o); s.Footer.Records != c.want {
			t.Errorf("%+v: %d records", c.o, s.Footer.Records)
		}
	}
}

// What is too large is left out and counted; what is large and fits is copied by itself.
func TestLargeValues(t *testing.T) {
	t.Parallel()
	from, to := redistest.Start(t), redistest.Start(t)
	from.Do("SET", "huge", "")
	from.Do("SETRANGE", "huge", strconv.Itoa(50<<20), "x")
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range 30 {
		b := make([]byte, 300<<10)
		for k := range b {
			b[k] = byte(noise.UintN(256))
		}
		from.Do("SET", fmt.Sprint("large-", i), string(b))
	}
	name, s := taken(t, serverTarget(from), Options{MaxValue: 1 << 20})
	if s.Footer.Records != 30 || s.Footer.TooLarge != 1 {
		t.Errorf("%+v", s.Footer)
	}
	if c, err := restoreFrom(t.Context(), t, serverTarget(to), name, RestoreOptions{}); err != nil || c.Restored != 30 {
		t.Errorf("%+v, %v", c, err)
	}
	name, s = taken(t, serverTarget(from), Options{})
	if s.Footer.Records != 31 || s.Footer.TooLarge != 0 {
		t.Errorf("%+v", s.Footer)
	}
	if c, err := restoreFrom(t.Context(), t, serverTarget(to), name, RestoreOptions{}); err != nil || c.Restored != 1 || c.Existed != 30 {
		t.Errorf("%+v, %v", c, err)
	}
	if a := to.Do("STRLEN", "huge"); a != int64(50<<20+1) {
		t.Errorf("the huge one has %v bytes", a)
	}
}

// Before Redis 7 the end of a key is known by the time that is left.
func TestWithoutPEXPIRETIME(t *testing.T) {
	t.Parallel()
	from, to := redistest.Start(t, redistest.WithConfig(`rename-command PEXPIRETIME ""`)), redistest.Start(t)
	end := time.Now().Add(time.Hour).UnixMilli()
	from.Do("SET", "k", "v", "PXAT", strconv.FormatInt(end, 10))
	name, _ := taken(t, serverTarget(from), Options{})
	if _, err := restoreFrom(t.Context(), t, serverTarget(to), name, RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := to.Do("PEXPIRETIME", "k").(int64); got < end-2 || got > end+2 {
		t.Errorf("it ends at %d, not at %d", got, end)
	}
}

func TestACluster(t *testing.T) {
	t.Parallel()
	const keys = 6000
	from := redistest.StartCluster(t)
	for i, slot := range []int{0, 6000, 12000} {
		from.MasterOfSlot(slot).Do("EVAL", `for i = 1, tonumber(ARGV[2]) do redis.call('SET', KEYS[1] .. ARGV[1] .. i, i, 'PX', 3600000) end`,
			"1", redistest.KeyIn(slot, ""), fmt.Sprint(i, ":"), fmt.Sprint(keys/3))
	}
	for i := range 200 {
		k := fmt.Sprint("app:k", i)
		from.MasterOf(k).Do("SET", k, fmt.Sprint(i))
	}
	name, s := taken(t, clusterTarget(from), Options{})
	if s.Footer.Records != keys+200 || s.Footer.Sections != 3 || s.Header.Mode != "cluster" {
		t.Fatalf("%+v", s)
	}
	to := redistest.StartCluster(t, redistest.WithMasters(4))
	killed := false
	counts, err := restoreFrom(t.Context(), t, clusterTarget(to), name, RestoreOptions{Progress: func(records, _, _ int64) {
		if !killed && records > keys/2 {
			killed = true
			to.Masters()[3].Kill()
		}
	}})
	if err != nil || !killed || counts.Restored != keys+200 || counts.Interruptions == 0 {
		t.Fatalf("%+v, killed %v: %v", counts, killed, err)
	}
	n := 0
	for _, m := range to.Masters() {
		n += count(m.Do, "*")
	}
	if n != keys+200 {
		t.Errorf("%d keys of %d", n, keys+200)
	}
}

// Slots that move while a backup is taken are read again where they went.
func TestSlotsThatMoveMeanwhile(t *testing.T) {
	t.Parallel()
	const early, late = 0, 12000 // the first shard is read first
	c := redistest.StartCluster(t)
	a, b := c.MasterOfSlot(early), c.MasterOfSlot(late)
	for _, s := range []int{early, late} {
		c.MasterOfSlot(s).Do("EVAL", `for i = 1, 2000 do redis.call('SET', KEYS[1] .. i, i) end`, "1", redistest.KeyIn(s, ""))
	}
	moved := false
	_, s := taken(t, clusterTarget(c), Options{Progress: func(records, _, _ int64) {
		if !moved && records > 1000 {
			moved = true
			c.Reshard(b, a, redistest.OneSlot(late))
		}
	}})
	if !moved || s.Footer.Records < 4000 || s.Footer.Moving != 0 || s.Footer.Sections < 4 {
		t.Errorf("moved %v: %+v", moved, s.Footer)
	}
	// A move that was interrupted does not end by itself.
	c.ReshardUntil(redistest.Half, a, b, redistest.OneSlot(late))
	_, s = taken(t, clusterTarget(c), Options{})
	if s.Footer.Moving != 1 {
		t.Errorf("%+v", s.Footer)
	}
}

func TestAMasterIsReadWhenThatIsAllowed(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithReplicas(1), redistest.WithDownAfter(2*time.Second))
	set.Master().Do("SET", "k", "v")
	set.Nodes()[1].Kill()
	name := filepath.Join(t.TempDir(), "x.backup")
	if _, err := Take(t.Context(), sentinelTarget(set), name, false, Options{}); err == nil || !strings.Contains(err.Error(), "--from-master") {
		t.Errorf("%v", err)
	}
	if left, _ := filepath.Glob(name + "*"); len(left) != 0 {
		t.Errorf("files are left: %v", left)
	}
	res, err := Take(t.Context(), sentinelTarget(set), name, false, Options{FromMaster: true})
	if err != nil || res.Records != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := Take(t.Context(), sentinelTarget(set), name, false, Options{FromMaster: true}); err == nil || !strings.Contains(err.Error(), "--overwrite") {
		t.Errorf("%v", err)
	}
	if _, err := Take(t.Context(), sentinelTarget(set), name, true, Options{FromMaster: true}); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// A user without a right gets one clear error.
func TestARightIsMissing(t *testing.T) {
	t.Parallel()
	const password = "canary-of-backup"
	r := redistest.Start(t, redistest.WithPassword(password))
	r.Do("SET", "k", "v")
	r.Do("ACL", "SETUSER", "default", "-dump", "-restore")
	name := filepath.Join(t.TempDir(), "x.backup")
	target := passwordTarget(r, password)
	if _, err := Take(t.Context(), target, name, false, Options{}); err == nil || !strings.Contains(err.Error(), "+dump") {
		t.Errorf("%v", err)
	}
	err := os.WriteFile(name, file(t, false, someRecords(3)), 0o600)
	if err == nil {
		_, err = restoreFrom(t.Context(), t, target, name, RestoreOptions{})
	}
	if err == nil || !strings.Contains(err.Error(), "+restore") || strings.Contains(err.Error(), password) {
		t.Errorf("%v", err)
	}
	r.Do("ACL", "SETUSER", "default", "+dump")
	name, _ = taken(t, target, Options{})
	if data, err := os.ReadFile(name); err != nil || bytes.Contains(data, []byte(password)) {
		t.Errorf("the password is in the file (%v)", err)
	}
}

// A server that is lost meanwhile costs another attempt.
func TestABackupBeginsAnew(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	fill(r.Do, "k", 3000)
	p := redistest.NewProxy(t, r.Addr())
	o := Options{}
	broke := false
	o.Progress = func(records, _, _ int64) {
		if records > 1000 && !broke {
			broke = true
			p.ResetAll()
		}
	}
	name := filepath.Join(t.TempDir(), "x.backup")
	res, err := Take(t.Context(), addrTarget(p.Addr()), name, false, o)
	if err != nil || !broke || res.Records != 3000 {
		t.Errorf("%+v, %v", res, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	o.Progress = func(records, _, _ int64) { stop() }
	if _, err := Take(ctx, addrTarget(p.Addr()), name+"2", false, o); !errors.Is(err, errInterrupted) {
		t.Errorf("%v", err)
	}
	if left, _ := filepath.Glob(name + "2*"); len(left) != 0 {
		t.Errorf("files are left: %v", left)
	}
}

// The rights that docs/guide/backup.md names are enough, for users who have no others.
func TestTheDocumentedRightsAreEnough(t *testing.T) {
	t.Parallel()
	const reads, writes = "+scan +dump +pexpiretime +pttl +memory|usage +multi +exec +info +role +time", "+restore +unlink +dump +wait +dbsize +info +role +time"
	rights := func(rules string, more ...string) redistest.Option {
		return redistest.WithUser("op", "secret-of-op", append(append([]string{"~*", "-@all"}, strings.Fields(rules)...), more...)...)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guide", "backup.md"))
	if err != nil {
		t.Fatal(err)
	}
	const lists = "+exists +pexpire +pexpireat +persist +zrangebyscore +zrem +zadd +renamenx"
	for _, rules := range []string{reads, writes, lists} {
		if !strings.Contains(string(text), strings.ReplaceAll(rules, "|", `\|`)) {
			t.Errorf("the guide does not name %s", rules)
		}
	}
	as := func(o evercache.Options) survey.Target {
		o.Username, o.Password = "op", "secret-of-op"
		return survey.TargetOf(o)
	}
	from, to := redistest.Start(t, rights(reads)), redistest.StartSentinel(t, rights(writes), redistest.WithDownAfter(2*time.Second))
	fill(from.Do, "k", 1000)
	name, s := taken(t, as(evercache.Options{Addr: from.Addr()}), Options{})
	target := as(evercache.Options{Sentinels: to.Addrs(), MasterName: to.MasterName()})
	if err := Try(t.Context(), target, s.Samples, time.Second); err != nil {
		t.Error(err)
	}
	if c, err := restoreFrom(t.Context(), t, target, name, RestoreOptions{}); err != nil || c.Restored != 1000 {
		t.Errorf("%+v, %v", c, err)
	}
	from.Do("ZADD", "app:~r:{tokens}:set", "5", "old", "+inf", "m:print:life")
	name, _ = taken(t, as(evercache.Options{Addr: from.Addr()}), Options{})
	one := redistest.Start(t, rights(writes+" "+lists))
	if c, err := restoreFrom(t.Context(), t, as(evercache.Options{Addr: one.Addr()}), name, RestoreOptions{}); err != nil || c.Restored != 1001 {
		t.Errorf("with a denylist: %+v, %v", c, err)
	}
	cluster := redistest.StartCluster(t, rights(reads, "+readonly", "+cluster|nodes", "+cluster|info"))
	if _, s := taken(t, as(evercache.Options{ClusterNodes: cluster.Addrs()}), Options{}); s.Footer.Sections != 3 {
		t.Errorf("%+v", s.Footer)
	}
}

// A replica is read when it has what the master had at the beginning.
func TestAReplicaThatIsBehindIsWaitedFor(t *testing.T) {
	t.Parallel()
	master, replica := redistest.Start(t), redistest.Start(t)
	stream := redistest.NewProxy(t, master.Addr())
	replica.Do("REPLICAOF", "127.0.0.1", stream.Addr()[strings.LastIndex(stream.Addr(), ":")+1:])
	fill(master.Do, "early", 10)
	testbed.Until(t, time.Minute, func() bool { return replica.Do("DBSIZE") == int64(10) }, func() string { return "it has no keys" })
	stream.HalfOpen(redistest.ToClient)
	fill(master.Do, "late", 1000)
	time.AfterFunc(200*time.Millisecond, stream.Heal)

	look := func(s *redistest.Server) *survey.Node {
		return &survey.Take(t.Context(), addrTarget(s.Addr())).Nodes[0]
	}
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{}, false)
	if err != nil {
		t.Fatal(err)
	}
	c := copying{target: addrTarget(master.Addr()), w: w, tell: func(Record) {}}
	if err := c.shard(t.Context(), shard{master: look(master), replicas: []*survey.Node{look(replica)}}, nil); err != nil {
		t.Fatal(err)
	}
	if w.foot.Records != 1010 || len(c.sources) != 1 || c.sources[0] != replica.Addr() {
		t.Errorf("%d records, from %v", w.foot.Records, c.sources)
	}
}

func TestAnotherDatabase(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	r.Do("SET", "elsewhere", "v")
	target := survey.TargetOf(evercache.Options{Addr: r.Addr(), DB: 2})
	from := redistest.Start(t)
	fill(from.Do, "k", 10)
	name, _ := taken(t, serverTarget(from), Options{})
	if c, err := restoreFrom(t.Context(), t, target, name, RestoreOptions{}); err != nil || c.Restored != 10 {
		t.Errorf("%+v, %v", c, err)
	}
	if n := r.Do("DBSIZE"); n != int64(1) {
		t.Errorf("database 0 has %v keys", n)
	}
	if _, s := taken(t, target, Options{}); s.Footer.Records != 10 || s.Header.DB != 2 {
		t.Errorf("%+v", s)
	}
}

// A replica that is filled anew meanwhile has other keys: what is read before and after does
// not make one backup.
func TestAReplicaThatIsFilledAnew(t *testing.T) {
	t.Parallel()
	master, other, replica := redistest.Start(t), redistest.Start(t), redistest.Start(t)
	fill(master.Do, "k", 3000)
	fill(other.Do, "other", 10)
	follow := func(s *redistest.Server) {
		replica.Do("REPLICAOF", s.Host(), fmt.Sprint(s.Port()))
		testbed.Until(t, 20*time.Second, func() bool {
			return strings.Contains(fmt.Sprint(replica.Do("INFO", "replication")), "master_link_status:up")
		},
			func() string { return "it does not follow" })
	}
	follow(master)
	done := false
	name := filepath.Join(t.TempDir(), "x.backup")
	_, err := Take(t.Context(), serverTarget(replica), name, false, Options{Progress: func(records, _, _ int64) {
		if records > 600 && !done {
			done = true
			follow(other)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s := whole(t, name); s.Footer.Records != 10 {
		t.Errorf("%d records, of two datasets; want the 10 of the second", s.Footer.Records)
	}
}

func TestARateIsKept(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	fill(s.Do, "k", 300)
	began := time.Now()
	if _, sum := taken(t, serverTarget(s), Options{Rate: 150}); sum.Footer.Records != 300 {
		t.Errorf("%+v", sum.Footer)
	}
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("300 records at 150 a second took %v", took)
	}
}

package backup

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/survey"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// A backup of a set is read from a replica while there are writes. It is restored into an
// empty set whose master is killed meanwhile: every key that was there all the time is there.
func TestRestoreGoesOnThroughAFailover(t *testing.T) {
	t.Parallel()
	const keys = 30000
	from := redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second))
	fill(from.Master().Do, "app:cart:", keys)
	stop, busy := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() {
		for i := 0; stop.Err() == nil; i++ {
			_, _ = from.Nodes()[0].Try(stop, "SET", fmt.Sprint("app:load:", i%5000), fmt.Sprint(i))
		}
	})
	name := filepath.Join(t.TempDir(), "x.backup")
	res, err := Take(t.Context(), sentinelTarget(from), name, false, Options{})
	busy()
	load.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if from.Master().Addr() == res.Sources[0] {
		t.Error("it was read from the master")
	}
	if s := whole(t, name); !s.Sections[0].Replica || s.Footer.Records < keys {
		t.Errorf("%+v", s)
	}

	for how, hit := range map[string]func(to *redistest.Sentinel){
		"killed":  func(to *redistest.Sentinel) { to.Nodes()[0].Kill() },
		"hung":    func(to *redistest.Sentinel) { to.Nodes()[0].Pause() },
		"planned": func(to *redistest.Sentinel) { to.Failover() },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			restoreThroughAFailover(t, name, keys, hit)
		})
	}
}

// restoreThroughAFailover restores into an empty set, whose master is hit in the middle.
func restoreThroughAFailover(t *testing.T, name string, keys int, hit func(*redistest.Sentinel)) {
	to, sum := redistest.StartSentinel(t), whole(t, name)
	if err := Try(t.Context(), sentinelTarget(to), sum.Samples, time.Minute); err != nil {
		t.Fatal(err)
	}
	was, done := to.Master().Addr(), false
	counts, err := restoreFrom(t.Context(), t, sentinelTarget(to), name, RestoreOptions{
		Rate: 15000, // so that it is not over before the failover
		Progress: func(records, _, _ int64) {
			if !done && records > int64(keys/10) {
				done = true
				hit(to)
			}
		},
	})
	if err != nil || !done {
		t.Fatalf("%+v, hit %v: %v", counts, done, err)
	}
	if counts.Restored+counts.Existed != sum.Footer.Records {
		t.Errorf("%+v of %d records", counts, sum.Footer.Records)
	}
	next := to.WaitMaster(was, 30*time.Second)
	t.Logf("%+v", counts)
	if n := count(next.Do, "app:cart:*"); n != keys {
		t.Errorf("%d keys of %d", n, keys)
	}
	if n := count(next.Do, "app:~restore:*"); n != 0 {
		t.Errorf("%d scratch keys are left", n)
	}
}

// The master of before goes on saying that it is one, for ten seconds after a planned
// failover. The new one has no other replica, and Sentinel may go back: a restore is over when
// both have everything.
func TestRestoreIntoANewMasterWaitsForTheOneBefore(t *testing.T) {
	t.Parallel()
	from := redistest.Start(t)
	fill(from.Do, "app:cart:", 300)
	name, _ := taken(t, serverTarget(from), Options{FromMaster: true})
	to := redistest.StartSentinel(t, redistest.WithReplicas(1))
	was := to.Master()
	to.Failover()
	next := to.WaitMaster(was.Addr(), 30*time.Second)
	if c, err := restoreFrom(t.Context(), t, sentinelTarget(to), name, RestoreOptions{}); err != nil || c.Restored != 300 {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, s := range []*redistest.Server{next, was} {
		if n := count(s.Do, "app:cart:*"); n != 300 {
			t.Errorf("%s has %d keys of 300", s.Addr(), n)
		}
	}
}

// A payload of a newer server is refused before anything is written.
func TestANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	to := redistest.Start(t)
	name := filepath.Join(t.TempDir(), "x.backup")
	if err := os.WriteFile(name, file(t, false, []Record{{Key: "k", Payload: payload("v", 99)}}), 0o600); err != nil {
		t.Fatal(err)
	}
	try := Try(t.Context(), serverTarget(to), whole(t, name).Samples, time.Second)
	_, stream := restoreFrom(t.Context(), t, serverTarget(to), name, RestoreOptions{})
	for _, err := range []error{try, stream} {
		if err == nil || !strings.Contains(err.Error(), "RDB version 99") || !strings.Contains(err.Error(), "Nothing was written") {
			t.Errorf("%v", err)
		}
	}
	if n := count(to.Do, "*"); n != 0 {
		t.Errorf("%d keys were written", n)
	}
}

func TestARestoreIsResumed(t *testing.T) {
	t.Parallel()
	const keys = 5000
	from, to := redistest.Start(t), redistest.Start(t)
	fill(from.Do, "k", keys)
	name, _ := taken(t, serverTarget(from), Options{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var place Place
	first, err := restoreFrom(ctx, t, serverTarget(to), name, RestoreOptions{
		Save:     func(p Place) { place = p },
		Progress: func(records, _, _ int64) { stop() },
	})
	if err == nil || first.Restored == 0 || first.Restored == keys {
		t.Fatalf("%+v, %v", first, err)
	}
	counts, err := restoreFrom(t.Context(), t, serverTarget(to), name, RestoreOptions{Resume: &place})
	if err != nil || counts.Records() != keys || counts.Existed > batchRecords {
		t.Errorf("%+v after %+v: %v", counts, first, err)
	}
	if n := count(to.Do, "*"); n != keys {
		t.Errorf("%d keys", n)
	}
	place.ID = []byte("another")
	if _, err := restoreFrom(t.Context(), t, serverTarget(to), name, RestoreOptions{Resume: &place}); err == nil {
		t.Error("another file was resumed")
	}
}

// A replica that hangs holds a restore up, and is not left behind.
func TestNothingCountsThatAReplicaLacks(t *testing.T) {
	t.Parallel()
	from := redistest.Start(t)
	to := redistest.StartSentinel(t, redistest.WithDownAfter(10*time.Second))
	fill(from.Do, "k", 2000)
	name, _ := taken(t, serverTarget(from), Options{})
	to.Nodes()[1].Pause()
	counts, err := restoreFrom(t.Context(), t, sentinelTarget(to), name, RestoreOptions{Patience: 3 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "--resume") || counts.Restored != 0 {
		t.Errorf("%+v, %v", counts, err)
	}
	to.Nodes()[1].Resume()
	if _, err := restoreFrom(t.Context(), t, sentinelTarget(to), name, RestoreOptions{}); err != nil {
		t.Error(err)
	}
	if n := count(to.Nodes()[1].Do, "k*"); n != 2000 {
		t.Errorf("the replica has %d keys", n)
	}
}

// One replica that hangs does not hold a restore up for a minute, until the master drops it.
func TestAHungReplicaIsLeftOutAfterAWhile(t *testing.T) {
	t.Parallel()
	from := redistest.Start(t)
	to := redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second))
	fill(from.Do, "k", 3000)
	name, _ := taken(t, serverTarget(from), Options{})
	hung := to.Nodes()[1]
	hung.Pause()
	var notices []string
	began := time.Now()
	counts, err := restoreFrom(t.Context(), t, sentinelTarget(to), name, RestoreOptions{Notice: func(s string) { notices = append(notices, s) }})
	if took := time.Since(began); err != nil || counts.Restored != 3000 || took > 40*time.Second {
		t.Errorf("%+v in %v: %v", counts, took, err)
	}
	if told := strings.Join(notices, "\n"); !strings.Contains(told, "the replica "+hung.Addr()+" answers nobody") {
		t.Errorf("told: %s", told)
	}
	if n := count(to.Nodes()[2].Do, "k*"); n != 3000 {
		t.Errorf("the other replica has %d keys", n)
	}
	hung.Resume()
	testbed.Until(t, 30*time.Second, func() bool { return count(hung.Do, "k*") == 3000 }, func() string { return "it has not caught up" })
}

// What a restore that stopped had done is not taken for done elsewhere.
func TestARestoreIsNotResumedIntoAnotherSet(t *testing.T) {
	t.Parallel()
	from, other := redistest.Start(t), redistest.Start(t)
	fill(from.Do, "k", 1000)
	name, s := taken(t, serverTarget(from), Options{})
	place := &Place{ID: s.Header.ID, Counts: Counts{Restored: 600}}
	counts, err := restoreFrom(t.Context(), t, serverTarget(other), name, RestoreOptions{Resume: place})
	if err == nil || !strings.Contains(err.Error(), "this is another set, or it was emptied. Begin without --resume") {
		t.Errorf("%+v, %v", counts, err)
	}
	if n := count(other.Do, "*"); n != 0 {
		t.Errorf("%d keys were written", n)
	}
	place.Counts.Restored = 1000 // nothing is left to do, and all of it is missing
	if _, err := restoreFrom(t.Context(), t, serverTarget(other), name, RestoreOptions{Resume: place}); err == nil {
		t.Error("an empty server is complete")
	}
}

// A server that makes room by throwing keys away acknowledges all of them.
func TestKeysThatAreEvictedAreCounted(t *testing.T) {
	t.Parallel()
	from, to := redistest.Start(t), redistest.Start(t, redistest.WithConfig("maxmemory 4mb", "maxmemory-policy allkeys-lru"))
	from.Do("EVAL", `for i = 1, 2000 do redis.call('SET', 'k' .. i, string.rep('x', 5000)) end`, "0")
	name, _ := taken(t, serverTarget(from), Options{})
	counts, err := restoreFrom(t.Context(), t, serverTarget(to), name, RestoreOptions{})
	// The last ones may go after it was asked.
	if n := count(to.Do, "k*"); err != nil || n == 2000 || counts.Evicted < int64(2000-n)/2 {
		t.Errorf("%d keys are there: %+v, %v", n, counts, err)
	}
}

// A token that was revoked after the backup must not be let in by a list that says of itself
// that it is complete. A server that was emptied, and not restarted, is where the old mark
// would be believed.
func TestARestoredDenylistIsNotTakenForComplete(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	policy := revoke.Policy{MaxLife: time.Hour, NoFirstUse: true}
	begin := func() (*revoke.List, func()) {
		t.Helper()
		client, err := evercache.Open(t.Context(), evercache.Options{Addr: server.Addr(), KeyPrefix: "app:", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		l, err := revoke.New(client, policy)
		if err != nil {
			t.Fatal(err)
		}
		end := sync.OnceFunc(func() { _ = l.Close(); _ = client.Close() })
		t.Cleanup(end)
		return l, end
	}
	l, end := begin()
	client, err := evercache.Open(t.Context(), evercache.Options{Addr: server.Addr(), KeyPrefix: "app:", Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		_, err = revoke.Init(t.Context(), client, policy)
		_ = client.Close()
	}
	if err == nil {
		err = l.WaitReady(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	revoked := func(id string) {
		t.Helper()
		if _, err := l.Revoke(t.Context(), id, time.Now().Add(time.Hour), revoke.MinDurability(evercache.Master)); err != nil {
			t.Fatal(err)
		}
	}
	revoked("before")
	name, _ := taken(t, serverTarget(server), Options{})
	revoked("after")
	end()
	server.Do("FLUSHALL")
	if c, err := restoreFrom(t.Context(), t, serverTarget(server), name, RestoreOptions{}); err != nil || c.Restored != 3 {
		t.Fatalf("%+v, %v", c, err)
	}
	l, _ = begin()
	testbed.Until(t, 30*time.Second, func() bool { return l.Check(revoke.Token{ID: "before"}).Status == revoke.Revoked },
		func() string { return "the list does not know what it held" })
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if v := l.Check(revoke.Token{ID: "after"}); v.Allowed() {
			t.Fatalf("a token that was revoked after the backup is let in: %+v", v)
		}
	}
	if left := count(server.Do, "app:~restore:*"); left != 0 {
		t.Errorf("%d keys of the trial are left", left)
	}
}

// Neither is it where the prefix of the commands is not that of the application, nor is a
// living list overwritten then. More lists than are read together are copied too.
func TestDenylistsUnderAnyPrefix(t *testing.T) {
	t.Parallel()
	from, to := redistest.Start(t), redistest.Start(t)
	for n := range maxLists + 6 {
		from.Do("ZADD", fmt.Sprintf("shop%d:~r:{tokens}:set", n), "5", "old", "+inf", "m:print:life")
		from.Do("HSET", fmt.Sprintf("shop%d:~r:{tokens}:n", n), "count", "2")
	}
	to.Do("ZADD", "shop3:~r:{tokens}:set", "9", "newer")
	target := func(s *redistest.Server) survey.Target { return survey.TargetOf(evercache.Options{Addr: s.Addr()}) }
	name, sum := taken(t, target(from), Options{})
	if want := int64(2 * (maxLists + 6)); sum.Footer.Records != want {
		t.Errorf("%d records, want %d", sum.Footer.Records, want)
	}
	c, err := restoreFrom(t.Context(), t, target(to), name, RestoreOptions{Replace: true})
	if err != nil || c.Existed != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if got := fmt.Sprint(to.Do("ZRANGE", "shop3:~r:{tokens}:set", "0", "-1")); got != "[newer]" {
		t.Errorf("the living list has %s", got)
	}
	for n := range maxLists + 6 {
		if got := fmt.Sprint(to.Do("ZRANGE", fmt.Sprintf("shop%d:~r:{tokens}:set", n), "0", "-1")); n != 3 && got != "[old m:print:restored]" {
			t.Errorf("list %d has %s", n, got)
		}
	}
}

// A token that was revoked before the backup is refused after the restore, by processes that
// have never heard of it otherwise.
func TestADenylistComesBack(t *testing.T) {
	t.Parallel()
	list := func(s *redistest.Server) *revoke.List {
		t.Helper()
		client, err := evercache.Open(t.Context(), evercache.Options{Addr: s.Addr(), KeyPrefix: "app:", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		policy := revoke.Policy{MaxLife: time.Hour}
		l, err := revoke.New(client, policy)
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
			_, err = revoke.Init(t.Context(), client, policy)
		}
		if err == nil {
			err = l.WaitReady(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	from, to := redistest.Start(t), redistest.Start(t)
	if _, err := list(from).Revoke(t.Context(), "stolen", time.Now().Add(time.Hour), revoke.MinDurability(evercache.Master)); err != nil {
		t.Fatal(err)
	}
	name, _ := taken(t, serverTarget(from), Options{})
	if _, err := restoreFrom(t.Context(), t, serverTarget(to), name, RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	l := list(to)
	if v := l.Check(revoke.Token{ID: "stolen"}); v.Status != revoke.Revoked {
		t.Errorf("%+v", v)
	}
	if v := l.Check(revoke.Token{ID: "another"}); !v.Allowed() {
		t.Errorf("%+v", v)
	}
}

func TestOverTLS(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithTLS(), redistest.WithPassword("secret-of-the-set"), redistest.WithDownAfter(2*time.Second))
	target := survey.TargetOf(evercache.Options{
		Sentinels: set.Addrs(), MasterName: set.MasterName(), Password: "secret-of-the-set", TLS: set.TLSConfig(), SentinelTLS: set.TLSConfig(),
	})
	fill(set.Master().Do, "k", 1000)
	name, s := taken(t, target, Options{})
	set.Master().Do("FLUSHALL")
	if c, err := restoreFrom(t.Context(), t, target, name, RestoreOptions{}); err != nil || c.Restored != 1000 || s.Footer.Records != 1000 {
		t.Errorf("%+v, %+v, %v", s.Footer, c, err)
	}
}

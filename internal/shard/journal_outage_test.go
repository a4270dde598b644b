package shard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

// leftBy is a folder with the file as it is now: what is left of a process that
// is killed.
func leftBy(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "journal"))
	wantErr(t, err, nil)
	left := t.TempDir()
	wantErr(t, os.WriteFile(filepath.Join(left, "journal"), b, 0o600), nil)
	return left
}

// waitingIn is what waits in an outbox, by key, and the texts of prefixes.
func waitingIn(b *outbox.Box) map[string]string {
	all := map[string]string{}
	for _, p := range b.Prefixes() {
		all["prefix "+p.Text] = ""
	}
	b.Oldest(1<<30, func(r *outbox.Record) bool {
		all[r.Key] = fmt.Sprint(r.Kind, " ", len(r.Value))
		return false
	})
	return all
}

// writeMany writes keys from many goroutines and returns how many writes were
// acknowledged at each level.
func writeMany(t *testing.T, n int, write func(i int) (evercache.Receipt, error)) (levels [4]int) {
	t.Helper()
	var next atomic.Int64
	var counts [4]atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				r, err := write(i)
				if err != nil {
					t.Errorf("write %d: %v", i, err)
				}
				counts[r.Durability].Add(1)
			}
		})
	}
	wg.Wait()
	for i := range counts {
		levels[i] = int(counts[i].Load())
	}
	return levels
}

func TestALongOutageLeavesInTheJournalWhatTheOutboxHolds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ writes, size, entries int }{
		"many":          {6000, 4 << 10, 0},
		"few and large": {30, 200 << 10, 0},
		"tiny":          {6000, 1, 500},
		"too large":     {3, 2 << 20, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const bound = 1 << 20
			dir := t.TempDir()
			o := evercache.Options{Addr: noRedis, JournalDir: dir, OutboxBytes: bound, OutboxEntries: tt.entries, WriteTimeout: 10 * time.Second}
			client := open(t, o)
			c := cacheOf[string](t, client, "c", evercache.Policy{WriteTimeout: 30 * time.Second})
			value := strings.Repeat("x", tt.size)
			levels := writeMany(t, tt.writes, func(i int) (evercache.Receipt, error) {
				switch i % 50 {
				case 49:
					return c.Delete(t.Context(), fmt.Sprint(i-1))
				case 48:
					_, r, err := c.DeletePrefix(t.Context(), fmt.Sprint("p", i%7))
					return r, err
				}
				return c.Set(t.Context(), fmt.Sprint(i), value)
			})
			if name != "too large" && levels[evercache.Journaled] == 0 || levels[evercache.Memory] == 0 {
				t.Errorf("receipts by level: %v", levels)
			}
			h := client.Health().Journal
			if most := int64(2*bound + bound/2); h.LiveBytes > most || h.Refused != 0 || h.Unsaved != 0 {
				t.Errorf("journal = %+v, want at most %d bytes live", h, most)
			}
			waitUntil(t, 30*time.Second, func() bool { return client.Health().Journal.Bytes < 3*bound+5<<20 },
				func() string { return fmt.Sprintf("the file stays large: %+v", client.Health().Journal) })
			want := waitingIn(shard.Of(client).Outbox)
			for run := range 3 { // each process dies before Redis is back
				dir = leftBy(t, dir)
				o.JournalDir = dir
				client = open(t, o)
				if diff := cmp.Diff(want, waitingIn(shard.Of(client).Outbox)); diff != "" {
					t.Fatalf("process %d (-want +got):\n%.2000s", run, diff)
				}
			}
		})
	}
}

func TestAJournalThatIsLargerThanTheOutboxIsTakenUpWithinItsBounds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := evercache.Options{Addr: noRedis, JournalDir: dir, OutboxBytes: 32 << 20, WriteTimeout: 10 * time.Second}
	c := cacheOf[string](t, open(t, big), "c", evercache.Policy{WriteTimeout: 30 * time.Second})
	value := strings.Repeat("x", 4<<10)
	writeMany(t, 2000, func(i int) (evercache.Receipt, error) { return c.Set(t.Context(), fmt.Sprint(i), value) })
	small := open(t, evercache.Options{Addr: noRedis, JournalDir: leftBy(t, dir), OutboxBytes: 1 << 20})
	if d := shard.Of(small).Outbox.Depth(); d.Bytes > 1<<20+64<<10 || d.Overflowed == 0 { // and a prefix
		t.Errorf("outbox = %+v", d)
	}
	if h := small.Health().Journal; h.LiveBytes > 5<<19 || h.Bytes > 5<<20 {
		t.Errorf("journal = %+v", h)
	}
	waitFinding(t, small, "outbox-overflowed")
	again := open(t, evercache.Options{Addr: noRedis, JournalDir: leftBy(t, shard.Of(small).Config.JournalDir), OutboxBytes: 1 << 20})
	was, is, kept := waitingIn(shard.Of(small).Outbox), waitingIn(shard.Of(again).Outbox), fmt.Sprintf("%d 4096", outbox.Set)
	for key, what := range was { // a value that was just given up may still be in the file
		if got := is[key]; got != what && got != kept {
			t.Errorf("%s: %q waits in the next process, %q in this one", key, got, what)
		}
	}
	if len(is) != len(was) {
		t.Errorf("%d wait in the next process, %d in this one", len(is), len(was))
	}
}

func TestAJournalWithoutRoomIsTold(t *testing.T) {
	t.Parallel()
	client := open(t, evercache.Options{Addr: noRedis, JournalDir: t.TempDir(), OutboxBytes: 8 << 20})
	c := cacheOf[string](t, client, "c", evercache.Policy{WriteTimeout: 10 * time.Second})
	filler := make([]byte, 4<<20)
	for i := 0; client.Health().Journal.LiveBytes < shard.Of(client).Journal().Limit-5<<20; i++ {
		commit, err := shard.Of(client).Journal().Foreign(journal.Entry{Kind: shard.EntryForeign, Key: shard.ForeignKey + fmt.Sprint(i), Payload: filler})
		wantErr(t, err, nil)
		wantErr(t, commit.Wait(t.Context()), nil)
	}
	_, err := c.Set(t.Context(), "a", strings.Repeat("x", 7<<20))
	wantErr(t, err, journal.ErrFull)
	waitFinding(t, client, "journal-full")
	if h := client.Health().Journal; h.Unsaved != 1 || h.Refused != 1 {
		t.Errorf("journal = %+v", h)
	}
	if err := client.Close(); err == nil {
		t.Error("Close is silent about a write that is in no file")
	}
}

// TestAnAcknowledgedWriteSurvivesRedisAndItsProcessTogether ends both at once,
// with less on the disk of Redis than it had acknowledged.
func TestAnAcknowledgedWriteSurvivesRedisAndItsProcessTogether(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config []string
		data   redisproc.Data
		save   bool // an older state is on the disk
		most   uint64
	}{
		"empty":        {nil, redisproc.Empty, false, 1 << 20},
		"older RDB":    {nil, redisproc.KeepData, true, 60},
		"intact (AOF)": {[]string{"appendonly yes", "appendfsync always"}, redisproc.KeepData, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := startRedis(t, redisproc.Options{Config: tt.config}), t.TempDir()
			patient := evercache.Options{Addr: p.Addr(), ReadTimeout: time.Second, WriteTimeout: 2 * time.Second} // a test machine is busy
			patient.JournalDir, patient.CloseTimeout = dir, 300*time.Millisecond
			client := open(t, patient)
			connect(t, client, 20*time.Second)
			c := cacheOf[string](t, client, "c", evercache.Policy{TTL: time.Hour})
			beats := func(more uint64) {
				last, _ := shard.Of(client).Barriers.Watch()
				waitUntil(t, 20*time.Second, func() bool { b, _ := shard.Of(client).Barriers.Watch(); return b.N >= last.N+more }, func() string { return "no barrier" })
			}
			for i := range 50 {
				wantMaster(t, func() (evercache.Receipt, error) { return c.Set(t.Context(), fmt.Sprint("early", i), "v") })
			}
			wantMaster(t, func() (evercache.Receipt, error) { return c.Set(t.Context(), "deleted", "v") })
			beats(3)
			if tt.save {
				redisDo(t, p, "SAVE")
			}
			for i := range 50 {
				wantMaster(t, func() (evercache.Receipt, error) {
					return c.Set(t.Context(), fmt.Sprint("late", i), strings.Repeat("v", 1+i*100))
				})
			}
			wantMaster(t, func() (evercache.Receipt, error) { return c.Set(t.Context(), "large", strings.Repeat("v", 1<<20)) })
			wantMaster(t, func() (evercache.Receipt, error) { return c.Delete(t.Context(), "deleted") })
			beats(3) // all is confirmed: the server alone has it, and not on its disk
			kill(t, p)
			left := leftBy(t, dir)
			_ = client.Close()

			for range 2 { // processes that die without having seen Redis
				left = leftBy(t, shard.Of(open(t, evercache.Options{Addr: noRedis, JournalDir: left})).Config.JournalDir)
			}
			restart(t, p, tt.data)
			next := open(t, evercache.Options{Addr: p.Addr(), JournalDir: left})
			connect(t, next, 30*time.Second)
			waitUntil(t, 30*time.Second, shard.Of(next).Outbox.Empty, func() string { return "not all is sent" })
			for i := range 50 {
				wantStored(t, p, fmt.Sprint("c:early", i), "v")
				wantStored(t, p, fmt.Sprint("c:late", i), strings.Repeat("v", 1+i*100))
			}
			wantStored(t, p, "c:large", strings.Repeat("v", 1<<20))
			wantStored(t, p, "c:deleted", "")
			if n := next.Health().Recovery.Uncovered; n > tt.most || n == 0 && tt.most > 0 {
				t.Errorf("%d were sent again, want at most %d", n, tt.most)
			}
		})
	}
}

// TestAnEarlierProcessesWriteYieldsToWhatCameSince: the file outlives its
// process, and others go on writing.
func TestAnEarlierProcessesWriteYieldsToWhatCameSince(t *testing.T) {
	t.Parallel()
	p, dir := startRedis(t, redisproc.Options{}), t.TempDir()
	client := open(t, evercache.Options{Addr: p.Addr(), JournalDir: dir, CloseTimeout: 300 * time.Millisecond})
	connect(t, client, 3*time.Second)
	c := cacheOf[string](t, client, "c", evercache.Policy{TTL: time.Hour})
	for _, key := range []string{"theirs", "gone", "lost", "ours"} {
		wantMaster(t, func() (evercache.Receipt, error) { return c.Set(t.Context(), key, "old") })
	}
	waitUntil(t, 30*time.Second, func() bool { return shard.Of(client).Ledger.Unconfirmed() == 0 }, func() string { return "unconfirmed" })
	kill(t, p)
	left := leftBy(t, dir)
	_ = client.Close()
	restart(t, p, redisproc.Empty)
	time.Sleep(30 * time.Millisecond) // the order is told by milliseconds
	other := cacheAt(t, p.Addr(), evercache.Policy{TTL: time.Hour})
	wantMaster(t, func() (evercache.Receipt, error) { return other.Set(t.Context(), "theirs", "later") })
	wantMaster(t, func() (evercache.Receipt, error) { return other.Delete(t.Context(), "gone") })

	kept := open(t, evercache.Options{Addr: noRedis, JournalDir: left})
	wantWritten(t, evercache.Journaled)(cacheOf[string](t, kept, "c", evercache.Policy{TTL: time.Hour}).Set(t.Context(), "ours", "newer"))
	next := open(t, evercache.Options{Addr: p.Addr(), JournalDir: leftBy(t, left)})
	connect(t, next, 30*time.Second)
	waitUntil(t, 30*time.Second, shard.Of(next).Outbox.Empty, func() string { return "not all is sent" })
	for key, want := range map[string]string{"theirs": "later", "gone": "", "lost": "old", "ours": "newer"} {
		wantStored(t, p, "c:"+key, want)
	}
}

// TestABarrierOfTheNextMasterVouchesForNothingOfTheOneBefore: a process sees its
// master lose a write and dies before it has sent it again.
func TestABarrierOfTheNextMasterVouchesForNothingOfTheOneBefore(t *testing.T) {
	t.Parallel()
	gaps := shard.AddGap(shard.AddGap(nil, shard.Gap{Over: 3, Under: 8}), shard.Gap{Over: 20, Under: 30})
	for number, want := range map[uint64]bool{3: true, 4: false, 7: false, 8: true, 20: true, 25: false, 30: true, 41: false} {
		if got := shard.Vouched(gaps, 40, number); got != want {
			t.Errorf("number %d: %v", number, got)
		}
	}
	e := shard.EncodeGaps("p", gaps)
	if got, ok := shard.DecodeGaps(e.Payload); !ok || !cmp.Equal(got, gaps, cmp.AllowUnexported(shard.Gap{})) {
		t.Errorf("%v became %v", gaps, got)
	}
	for i := range uint64(3 * shard.MaxGaps) {
		gaps = shard.AddGap(gaps, shard.Gap{Over: 100 + i*10, Under: 105 + i*10})
	}
	if len(gaps) > shard.MaxGaps || shard.Vouched(gaps, 1<<40, 4) || shard.Vouched(gaps, 1<<40, 102) {
		t.Errorf("%d gaps, of which the oldest are forgotten", len(gaps))
	}

	dir := t.TempDir()
	client := open(t, evercache.Options{Addr: noRedis, JournalDir: dir})
	r := outbox.Record{Kind: outbox.Set, Key: "c:a", Class: "c:", Value: []byte("v"), Since: shard.Of(client).Clock.Now(), TTL: time.Hour}
	r.Ends = r.Since + int64(time.Hour)
	n, _ := shard.Of(client).Ledger.Add(r, shard.Of(client).Ledger.Epoch(), r.Since)
	for range 3 {
		shard.Of(client).Ledger.NextBarrier(shard.Of(client).Ledger.Epoch())
	}
	rs, ps := shard.Of(client).Ledger.Uncover(n - 1)
	shard.Of(client).Journal().Lost(t.Context(), n-1, shard.Of(client).Ledger.Next(), rs, ps)
	next := open(t, evercache.Options{Addr: noRedis, JournalDir: leftBy(t, dir)})
	all := shard.Of(next).Journal().Settled()
	if len(all.Records) != 1 || shard.Vouched(all.Gaps[shard.Of(client).Process()], 1<<40, all.Records[0].Number) {
		t.Errorf("vouched for: %+v", all)
	}
}

// A delete of a prefix that was carried out before its caller asked the file for it is
// not in the file for good: the next process would delete what was written since.
func TestAPrefixThatIsDoneBeforeTheFileIsAskedForItDoesNotStayThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	client := open(t, evercache.Options{Addr: noRedis, JournalDir: dir})
	sh := shard.Of(client)
	for _, done := range []bool{false, true} {
		wantErr(t, sh.Outbox.PutPrefix(outbox.Prefix{Text: "c:p", Since: sh.Clock.Next()}), nil)
		if done {
			for _, p := range sh.Outbox.Prefixes() {
				sh.Outbox.DonePrefix(p.Seq)
				sh.Journal().LeftPrefix(p)
			}
		}
		saved, err := sh.Journal().KeptPrefix("c:p").Wait(t.Context(), 10*time.Second)
		if err != nil || !saved {
			t.Errorf("saved: %v, %v", saved, err)
		}
		next := open(t, evercache.Options{Addr: noRedis, JournalDir: leftBy(t, dir)})
		if n := len(shard.Of(next).Outbox.Prefixes()); (n == 0) != done {
			t.Errorf("done: %v; the next process finds %d", done, n)
		}
	}
}

// A prefix that has no room in the file is told as such.
func TestAPrefixThatTheJournalHasNoRoomForIsTold(t *testing.T) {
	t.Parallel()
	client := open(t, evercache.Options{Addr: noRedis, JournalDir: t.TempDir()})
	c := cacheOf[string](t, client, "c", evercache.Policy{WriteTimeout: 10 * time.Second})
	sh, filler := shard.Of(client), make([]byte, 4<<20)
	for i := 0; ; i++ {
		commit, err := sh.Journal().Foreign(journal.Entry{Kind: shard.EntryForeign, Key: shard.ForeignKey + fmt.Sprint(i), Payload: filler})
		if err != nil && len(filler) < 16 {
			break
		}
		if err != nil {
			filler = filler[:len(filler)/2]
			continue
		}
		wantErr(t, commit.Wait(t.Context()), nil)
	}
	_, _, err := c.DeletePrefix(t.Context(), strings.Repeat("p", 200))
	wantErr(t, err, journal.ErrFull)
	if h := client.Health().Journal; h.Unsaved != 1 {
		t.Errorf("journal = %+v", h)
	}
}

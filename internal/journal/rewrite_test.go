package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestAFileIsWorthRewritingWhenMoreThanHalfOfItIsDead(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		file, live int64
		want       bool
	}{
		{0, 0, false},
		{headerLen + mb, 0, false}, // too little to be worth it
		{headerLen + mb + 1, 0, true},
		{headerLen + 8*mb, 4 * mb, false},
		{headerLen + 8*mb + 1, 4 * mb, true},
		{headerLen + 2*mb, 3 * mb, false},
	} {
		if got := worthwhile(c.file, c.live); got != c.want {
			t.Errorf("%d of %d live: %v", c.live, c.file, got)
		}
	}
}

// Eight writers churn a few keys while the file is rewritten again and again. At
// every moment a copy of the file has, of each key, nothing older than what its
// writer was told is safe.
func TestAppendsGoOnWhileTheFileIsRewritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	var rewrites atomic.Int64
	var unsynced atomic.Bool
	d := newDisk()
	d.breaks(func(call, name string) error {
		if name == rewriteName && call != "read" {
			was := unsynced.Swap(call == "write")
			if call == "rename" && rewrites.Add(1) > 0 && was {
				t.Error("the copy takes the place of the file before it is on the disk")
			}
		}
		return nil
	})
	j, _ := open(t, dir, d.options(Options{}))
	appendAll(t, j, entry("still 1", "1"), entry("still 2", "2"))
	filler := strings.Repeat("x", 8000)
	var told [8]atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range told {
		wg.Go(func() {
			for i := int64(1); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				seq, err := j.Append(t.Context(), entry(fmt.Sprint("w", w), fmt.Sprint(i, " ", filler)), entry("shared", filler))
				if err != nil {
					t.Error(err)
					return
				}
				told[w].Store(i)
				lazy, err := j.AppendLazy(entry(fmt.Sprint("lazy", w), filler))
				if err != nil {
					t.Error(err)
					return
				}
				j.Done(fmt.Sprint("lazy", w), lazy)
				j.Done("shared", seq)
			}
		})
	}
	for rewrites.Load() < 5 && !t.Failed() {
		var before [8]int64
		for w := range told {
			before[w] = told[w].Load()
		}
		b := content(t, dir)
		f := scan(strings.NewReader(string(b)), int64(len(b)))
		if f.damage != nil {
			t.Error(f.damage)
		}
		found := byKey(entriesOf(f))
		for w := range told {
			var i int64
			_, _ = fmt.Sscan(string(found[fmt.Sprint("w", w)].Payload), &i)
			if i < before[w] {
				t.Errorf("writer %d was told of %d, found %d", w, before[w], i)
			}
		}
	}
	close(stop)
	wg.Wait()
	if s := j.Status(); s.Live > 11 || s.FileBytes > 16<<20 || s.Failures != 0 {
		t.Errorf("status %+v", s)
	}
	closeJournal(t, j)
	_, entries := open(t, dir, Options{})
	found := byKey(entries)
	if string(found["still 1"].Payload) != "1" || string(found["still 2"].Payload) != "2" {
		t.Error("what nobody wrote again is lost")
	}
	for w := range told {
		if got, want := string(found[fmt.Sprint("w", w)].Payload), fmt.Sprint(told[w].Load(), " ", filler); got != want {
			t.Errorf("writer %d: %.20q, want %.20q", w, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, rewriteName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a copy is left: %v", err)
	}
}

func churn(t *testing.T, j *Journal, mb int) {
	t.Helper()
	payload := strings.Repeat("x", 1<<20)
	for range mb {
		appendAll(t, j, entry("churn", payload))
	}
}

func TestARewriteThatFailsLeavesTheJournalWorking(t *testing.T) {
	d, dir := newDisk(), filepath.Join(t.TempDir(), "j")
	var tried atomic.Int64
	d.breaks(func(call, name string) error {
		if name == rewriteName && call == "write" {
			tried.Add(1)
			return syscall.ENOSPC
		}
		return nil
	})
	j, _ := open(t, dir, d.options(Options{MaxBytes: 8 << 20, Retry: 1})) // a nanosecond
	appendAll(t, j, entry("a", "1"))
	churn(t, j, 10)
	eventually(t, "a rewrite is tried", func() bool { return tried.Load() > 0 })
	if s := j.Status(); s.Err != nil || s.Failures != 0 {
		t.Errorf("status %+v", s)
	}
	var err error
	for range 20 { // until not even the dead have room
		if _, err = j.Append(t.Context(), entry("churn", strings.Repeat("x", 1<<20))); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("the file grows without a bound: %v", err)
	}
	d.breaks(nil)
	eventually(t, "there is room again", func() bool {
		_, err := j.Append(t.Context(), entry("b", "2"))
		return err == nil && j.Status().FileBytes < 3<<20
	})
	found := byKey(scanDir(t, dir))
	if string(found["a"].Payload) != "1" || string(found["b"].Payload) != "2" || len(found) != 3 {
		t.Errorf("%d entries", len(found))
	}
}

func TestARewriteThatCannotReadWhatIsLiveIsAFailure(t *testing.T) {
	d, dir := newDisk(), filepath.Join(t.TempDir(), "j")
	have := []Entry{entry("a", "1"), entry("churn", strings.Repeat("x", 1<<20))}
	j, _ := open(t, dir, d.options(Options{Snapshot: func() []Entry { return have }}))
	appendAll(t, j, have[0])
	d.breaks(on("read", errDisk))
	seq := uint64(0)
	eventually(t, "the failure is noticed and mended", func() bool {
		var err error
		if seq, err = j.Append(t.Context(), have[1]); err != nil && !errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
		return j.Status().Failures > 0 && j.Status().Err == nil
	})
	d.breaks(nil)
	if s := j.Status(); s.Lost != 0 || s.SetAside == "" {
		t.Errorf("status %+v", s)
	}
	j.Done("churn", seq)
	closeJournal(t, j)
	_, entries := open(t, dir, Options{})
	wantEntries(t, entries, have[0])
}

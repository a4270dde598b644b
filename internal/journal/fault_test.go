package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var errDisk = syscall.EIO

// on breaks the named call of every file.
func on(call string, err error) func(string, string) error {
	return func(c, _ string) error {
		if c == call {
			return err
		}
		return nil
	}
}

// once breaks the named call one time.
func once(call string, err error) func(string, string) error {
	var did atomic.Bool
	return func(c, _ string) error {
		if c == call && did.CompareAndSwap(false, true) {
			return err
		}
		return nil
	}
}

func TestAFailedFsyncSetsTheFileAsideAndAFreshOneHoldsAll(t *testing.T) {
	for _, call := range []string{"fsync", "write"} {
		d, dir := newDisk(), filepath.Join(t.TempDir(), "j")
		have := []Entry{entry("old", "1"), entry("new", "2")}
		j, _ := open(t, dir, d.options(Options{Snapshot: func() []Entry { return have }}))
		appendAll(t, j, have[0])
		d.breaks(once(call, errDisk))
		seq, err := j.Append(t.Context(), have[1])
		if !errors.Is(err, ErrFailed) || !errors.Is(err, errDisk) || seq == 0 {
			t.Errorf("%s: number %d, %v", call, seq, err)
		}
		eventually(t, "it works again", func() bool { return j.Status().Err == nil })
		s := j.Status()
		if s.Failures != 1 || s.Lost != 0 || s.SetAside == "" {
			t.Errorf("%s: status %+v", call, s)
		}
		wantEntries(t, scanDir(t, dir), have...)
		j.Done("new", seq) // the number is valid although Append failed
		appendAll(t, j, entry("third", "3"))
		wantEntries(t, scanDir(t, dir), have[0], entry("third", "3"))
	}
}

// scanDir is what another process would find now.
func scanDir(t *testing.T, dir string) []Entry {
	t.Helper()
	b := content(t, dir)
	f := scan(strings.NewReader(string(b)), int64(len(b)))
	if f.damage != nil {
		t.Fatal(f.damage)
	}
	return entriesOf(f)
}

func TestWithoutASnapshotTheOldFileIsReadBack(t *testing.T) {
	d, dir := newDisk(), filepath.Join(t.TempDir(), "j")
	j, _ := open(t, dir, d.options(Options{}))
	appendAll(t, j, entry("a", "1"), entry("b", "2"))
	d.breaks(once("fsync", errDisk))
	if _, err := j.Append(t.Context(), entry("c", "3")); !errors.Is(err, ErrFailed) {
		t.Errorf("Append: %v", err)
	}
	appendEventually(t, j, entry("d", "4"))
	wantEntries(t, scanDir(t, dir), entry("a", "1"), entry("b", "2"), entry("c", "3"), entry("d", "4"))

	fsync, read := once("fsync", errDisk), on("read", errDisk)
	d.breaks(func(call, name string) error { return errors.Join(fsync(call, name), read(call, name)) })
	if _, err := j.Append(t.Context(), entry("e", "5")); !errors.Is(err, ErrFailed) {
		t.Errorf("Append: %v", err)
	}
	appendEventually(t, j, entry("f", "6"))
	wantEntries(t, scanDir(t, dir), entry("f", "6"))
	if s := j.Status(); s.Lost != 5 {
		t.Errorf("status %+v", s)
	}
}

// appendEventually appends as soon as the journal works again.
func appendEventually(t *testing.T, j *Journal, e Entry) {
	t.Helper()
	eventually(t, "it works again", func() bool { return j.Status().Err == nil })
	appendAll(t, j, e)
}

func TestAFullDiskFailsAppendsUntilThereIsRoom(t *testing.T) {
	d, dir := newDisk(), filepath.Join(t.TempDir(), "j")
	var mu sync.Mutex
	have := []Entry{entry("a", "1")}
	o := Options{Retry: 10 * time.Millisecond, Snapshot: func() []Entry {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(have)
	}}
	j, _ := open(t, dir, d.options(o))
	appendAll(t, j, have[0])
	d.breaks(on("write", syscall.ENOSPC))
	for i := range 5 {
		e := entry(fmt.Sprint("k", i), "v")
		mu.Lock()
		have = append(have, e)
		mu.Unlock()
		if _, err := j.Append(t.Context(), e); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Append: %v", err)
		}
	}
	if s := j.Status(); s.Err == nil || s.Failures != 1 || s.Since.IsZero() || s.Live != 6 {
		t.Errorf("status %+v", s)
	}
	wantEntries(t, scanDir(t, dir), have[0]) // still there
	d.breaks(nil)
	eventually(t, "it works again", func() bool { return j.Status().Err == nil })
	wantEntries(t, scanDir(t, dir), have...)
	if s := j.Status(); s.SetAside != "" || s.Lost != 0 {
		t.Errorf("a full disk is not damage: %+v", s)
	}
}

func TestWhatComesDuringTheReplacementIsInTheNext(t *testing.T) {
	d, dir := newDisk(), filepath.Join(t.TempDir(), "j")
	var j *Journal
	have := []Entry{entry("a", "1")}
	snapshot := func() []Entry {
		now := slices.Clone(have)
		if len(have) == 1 {
			have = append(have, entry("b", "2"))
			if _, err := j.AppendLazy(have[1]); !errors.Is(err, ErrFailed) {
				t.Errorf("AppendLazy: %v", err)
			}
		}
		return now
	}
	j, _ = open(t, dir, d.options(Options{Snapshot: snapshot}))
	d.breaks(once("fsync", errDisk))
	if _, err := j.Append(t.Context(), have[0]); !errors.Is(err, ErrFailed) {
		t.Errorf("Append: %v", err)
	}
	eventually(t, "it works again", func() bool { return j.Status().Err == nil })
	wantEntries(t, scanDir(t, dir), entry("a", "1"), entry("b", "2"))
}

func TestCloseGivesAFailedJournalALastChance(t *testing.T) {
	for _, mended := range []bool{true, false} {
		d, dir := newDisk(), filepath.Join(t.TempDir(), "j")
		e := entry("a", "1")
		j, _ := open(t, dir, d.options(Options{Snapshot: func() []Entry { return []Entry{e} }, Retry: time.Hour}))
		var broken atomic.Bool
		var heals atomic.Int64
		broken.Store(true)
		d.breaks(func(call, name string) error {
			if call == "open" && name == freshName {
				heals.Add(1)
			}
			if call == "write" && broken.Load() {
				return syscall.ENOSPC
			}
			return nil
		})
		if _, err := j.Append(t.Context(), e); !errors.Is(err, ErrFailed) {
			t.Errorf("Append: %v", err)
		}
		eventually(t, "the first attempt", func() bool { return heals.Load() == 1 && j.Status().Waiting == 0 })
		broken.Store(!mended)
		if err := j.Close(t.Context()); (err == nil) != mended {
			t.Errorf("mended %v: Close: %v", mended, err)
		}
		if mended {
			wantEntries(t, scanDir(t, dir), e)
		}
	}
}

// A step of the replacement that fails leaves all as it is; the next succeeds.
func TestEveryStepOfReplacingTheFileMayFail(t *testing.T) {
	steps := map[string]func(call, name string) error{
		"open":   on("open", errDisk),
		"write":  on("write", errDisk),
		"fsync":  on("fsync", errDisk),
		"rename": on("rename", errDisk),
		"sync":   on("sync", errDisk),
	}
	for step, fault := range steps {
		d, dir := newDisk(), filepath.Join(t.TempDir(), "j")
		j, _ := open(t, dir, d.options(Options{Retry: time.Millisecond}))
		appendAll(t, j, entry("a", "1"))
		closeJournal(t, j)
		j, entries := openBroken(t, dir, d, fault)
		wantEntries(t, entries, entry("a", "1"))
		if s := j.Status(); s.Err == nil {
			t.Errorf("%s: it works", step)
		}
		if _, err := j.Append(t.Context(), entry("b", "2")); !errors.Is(err, ErrFailed) {
			t.Errorf("%s: Append: %v", step, err)
		}
		d.breaks(nil)
		eventually(t, "it works again", func() bool { return j.Status().Err == nil })
		appendAll(t, j, entry("c", "3"))
		closeJournal(t, j)
		_, entries = open(t, dir, Options{})
		if len(entries) < 2 || entries[0].Key != "a" || entries[len(entries)-1].Key != "c" {
			t.Errorf("%s: %v", step, entries)
		}
	}
}

// openBroken opens with a fault that the first opening of the old file escapes.
func openBroken(t *testing.T, dir string, d *disk, fault func(call, name string) error) (*Journal, []Entry) {
	t.Helper()
	d.breaks(func(call, name string) error {
		if call == "open" && name == currentName {
			return nil
		}
		return fault(call, name)
	})
	return open(t, dir, d.options(Options{Retry: time.Millisecond}))
}

func TestAHungDiskHoldsNobodyLongerThanItsContext(t *testing.T) {
	d, dir := newDisk(), filepath.Join(t.TempDir(), "j")
	j, _ := open(t, dir, d.options(Options{}))
	release := make(chan struct{})
	d.breaks(func(call, _ string) error {
		if call == "fsync" {
			<-release
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for range 2 {
		if _, err := j.Append(ctx, entry("a", "1")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Append: %v", err)
		}
	}
	if _, err := j.AppendLazy(entry("b", "2")); err != nil {
		t.Errorf("AppendLazy: %v", err)
	}
	if s := j.Status(); s.Waiting == 0 || s.Err != nil {
		t.Errorf("status %+v", s)
	}
	if err := j.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	close(release)
	closeJournal(t, j) // the same, later
	_, entries := open(t, dir, Options{})
	wantEntries(t, entries, entry("a", "1"), entry("b", "2"))
}

// The machine stops: of what was not fsynced, any part may be missing.
func TestWhatWasToldSafeSurvivesALossOfPower(t *testing.T) {
	for run := range 20 {
		d, dir := newDisk(), filepath.Join(t.TempDir(), "j")
		j, _ := open(t, dir, d.options(Options{}))
		var synced atomic.Int64
		d.breaks(func(call, _ string) error {
			if call == "fsync" {
				synced.Store(int64(len(content(t, dir)))) // of before the fsync: a lower bound
			}
			return nil
		})
		told := map[string]int64{}
		for i := range 30 {
			e := entry(fmt.Sprint("k", i%7), fmt.Sprint(i))
			if i%3 == 0 {
				if _, err := j.AppendLazy(e); err != nil {
					t.Fatal(err)
				}
				delete(told, e.Key) // the newer one may be there, or not
				continue
			}
			appendAll(t, j, e)
			told[e.Key] = int64(i)
		}
		b := content(t, dir)
		cut := synced.Load() + rand.Int64N(int64(len(b))-synced.Load()+1)
		closeJournal(t, j)
		_, entries := open(t, dirWith(t, b[:cut]), Options{})
		found := byKey(entries)
		for key, i := range told {
			if string(found[key].Payload) != fmt.Sprint(i) {
				t.Fatalf("run %d: %s is %q, want %d", run, key, found[key].Payload, i)
			}
		}
	}
}

// The file of another user is no damage: what it holds was acknowledged.
func TestAFileThatMayNotBeReadIsRefusedAndLeft(t *testing.T) {
	b, states, _ := sample(t)
	d, dir := newDisk(), dirWith(t, b)
	d.breaks(on("open", syscall.EACCES))
	_, _, err := Open(dir, d.options(Options{}))
	if !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "make it writable") {
		t.Errorf("Open: %v", err)
	}
	_, entries := open(t, dir, Options{})
	wantEntries(t, entries, states[len(states)-1]...)
}

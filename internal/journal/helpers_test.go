package journal

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// open opens a journal that the end of the test closes.
func open(t testing.TB, dir string, o Options) (*Journal, []Entry) {
	t.Helper()
	j, entries, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close(context.Background()) })
	return j, entries
}

func appendAll(t testing.TB, j *Journal, entries ...Entry) uint64 {
	t.Helper()
	seq, err := j.Append(t.Context(), entries...)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func closeJournal(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func entry(key, payload string) Entry { return Entry{Kind: 1, Key: key, Payload: []byte(payload)} }

func wantEntries(t testing.TB, got []Entry, want ...Entry) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Entry{}, "Seq"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// content is the current file as it is now: what another process would find
// after this one has crashed.
func content(t testing.TB, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, currentName))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dirWith is a directory that has this file in it.
func dirWith(t testing.TB, b []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, currentName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// disk breaks the calls that its functions do not like.
type disk struct {
	files
	mu    sync.Mutex // guards fault
	fault func(call, name string) error
}

func newDisk() *disk { return &disk{} }

func (d *disk) options(o Options) Options {
	o.wrap = func(f files) files {
		d.files = f
		return d
	}
	return o
}

// breaks sets what happens to each call; nil: nothing.
func (d *disk) breaks(fault func(call, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

func (d *disk) ask(call, name string) error {
	d.mu.Lock()
	fault := d.fault
	d.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(call, name)
}

func (d *disk) Open(name string, flag int) (file, error) {
	if err := d.ask("open", name); err != nil {
		return nil, err
	}
	f, err := d.files.Open(name, flag)
	if err != nil {
		return nil, err
	}
	return &diskFile{f, d, name}, nil
}

func (d *disk) Rename(from, to string) error {
	if err := d.ask("rename", from); err != nil {
		return err
	}
	return d.files.Rename(from, to)
}

func (d *disk) Sync() error {
	if err := d.ask("sync", "."); err != nil {
		return err
	}
	return d.files.Sync()
}

type diskFile struct {
	file
	d    *disk
	name string // at its opening; it may have been renamed
}

func (f *diskFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.d.ask("read", f.name); err != nil {
		return 0, err
	}
	return f.file.ReadAt(b, off)
}

func (f *diskFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.d.ask("write", f.name); err != nil {
		n, _ := f.file.WriteAt(b[:len(b)/2], off) // as a full disk does
		return n, err
	}
	return f.file.WriteAt(b, off)
}

func (f *diskFile) Sync() error {
	if err := f.d.ask("fsync", f.name); err != nil {
		return err
	}
	return f.file.Sync()
}

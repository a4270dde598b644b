package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestWhatWasAppendedIsFoundAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	j, entries := open(t, dir, Options{})
	wantEntries(t, entries)
	appendAll(t, j, entry("a", "1"), entry("b", "2"))
	last := appendAll(t, j, entry("a", "3"))
	if _, err := j.AppendLazy(entry("c", "4")); err != nil {
		t.Fatal(err)
	}
	closeJournal(t, j)

	j, entries = open(t, dir, Options{})
	wantEntries(t, entries, entry("b", "2"), entry("a", "3"), entry("c", "4"))
	if r := j.Report(); r != (Report{Recovered: 3}) {
		t.Errorf("report %+v", r)
	}
	if entries[1].Seq != last {
		t.Errorf("number %d, it was %d", entries[1].Seq, last)
	}
	if next := appendAll(t, j, entry("d", "5")); next <= entries[2].Seq {
		t.Errorf("number %d after %d", next, entries[2].Seq)
	}
}

func TestADoneEntryIsNotFoundAgainUnlessItIsNewer(t *testing.T) {
	dir := t.TempDir()
	chmod(t, dir, 0o700)
	j, _ := open(t, dir, Options{})
	a := appendAll(t, j, entry("a", "1"))
	b := appendAll(t, j, entry("b", "1"))
	appendAll(t, j, entry("b", "2"))
	j.Done("a", a)
	j.Done("b", b)
	j.Done("c", 99)
	if s := j.Status(); s.Live != 1 {
		t.Errorf("live: %d", s.Live)
	}
	closeJournal(t, j)
	_, entries := open(t, dir, Options{})
	wantEntries(t, entries, entry("b", "2"))
}

func TestAJournalOfWhichAllIsDoneIsEmptyAfterClose(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	j, _ := open(t, dir, Options{})
	j.Done("a", appendAll(t, j, entry("a", strings.Repeat("x", 1000))))
	closeJournal(t, j)
	if n := len(content(t, dir)); n != headerLen {
		t.Errorf("%d bytes are left", n)
	}
	if err := j.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := j.Append(t.Context(), entry("a", "")); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close: %v", err)
	}
	j.Done("a", 1)
}

func TestTheBoundIsOnWhatIsLive(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	j, _ := open(t, dir, Options{MaxBytes: 10_000})
	big := strings.Repeat("x", 6000)
	a := appendAll(t, j, entry("a", big))
	if _, err := j.Append(t.Context(), entry("b", big)); !errors.Is(err, ErrFull) {
		t.Errorf("beyond the bound: %v", err)
	}
	a = max(a, appendAll(t, j, entry("a", big))) // in place of itself
	j.Done("a", a)
	appendAll(t, j, entry("b", big))
	for _, e := range []Entry{entry(strings.Repeat("k", MaxKey+1), ""), {Payload: make([]byte, MaxPayload+1)}} {
		if _, err := j.Append(t.Context(), e); !errors.Is(err, ErrTooLarge) {
			t.Errorf("too large: %v", err)
		}
	}
	closeJournal(t, j)
	_, entries := open(t, dir, Options{MaxBytes: 10}) // a lower bound loses nothing
	wantEntries(t, entries, entry("b", big))
}

func TestTheLargestRecordIsFoundAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	j, _ := open(t, dir, Options{})
	e := Entry{Kind: 255, Key: strings.Repeat("k", MaxKey), Payload: bytes.Repeat([]byte{7}, MaxPayload)}
	appendAll(t, j, e)
	closeJournal(t, j)
	_, entries := open(t, dir, Options{})
	if len(entries) != 1 || entries[0].Key != e.Key || entries[0].Kind != 255 || !bytes.Equal(entries[0].Payload, e.Payload) {
		t.Errorf("%d entries, or not this one", len(entries))
	}
}

func TestATornEndIsReportedAndNothingElseIsLost(t *testing.T) {
	b, states, ends := sample(t)
	j, entries := open(t, dirWith(t, b[:len(b)-3]), Options{})
	wantEntries(t, entries, states[len(states)-2]...)
	want := Report{Recovered: len(entries), Torn: int64(len(b) - 3 - ends[len(ends)-2])}
	if r := j.Report(); r != want {
		t.Errorf("report %+v, want %+v", r, want)
	}
}

func TestADamagedFileIsSetAsideAndWhatIsBeforeTheDamageReturned(t *testing.T) {
	whole, states, ends := sample(t)
	b := bytes.Clone(whole)
	b[ends[2]+5] ^= 1
	dir := dirWith(t, b)
	j, entries := open(t, dir, Options{})
	wantEntries(t, entries, states[2]...)
	r := j.Report()
	if !errors.Is(r.Damage, errHead) || r.Recovered != 2 {
		t.Errorf("report %+v", r)
	}
	if kept, err := os.ReadFile(filepath.Join(dir, r.SetAside)); err != nil || !bytes.Equal(kept, b) {
		t.Errorf("what was set aside is not the damaged file: %v", err)
	}
	appendAll(t, j, entry("n", "new"))
	closeJournal(t, j)
	j, entries = open(t, dir, Options{})
	wantEntries(t, entries, append(states[2], entry("n", "new"))...)
	if r := j.Report(); r.Damage != nil || r.SetAside != "" {
		t.Errorf("second report %+v", r)
	}
}

// Its bytes are all there, so it was written to its end, and may have been
// acknowledged.
func TestADamagedLastRecordIsToldAndSetAside(t *testing.T) {
	whole, states, _ := sample(t)
	b := bytes.Clone(whole)
	b[len(b)-1] ^= 1
	dir := dirWith(t, b)
	j, entries := open(t, dir, Options{})
	wantEntries(t, entries, states[len(states)-2]...)
	r := j.Report()
	if !errors.Is(r.Damage, errBody) || r.Torn != 0 {
		t.Errorf("report %+v", r)
	}
	if kept, err := os.ReadFile(filepath.Join(dir, r.SetAside)); err != nil || !bytes.Equal(kept, b) {
		t.Errorf("what was set aside is not the damaged file: %v", err)
	}
}

func TestAForeignFileIsSetAside(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": {}, "text": []byte(strings.Repeat("not a journal\n", 10)),
		"version": append([]byte(magic), 2), "long": bytes.Repeat([]byte{0xff}, 1<<20),
	} {
		j, entries := open(t, dirWith(t, b), Options{})
		wantEntries(t, entries)
		if r := j.Report(); r.Damage == nil || r.SetAside == "" {
			t.Errorf("%s: report %+v", name, r)
		}
		appendAll(t, j, entry("a", "1"))
	}
	dir := filepath.Join(t.TempDir(), "j")
	if err := os.MkdirAll(filepath.Join(dir, currentName), 0o700); err != nil {
		t.Fatal(err)
	}
	j, _ := open(t, dir, Options{})
	if r := j.Report(); r.SetAside == "" {
		t.Errorf("a directory: report %+v", r)
	}
}

func TestFewFilesThatWereSetAsideAreKept(t *testing.T) {
	dir := dirWith(t, []byte("first"))
	for range 3 * maxDamaged {
		j, _ := open(t, dir, Options{})
		closeJournal(t, j)
		if err := os.WriteFile(filepath.Join(dir, currentName), []byte("foreign"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := filepath.Glob(filepath.Join(dir, damagedName+"*"))
	if err != nil || len(kept) != maxDamaged {
		t.Errorf("%d are kept: %v", len(kept), err)
	}
}

func TestOnlyTheOwnerReadsTheJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	j, _ := open(t, dir, Options{})
	appendAll(t, j, entry("a", "secret"))
	for name, want := range map[string]os.FileMode{".": 0o700, currentName: 0o600, lockName: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func chmod(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryThatCannotHoldAJournalIsRefusedWithTheRemedy(t *testing.T) {
	open777 := t.TempDir()
	chmod(t, open777, 0o777)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed := t.TempDir()
	chmod(t, closed, 0o500)
	if os.Geteuid() == 0 && runtime.GOOS == "linux" {
		closed = "/proc/self" // even root makes no file there
	}
	for dir, want := range map[string]string{
		open777:                      "can be written by others (mode 0777): chmod go-w it",
		file:                         "is not a directory; name one",
		filepath.Join(file, "below"): "make it writable",
		closed:                       "make it writable",
	} {
		j, _, err := Open(dir, Options{})
		if err == nil {
			_ = j.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestADirectoryOfAnotherUserIsRefusedWithTheRemedy(t *testing.T) {
	dir := t.TempDir()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if me := os.Geteuid(); me >= 0 && (ownedByOther(info, me) || !ownedByOther(info, me+1)) {
		t.Errorf("it is taken for another's: %v; for another's by another: %v", ownedByOther(info, me), ownedByOther(info, me+1))
	}
	if os.Chown(dir, 12345, -1) != nil {
		return // only root can give it away
	}
	j, _, err := Open(dir, Options{})
	if err == nil {
		_ = j.Close(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "belongs to another user") || !strings.Contains(err.Error(), "chown it to user 0") || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
}

func TestASecondJournalIsRefusedUntilTheFirstIsClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	j, _ := open(t, dir, Options{})
	if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("second Open: %v", err)
	}
	closeJournal(t, j)
	open(t, dir, Options{})
}

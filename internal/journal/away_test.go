package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// must is for steps that only prepare.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAWriteThatNoOpenWouldFindIsNotAcknowledged(t *testing.T) {
	for name, take := range map[string]func(dir string) error{
		"the directory is removed": os.RemoveAll,
		"the directory is moved":   func(dir string) error { return os.Rename(dir, dir+"-elsewhere") },
		"the directory is another": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"-elsewhere"), os.Mkdir(dir, 0o700))
		},
		"the file is removed": func(dir string) error { return os.Remove(filepath.Join(dir, currentName)) },
		"the file is a copy": func(dir string) error {
			name := filepath.Join(dir, currentName)
			b, err := os.ReadFile(name)
			return errors.Join(err, os.Remove(name), os.WriteFile(name, b, 0o600))
		},
		"the lock is removed": func(dir string) error { return os.Remove(filepath.Join(dir, lockName)) },
	} {
		dir := filepath.Join(t.TempDir(), "j")
		j, _ := open(t, dir, Options{})
		appendAll(t, j, entry("a", "1"))
		must(t, take(dir))
		if _, err := j.Append(t.Context(), entry("b", "2")); !errors.Is(err, ErrFailed) || !errors.Is(err, errAway) {
			t.Errorf("%s: Append: %v", name, err)
		}
		appendEventually(t, j, entry("c", "3"))
		wantEntries(t, scanDir(t, dir), entry("a", "1"), entry("b", "2"), entry("c", "3"))
		if s := j.Status(); s.Failures != 1 || s.Lost != 0 {
			t.Errorf("%s: status %+v", name, s)
		}
		if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
			t.Errorf("%s: a second Open: %v", name, err)
		}
	}
}

func TestWhereNoDirectoryCanBeMadeTheJournalStaysFailed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	j, _ := open(t, dir, Options{Retry: 10 * time.Millisecond})
	appendAll(t, j, entry("a", "1"))
	must(t, os.Rename(dir, dir+"-elsewhere"))
	must(t, os.WriteFile(dir, nil, 0o600))
	eventually(t, "it fails", func() bool { return j.Status().Err != nil })
	for range 3 {
		if _, err := j.Append(t.Context(), entry("b", "2")); !errors.Is(err, ErrFailed) {
			t.Errorf("Append: %v", err)
		}
		time.Sleep(15 * time.Millisecond)
	}
	must(t, os.Remove(dir))
	appendEventually(t, j, entry("c", "3"))
	found := scanDir(t, dir)
	if len(found) < 2 || found[0].Key != "a" || found[len(found)-1].Key != "c" { // b is the Snapshot's
		t.Errorf("found %v", found)
	}
}

func TestADirectoryThatAnotherProcessTookIsLeftToIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	ours, _ := open(t, dir, Options{Retry: 10 * time.Millisecond})
	appendAll(t, ours, entry("ours", "1"))
	var theirs *Journal
	eventually(t, "another process is quicker than ours", func() (ok bool) {
		must(t, os.RemoveAll(dir))
		var err error
		theirs, _, err = Open(dir, Options{Retry: time.Hour})
		return err == nil
	})
	eventually(t, "ours fails", func() bool { return errors.Is(ours.Status().Err, ErrInUse) })
	appendAll(t, theirs, entry("theirs", "2"))
	if _, err := ours.Append(t.Context(), entry("ours", "3")); !errors.Is(err, ErrInUse) {
		t.Errorf("Append: %v", err)
	}
	closeJournal(t, theirs)
	eventually(t, "ours works again", func() bool { return ours.Status().Err == nil })
	aside := ours.Status().SetAside
	b, err := os.ReadFile(filepath.Join(dir, aside))
	must(t, err)
	wantEntries(t, scanDir(t, dirWith(t, b)), entry("theirs", "2")) // nobody has read it yet
}

func TestADirectoryIsMissedAlthoughNobodyWrites(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	j, _ := open(t, dir, Options{Retry: 10 * time.Millisecond})
	appendAll(t, j, entry("a", "1"))
	must(t, os.Rename(dir, dir+"-elsewhere"))
	eventually(t, "the file is there", func() bool {
		_, err := os.Stat(filepath.Join(dir, currentName))
		return err == nil && j.Status().Err == nil
	})
	wantEntries(t, scanDir(t, dir), entry("a", "1"))
}

func TestCloseSavesWhatIsLiveWhereTheNextOpenFindsIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	j, _ := open(t, dir, Options{})
	appendAll(t, j, entry("a", "1"))
	must(t, os.RemoveAll(dir))
	closeJournal(t, j)
	_, entries := open(t, dir, Options{})
	wantEntries(t, entries, entry("a", "1"))
}

func TestADirectoryIsFoundAfterAChangeOfTheWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	j, _ := open(t, "j", Options{})
	t.Chdir(t.TempDir())
	appendAll(t, j, entry("a", "1"))
}

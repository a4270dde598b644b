package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(t.Context()) })
	return l
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// written is a log of n events, closed.
func written(t *testing.T, path string, n int) {
	t.Helper()
	l := open(t, path)
	for i := range n {
		l.Add(Event{Event: PrefixDeleted, Outcome: "ok", Class: "c", Count: new(int64(i))})
	}
	if lost := l.Close(t.Context()); lost != 0 {
		t.Fatalf("%d events are lost", lost)
	}
}

func wantIntact(t *testing.T, log []byte, lines int) Summary {
	t.Helper()
	s, err := Verify(bytes.NewReader(log))
	if err != nil || s.Lines != lines {
		t.Fatalf("%+v, %v; want %d lines\n%s", s, err, lines, log)
	}
	return s
}

func TestEventsAreLinesInTheirOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, path)
	l.Add(Event{Event: Started, Outcome: "ok"})
	l.Add(Event{Event: Revoked, Outcome: "ok", Actor: "EVERCACHE_TOKEN", Target: Digest("", "jti-1"), RequestID: "r1"})
	l.Close(t.Context())
	l.Close(t.Context()) // twice does no harm
	log := read(t, path)
	s := wantIntact(t, log, 2)
	if s.First != 1 || s.Last != 2 || s.Begins != "" {
		t.Errorf("%+v", s)
	}
	var second map[string]any
	if err := json.Unmarshal(bytes.Split(log, []byte("\n"))[1], &second); err != nil {
		t.Fatal(err)
	}
	if second["event"] != Revoked || second["actor"] != "EVERCACHE_TOKEN" || second["request_id"] != "r1" || strings.Contains(string(log), "jti-1") {
		t.Errorf("%v", second)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info.Mode(), err)
	}
}

func TestALogGoesOnAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	written(t, path, 3)
	written(t, path, 2)
	if s := wantIntact(t, read(t, path), 5); s.Last != 5 {
		t.Errorf("%+v", s)
	}
}

// The process or its machine died while it wrote: at any byte.
func TestALineThatWasCutOffIsTold(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.log")
	written(t, whole, 3)
	log := read(t, whole)
	third := bytes.LastIndexByte(log[:len(log)-1], '\n') + 1
	for end := third; end < len(log); end += 7 {
		path := filepath.Join(t.TempDir(), "audit.log")
		if err := os.WriteFile(path, log[:end], 0o600); err != nil {
			t.Fatal(err)
		}
		written(t, path, 2)
		s := wantIntact(t, read(t, path), 4+btoi(end == len(log)-1))
		if cut := btoi(end > third && end < len(log)-1); s.Cut != cut {
			t.Errorf("cut at byte %d: %+v, want %d lines cut off", end-third, s, cut)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestEveryChangeIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	written(t, path, 5)
	lines := bytes.SplitAfter(bytes.TrimSuffix(read(t, path), []byte("\n")), []byte("\n"))
	join := func(ls ...[]byte) []byte { return bytes.Join(ls, nil) }
	forged := bytes.Replace(lines[2], []byte(`"count":2`), []byte(`"count":9`), 1)
	for name, tt := range map[string]struct {
		log  []byte
		line int
	}{
		"changed":   {join(lines[0], lines[1], forged, lines[3], lines[4]), 4},
		"taken out": {join(lines[0], lines[1], lines[3], lines[4]), 3},
		"put in":    {join(lines[0], lines[1], lines[1], lines[2], lines[3], lines[4]), 3},
		"swapped":   {join(lines[0], lines[2], lines[1], lines[3], lines[4]), 2},
		"shortened": {join(lines[0], lines[1], append(lines[2][:40:40], '\n'), lines[3]), 4},
		"no line":   {join(lines[0], []byte("hello\n"), lines[1]), 2},
		"blank":     {join(lines[0], []byte("\n"), lines[1]), 2},
	} {
		var broken *BrokenError
		if s, err := Verify(bytes.NewReader(tt.log)); !errors.As(err, &broken) || broken.Line != tt.line {
			t.Errorf("%s: %+v, %v; want line %d", name, s, err, tt.line)
		}
	}
	if s, err := Verify(strings.NewReader(strings.Repeat("x", 1<<20))); !errors.Is(err, errLong) {
		t.Errorf("a line of a megabyte: %+v, %v", s, err)
	}
	wantIntact(t, join(lines[2:]...), 3) // its beginning went elsewhere
	wantIntact(t, nil, 0)
}

// logrotate moves the file away, and expects a new one.
func TestALogThatIsMovedAwayIsBegunAnew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	l := open(t, path)
	l.Add(Event{Event: Started, Outcome: "ok"})
	until(t, func() bool { return len(read(t, path)) > 0 })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lookEvery)
	l.Add(Event{Event: Stopped, Outcome: "ok"})
	l.Close(t.Context())
	old, now := wantIntact(t, read(t, path+".1"), 1), wantIntact(t, read(t, path), 1)
	if now.First != old.Last+1 || now.Begins != old.Ends {
		t.Errorf("%+v does not go on where %+v ends", now, old)
	}
	wantIntact(t, append(read(t, path+".1"), read(t, path)...), 2)
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 20 s")
		}
	}
}

// The directory is gone for a while: requests go on, and what is missing is written down.
func TestWhatCouldNotBeWrittenIsCountedAndTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "audit.log")
	l := open(t, path)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lookEvery)
	for range 3 {
		l.Add(Event{Event: Refused, Outcome: "unauthorized"})
	}
	until(t, func() bool { return l.State().Lost == 3 })
	if s := l.State(); s.Err == nil || s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	l.Add(Event{Event: Stopped, Outcome: "ok"})
	if lost := l.Close(t.Context()); lost != 3 {
		t.Errorf("%d are lost, want 3", lost)
	}
	if s := wantIntact(t, read(t, path), 2); s.Lost != 3 {
		t.Errorf("%+v, want 3 lost", s)
	}
	if s := l.State(); s.Err != nil {
		t.Errorf("it is told still: %+v", s)
	}
	if l.Events(Refused) != 3 || l.Events(Stopped) != 1 || l.Events(Revoked) != 0 {
		t.Error("events are counted wrong")
	}
}

// Ten thousand at once, from many: no one waits, none is twice, the chain holds.
func TestManyWriteAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, path)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for range 500 {
				l.Add(Event{Event: PrefixDeleted, Outcome: "ok", Class: fmt.Sprint(i)})
			}
		})
	}
	wg.Wait()
	lost := l.Close(t.Context())
	s, err := Verify(bytes.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for line := range bytes.Lines(read(t, path)) {
		told += btoi(bytes.Contains(line, []byte(Lost)))
	}
	if s.Lines-told+int(lost) != 10_000 || s.Lost != int64(lost) {
		t.Errorf("%d lines, %d of them of losses, %d lost: want 10000 in all; told: %d", s.Lines, told, lost, s.Lost)
	}
}

// A text is no longer than allowed, whoever sends it.
func TestTextsAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, path)
	long := strings.Repeat("é\n\"", 1<<20)
	l.Add(Event{Event: Refused, Outcome: long, Actor: long, Remote: long, RequestID: long, Class: long, Target: long, Detail: long})
	l.Add(Event{Event: Stopped, Outcome: "ok"})
	l.Close(t.Context())
	log := read(t, path)
	wantIntact(t, log, 2)
	if len(log) > longestLine {
		t.Errorf("%d bytes", len(log))
	}
}

func TestOnlyOneProcessWritesALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	open(t, path)
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second one: %v", err)
	}
	for _, bad := range []string{t.TempDir(), filepath.Join(t.TempDir(), "no", "such"), os.DevNull} {
		if l, err := Open(bad); err == nil {
			l.Close(t.Context())
			t.Errorf("%s is opened", bad)
		}
	}
}

func TestNoLogTakesEverything(t *testing.T) {
	var l *Log
	l.Add(Event{Event: Started})
	if l.Close(context.Background()) != 0 || l.State() != (State{}) || l.Events(Started) != 0 {
		t.Error("a nil Log does something")
	}
}

func TestADigestHidesAndTellsApart(t *testing.T) {
	if Digest("", "a") == Digest("", "b") || Digest("k", "a") == Digest("", "a") || Digest("k", "a") == Digest("l", "a") {
		t.Error("two are the same")
	}
	// printf %s jti-1 | sha256sum | cut -c1-32
	if got, want := Digest("", "jti-1"), "sha256:"; !strings.HasPrefix(got, want) || len(got) != len(want)+32 {
		t.Error(got)
	}
}

func FuzzVerify(f *testing.F) {
	path := filepath.Join(f.TempDir(), "audit.log")
	l, err := Open(path)
	if err != nil {
		f.Fatal(err)
	}
	l.Add(Event{Event: Started, Outcome: "ok"})
	l.Add(Event{Event: Lost, Outcome: "ok", Count: new(int64(3))})
	l.Close(context.Background())
	log, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(log)
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"seq":1}`))
	f.Fuzz(func(t *testing.T, log []byte) {
		s, err := Verify(bytes.NewReader(log))
		if err == nil && s.Lines > bytes.Count(log, []byte("\n"))+1 {
			t.Errorf("%d lines of %q", s.Lines, log)
		}
	})
}

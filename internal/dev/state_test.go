//go:build unix

package dev

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const goodState = `{"version":1,"pid":42,"dir":"/tmp/evercache-dev-x","temporary":true,"processes":[{"name":"redis-1","pid":43,"start":"boot 7"}]}`

func TestAStateFileIsReadOnlyIfItMakesSense(t *testing.T) {
	if s, err := parseState([]byte(goodState)); err != nil || len(s.Processes) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"no JSON":           "redis",
		"half":              goodState[:50],
		"another version":   strings.Replace(goodState, `"version":1`, `"version":2`, 1),
		"process 1":         strings.Replace(goodState, `"pid":43`, `"pid":1`, 1),
		"process -1":        strings.Replace(goodState, `"pid":43`, `"pid":-1`, 1),
		"no start":          strings.Replace(goodState, "boot 7", "", 1),
		"a name":            strings.Replace(goodState, "redis-1", "../redis", 1),
		"the run":           strings.Replace(goodState, `"pid":42`, `"pid":0`, 1),
		"a relative path":   strings.Replace(goodState, "/tmp/", "tmp/", 1),
		"a path with dots":  strings.Replace(goodState, "/tmp/", "/tmp/../", 1),
		"the root":          strings.Replace(goodState, "/tmp/evercache-dev-x", "/", 1),
		"a number too big":  strings.Replace(goodState, `"pid":43`, `"pid":1e99`, 1),
		"too long":          goodState + strings.Repeat(" ", maxState),
		"too many":          strings.Replace(goodState, `[{`, `[`+strings.Repeat(`{"name":"redis-1","pid":43,"start":"boot 7"},`, maxProcesses)+`{`, 1),
		"a number as start": strings.Replace(goodState, `"boot 7"`, `7`, 1),
	} {
		if s, err := parseState([]byte(text)); !errors.Is(err, errState) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add([]byte(goodState))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseState(text)
		if err != nil {
			if !errors.Is(err, errState) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		for _, p := range s.Processes {
			if p.Pid <= 1 || p.Start == "" || !isName(p.Name) {
				t.Errorf("%q: %+v", text, p)
			}
		}
	})
}

// sleeper is a process in a group of its own that does nothing.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // ends with the process, which the end of the test kills
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() { <-ended })
	return cmd
}

func alive(pid int) bool {
	_, err := startOf(pid)
	return err == nil
}

func TestAProcessIsKnownByItsStart(t *testing.T) {
	a := sleeper(t)
	first, err := startOf(a.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := startOf(a.Process.Pid); err != nil || again != first {
		t.Errorf("%q, %v; before %q", again, err, first)
	}
	_, err = exec.LookPath("ps")
	if err != nil && runtime.GOOS == "linux" { // which asks /proc, and has ps for the worst case only
		return
	}
	byPS, err := psStart(a.Process.Pid)
	if err != nil || !strings.HasPrefix(byPS, "ps ") || !strings.Contains(byPS, time.Now().UTC().Format("2006")) {
		t.Errorf("ps says %q, %v", byPS, err)
	}
	if again, err := psStart(a.Process.Pid); err != nil || again != byPS {
		t.Errorf("ps says %q then, %v; before %q", again, err, byPS)
	}
	if err := killGroup(a.Process.Pid); err != nil {
		t.Fatal(err)
	}
	until(t, "it is gone", func() bool { return !alive(a.Process.Pid) })
	if s, err := psStart(a.Process.Pid); !errors.Is(err, errNoProcess) {
		t.Errorf("ps says of a dead process: %q, %v", s, err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestWhatPSSaysIsRead(t *testing.T) {
	for line, want := range map[string]string{
		"Ss   Mon Nov 30 17:45:34 2026\n":    "ps Mon Nov 30 17:45:34 2026",
		"S+   Mon Nov  3 17:45:34 2026":      "ps Mon Nov 3 17:45:34 2026",
		"Z    Mon Nov 30 17:45:34 2026":      "",
		"":                                   "",
		"S":                                  "",
		"S " + strings.Repeat("Monday ", 20): "",
	} {
		got, err := parsePS(line)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
}

// shortDir is a temporary directory in which the path of a socket is not too long.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ec")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func testRuntime(t *testing.T) runtimeDir {
	t.Helper()
	dir := shortDir(t)
	r, err := openRuntime([]string{"XDG_RUNTIME_DIR=" + dir})
	if err != nil || string(r) != filepath.Join(dir, "evercache") {
		t.Fatalf("%s, %v", r, err)
	}
	return r
}

// left makes what a killed run leaves: a directory, a socket, and a state file with the processes.
func left(t *testing.T, r runtimeDir, name string, temporary bool, processes ...process) (dir string) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	dir, err := os.MkdirTemp("", dirPrefix+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	rec, err := newRecord(r.state(name), dir, temporary)
	if err != nil {
		t.Fatal(err)
	}
	rec.s.Processes = processes
	if err := errors.Join(rec.write(rec.s), os.WriteFile(r.socket(name), nil, 0o600), os.WriteFile(filepath.Join(dir, "log"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhatAKilledRunHasLeftIsEndedAndNothingElse(t *testing.T) {
	r := testRuntime(t)
	ours, others := sleeper(t), sleeper(t)
	start, err := startOf(ours.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	dir := left(t, r, "a", true,
		process{"redis-1", ours.Process.Pid, start},
		process{"redis-2", others.Process.Pid, start + "0"}, // the number is another's by now
		process{"redis-3", 1 << 22, start},                  // and this one nobody's
	)
	said, err := r.sweep()
	if err != nil || len(said) != 1 || !strings.Contains(said[0], "a process of it still ran") {
		t.Errorf("%q, %v", said, err)
	}
	until(t, "ours has ended", func() bool { return !alive(ours.Process.Pid) })
	if !alive(others.Process.Pid) {
		t.Error("the process of somebody else was ended")
	}
	for _, file := range []string{dir, r.state("a"), r.socket("a")} {
		if _, err := os.Lstat(file); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", file, err)
		}
	}
	if said, err := r.sweep(); err != nil || len(said) != 0 {
		t.Errorf("again: %q, %v", said, err)
	}
}

func TestARunThatLivesIsLeftAlone(t *testing.T) {
	r := testRuntime(t)
	p := sleeper(t)
	start, err := startOf(p.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := r.take("a")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	dir := left(t, r, "a", true, process{"redis-1", p.Process.Pid, start})
	if said, err := r.sweep(); err != nil || len(said) != 0 {
		t.Errorf("%q, %v", said, err)
	}
	if _, err := os.Stat(dir); err != nil || !alive(p.Process.Pid) {
		t.Errorf("what is in use was taken away: %v", err)
	}
	_, err = r.claim("a")
	if err == nil || !strings.Contains(err.Error(), "is running already in process") || !strings.Contains(err.Error(), "evercache dev --name a quit") {
		t.Errorf("a second one: %v", err)
	}
}

func TestOnlyATemporaryDirectoryOfOursIsRemoved(t *testing.T) {
	r := testRuntime(t)
	kept := left(t, r, "kept", false)
	if _, err := r.sweep(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("a directory of the user's choice: %v", err)
	}
	other := t.TempDir()
	link := filepath.Join(t.TempDir(), dirPrefix+"link")
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), dirPrefix+"open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{other, link, open} {
		if removed, err := removeDir(state{Dir: dir, Temporary: true}); removed {
			t.Errorf("%s was removed, %v", dir, err)
		}
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestAStateFileThatCannotBeReadIsReported(t *testing.T) {
	r := testRuntime(t)
	if err := os.WriteFile(r.state("a"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := r.sweep()
	if err != nil || len(said) != 1 || !strings.Contains(said[0], "is not known") {
		t.Errorf("%q, %v", said, err)
	}
	if said, err := r.sweep(); err != nil || len(said) != 0 {
		t.Errorf("again: %q, %v", said, err)
	}
}

func TestTheRecordHoldsTheLastProcessOfEachName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	rec, err := newRecord(file, "/tmp/evercache-dev-x", true)
	if err != nil {
		t.Fatal(err)
	}
	p := sleeper(t)
	rec.add("redis-1", os.Getpid())
	rec.add("redis-2", p.Process.Pid)
	rec.add("redis-1", p.Process.Pid)
	rec.add("redis-2", 1<<22) // it has ended already
	s, err := readState(file)
	if err != nil || rec.fault() != nil {
		t.Fatal(err, rec.fault())
	}
	start, _ := startOf(p.Process.Pid)
	if diff := cmp.Diff([]process{{"redis-1", p.Process.Pid, start}}, s.Processes); diff != "" {
		t.Error(diff)
	}
}

// listening is a port on which somebody listens.
func listening(t *testing.T) int {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if port <= maxPort {
			t.Cleanup(func() { l.Close() })
			return port
		}
		l.Close()
	}
	t.Fatal("no port is low enough")
	return 0
}

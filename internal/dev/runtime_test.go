//go:build unix

package dev

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheRuntimeDirectoryIsWhereASocketFits(t *testing.T) {
	long := "/" + strings.Repeat("x", 80)
	for _, tt := range []struct{ xdg, temp, want string }{
		{"/run/user/7", "/tmp", "/run/user/7/evercache"},
		{"", "/var/tmp", "/var/tmp/evercache-7"},
		{"relative", "/var/tmp", "/var/tmp/evercache-7"},
		{long, "/var/tmp", "/var/tmp/evercache-7"},
		{"", long, "/tmp/evercache-7"},
	} {
		if got := runtimePath(tt.xdg, tt.temp, 7); got != tt.want {
			t.Errorf("%.20q, %.20q: %s, want %s", tt.xdg, tt.temp, got, tt.want)
		}
	}
}

func TestARuntimeDirectoryThatOthersCanReachIsRefused(t *testing.T) {
	xdg := shortDir(t)
	environ := []string{"XDG_RUNTIME_DIR=/nowhere", "XDG_RUNTIME_DIR=" + xdg}
	if _, err := openRuntime(environ); err != nil {
		t.Fatal(err)
	}
	if _, err := openRuntime(environ); err != nil {
		t.Errorf("a second time: %v", err)
	}
	dir := filepath.Join(xdg, "evercache")
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := openRuntime(environ); err == nil || !strings.Contains(err.Error(), "has mode 0750, want 0700") {
		t.Errorf("open to a group: %v", err)
	}
	if err := errors.Join(os.Remove(dir), os.Symlink(t.TempDir(), dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := openRuntime(environ); err == nil || !strings.Contains(err.Error(), "is not a directory") {
		t.Errorf("a link: %v", err)
	}
	info, err := os.Stat(xdg)
	if err != nil {
		t.Fatal(err)
	}
	if why := notPrivate(info, false); why != "belongs to somebody else" {
		t.Errorf("another's: %q", why)
	}
}

// answering takes orders and answers each with its own line.
func answering(t *testing.T, r runtimeDir, name string) *listener {
	t.Helper()
	orders := make(chan order)
	l, err := r.listen(name, orders)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // until the test ends
		for {
			select {
			case o := <-orders:
				o.answer <- answer{Text: "did " + o.line}
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
		close(done)
	})
	return l
}

func TestAnOrderIsAnsweredOverTheSocket(t *testing.T) {
	r := testRuntime(t)
	answering(t, r, "a")
	info, err := os.Lstat(r.socket("a"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	text, err := r.send(t.Context(), "a", Command{Verb: "kill", Targets: []string{"master", "redis-2"}})
	if err != nil || text != "did kill master redis-2" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestWhoeverSaysNoOrderHoldsUpNobody(t *testing.T) {
	r := testRuntime(t)
	l := answering(t, r, "a")
	for _, said := range []string{"", "no line", strings.Repeat("x", 2*maxLine)} {
		conn, err := net.Dial("unix", r.socket("a"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte(said)) // the other end may have hung up by then
	}
	if text, err := r.send(t.Context(), "a", Command{Verb: "status"}); err != nil || text != "did status" {
		t.Errorf("%q, %v", text, err)
	}
	began := time.Now()
	if err := l.close(); err != nil || time.Since(began) > askTimeout/2 {
		t.Errorf("close took %v, %v", time.Since(began), err)
	}
}

func TestWithoutASetAnOrderIsRefusedClearly(t *testing.T) {
	r := testRuntime(t)
	lock, err := r.take("shards")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for name, want := range map[string]string{
		"default": "nothing runs: start it with 'evercache dev'",
		"other":   "'evercache dev --name other'",
	} {
		_, err := r.send(t.Context(), name, Command{Verb: "status"})
		e, ok := errors.AsType[*NotRunningError](err)
		if !ok || !strings.Contains(e.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	left(t, r, "shards", true)
	if _, err := r.send(t.Context(), "default", Command{Verb: "status"}); err == nil || !strings.Contains(err.Error(), "there is shards: choose it with --name") {
		t.Errorf("beside another: %v", err)
	}
	if err := os.Remove(r.socket("shards")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.send(t.Context(), "shards", Command{Verb: "status"}); err == nil || !strings.Contains(err.Error(), "it starts or ends at the moment") {
		t.Errorf("one that starts: %v", err)
	}
	if _, err := r.send(t.Context(), "../x", Command{Verb: "status"}); !errors.Is(err, ErrCommand) {
		t.Errorf("a name that is none: %v", err)
	}
	if err := os.WriteFile(r.socket("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.send(t.Context(), "file", Command{Verb: "status"}); err == nil || !strings.Contains(err.Error(), "is not a socket of yours") {
		t.Errorf("a file: %v", err)
	}
}

func TestACallerWaitsNoLongerThanHeWants(t *testing.T) {
	r := testRuntime(t)
	orders := make(chan order)
	l, err := r.listen("a", orders)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := r.send(ctx, "a", Command{Verb: "status"}); err == nil {
		t.Error("no error without an answer")
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}

func TestAnswersAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "ended before it answered",
		"{":                                   "ended before it answered",
		`{"text":"a","error":"b"}`:            "b",
		`{"error":"kill what?","usage":true}`: "not an order: kill what?",
	} {
		if _, err := readAnswer([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestWhatToInstallIsSaid(t *testing.T) {
	for system, want := range map[string]string{"linux": "apt-get install redis-server", "darwin": "brew install redis", "windows": "WSL", "freebsd": "package redis"} {
		if got := howToInstall(system); !strings.Contains(got, want) {
			t.Errorf("%s: %s", system, got)
		}
	}
}

package redistest

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 20 * time.Second // what must happen happens well before

// failoverPatience covers a split vote, after which Sentinel tries again only after twice the
// failover timeout of ten seconds.
const failoverPatience = time.Minute

// fakeTB records how a test of its own ended.
type fakeTB struct {
	testing.TB // the real test: temporary directories and environment
	mu         sync.Mutex
	fatal      string
	skipped    string
	logs       []string
	failed     bool
	cleanups   []func()
}

func (f *fakeTB) Helper()          {}
func (f *fakeTB) Failed() bool     { f.mu.Lock(); defer f.mu.Unlock(); return f.failed }
func (f *fakeTB) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.record(func() { f.fatal, f.failed = fmt.Sprintf(format, args...), true })
	runtime.Goexit()
}

func (f *fakeTB) Skipf(format string, args ...any) {
	f.record(func() { f.skipped = fmt.Sprintf(format, args...) })
	runtime.Goexit()
}

func (f *fakeTB) Errorf(format string, args ...any) {
	f.record(func() { f.failed, f.logs = true, append(f.logs, fmt.Sprintf(format, args...)) })
}

func (f *fakeTB) Logf(format string, args ...any) {
	f.record(func() { f.logs = append(f.logs, fmt.Sprintf(format, args...)) })
}

func (f *fakeTB) record(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
}

// tested runs test as the testing package would, cleanups included, and returns how it ended.
func tested(t *testing.T, test func(testing.TB)) *fakeTB {
	t.Helper()
	f := &fakeTB{TB: t}
	var wg sync.WaitGroup
	wg.Go(func() { test(f) })
	wg.Wait()
	for i := len(f.cleanups) - 1; i >= 0; i-- {
		f.cleanups[i]()
	}
	return f
}

func expectFatal(t *testing.T, want string, test func(testing.TB)) {
	t.Helper()
	if f := tested(t, test); !strings.Contains(f.fatal, want) {
		t.Errorf("the test ended with Fatal(%q) and Skip(%q), want Fatal with %q", f.fatal, f.skipped, want)
	}
}

// client is an application's connection, which stays open through what happens to the server.
type client struct {
	net.Conn
	lines *bufio.Reader
}

func connect(t *testing.T, addr string) *client {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &client{c, bufio.NewReader(c)}
}

// ask sends an inline command and returns the first line of the answer, or what came instead.
func (c *client) ask(command string, wait time.Duration) (string, error) {
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		return "", err
	}
	return c.hear()
}

func (c *client) hear() (string, error) {
	line, err := c.lines.ReadString('\n')
	return strings.TrimSpace(line), err
}

func mustAnswer(t *testing.T, c *client, command, want string) {
	t.Helper()
	if got, err := c.ask(command, patience); got != want || err != nil {
		t.Errorf("%s = %q, %v, want %q", command, got, err, want)
	}
}

package redistest

import (
	_ "embed"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// clockSource is a library that stands before the C library of a server and moves
// the clock that it sees. It needs Linux, and the C compiler that the race
// detector needs.
//
//go:embed clock.c.txt
var clockSource []byte

// Clock is a wall clock that can be moved, of the servers that are started with it.
// Their own timers are not touched.
type Clock struct {
	tb   testing.TB
	file string
	lib  string
}

// NewClock makes one that is right.
func NewClock(tb testing.TB) *Clock {
	tb.Helper()
	dir := tb.TempDir()
	c := &Clock{tb: tb, file: filepath.Join(dir, "ahead"), lib: filepath.Join(dir, "clock.so")}
	source := filepath.Join(dir, "clock.c")
	must(tb, os.WriteFile(source, clockSource, 0o600))
	c.Set(0)
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O1", "-o", c.lib, source).CombinedOutput(); err != nil {
		tb.Fatalf("redistest: gcc, which scripts/setup-test.sh installs: %v\n%s", err, out)
	}
	return c
}

// Set moves the clock from now on; also that of a server that runs.
func (c *Clock) Set(ahead time.Duration) {
	c.tb.Helper()
	f, err := os.OpenFile(c.file, os.O_CREATE|os.O_WRONLY, 0o600)
	must(c.tb, err)
	_, err = f.Write(binary.LittleEndian.AppendUint64(nil, uint64(ahead.Nanoseconds())))
	must(c.tb, err)
	must(c.tb, f.Close())
}

// Env is the environment of a process that sees this clock.
func (c *Clock) Env() []string {
	return []string{"LD_PRELOAD=" + c.lib, "EVERCACHE_TEST_CLOCK=" + c.file}
}

// WithClock gives a server of Start that clock.
func WithClock(c *Clock) Option {
	return func(o *config) { o.env = c.Env() }
}

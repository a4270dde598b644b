//go:build unix

package evercache

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

// The worker is a busy client in a process of its own, which can be stopped. It is
// this test binary; the environment says where its Redis is, and which file is there
// while it is stopped for a test.
const (
	stoppedEnv     = "EVERCACHE_STOPPED_WORKER"
	stoppedFileEnv = "EVERCACHE_STOPPED_FILE"
)

// TestStoppedWorker is the worker when a test has started it, and else nothing.
func TestStoppedWorker(t *testing.T) {
	addr := os.Getenv(stoppedEnv)
	if addr == "" {
		return
	}
	c := cacheAt(t, addr, Policy{TTL: 10 * time.Minute})
	_, err := c.Set(t.Context(), "k", "old")
	wantErr(t, err, nil)
	waitCovers(t, c, "k", "old")
	fmt.Println("ready")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { fmt.Println("old and coherent:", oldAfterStop(t, c), "times") })
	}
	wg.Wait()
}

// oldAfterStop reads, and counts what is wrong in the first moments after each pause,
// until that was the stop. It does nothing else there: whatever waits, such as a look
// at the file, lets the rest of the process notice.
func oldAfterStop(t *testing.T, c *Cache[string]) (wrong int) {
	woke := time.Now()
	for last := woke; ; {
		now := time.Now()
		if now.Sub(last) > 300*time.Millisecond {
			woke, wrong = now, 0
		}
		last = now
		if now.Sub(woke) > 200*time.Millisecond {
			if _, err := os.Stat(os.Getenv(stoppedFileEnv)); err == nil {
				return wrong
			}
			woke, wrong = now.Add(time.Hour), 0
		}
		e, err := c.Lookup(t.Context(), "k")
		if err == nil && e.Value == "old" && e.Coherent {
			wrong++
		}
	}
}

// What was overwritten while a process was stopped is not coherent for its first call
// after that either: nothing of the process but that call has run yet.
func TestAStoppedProcessCallsNothingCoherentThatWasOverwritten(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	file := filepath.Join(t.TempDir(), "stopped")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStoppedWorker$")
	cmd.Env = append(os.Environ(), stoppedEnv+"="+p.Addr(), stoppedFileEnv+"="+file)
	out, err := cmd.StdoutPipe()
	wantErr(t, err, nil)
	wantErr(t, cmd.Start(), nil)
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
	}
	time.Sleep(100 * time.Millisecond) // it is busy
	wantErr(t, cmd.Process.Signal(syscall.SIGSTOP), nil)
	time.Sleep(100 * time.Millisecond) // it stands
	wantErr(t, os.WriteFile(file, nil, 0o600), nil)
	redisDo(t, p, "SET", "c:k", "new")
	time.Sleep(time.Duration(shard.LeaseTerm) + 100*time.Millisecond)
	wantErr(t, cmd.Process.Signal(syscall.SIGCONT), nil)
	told := 0
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "old and coherent:") {
			told++
			if line != "old and coherent: 0 times" {
				t.Error(line)
			}
		}
	}
	if err := cmd.Wait(); err != nil || told != 2 {
		t.Errorf("the worker told %d times, and ended with %v", told, err)
	}
}

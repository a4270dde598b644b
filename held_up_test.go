//go:build unix

package evercache

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

const heldUpEnv = "EVERCACHE_HELD_UP_WORKER"

// TestHeldUpWorker is a busy client in a process of its own, which tells how often it gave
// its Redis up, once its input ends. Without a test that has started it it is nothing.
func TestHeldUpWorker(t *testing.T) {
	addr := os.Getenv(heldUpEnv)
	if addr == "" {
		return
	}
	o := Options{Addr: addr}
	if name, sentinels, ok := strings.Cut(addr, "@"); ok {
		o = Options{MasterName: name, Sentinels: strings.Split(sentinels, ",")}
	}
	client := open(t, o)
	c := cacheOf[string](t, client, "c", Policy{L1TTL: Never})
	connect(t, client, 20*time.Second)
	fmt.Println("ready")
	end := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for {
				select {
				case <-end:
					return
				case <-time.After(time.Millisecond):
				}
				key := fmt.Sprint("k", i)
				_, _ = c.Set(t.Context(), key, "v")
				_, _ = c.Lookup(t.Context(), key)
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	gave := 0
	for change, n := range client.Stats().StateTransitions {
		if change.To == health.Degraded.String() {
			gave += int(n)
		}
	}
	fmt.Println("gave up:", gave, "times")
	close(end)
	wg.Wait()
}

// heldUp starts the worker, lets it run a fifth of the time only, as a container with a small
// quota of processor time does, and returns how often it gave its Redis up. meanwhile is
// called in the middle of that.
func heldUp(t *testing.T, addr string, meanwhile func()) (times string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHeldUpWorker$")
	cmd.Env = append(os.Environ(), heldUpEnv+"="+addr)
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	wantErr(t, err, nil)
	out, err := cmd.StdoutPipe()
	wantErr(t, err, nil)
	wantErr(t, cmd.Start(), nil)
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
	}
	const periods = 30
	for i := range periods {
		if i == periods/3 {
			meanwhile()
		}
		wantErr(t, cmd.Process.Signal(syscall.SIGSTOP), nil)
		time.Sleep(80 * time.Millisecond)
		wantErr(t, cmd.Process.Signal(syscall.SIGCONT), nil)
		time.Sleep(20 * time.Millisecond)
	}
	wantErr(t, in.Close(), nil)
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "gave up: "); ok {
			times = n
		}
	}
	if err := cmd.Wait(); err != nil || times == "" {
		t.Fatalf("the worker told %q and ended with %v: %s", times, err, said.Bytes())
	}
	return times
}

// promptly gives a server a processor when it wants one, where a test may do that.
func promptly(t *testing.T, p *redisproc.Process) *redisproc.Process {
	t.Helper()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, p.Pid(), -15)
	return p
}

// TestAProcessThatIsHeldUpKeepsItsRedis: answers lie in it unread while it does not run.
// That says nothing about the server. Others may load this machine: most attempts decide.
func TestAProcessThatIsHeldUpKeepsItsRedis(t *testing.T) {
	t.Parallel()
	const most = 2
	for good, bad := 0, 0; good < most && bad < most; {
		if times := heldUp(t, promptly(t, startRedis(t, redisproc.Options{})).Addr(), func() {}); times == "0 times" {
			good++
		} else if bad++; bad == most {
			t.Errorf("a Redis that is well was given up %s", times)
		}
	}
}

// Such a process gives a server up that hangs.
func TestAProcessThatIsHeldUpNoticesAServerThatHangs(t *testing.T) {
	t.Parallel()
	p := promptly(t, startRedis(t, redisproc.Options{}))
	times := heldUp(t, p.Addr(), func() {
		wantErr(t, p.Pause(), nil)
		t.Cleanup(func() { _ = p.Resume() })
	})
	if times == "0 times" {
		t.Error("it keeps to a server that hangs")
	}
}

// The same of a master that sentinels name: they are asked late, and heard late.
func TestAProcessThatIsHeldUpKeepsItsMaster(t *testing.T) {
	t.Parallel()
	const most = 2
	for good, bad := 0, 0; good < most && bad < most; {
		set, err := redisproc.StartSet(t.Context(), redisproc.SetOptions{DownAfter: 10 * time.Second, Config: []string{"repl-diskless-sync-delay 0"}})
		wantErr(t, err, nil)
		t.Cleanup(func() { _ = set.Close() })
		var sentinels []string
		for _, s := range set.Sentinels() {
			sentinels = append(sentinels, promptly(t, s).Addr())
		}
		for _, n := range set.Nodes() {
			promptly(t, n)
		}
		if times := heldUp(t, set.MasterName()+"@"+strings.Join(sentinels, ","), func() {}); times == "0 times" {
			good++
		} else if bad++; bad == most {
			t.Errorf("a master that is well was given up %s", times)
		}
	}
}

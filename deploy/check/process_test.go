package check

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one child. The test that started it ends it.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	log    output
}

// output is a buffer that may be read while the child writes.
type output struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// spawn starts a program with just this environment and PATH.
func spawn(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(args[0], args[1:]...), exited: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environ...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = attributes()
	started := make(chan error)
	go func() { // ends with the child
		runtime.LockOSThread() // the parent-death signal belongs to the thread
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in ProcessState
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

// kill ends the process and what it started, and returns when it is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// end asks the process to end and returns its exit status.
func (p *process) end(t *testing.T) int {
	t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		t.Fatalf("it goes on after SIGTERM; its log:\n%s", &p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

// eventually waits until what holds, and fails the test when it does not in time.
func eventually(t *testing.T, limit time.Duration, what string, holds func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s: %v", limit, what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// freePort is a port below those that the kernel gives to connections, held for the
// test by a UDP socket of the same number: the same sign that redistest uses.
func freePort(t *testing.T) string {
	t.Helper()
	for range 200 {
		addr := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(18000))
		hold, err := net.ListenPacket("udp4", addr)
		if err != nil {
			continue
		}
		ln, err := net.Listen("tcp4", addr)
		if err != nil {
			_ = hold.Close() // the port was never ours
			continue
		}
		t.Cleanup(func() { _ = hold.Close() }) // nothing was sent
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		_, port, _ := strings.Cut(addr, ":")
		return port
	}
	t.Fatal("no free port")
	return ""
}

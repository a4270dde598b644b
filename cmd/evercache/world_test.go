//go:build unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

// What the world does to a process and its log must not cost what callers were
// told is written.

// worldly is evercache serve whose standard error is whatever a test wants.
type worldly struct {
	*exec.Cmd
	t     *testing.T
	addr  string
	ended chan struct{}
}

// prepare makes the process; begin starts it.
func prepare(t *testing.T, environ ...string) *worldly {
	t.Helper()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // under nohup the binary would go on ignoring it
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel) // kills what a failed test leaves
	p := &worldly{Cmd: exec.CommandContext(ctx, exe, "serve"), t: t, addr: "127.0.0.1:" + port, ended: make(chan struct{})}
	p.Args[0] = "evercache" // see TestMain
	p.Env = append(environ, "GORACE="+quickEnd, "EVERCACHE_LISTEN="+p.addr)
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal
	return p
}

// through lets a shell do something first.
func (p *worldly) through(script string) {
	p.t.Helper()
	named := filepath.Join(p.t.TempDir(), "evercache") // see TestMain
	if err := os.Symlink(p.Path, named); err != nil {
		p.t.Fatal(err)
	}
	p.Path, p.Args = "/bin/sh", []string{"sh", "-c", script + `; exec "$0" serve`, named}
}

// begin starts it and waits until it answers.
func (p *worldly) begin() *worldly {
	p.t.Helper()
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { // until the process ends
		_ = p.Wait() // the state says it all
		close(p.ended)
	}()
	p.t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.ended
	})
	p.until("it answers", func() bool { return p.try("GET", "/livez", "") == http.StatusOK })
	return p
}

func deadRedis(t *testing.T) []string {
	t.Helper()
	dead, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"REDIS_HOST=127.0.0.1", "REDIS_PORT=" + dead}
}

func redisAt(r *redistest.Server) []string {
	return []string{"REDIS_HOST=" + r.Host(), fmt.Sprint("REDIS_PORT=", r.Port())}
}

func (p *worldly) until(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.ended:
			p.t.Fatalf("%v before %s", p.ProcessState, what)
		default:
		}
		if time.Now().After(end) {
			p.t.Fatalf("after a minute still not: %s", what)
		}
	}
}

// ask is the status and body of an answer; 0: there was none.
func (p *worldly) ask(method, path, body string) (int, string) {
	req, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.addr+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

func (p *worldly) try(method, path, body string) int {
	status, _ := p.ask(method, path, body)
	return status
}

// put writes twenty values that Redis does not take at this moment.
func (p *worldly) put(name string) {
	p.t.Helper()
	for i := range 20 {
		if status, why := p.ask("PUT", fmt.Sprintf("/v1/cache/demo/%s-%d?ttl=10m", name, i), name); status != http.StatusNoContent {
			p.t.Fatalf("PUT %s-%d: %d %s", name, i, status, why)
		}
	}
}

// has counts those of the twenty values that are served.
func (p *worldly) has(name string) (n int) {
	for i := range 20 {
		if status, body := p.ask("GET", fmt.Sprintf("/v1/cache/demo/%s-%d", name, i), ""); status == http.StatusOK && body == name {
			n++
		}
	}
	return n
}

// landed counts those that Redis holds.
func landed(r *redistest.Server, name string) (n int) {
	for i := range 20 {
		if fmt.Sprint(r.Do("GET", fmt.Sprintf("demo:%s-%d", name, i))) == name {
			n++
		}
	}
	return n
}

func (p *worldly) connected() {
	p.t.Helper()
	p.until("it is connected", func() bool { return p.try("GET", "/health?strict=1", "") == http.StatusOK })
}

// outage takes Redis away, writes, and wants everything there when it is back.
func (p *worldly) outage(r *redistest.Server, name string) {
	p.t.Helper()
	r.Kill()
	p.until("it knows of the outage", func() bool { return p.try("GET", "/health?strict=1", "") == http.StatusServiceUnavailable })
	p.put(name)
	r.Start()
	p.until("what was acknowledged is in Redis", func() bool { return landed(r, name) == 20 })
	p.connected()
}

// exit is the state at the end, which a test has asked for.
func (p *worldly) exit() *os.ProcessState {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.ProcessState
	case <-time.After(time.Minute):
		p.t.Fatal("it has not ended after a minute")
		return nil
	}
}

func (p *worldly) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatalf("%v: %v", s, err)
	}
}

// dropped is the metric.
func (p *worldly) dropped() bool {
	_, body := p.ask("GET", "/metrics", "")
	for line := range strings.Lines(body) {
		if n, ok := strings.CutPrefix(line, "evercache_log_lines_dropped_total "); ok {
			return strings.TrimSpace(n) != "0"
		}
	}
	p.t.Fatal("/metrics does not say how many log lines were dropped")
	return false
}

func TestASignalThatAsksForNoEndCostsNothing(t *testing.T) {
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := prepare(t, deadRedis(t)...)
	p.Stderr = log
	p.begin()
	p.put("kept")
	for _, s := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGVTALRM,
		syscall.SIGPROF, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGIO, syscall.SIGWINCH,
	} {
		p.signal(s)
		if n := p.has("kept"); n != 20 {
			t.Fatalf("after %v: %d of 20 are left", s, n)
		}
	}
	p.signal(syscall.SIGTSTP)
	p.signal(syscall.SIGCONT)
	if n := p.has("kept"); n != 20 {
		t.Errorf("after a stop: %d of 20 are left", n)
	}
	p.until("the log tells", func() bool {
		b, err := os.ReadFile(log.Name())
		return err == nil && strings.Contains(string(b), `"event":"signal.ignored"`) && strings.Contains(string(b), `"event":"signal.stacks"`)
	})
}

// A terminal and whatever started the process both pass on one Ctrl-C.
func TestTheSameSignalTwiceAtOnceIsOneWish(t *testing.T) {
	for range 10 {
		p := prepare(t, append(deadRedis(t), "EVERCACHE_DRAIN_TIMEOUT=3s")...).begin()
		p.put("kept")
		began := time.Now()
		p.signal(syscall.SIGINT)
		time.Sleep(100 * time.Millisecond)
		p.signal(syscall.SIGTERM)
		if time.Since(began) > sameWish/2 {
			continue // the machine is busy, and that was no longer at once
		}
		if state := p.exit(); state.ExitCode() != exitFailed { // counted, not cut off
			t.Errorf("%v, want exit status %d", state, exitFailed)
		}
		return
	}
	t.Fatal("two signals took too long ten times")
}

func TestItServesOnWhenTheReaderOfItsLogGoesAway(t *testing.T) {
	r := redistest.Start(t)
	p := prepare(t, redisAt(r)...)
	log, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stdout = p.Stderr
	p.begin()
	p.connected()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	p.outage(r, "kept")
	if !p.dropped() {
		t.Error("no dropped line was counted")
	}
	p.signal(syscall.SIGTERM)
	if state := p.exit(); state.ExitCode() != exitOK {
		t.Error(state)
	}
}

func TestALogThatNobodyReadsHoldsUpNothing(t *testing.T) {
	r := redistest.Start(t)
	p := prepare(t, append(redisAt(r), "EVERCACHE_LOG_LEVEL=debug")...)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	p.Stderr = writer
	p.begin()
	writer.Close()
	p.connected()
	full := func() {
		t.Helper()
		for end := time.Now().Add(time.Minute); !p.dropped(); {
			for range 200 {
				if status := p.try("GET", "/livez", ""); status != http.StatusOK {
					t.Fatalf("livez: %d", status)
				}
			}
			if time.Now().After(end) {
				t.Fatal("no line is dropped although nobody reads")
			}
		}
	}
	full()
	p.outage(r, "kept")
	lines, told := bufio.NewScanner(reader), false
	for !told && lines.Scan() { // the reader is back
		told = strings.Contains(lines.Text(), `"event":"log.dropped"`)
	}
	if !told {
		t.Error("nothing in the log says that lines are missing")
	}
	for range 2000 { // the pipe is full again
		p.try("GET", "/livez", "")
	}
	p.signal(syscall.SIGTERM)
	if state := p.exit(); state.ExitCode() != exitOK {
		t.Error(state)
	}
}

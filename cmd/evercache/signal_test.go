//go:build unix

package main

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is this test binary as evercache serve.
type process struct {
	*exec.Cmd
	t     *testing.T
	lines *bufio.Scanner // of its log
	addr  string
}

// startServe returns when it listens.
func startServe(t *testing.T, environ ...string) *process {
	t.Helper()
	p := launchServe(t, environ...)
	p.logs(`"msg":"listening"`)
	return p
}

func launchServe(t *testing.T, environ ...string) *process {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	dead, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel) // kills what a failed test leaves
	p := &process{Cmd: exec.CommandContext(ctx, exe, "serve"), t: t, addr: "127.0.0.1:" + port}
	p.Args[0] = "evercache" // see TestMain
	p.Env = append(environ, "GORACE="+quickEnd, "EVERCACHE_LISTEN="+p.addr, "REDIS_HOST=127.0.0.1", "REDIS_PORT="+dead)
	log, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(log)
	return p
}

// logs reads the log up to a line that has a text.
func (p *process) logs(text string) {
	p.t.Helper()
	for p.lines.Scan() {
		if strings.Contains(p.lines.Text(), text) {
			return
		}
	}
	p.t.Fatalf("the log ends without %s", text)
}

// end reads the rest of the log and returns it with the state at the end.
func (p *process) end() (string, *os.ProcessState) {
	var rest strings.Builder
	for p.lines.Scan() {
		rest.WriteString(p.lines.Text() + "\n")
	}
	_ = p.Wait() // the state says it all
	return rest.String(), p.ProcessState
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func TestSigtermDrains(t *testing.T) {
	p := startServe(t)
	p.signal(syscall.SIGTERM)
	log, state := p.end()
	if state.ExitCode() != exitOK || !strings.Contains(log, `"msg":"draining"`) || !strings.Contains(log, `"msg":"stopped"`) {
		t.Errorf("%v, log:\n%s", state, log)
	}
}

func TestAfterSigtermNewConnectionsHearThatItIsNotReady(t *testing.T) {
	p := startServe(t, "EVERCACHE_SHUTDOWN_DELAY=2s")
	p.signal(syscall.SIGTERM)
	p.logs(`"msg":"draining"`)
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ready := true
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		resp, err := fresh.Get("http://" + p.addr + "/readyz")
		if err != nil {
			t.Fatalf("it is out of reach: %v", err)
		}
		resp.Body.Close()
		ready = resp.StatusCode == http.StatusOK // for a moment: the log is ahead
	}
	if ready {
		t.Error("it is ready although it drains")
	}
	if log, state := p.end(); state.ExitCode() != exitOK {
		t.Errorf("%v, log:\n%s", state, log)
	}
}

func TestASecondSignalEndsTheDrain(t *testing.T) {
	p := startServe(t, "EVERCACHE_DRAIN_TIMEOUT=10m")
	req, err := http.NewRequest("PUT", "http://"+p.addr+"/v1/cache/demo/a", strings.NewReader("kept for Redis"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	p.signal(syscall.SIGTERM)
	p.logs(`"msg":"draining"`)
	began := time.Now()
	done := make(chan struct{})
	go func() { // ends with the process
		defer close(done)
		for {
			select {
			case <-time.After(20 * time.Millisecond):
				if p.Process.Signal(syscall.SIGTERM) != nil {
					return
				}
			case <-t.Context().Done():
				return
			}
		}
	}()
	log, state := p.end()
	<-done
	if ws, ok := state.Sys().(syscall.WaitStatus); !ok || !ws.Signaled() || time.Since(began) > 30*time.Second {
		t.Errorf("%v after %v, log:\n%s", state, time.Since(began), log)
	}
	if !strings.Contains(log, `"event":"server.cut_short","unsaved_writes":1,"journaled_writes":0`) {
		t.Errorf("nothing counts what is lost:\n%s", log)
	}
}

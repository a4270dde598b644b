package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// quickEnd is the value of GORACE for processes of this binary: with the race detector
// each would sleep for a second at its end.
var quickEnd = cmp.Or(os.Getenv("GORACE"), "atexit_sleep_ms=20")

// mostAtOnce is how many tests run at once, unless -parallel says otherwise: they mostly wait.
const mostAtOnce = "4"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", mostAtOnce); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"evercache": main})
}

// Each file in testdata/script is a session with the binary. PORT and DEAD are
// ports of loopback on which nobody listens.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", quickEnd)
			for _, name := range []string{"PORT", "DEAD"} {
				port, err := freePort()
				if err != nil {
					return err
				}
				e.Setenv(name, port)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"certificate": certificate,
			"exits":       exits,
			"http":        httpCall,
			"ready":       ready,
		},
	})
}

func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, errors.Join(err, ln.Close())
}

// exits runs a command that must end with a status: exits 2 evercache nonsense.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg {
		ts.Fatalf("usage: exits status command [args]")
	}
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// httpCall sends a request and checks status and body:
// http GET http://… 200 [text that the body has] [body to send].
func httpCall(ts *testscript.TestScript, neg bool, args []string) {
	args = append(args, "", "")
	if neg {
		ts.Fatalf("usage: http method url status [text] [body]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, args[0], args[1], strings.NewReader(args[4]))
	ts.Check(err)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Logf("%s\n%s", resp.Status, body)
	if strconv.Itoa(resp.StatusCode) != args[2] || !strings.Contains(string(body), args[3]) {
		ts.Fatalf("answer is %s %q, want %s with %q", resp.Status, body, args[2], args[3])
	}
}

// ready waits until somebody listens on a port of loopback.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready port")
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.Dial("tcp", "127.0.0.1:"+args[0])
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nobody listens on port %s after 20 s: %v", args[0], err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"serv": "serve", "sevre": "serve", "server": "serve", "healthchek": "healthcheck", "health-check": "healthcheck",
		"verison": "version", "hlep": "help", "kitchen": "", "x": "", "": "",
	} {
		got, ok := nearest(name)
		if ok != (want != "") || ok && got != want {
			t.Errorf("nearest(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	for _, c := range commands() {
		for _, part := range []string{c.summary, c.help} {
			if part == "" || strings.Contains(part, "\t") {
				t.Errorf("%s: help %q", c.name, part)
			}
		}
		if !strings.Contains(c.help, "Examples:\n") || !strings.HasSuffix(c.help, "\n") {
			t.Errorf("%s: the help has no examples", c.name)
		}
		for line := range strings.Lines(c.help) {
			if len(line) > 84 {
				t.Errorf("%s: a line of the help is too long: %s", c.name, line)
			}
		}
	}
}

func TestReachable(t *testing.T) {
	for in, want := range map[string]string{"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "10.0.0.5": "10.0.0.5", "::1": "::1", "localhost": "localhost"} {
		if got := reachable(in); got != want {
			t.Errorf("reachable(%q) = %q, want %q", in, got, want)
		}
	}
}

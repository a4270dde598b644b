//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/testbed"
)

// playground is a place for evercache dev that no other one sees.
type playground struct {
	*testing.T
	dir     string // for temporary files, and where runs find each other
	environ []string
}

func newPlayground(t *testing.T, environ ...string) *playground {
	t.Helper()
	testbed.NeedRedis(t)
	dir, err := os.MkdirTemp("/tmp", "ec") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	environ = append(environ, "PATH="+os.Getenv("PATH"), "TMPDIR="+dir, "XDG_RUNTIME_DIR="+dir, "GORACE="+quickEnd, "EVERCACHE_LISTEN=127.0.0.1:0")
	return &playground{t, dir, environ}
}

// command is evercache dev with arguments, as a process of its own.
func (p *playground) command(args ...string) *exec.Cmd {
	p.Helper()
	exe, err := os.Executable()
	if err != nil {
		p.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	p.Cleanup(cancel) // kills what a failed test leaves
	cmd := exec.CommandContext(ctx, exe, append([]string{"dev"}, args...)...)
	cmd.Args[0], cmd.Env = "evercache", p.environ // see TestMain
	return cmd
}

// order runs evercache dev as from another terminal, and returns what it prints.
func (p *playground) order(args ...string) (text string, status int) {
	p.Helper()
	cmd := p.command(args...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		p.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// must is order that has to succeed.
func (p *playground) must(args ...string) string {
	p.Helper()
	text, status := p.order(args...)
	if status != exitOK {
		p.Fatalf("evercache dev %v: status %d, %s", args, status, text)
	}
	return text
}

// leftovers are the temporary directories that are there.
func (p *playground) leftovers() []string {
	p.Helper()
	found, err := filepath.Glob(filepath.Join(p.dir, "evercache-dev-*"))
	if err != nil {
		p.Fatal(err)
	}
	return found
}

// playing is evercache dev that runs.
type playing struct {
	*playground
	*exec.Cmd
	stdin io.WriteCloser
	ended chan struct{}

	mu   sync.Mutex
	text bytes.Buffer // what it has printed; guarded by mu
}

func (p *playing) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *playing) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// start runs evercache dev and returns when it is ready.
func (p *playground) start(args ...string) *playing {
	p.Helper()
	d := p.begin(args...)
	d.sees("\nready: ")
	return d
}

func (p *playground) begin(args ...string) *playing {
	p.Helper()
	d := &playing{playground: p, Cmd: p.command(args...), ended: make(chan struct{})}
	d.Stdout, d.Stderr = d, d
	var err error
	if d.stdin, err = d.StdinPipe(); err != nil {
		p.Fatal(err)
	}
	if err := d.Start(); err != nil {
		p.Fatal(err)
	}
	d.reap()
	return d
}

// reap takes notice of the end.
func (d *playing) reap() {
	go func() { // until the process ends
		_ = d.Wait() // the state says it all
		close(d.ended)
	}()
	d.Cleanup(func() {
		_ = d.Process.Kill()
		<-d.ended
		if d.Failed() {
			d.Logf("evercache dev printed:\n%s", d.output())
		}
	})
}

// until waits for a condition, as long as the process runs.
func (d *playing) until(what string, ok func() bool) {
	d.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-d.ended:
			if !ok() {
				d.Fatalf("%v before %s", d.ProcessState, what)
			}
			return
		default:
		}
		if time.Now().After(end) {
			d.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// types gives it an order from the keyboard.
func (d *playing) types(order string) {
	d.Helper()
	if _, err := io.WriteString(d.stdin, order+"\n"); err != nil {
		d.Fatal(err)
	}
}

// sees waits until it has printed a text.
func (d *playing) sees(text string) {
	d.Helper()
	d.until(fmt.Sprintf("it prints %q", text), func() bool { return strings.Contains(d.output(), text) })
}

// ends waits for its end and checks the status, and that nothing is left.
func (d *playing) ends(status int) {
	d.Helper()
	pids := d.pids()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.Fatalf("it has not ended within %v", patience)
	}
	if got := d.ProcessState.ExitCode(); got != status {
		d.Errorf("%v, want exit status %d", d.ProcessState, status)
	}
	for _, pid := range pids {
		if runsStill(pid) {
			d.Errorf("process %d is left", pid)
		}
	}
	if left := d.leftovers(); len(left) > 0 {
		d.Errorf("left: %v", left)
	}
}

var pidOf = regexp.MustCompile(`  pid (\d+)`)

// pids are the processes that it has shown.
func (d *playing) pids() (all []int) {
	d.Helper()
	for _, m := range pidOf.FindAllStringSubmatch(d.output(), -1) {
		pid, err := strconv.Atoi(m[1])
		if err != nil {
			d.Fatal(err)
		}
		all = append(all, pid)
	}
	if len(all) == 0 {
		d.Fatal("it shows no process")
	}
	return all
}

// runsStill: a zombie has ended, and waits for init to take notice.
func runsStill(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	if runtime.GOOS == "linux" {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err == nil && !bytes.Contains(stat, []byte(") Z "))
	}
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}

// exported is the environment that it has printed.
func (d *playing) exported() (env []string) {
	for line := range strings.Lines(d.output()) {
		if entry, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			env = append(env, entry)
		}
	}
	return env
}

// connect opens a client on what it has printed.
func (d *playing) connect() *evercache.Client {
	d.Helper()
	cfg, err := config.FromEnv(d.exported())
	if err != nil {
		d.Fatal(err)
	}
	cfg.Redis.Logger = slog.New(slog.DiscardHandler)
	c, err := evercache.Open(d.Context(), cfg.Redis)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(d.Context(), patience)
	defer cancel()
	if err := c.WaitConnected(ctx); err != nil {
		d.Fatalf("%v: %+v", err, c.Health().Findings)
	}
	return c
}

var servesAt = regexp.MustCompile(`evercache serves on (http://[^;]+);`)

func (d *playing) http(method, path, body string) (status int, answer string) {
	d.Helper()
	url := servesAt.FindStringSubmatch(d.output())
	if url == nil {
		d.Fatal("it does not say where evercache serves")
	}
	req, err := http.NewRequestWithContext(d.Context(), method, url[1]+path, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		d.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

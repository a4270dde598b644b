//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache"
)

func TestDevShowsAFailoverAndLeavesNothing(t *testing.T) {
	t.Parallel()
	p := newPlayground(t, "REDIS_URL=redis://:canary-of-the-caller@127.0.0.1:1", "REDIS_STRICT=maybe")
	d := p.start("--serve")
	d.sees("does not count here: REDIS_STRICT, REDIS_URL")
	d.sees("evercache: up: ")
	if status, text := d.http("PUT", "/v1/cache/demo/a?ttl=10m", "before"); status != http.StatusNoContent {
		t.Fatalf("PUT: %d %s", status, text)
	}
	if text := p.must("kill", "master"); text != "redis-1 was killed\n" {
		t.Errorf("kill master: %s", text)
	}
	d.sees("redis-1 is dead")
	for i := range 20 { // while there is no master, and after
		if status, text := d.http("PUT", "/v1/cache/demo/a?ttl=10m", fmt.Sprint("during ", i)); status != http.StatusNoContent {
			t.Errorf("PUT %d: %d %s", i, status, text)
		}
		if status, text := d.http("GET", "/v1/cache/demo/a", ""); status != http.StatusOK || text != fmt.Sprint("during ", i) {
			t.Errorf("GET %d: %d %s", i, status, text)
		}
	}
	d.until("a replica is master", func() bool { return regexp.MustCompile(`redis-[23] is master\n`).MatchString(d.output()) })
	d.until("/health tells of the failover", func() bool {
		_, text := d.http("GET", "/health", "")
		var h struct {
			Status string
			Redis  struct{ Sentinel struct{ FailoverCount int } }
		}
		return json.Unmarshal([]byte(text), &h) == nil && h.Status == "up" && h.Redis.Sentinel.FailoverCount == 1
	})
	if text := p.must("status"); !strings.Contains(text, "redis-1 is dead") {
		t.Errorf("status: %s", text)
	}
	if text := p.must("start"); text != "redis-1 was started\n" {
		t.Errorf("start: %s", text)
	}
	d.sees("all is well: master redis-")
	if strings.Contains(d.output(), "canary") {
		t.Error("the caller's password is shown")
	}
	if err := d.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	d.sees("their files are removed")
	d.ends(exitOK)
}

func TestDevSetWithPasswordAndTLSIsReachedByWhatItPrints(t *testing.T) {
	t.Parallel()
	p := newPlayground(t)
	envFile := filepath.Join(t.TempDir(), "env")
	d := p.start("--password", "--tls", "--env-file", envFile, "--sentinels", "4", "--replicas", "1")
	c := d.connect()
	demo, err := evercache.NewCache[string](c, "demo", evercache.Policy{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	d.until("a write reaches Redis", func() bool { // on a busy machine one may take longer than it waits
		receipt, err := demo.Set(t.Context(), "a", "b")
		return err == nil && receipt.Durability >= evercache.Master
	})
	if text, err := os.ReadFile(envFile); err != nil || !strings.HasSuffix(string(text), strings.Join(d.exported(), "\n")+"\n") {
		t.Errorf("%v, the file has:\n%s", err, text)
	}
	var password string
	for _, entry := range d.exported() {
		if file, ok := strings.CutPrefix(entry, "REDIS_PASSWORD_FILE="); ok {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			password = strings.TrimSpace(string(text))
		}
	}
	if env := p.must("env"); strings.TrimSpace(env) == "" || !strings.Contains(d.output(), env) {
		t.Errorf("env: %s", env)
	}
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.ends(exitOK)
	if password == "" || strings.Contains(d.output(), password) {
		t.Errorf("the password is missing, or shown: %v", password == "")
	}
}

func TestDevClusterTakesOrdersFromTheKeyboardAndFromOutside(t *testing.T) {
	t.Parallel()
	p := newPlayground(t)
	d := p.start("--cluster", "--name", "shards")
	d.connect()
	d.types("stop redis-2")
	d.sees("redis-2 is stopped")
	d.sees("redis-5 is master")
	d.types("start redis-2")
	d.sees("all is well: masters redis-1, redis-3, redis-5")
	if text := p.must("--name", "shards", "failover", "redis-6"); text != "a failover to redis-6 has begun\n" {
		t.Errorf("failover: %s", text)
	}
	d.sees("all is well: masters redis-1, redis-5, redis-6")
	for order, want := range map[string]string{
		"kill redis-9":  "there is no server redis-9; there are redis-1, ",
		"start redis-1": "redis-1 runs already", "nonsense": `not an order: "nonsense"`,
	} {
		d.types(order)
		d.sees(want)
	}
	if text, status := p.order("--name", "shards", "kill", "redis-9"); status != exitFailed || !strings.Contains(text, "there is no server redis-9") {
		t.Errorf("status %d, %s", status, text)
	}
	if text := p.must("--name", "shards", "quit"); text != "all servers are ended, their files are removed\n" {
		t.Errorf("quit: %s", text)
	}
	d.ends(exitOK)
	if text, status := p.order("--name", "shards", "status"); status != exitFailed || !strings.Contains(text, "no set named shards runs") {
		t.Errorf("status %d, %s", status, text)
	}
}

func TestDevServerLosesItsDataOnlyWhenToldTo(t *testing.T) {
	t.Parallel()
	p := newPlayground(t)
	port := freePortBelow(t, 40000)
	kept := filepath.Join(t.TempDir(), "kept")
	d := p.start("--standalone", "--port", port, "--dir", kept)
	d.sees("export REDIS_PORT=" + port + "\n")
	c := d.connect()
	demo, err := evercache.NewCache[string](c, "demo", evercache.Policy{TTL: time.Hour, L1TTL: evercache.Never})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := demo.Set(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil { // it would put back what is lost
		t.Fatal(err)
	}
	keys := regexp.MustCompile(`master +(\d+) keys?`)
	count := func() string { return keys.FindStringSubmatch(p.must("status") + "master 0 keys")[1] }
	before := count()
	d.until("the write is in the file of appended commands", func() bool {
		text, err := exec.Command("grep", "-r", "demo:a", kept).CombinedOutput()
		return err == nil && len(text) > 0
	})
	p.must("kill", "redis-1")
	p.must("start", "redis-1")
	if after := count(); before == "0" || after != before {
		t.Errorf("%s keys after a kill, %s before", after, before)
	}
	p.must("restart-empty", "redis-1")
	if after := count(); after != "0" {
		t.Errorf("%s keys after restart-empty", after)
	}
	if text, status := p.order("failover"); status != exitFailed || !strings.Contains(text, "nobody to fail over to") {
		t.Errorf("failover: status %d, %s", status, text)
	}
	d.types("quit")
	d.ends(exitOK)
	if log, err := os.ReadFile(filepath.Join(kept, "redis-1", "log")); err != nil || len(log) == 0 {
		t.Errorf("the log that was to be kept: %v", err)
	}
	if text, status := p.order("--standalone", "--dir", kept); status != exitFailed || !strings.Contains(text, "is not empty") {
		t.Errorf("a directory in use: status %d, %s", status, text)
	}
}

// freePortBelow is a free port that leaves room for those that follow it.
func freePortBelow(t *testing.T, most int) string {
	t.Helper()
	for range 1000 {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := strconv.Atoi(port); err == nil && n < most {
			return port
		}
	}
	t.Fatalf("no free port below %d", most)
	return ""
}

func TestWhatAKilledDevLeavesTheNextOneEnds(t *testing.T) {
	t.Parallel()
	p := newPlayground(t)
	first := p.start("--standalone")
	pids := first.pids()
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.ended
	if len(p.leftovers()) != 1 {
		t.Fatalf("left: %v", p.leftovers())
	}
	second := p.start("--standalone", "--name", "other")
	second.sees("a set named default was killed before")
	for _, pid := range pids {
		if runsStill(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if len(p.leftovers()) != 1 {
		t.Errorf("there are %v", p.leftovers())
	}
	if text, status := p.order("status"); status != exitFailed || !strings.Contains(text, "nothing runs") || !strings.Contains(text, "there is other") {
		t.Errorf("status %d, %s", status, text)
	}
	if err := second.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	second.ends(exitOK)
}

func TestASecondDevOfTheSameNameIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlayground(t)
	first := p.start("--standalone")
	text, status := p.order("--standalone")
	if status != exitFailed || !strings.Contains(text, fmt.Sprintf("is running already in process %d", first.Process.Pid)) || !strings.Contains(text, "evercache dev quit") {
		t.Errorf("status %d, %s", status, text)
	}
	p.must("kill", "redis-1") // the first one is well
	p.must("quit")
	first.ends(exitOK)
}

func TestDevEndsWhenNobodyReadsWhatItPrints(t *testing.T) {
	t.Parallel()
	p := newPlayground(t)
	d := &playing{playground: p, Cmd: p.command("--standalone"), ended: make(chan struct{})}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.Stdout = writer
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	d.reap()
	buf := make([]byte, 4096)
	for !strings.Contains(d.output(), "ready: ") {
		n, err := reader.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = d.Write(buf[:n])
	}
	reader.Close()
	p.order("kill", "redis-1") // something to print
	d.ends(exitOK)
}

func TestDevWithoutRedisSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	p := newPlayground(t)
	p.environ = append(p.environ, "PATH="+t.TempDir())
	text, status := p.order()
	if status != exitFailed || !strings.Contains(text, "there is no redis-server") || strings.Count(text, "\n") != 1 {
		t.Errorf("status %d, %s", status, text)
	}
	if len(p.leftovers()) > 0 {
		t.Errorf("left: %v", p.leftovers())
	}
}

func TestDevThatCannotServeEndsItsServers(t *testing.T) {
	t.Parallel()
	p := newPlayground(t)
	first := p.start("--standalone", "--serve")
	taken := strings.TrimPrefix(servesAt.FindStringSubmatch(first.output())[1], "http://")
	p.environ = append(p.environ, "EVERCACHE_LISTEN="+taken)
	text, status := p.order("--standalone", "--serve", "--name", "other")
	if status != exitFailed || !strings.Contains(text, "address already in use") || !strings.Contains(text, "takes a free port") {
		t.Errorf("status %d, %s", status, text)
	}
	p.environ = append(p.environ, "EVERCACHE_TTL=forever")
	if text, status := p.order("--standalone", "--serve", "--name", "other"); status != exitUsage || !strings.Contains(text, "EVERCACHE_TTL") {
		t.Errorf("status %d, %s", status, text)
	}
	if len(p.leftovers()) != 1 {
		t.Errorf("there are %v", p.leftovers())
	}
}

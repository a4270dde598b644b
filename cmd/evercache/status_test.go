//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/history"
	"github.com/evercache/evercache/internal/overview"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

// evercache runs a command in this process.
func runHere(environ []string, args ...string) (text string, status int) {
	var out bytes.Buffer
	status = run(args, invocation{environ: environ, stdout: &out, stderr: &out})
	return out.String(), status
}

func statusJSON(t *testing.T, environ []string, args ...string) (v overview.View, status int) {
	t.Helper()
	text, status := runHere(environ, append([]string{"status", "-o", "json", "--timeout", "20s"}, args...)...)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v, status
}

func TestStatusSaysThatNobodyHasSaidWhereRedisIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status overview.Status
		unsaid bool
		want   int
	}{{overview.Unknown, true, 1}, {overview.Unknown, false, 0}, {overview.Well, true, 0}} {
		if v := hinted(overview.View{Status: c.status}, c.unsaid); len(v.Problems) != c.want {
			t.Errorf("%+v: %q", c, v.Problems)
		}
	}
}

func TestStatusOfASentinelSetWithPasswords(t *testing.T) {
	t.Parallel()
	const canary = "canary-of-the-status"
	set := redistest.StartSentinel(t, redistest.WithPassword(canary+"-1"), redistest.WithSentinelPassword(canary+"-2"))
	environ := []string{
		"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=" + set.MasterName(), "REDIS_SENTINELS=" + strings.Join(set.Addrs(), ","),
		"REDIS_PASSWORD=" + canary + "-1", "REDIS_SENTINEL_PASSWORD=" + canary + "-2",
	}
	v, status := statusJSON(t, environ)
	if status != exitOK || v.Status != overview.Well || v.Master != set.Master().Addr() || len(v.Nodes) != 3 || len(v.Sentinels) != 3 || *v.Quorum != (overview.Quorum{Known: 3, Answering: 3, Agreeing: 3, Needed: 2, Configured: 2}) {
		t.Errorf("status %d, %+v", status, v)
	}
	for _, n := range v.Nodes {
		if n.Version == "" || n.MemoryBytes == nil || n.Role == "replica" && (n.Link != "up" || n.LagBytes == nil) {
			t.Errorf("%+v", n)
		}
	}
	old := set.Master()
	old.Kill()
	if v, status := statusJSON(t, environ); status != exitFailed || len(v.Problems) == 0 || !strings.Contains(strings.Join(v.Problems, "\n"), old.Addr()+" does not answer") {
		t.Errorf("status %d, %q", status, v.Problems)
	}
	text, status := runHere(environ, "status")
	if status != exitFailed || !strings.Contains(text, "not well:") || strings.Contains(text, canary) {
		t.Errorf("status %d, %s", status, text)
	}
	environ = append(environ, "REDIS_SENTINEL_PASSWORD="+canary+"-wrong")
	if text, status = runHere(environ, "status"); status == exitOK || strings.Contains(text, canary) {
		t.Errorf("with a wrong password: status %d, %s", status, text)
	}
}

func TestStatusOfAClusterAndOfOneServer(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.WithReplicas(1))
	v, status := statusJSON(t, []string{"REDIS_CLUSTER_NODES=" + strings.Join(c.Addrs(), ",")})
	if status != exitOK || v.Slots == nil || *v.Slots != (overview.Slots{Owned: 16384}) || len(v.Nodes) != 6 {
		t.Errorf("status %d, %+v", status, v)
	}
	for i, n := range v.Nodes {
		if want := []string{"master", "replica"}[i%2]; n.Role != want || want == "replica" && n.Follows != v.Nodes[i-1].Address {
			t.Errorf("node %d: %+v", i, n)
		}
	}
	r := redistest.Start(t)
	if v, status := statusJSON(t, redisAt(r)); status != exitOK || len(v.Nodes) != 1 || v.Nodes[0].State != "writable" {
		t.Errorf("status %d, %+v", status, v)
	}
	r.Kill()
	if v, status := statusJSON(t, redisAt(r)); status != exitUsage || v.Status != overview.Unknown {
		t.Errorf("status %d, %+v", status, v)
	}
}

// watching runs a command that goes on until stop, which returns what it has printed.
func (d *playing) watching(args ...string) (out *testbed.Buffer, stop func() string) {
	d.Helper()
	cmd := d.command()
	cmd.Args = append([]string{"evercache"}, args...)
	cmd.Env = append(cmd.Env, d.exported()...)
	out = &testbed.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	return out, func() string {
		d.Helper()
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			d.Error(err)
		}
		_ = cmd.Wait() // the status says it
		if status := cmd.ProcessState.ExitCode(); status > exitFailed {
			d.Errorf("evercache %v: %v\n%s", args, cmd.ProcessState, out)
		}
		return out.String()
	}
}

func TestHistoryTellsOfAFailover(t *testing.T) {
	t.Parallel()
	d := newPlayground(t).start("--serve")
	d.sees("evercache: up: ")
	url := servesAt.FindStringSubmatch(d.output())[1]
	if text, status := runHere(nil, "history", "--url", url); status != exitOK || text != "no failover since the start of the process\n" {
		t.Errorf("status %d, %s", status, text)
	}
	events, endEvents := d.watching("history", "--watch")
	shards, endFailovers := d.watching("history", "--watch", "--url", url, "-o", "json")
	views, endViews := d.watching("status", "--watch", "--every", "200ms", "-o", "json")
	d.until("it listens to all", func() bool { return strings.Count(events.String(), ": listening\n") == 3 })
	d.until("it watches", func() bool { return strings.Contains(shards.String(), "0 failovers so far") })
	d.until("all is well", func() bool { return strings.Contains(views.String(), `"status":"well"`) })
	d.must("kill", "master")
	next := regexp.MustCompile(`is the first to name the next master, (127\.0\.0\.1:\d+): \d+\.\d\d s after the first sign\n`)
	d.until("the next master is named", func() bool { return next.MatchString(events.String()) })
	d.until("evercache tells of it", func() bool { return strings.Contains(shards.String(), `"cause":"failure"`) })
	d.until("the status shows that all is not well", func() bool { return strings.Contains(views.String(), `"status":"not-well"`) })

	text, status := runHere(nil, "history", "--url", url, "-o", "json")
	var h history.History
	if err := json.Unmarshal([]byte(text), &h); err != nil || status != exitOK || h.Count < 1 {
		t.Fatalf("status %d, %v: %s", status, err, text)
	}
	if f := h.Failovers[0]; f.From != addrOf(d, "redis-1") || f.Cause != "failure" || f.BlackoutMs <= 0 || f.SDown == nil || f.Promoted == nil {
		t.Errorf("%+v", f)
	}
	if text, status := runHere(nil, "history", "--url", url); status != exitOK || !strings.Contains(text, "failure") || !strings.Contains(text, "Promoted to used") {
		t.Errorf("status %d, %s", status, text)
	}
	if text, status := runHere(nil, "status", "--url", url); status != exitFailed || !strings.Contains(text, addrOf(d, "redis-1")+" does not answer") || !strings.Contains(text, "evercache  up") {
		t.Errorf("status %d, %s", status, text)
	}
	for name, text := range map[string]string{"events": endEvents(), "failovers": endFailovers(), "views": endViews()} {
		if !strings.Contains(text, "127.0.0.1:") {
			t.Errorf("%s: %s", name, text)
		}
	}
	d.must("quit")
	d.ends(exitOK)
	if text, status := runHere(nil, "history", "--url", url, "--timeout", "2s"); status != exitFailed || !strings.Contains(text, "connection refused: no evercache serve listens there") {
		t.Errorf("without evercache: status %d, %s", status, text)
	}
}

func TestHistoryOfAClusterIsWhatTheServersShow(t *testing.T) {
	t.Parallel()
	d := newPlayground(t).start("--cluster")
	events, end := d.watching("history", "--watch", "-o", "json")
	d.until("it watches", func() bool { return strings.Contains(events.String(), "watching 6 servers (well)") })
	d.must("kill", "redis-2")
	d.until("it tells of the end and of the next master", func() bool {
		return strings.Contains(events.String(), addrOf(d, "redis-2")+" does not answer") && strings.Contains(events.String(), addrOf(d, "redis-5")+" is master")
	})
	if text := end(); strings.Contains(text, `"sentinel"`) || !strings.Contains(text, `"sinceMs":0`) {
		t.Error(text)
	}
	d.must("quit")
	d.ends(exitOK)
}

func addrOf(d *playing, name string) string {
	d.Helper()
	m := regexp.MustCompile(name + ` +(127\.0\.0\.1:\d+)`).FindStringSubmatch(d.output())
	if m == nil {
		d.Fatalf("%s is not in the table", name)
	}
	return m[1]
}

func TestStatusEndsWhenNobodyReadsIt(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	d := &playing{playground: newPlayground(t)}
	cmd := d.command()
	cmd.Args = []string{"evercache", "status", "--watch", "--every", "100ms"}
	cmd.Env = append(cmd.Env, redisAt(r)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	out.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if _, failed := err.(*exec.ExitError); err != nil && !failed {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

func TestWhatIsDrawnOnAScreenFitsIt(t *testing.T) {
	text := onScreen("one\ntwo\nthree\nfour\n", "title", 80, 5, true)
	if want := "\x1b[2J\x1b[Htitle\x1b[K\n\x1b[K\none\x1b[K\ntwo\x1b[K\n\x1b[J"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
	if text := onScreen("one\n", "title", 80, 24, false); strings.Contains(text, "\x1b[2J") {
		t.Errorf("%q clears the screen each time", text)
	}
	narrow := onScreen("a line that is long\n\x1b[31ma row\x1b[0m\n", "a long title", 8, 24, false)
	if want := "\x1b[Ha long t\x1b[K\n\x1b[K\na line t\x1b[K\nhat is l\x1b[K\nong\x1b[K\n\x1b[31ma row\x1b[0m\x1b[K\n\x1b[J"; narrow != want {
		t.Errorf("%q, want %q", narrow, want)
	}
	for _, height := range []int{0, 1, 2} {
		if n := strings.Count(onScreen("a\nb\n", "t", 80, height, false), "\n"); n > max(1, height) {
			t.Error(fmt.Sprint(height, " lines hold ", n))
		}
	}
}

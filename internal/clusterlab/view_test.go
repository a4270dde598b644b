package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func healthy() viewLine {
	return viewLine{
		Role:    []any{"master", int64(100), []any{[]any{"127.0.0.1", "7003", "90"}, []any{"127.0.0.1", "7004", "91"}}},
		Nodes:   "aa 127.0.0.1:7000@17000 myself,master - 0 5 1 connected 0-16383\nbb 127.0.0.1:7003@17003 slave aa 10 20 1 connected\n",
		Info:    map[string]string{"role": "master", "master_repl_offset": "100", "slave0": "ip=127.0.0.1,port=7003,state=online,offset=90,lag=0"},
		Cluster: map[string]string{"cluster_state": "ok"},
		RunID:   "r1",
	}
}

func TestWhatAlwaysChangesIsNoChange(t *testing.T) {
	l := healthy()
	l.Role = []any{"master", int64(200), []any{[]any{"127.0.0.1", "7004", "191"}, []any{"127.0.0.1", "7003", "190"}}}
	l.Nodes = "bb 127.0.0.1:7003@17003 slave aa 30 40 1 connected\naa 127.0.0.1:7000@17000 myself,master - 0 6 1 connected 0-16383\n"
	l.Info = map[string]string{"role": "master", "master_repl_offset": "200", "slave0": "ip=127.0.0.1,port=7003,state=online,offset=190,lag=1"}
	if a, b := healthy().sameness(), l.sameness(); a != b {
		t.Errorf("offsets, times and order count as a change:\n%+v\n%+v", a, b)
	}
}

func TestWhatCountsAsAChange(t *testing.T) {
	for name, change := range map[string]func(*viewLine){
		"a replica less": func(l *viewLine) { l.Role = []any{"master", int64(100), []any{[]any{"127.0.0.1", "7003", "90"}}} },
		"another role":   func(l *viewLine) { l.Role = []any{"slave", "127.0.0.1", int64(7000), "connected", int64(100)} },
		"a flag":         func(l *viewLine) { l.Nodes = "aa 127.0.0.1:7000@17000 myself,master,fail - 0 5 1 connected 0-16383\n" },
		"a slot":         func(l *viewLine) { l.Nodes = "aa 127.0.0.1:7000@17000 myself,master - 0 5 1 connected 0-16382\n" },
		"a replica not ready": func(l *viewLine) {
			l.Info = map[string]string{"slave0": "ip=127.0.0.1,port=7003,state=wait_bgsave,offset=0,lag=0"}
		},
		"the state":       func(l *viewLine) { l.Cluster = map[string]string{"cluster_state": "fail"} },
		"another process": func(l *viewLine) { l.RunID = "r2" },
		"a refusal":       func(l *viewLine) { l.Refused = map[string]string{"role": "NOPERM"} },
		"an error":        func(l *viewLine) { *l = viewLine{Error: "timeout"} },
	} {
		l := healthy()
		if change(&l); l.sameness() == healthy().sameness() {
			t.Errorf("%s is no change", name)
		}
	}
	one := viewLine{Role: []any{"slave", "127.0.0.1", int64(7000), "connected", int64(100)}}
	other := viewLine{Role: []any{"slave", "127.0.0.1", int64(7001), "connected", int64(100)}}
	if one.sameness() == other.sameness() {
		t.Error("a replica's other master is no change")
	}
}

func TestAViewIsWrittenWhenItHasChanged(t *testing.T) {
	r := &recorder{}
	v := &viewer{node: node{name: "n0"}, rec: r}
	now := time.Now()
	written := func(after time.Duration, l viewLine) *viewLine {
		t.Helper()
		before := len(r.lines)
		now = now.Add(after)
		v.write(now, time.Millisecond, l)
		if len(r.lines) == before {
			return nil
		}
		return r.lines[before].line.(*viewLine)
	}
	if l := written(0, healthy()); l == nil || l.Role == nil || l.Nodes == "" || l.Info == nil || l.Cluster == nil || l.RunID == "" {
		t.Errorf("the first view is not complete: %+v", l)
	}
	if l := written(20*time.Millisecond, healthy()); l != nil {
		t.Errorf("the same is written again: %+v", l)
	}
	if l := written(quiet, healthy()); l == nil || l.Role != nil || l.Nodes != "" || l.Took != 1 || l.Src != "n0" || l.Kind != "view" {
		t.Errorf("after a second: %+v, want a line without what is as before", l)
	}
	down := healthy()
	down.Cluster = map[string]string{"cluster_state": "fail"}
	if l := written(20*time.Millisecond, down); l == nil || l.Cluster == nil || l.Role != nil || l.Nodes != "" || l.Info != nil || l.RunID != "" {
		t.Errorf("a change of the state: %+v, want the state alone", l)
	}
	if l := written(20*time.Millisecond, viewLine{Error: "timeout"}); l == nil || l.Error != "timeout" || l.Nodes != "" {
		t.Errorf("an error: %+v", l)
	}
	if l := written(20*time.Millisecond, viewLine{Error: "timeout"}); l != nil {
		t.Errorf("the same error is written again: %+v", l)
	}
	if l := written(20*time.Millisecond, down); l == nil || l.Role == nil || l.Nodes == "" || l.Cluster == nil || l.RunID == "" {
		t.Errorf("after an error: %+v, want all of it", l)
	}
}

func TestReadView(t *testing.T) {
	refused := redisproc.ReplyError("NOPERM no")
	l := readView([]any{refused, "aa …", "# Replication\r\nrole:master\r\nrepl_backlog_size:1\r\n", "cluster_state:ok\r\ncluster_stats_x:1\r\n"}, "r1")
	if l.Role != nil || l.Refused["role"] != "NOPERM no" || l.Nodes != "aa …" || l.RunID != "r1" {
		t.Errorf("%+v", l)
	}
	if !maps.Equal(l.Info, map[string]string{"role": "master"}) || !maps.Equal(l.Cluster, map[string]string{"cluster_state": "ok"}) {
		t.Errorf("%+v", l)
	}
	if l := readView([]any{nil, "", "", "", "run_id:r2\r\n"}, "r1"); l.RunID != "r2" {
		t.Errorf("on another connection: %+v", l)
	}
}

func TestReadBarrier(t *testing.T) {
	moved := redisproc.ReplyError("MOVED 1 127.0.0.1:7001")
	for name, tt := range map[string]struct {
		replies []any
		err     error
		want    barrierLine
	}{
		"taken":          {[]any{"7", "OK", int64(1), int64(2)}, nil, barrierLine{Found: 7, Acked: 2}},
		"nothing there":  {[]any{nil, "OK", int64(1), int64(0)}, nil, barrierLine{}},
		"refused":        {[]any{moved, moved, moved, int64(0)}, nil, barrierLine{Error: string(moved)}},
		"not waited for": {[]any{"7", "OK", int64(1), redisproc.ReplyError("UNBLOCKED")}, nil, barrierLine{Error: "UNBLOCKED", Set: true}},
		"no answer":      {nil, context.DeadlineExceeded, barrierLine{Error: "timeout"}},
	} {
		if got := readBarrier(tt.replies, tt.err); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
	b := &barrier{last: barrierLine{Found: 7, Acked: 1}}
	for want, l := range map[bool]barrierLine{true: {Found: 8, Acked: 1}, false: {Found: 6, Acked: 1}} {
		if b.unchanged(l) != want {
			t.Errorf("%+v after %+v is unchanged: %v", l, b.last, !want)
		}
	}
	for _, l := range []barrierLine{{Found: 8, Acked: 0}, {Found: 8, Acked: 1, Error: "closed"}, {Found: 0, Acked: 1}} {
		if b.unchanged(l) {
			t.Errorf("%+v after %+v is no change", l, b.last)
		}
	}
}

func TestErrorsHaveTheWordsOfTheFormat(t *testing.T) {
	for want, err := range map[string]error{
		"unreachable": fmt.Errorf("dial: %w", syscall.ECONNREFUSED),
		"timeout":     fmt.Errorf("read: %w", context.DeadlineExceeded),
		"closed":      fmt.Errorf("read: %w", io.ErrUnexpectedEOF),
		"error odd":   errors.New("odd"),
	} {
		if got := describeError(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	if got := describeError(syscall.ECONNRESET); got != "closed" {
		t.Errorf("a reset: %q", got)
	}
}

func TestChangesInALogAreFound(t *testing.T) {
	for line, want := range map[string]string{
		"7:S 30 Nov 2026 05:07:02.305 # Failover election won: I'm the new master.":                             "promoted",
		"7:S 30 Nov 2026 05:07:02.305 * Failover election won: I'm the new primary.":                            "promoted",
		"7:S 30 Nov 2026 05:07:02.305 # Taking over the master (user request).":                                 "promoted",
		"7:M 30 Nov 2026 05:07:02.305 # Configuration change detected. Reconfiguring myself as a replica of aa": "demoted",
		"7:M 30 Nov 2026 05:07:02.305 # Server initialized":                                                     "started",
		"7:M 30 Nov 2026 05:07:02.305 * Cluster state changed: ok":                                              "",
	} {
		m := logLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%q is no line of a log", line)
			continue
		}
		got := ""
		switch {
		case promoted.MatchString(m[2]):
			got = "promoted"
		case demoted.MatchString(m[2]):
			got = "demoted"
		case started.MatchString(m[2]):
			got = "started"
		}
		if got != want {
			t.Errorf("%q says %q, want %q", line, got, want)
		}
	}
}

package daemon

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
)

// faultCase is a misconfiguration or an outage that an operator meets, made for real.
type faultCase struct {
	name    string
	environ []string
	after   func(*service) // makes the outage, once it is up; nil: it is there from the start
	code    string
	mends   string // the variable or command that /health and the log have to name
}

// faultWorld is what the cases share.
type faultWorld struct {
	locked, secure, replica, full, hung, node *redistest.Server
	set                                       *redistest.Sentinel
}

// newFaultWorld starts it. The sentinels take their time with a master that hangs.
func newFaultWorld(t *testing.T) *faultWorld {
	w := &faultWorld{}
	w.set = redistest.StartSentinel(t, redistest.WithSentinelPassword("of-sentinels"), redistest.WithDownAfter(10*time.Minute))
	w.locked = redistest.Start(t, redistest.WithPassword("of-redis"))
	w.secure = redistest.Start(t, redistest.WithTLS())
	w.full, w.hung = redistest.Start(t), redistest.Start(t)
	w.node = redistest.Start(t, redistest.WithConfig("cluster-enabled yes"))
	for _, n := range w.set.Nodes() {
		if n.Addr() != w.set.Master().Addr() {
			w.replica = n
		}
	}
	return w
}

const login = "REDIS_SENTINEL_PASSWORD=of-sentinels"

func one(s *redistest.Server, more ...string) []string {
	return append([]string{"REDIS_HOST=" + s.Host(), fmt.Sprint("REDIS_PORT=", s.Port())}, more...)
}

func (w *faultWorld) sentinels(addrs []string, more ...string) []string {
	return append([]string{
		"REDIS_SENTINEL_ENABLED=true", "REDIS_STRICT=true", "REDIS_SENTINEL_MASTER_NAME=" + w.set.MasterName(),
		"REDIS_SENTINELS=" + strings.Join(addrs, ","),
	}, more...)
}

func (w *faultWorld) cases(t *testing.T) []faultCase {
	var data []string
	for _, n := range w.set.Nodes() {
		data = append(data, n.Addr())
	}
	nobody := []string{nowhere(t), nowhere(t), nowhere(t)}
	return []faultCase{
		{"wrong Redis password", one(w.locked, "REDIS_PASSWORD=mistaken"), nil, "redis-auth", "REDIS_PASSWORD"},
		{"wrong sentinel password", w.sentinels(w.set.Addrs(), "REDIS_SENTINEL_PASSWORD=mistaken"), nil, "sentinel-auth", "REDIS_SENTINEL_PASSWORD"},
		{"wrong master name", append(w.sentinels(w.set.Addrs(), login), "REDIS_SENTINEL_MASTER_NAME=mistaken"), nil, "sentinel-unknown-master", "REDIS_SENTINEL_MASTER_NAME"},
		{"nobody at the sentinel ports", w.sentinels(nobody), nil, "sentinel-unreachable", "REDIS_SENTINELS"},
		{"data ports given as sentinels", w.sentinels(data), nil, "sentinel-not-sentinel", "REDIS_SENTINELS"},
		{"TLS against a plain port", one(w.full, "REDIS_TLS=true"), nil, "redis-tls", "REDIS_TLS"},
		{"plain against a TLS port", one(w.secure), nil, "redis-tls", "REDIS_TLS"},
		{"TLS against plain sentinels", w.sentinels(w.set.Addrs(), login, "REDIS_SENTINEL_TLS=true"), nil, "sentinel-tls", "REDIS_SENTINEL_TLS"},
		{"unresolvable name", []string{"REDIS_HOST=redis.invalid"}, nil, "redis-unresolved", "REDIS_HOST"},
		{"unresolvable sentinels", w.sentinels([]string{"a.invalid:26379", "b.invalid:26379", "c.invalid:26379"}), nil, "sentinel-unresolved", "REDIS_SENTINELS"},
		{"a replica as standalone", one(w.replica), nil, "redis-replica", "REDIS_HOST"},
		{"a node of a Cluster as standalone", one(w.node), nil, "redis-cluster-node", "REDIS_CLUSTER_NODES"},
		{"nobody at the nodes of a Cluster", []string{"REDIS_CLUSTER_NODES=" + strings.Join(nobody, ",")}, nil, "cluster-unreachable", "REDIS_CLUSTER_NODES"},
		{"a server outside of a Cluster, listed as a node", []string{"REDIS_CLUSTER_NODES=" + w.locked.Addr(), "REDIS_PASSWORD=of-redis"}, nil, "cluster-not-cluster", "REDIS_CLUSTER_NODES"},
		{"two sentinels", append(w.sentinels(w.set.Addrs()[:2], one(w.locked, "REDIS_PASSWORD=of-redis")...), "REDIS_STRICT=false"), nil, "config-sentinel-fallback", "REDIS_SENTINELS"},
		{"sentinels in TILT", w.sentinels(w.set.Addrs(), login), func(*service) { tilt(w.set) }, "sentinel-tilt", "INFO sentinel"},
		{"a hung server", one(w.hung), func(*service) { w.hung.Pause() }, "redis-timeout", "redis-cli PING"},
		{"a full Redis", one(w.full), func(s *service) {
			w.full.Do("CONFIG", "SET", "maxmemory", "1")
			s.do("PUT", "/v1/cache/demo/a", "v")
		}, "redis-oom", "maxmemory"},
	}
}

// tilt lets the sentinels miss two seconds, upon which they halt themselves.
func tilt(set *redistest.Sentinel) {
	for _, s := range set.Sentinels() {
		s.Pause()
	}
	time.Sleep(2500 * time.Millisecond) // a sentinel tells by its own clock that it was stopped
	for _, s := range set.Sentinels() {
		s.Resume()
	}
}

// verdictOn is what an operator reads about a fault.
type verdictOn struct {
	finding health.Finding
	line    string // of the log
}

// TestEachFaultIsToldByItsCauseAndItsRemedy makes each of the faults that an operator
// meets first: /health and one line of the log name the cause and what mends it, no
// two read alike, and the runbook has a row for each.
func TestEachFaultIsToldByItsCauseAndItsRemedy(t *testing.T) {
	w := newFaultWorld(t)
	cases := w.cases(t)
	var mu sync.Mutex
	told := map[string]verdictOn{}
	t.Run("faults", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				v := c.produce(t)
				mu.Lock()
				defer mu.Unlock()
				told[c.name] = v
			})
		}
	})
	told["a hung master"] = hungMaster(t, w)
	told["two sentinels, strict"] = refusedStart(t, w)
	different(t, told)
	inTheRunbook(t, told)
}

// produce makes the fault and waits until it is told.
func (c faultCase) produce(t *testing.T) verdictOn {
	s := serveAPI(t, c.environ...)
	s.daemon.tellFindings()
	if c.after != nil {
		s.becomes("up")
		c.after(s)
	}
	return s.isTold(t, c.code, c.mends)
}

// isTold waits for a finding and its line in the log, and until no other error is
// told beside it.
func (s *service) isTold(t *testing.T, code, mends string) (v verdictOn) {
	t.Helper()
	var body string
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		body = s.do("GET", "/health", "").body
		v.finding, v.line = findingIn(t, body, code), s.logs.findingLine(code)
		others := otherErrors(t, body, code)
		if v.finding.Code != "" && v.line != "" && len(others) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no %s in /health, or in the log, or %v beside it:\n%s\n%s", code, others, body, s.logs)
		}
	}
	for where, text := range map[string]string{"/health": v.finding.Fix, "the log": v.line} {
		if !strings.Contains(text, mends) {
			t.Errorf("%s does not name %s: %s", where, mends, text)
		}
	}
	return v
}

func findingsIn(t *testing.T, body string) []health.Finding {
	t.Helper()
	var h struct{ Findings []health.Finding }
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		t.Fatal(err)
	}
	return h.Findings
}

func findingIn(t *testing.T, body, code string) health.Finding {
	t.Helper()
	fs := findingsIn(t, body)
	if i := slices.IndexFunc(fs, func(f health.Finding) bool { return f.Code == code }); i >= 0 {
		return fs[i]
	}
	return health.Finding{}
}

// otherErrors are the findings of severity error that name another cause.
func otherErrors(t *testing.T, body, code string) (codes []string) {
	t.Helper()
	for _, f := range findingsIn(t, body) {
		if f.Severity == health.SeverityError && f.Code != code && !strings.HasPrefix(f.Code, "revocations-") {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

// findingLine is the line of a finding, "" while there is none.
func (l *logs) findingLine(code string) string {
	for line := range strings.Lines(l.String()) {
		var e struct{ Event, Code string }
		if json.Unmarshal([]byte(line), &e) == nil && e.Code == code && (e.Event == "finding" || e.Event == "config.finding") {
			return line
		}
	}
	return ""
}

// hungMaster stops the master of a set whose sentinels take their time.
func hungMaster(t *testing.T, w *faultWorld) verdictOn {
	t.Helper()
	s := serveAPI(t, w.sentinels(w.set.Addrs(), login)...)
	s.becomes("up")
	w.set.Master().Pause()
	return s.isTold(t, "sentinel-master-silent", "SENTINEL FAILOVER")
}

// refusedStart is what two sentinels come to with REDIS_STRICT.
func refusedStart(t *testing.T, w *faultWorld) verdictOn {
	t.Helper()
	_, err := config.FromEnv(w.sentinels(w.set.Addrs()[:2]))
	if err == nil || !strings.Contains(err.Error(), "REDIS_SENTINELS") {
		t.Fatalf("two sentinels and REDIS_STRICT: %v", err)
	}
	return verdictOn{health.Finding{Title: err.Error(), Fix: err.Error()}, err.Error()}
}

// different fails the test where two faults read alike.
func different(t *testing.T, told map[string]verdictOn) {
	t.Helper()
	for a, va := range told {
		for b, vb := range told {
			if a < b && (va.finding.Title == vb.finding.Title || va.finding.Fix == vb.finding.Fix) {
				t.Errorf("%s and %s read alike: %+v, %+v", a, b, va.finding, vb.finding)
			}
		}
	}
}

// inTheRunbook holds the table of docs/operations.md to what was found.
func inTheRunbook(t *testing.T, told map[string]verdictOn) {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	_, table, _ := strings.Cut(string(text), "## What is wrong first")
	table, _, _ = strings.Cut(table, "\n## ")
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			rows[strings.TrimSpace(cells[1])] = cells[2]
		}
	}
	for name, v := range told {
		if code := v.finding.Code; !strings.Contains(rows[name], "`"+code+"`") && code != "" || rows[name] == "" {
			t.Errorf("docs/operations.md: the row of %q is %q, found was %q", name, rows[name], code)
		}
	}
	for name := range rows {
		if _, found := told[name]; !found && name != "fault" && !strings.HasPrefix(name, "---") {
			t.Errorf("docs/operations.md has a row %q, which nobody makes here", name)
		}
	}
}

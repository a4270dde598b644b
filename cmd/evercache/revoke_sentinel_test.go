//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

const (
	denylistKey = "~r:{tokens}:set"
	patience    = time.Minute // a failed election is tried again after twenty seconds
)

// stage is a Sentinel set for processes that share nothing else.
type stage struct {
	*testing.T
	set *redistest.Sentinel
}

func newDenylist(t *testing.T, opts ...redistest.Option) *stage {
	t.Helper()
	s := &stage{t, redistest.StartSentinel(t, opts...)}
	var out bytes.Buffer
	if status := run([]string{"revoke", "init"}, invocation{environ: s.environ(), stdout: &out, stderr: &out}); status != exitOK {
		t.Fatalf("revoke init: exit status %d, %s", status, &out)
	}
	return s
}

func (s *stage) environ(more ...string) []string {
	return append(more, "REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINELS="+strings.Join(s.set.Addrs(), ","), "REDIS_SENTINEL_MASTER_NAME="+s.set.MasterName())
}

// server is evercache serve in a process of its own.
type server struct {
	t    *testing.T
	name string
	addr string
}

// serve returns when the process listens.
func (s *stage) serve(name string, environ ...string) *server {
	s.Helper()
	port, err := freePort()
	if err != nil {
		s.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		s.Fatal(err)
	}
	log, err := os.Create(filepath.Join(s.TempDir(), name+".log"))
	if err != nil {
		s.Fatal(err)
	}
	p := &server{t: s.T, name: name, addr: "127.0.0.1:" + port}
	cmd := exec.CommandContext(s.Context(), exe, "serve")
	cmd.Args[0] = "evercache" // see TestMain
	cmd.Env = s.environ(append([]string{"EVERCACHE_REVOCATIONS=on"}, append(environ, "GORACE="+quickEnd, "EVERCACHE_LISTEN="+p.addr)...)...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		_ = cmd.Wait() // the end of the test has killed it
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); err != nil || s.Failed() || bytes.Contains(text, []byte("DATA RACE")) {
			s.Errorf("%s: %v\n%s", name, err, text)
		}
	})
	s.eventually(patience, name+" listens", func() bool {
		status, _, err := p.send("GET", "/livez", nil)
		return err == nil && status == http.StatusOK
	})
	return p
}

func (s *stage) eventually(limit time.Duration, what string, ok func() bool) {
	s.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// send sends JSON and returns the answer's status and body. It may be called from
// any goroutine.
func (p *server) send(method, path string, body any) (status int, answer []byte, err error) {
	resp, answer, err := p.exchange(method, path, body)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return resp.StatusCode, answer, nil
}

func (p *server) exchange(method, path string, body any) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	text, err := json.Marshal(body)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.addr+path, bytes.NewReader(text))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	var answer bytes.Buffer
	_, err = answer.ReadFrom(resp.Body)
	return resp, answer.Bytes(), err
}

// token is the body of a check, and of a revocation.
type token struct {
	ID       string `json:"id,omitempty"`
	Subject  string `json:"subject,omitempty"`
	IssuedAt int64  `json:"issuedAt,omitempty"`

	IssuedBefore int64 `json:"issuedBefore,omitempty"`
	ExpiresAt    int64 `json:"expiresAt,omitempty"`
}

func ids(prefix string, n int) (all []token) {
	for i := range n {
		all = append(all, token{ID: fmt.Sprint(prefix, i)})
	}
	return all
}

// revocation is the one that refuses the token.
func (t token) revocation() token {
	t.ExpiresAt = time.Now().Add(time.Hour).Unix()
	t.IssuedAt, t.IssuedBefore = 0, t.IssuedAt
	return t
}

// revoke revokes through a process. A 503 means in force there, queued, and safe
// to repeat, which a busy machine makes necessary.
func (p *server) revoke(t token) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		status, answer, err := p.send("POST", "/v1/revocations", t.revocation())
		if err == nil && status == http.StatusCreated {
			return
		}
		if err != nil || status != http.StatusServiceUnavailable || time.Now().After(end) {
			p.t.Fatalf("%s: %d %s, %v", p.name, status, answer, err)
		}
	}
}

// verdict is the answer to a check.
type verdict struct {
	Status  string `json:"status"`
	Allowed bool   `json:"allowed"`
	LagMS   *int64 `json:"lagMs"`
}

func (v verdict) is(status string, allowed bool) bool {
	return v.Status == status && v.Allowed == allowed
}

// ask checks tokens in one batch.
func (p *server) ask(tokens []token) ([]verdict, error) {
	status, answer, err := p.send("POST", "/v1/revocations/check", map[string]any{"tokens": tokens})
	if err != nil {
		return nil, err
	}
	var b struct {
		Results []verdict `json:"results"`
	}
	err = json.Unmarshal(answer, &b)
	if status != http.StatusOK || err != nil || len(b.Results) != len(tokens) {
		return nil, fmt.Errorf("%s: %d %s, %w", p.name, status, answer, err)
	}
	return b.Results, nil
}

func (p *server) check(tokens ...token) []verdict {
	p.t.Helper()
	vs, err := p.ask(tokens)
	if err != nil {
		p.t.Fatal(err)
	}
	return vs
}

// refuses reports whether the process knows that all of them are revoked.
func (p *server) refuses(tokens ...token) bool {
	p.t.Helper()
	return !slices.ContainsFunc(p.check(tokens...), func(v verdict) bool { return !v.is("revoked", false) })
}

var stranger = token{ID: "a token that nobody has revoked"}

// knows reports whether the process is sure of its knowledge.
func (p *server) knows() bool {
	p.t.Helper()
	return p.check(stranger)[0].is("notRevoked", true)
}

// watch polls a process, and fails the test for each verdict that is not right,
// until stop is called; that returns how often the process was asked.
func (p *server) watch(tokens []token, right func(verdict) bool) (stop func() int) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var wg sync.WaitGroup
	polls, wrong := 0, 0
	wg.Go(func() {
		for ; ctx.Err() == nil && wrong < 10; polls++ {
			vs, err := p.ask(tokens)
			if p.t.Context().Err() != nil {
				return // the test has failed, and killed the process
			}
			if err != nil {
				p.t.Error(err)
				wrong++
			}
			if i := slices.IndexFunc(vs, func(v verdict) bool { return !right(v) }); i >= 0 {
				p.t.Errorf("%s says of %+v: %s, allowed %v", p.name, tokens[i], vs[i].Status, vs[i].Allowed)
				wrong++
			}
			time.Sleep(25 * time.Millisecond)
		}
	})
	return func() int {
		cancel()
		wg.Wait()
		return polls
	}
}

// isRefused: no doubt about it. notAccepted: no worse than "unknown".
func isRefused(v verdict) bool   { return v.is("revoked", false) }
func notAccepted(v verdict) bool { return v.Status != "notRevoked" && !v.Allowed }

// losses are what a set can lose. meanwhile is called when it is gone and not
// back yet.
var losses = []struct {
	name string
	opts []redistest.Option
	of   func(set *redistest.Sentinel, meanwhile func())
}{
	{"the master, which is replaced", nil, func(set *redistest.Sentinel, meanwhile func()) {
		m := set.KillMaster()
		meanwhile()
		set.WaitMaster(m.Addr(), patience)
		m.Restart(redistest.Empty)
	}},
	{"the master, which is back before it is replaced", []redistest.Option{redistest.WithDownAfter(10 * time.Second)}, func(set *redistest.Sentinel, meanwhile func()) {
		m := set.KillMaster()
		meanwhile()
		m.Restart(redistest.Empty)
	}},
	{"everything", nil, func(set *redistest.Sentinel, meanwhile func()) {
		all := append(set.Sentinels(), set.Nodes()...)
		for _, p := range all {
			p.Kill()
		}
		meanwhile()
		for _, p := range slices.Backward(all) {
			p.Restart(redistest.Empty)
		}
	}},
}

func TestSentinelWhatOneProcessRevokesTheOthersRefuseWhateverRedisLoses(t *testing.T) {
	t.Parallel()
	for _, lost := range losses {
		t.Run(lost.name, func(t *testing.T) {
			t.Parallel()
			s := newDenylist(t, lost.opts...)
			a, b := s.serve("A"), s.serve("B")
			s.eventually(patience, "both know the list", func() bool { return a.knows() && b.knows() })
			revoked := append(ids("id-", 80), token{Subject: "anna", IssuedAt: time.Now().Add(-time.Minute).Unix()})
			s.revokeThrough(a, b, revoked)
			// From here on A does not send these again for fear that a failover loses them.
			s.eventually(patience, "what was revoked is confirmed", func() bool { return a.unconfirmed() == 0 })
			late := ids("late-", 20)
			s.revokeThrough(a, b, late)
			s.lose(append(revoked, late...), a, b, lost.of)
		})
	}
}

// lose lets the set lose something, and checks that nobody accepts any of the
// tokens, and that the set gets them back.
func (s *stage) lose(tokens []token, a, b *server, loss func(*redistest.Sentinel, func())) {
	s.Helper()
	full := int64(len(tokens))
	if got := s.set.Master().Do("ZCOUNT", denylistKey, "1", "8999999999999999"); got != full {
		s.Fatalf("ZCOUNT = %v, want %d", got, full)
	}
	stops := []func() int{a.watch(tokens, isRefused), b.watch(tokens, isRefused)}
	began := time.Now()
	var during *server
	loss(s.set, func() {
		// It believes no set without a marker, and has nothing else to go by.
		during = s.serve("started during it", "EVERCACHE_REVOCATIONS=required")
		stops = append(stops, during.watch(tokens, notAccepted))
	})
	s.eventually(patience, "the set is whole again", func() bool {
		n, err := s.set.Master().Try(s.Context(), "ZCOUNT", denylistKey, "1", "8999999999999999")
		marks, _ := s.set.Master().Try(s.Context(), "ZCOUNT", denylistKey, "+inf", "+inf")
		return err == nil && n == full && marks == int64(1)
	})
	s.Logf("ZCOUNT is %d again after %v", full, time.Since(began).Round(time.Millisecond))
	after := s.serve("started after it")
	for _, p := range []*server{during, after} {
		s.eventually(patience, p.name+": it refuses all", func() bool { return p.refuses(tokens...) })
	}
	for _, p := range []*server{a, b, during, after} {
		s.eventually(patience, p.name+": it knows the list", p.knows)
	}
	var polls []int
	for _, stop := range stops {
		polls = append(polls, stop())
	}
	s.Logf("asked A, B and the one started during it %v times in %v", polls, time.Since(began).Round(time.Millisecond))
	if slices.Min(polls) < 10 {
		s.Error("that is too seldom to show anything")
	}
}

// unconfirmed is how many revocations of this process a failover could lose.
func (p *server) unconfirmed() int {
	p.t.Helper()
	_, answer, err := p.send("GET", "/health", nil)
	var h struct {
		Revocations *struct {
			Unconfirmed *int `json:"unconfirmed"`
		} `json:"revocations"`
	}
	if err = errors.Join(err, json.Unmarshal(answer, &h)); err != nil || h.Revocations == nil || h.Revocations.Unconfirmed == nil {
		p.t.Fatalf("%v; health %s", err, answer)
	}
	return *h.Revocations.Unconfirmed
}

// revokeThrough revokes through one process, and waits until the other refuses.
func (s *stage) revokeThrough(a, b *server, tokens []token) {
	s.Helper()
	if b.refuses(tokens[0]) {
		s.Error("refused before it was revoked")
	}
	var took []time.Duration
	for _, t := range tokens {
		a.revoke(t)
		began := time.Now()
		s.eventually(5*time.Second, "B refuses it", func() bool { return b.refuses(t) })
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	s.Logf("refused by B after the answer of A: median %v, worst %v", took[len(took)/2], took[len(took)-1])
}

func TestSentinelWithoutRedisThePolicyAnswersForWhatNobodyKnows(t *testing.T) {
	t.Parallel()
	const maxLag = 2 * time.Second
	s := newDenylist(t)
	a := s.serve("A", "EVERCACHE_REVOCATIONS_MAX_LAG="+maxLag.String())
	b := s.serve("B", "EVERCACHE_REVOCATIONS_MAX_LAG="+maxLag.String(), "EVERCACHE_REVOCATIONS_ON_UNKNOWN=allow")
	s.eventually(patience, "both know the list", func() bool { return a.knows() && b.knows() })
	before := ids("before-", 20)
	s.revokeThrough(a, b, before)
	inA, inB := a.watch(before, isRefused), b.watch(before, isRefused)
	fresh := func(v verdict) bool {
		return v.Status == "unknown" || v.is("notRevoked", true) && *v.LagMS <= maxLag.Milliseconds()
	}
	strangerA, strangerB := a.watch([]token{stranger}, fresh), b.watch([]token{stranger}, fresh)

	for _, n := range s.set.Nodes() {
		n.Kill()
	}
	s.eventually(patience, "A refuses whom it does not know", func() bool { return a.check(stranger)[0].is("unknown", false) })
	s.eventually(patience, "B lets in whom it does not know", func() bool { return b.check(stranger)[0].is("unknown", true) })
	late := token{ID: "revoked during the outage"}
	resp, answer, err := a.exchange("POST", "/v1/revocations", late.revocation())
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a revocation in the outage: %v, %s, %v; want 503 and Retry-After", resp, answer, err)
	}
	if !a.refuses(late) {
		t.Error("it is not in force in the process that was told")
	}
	c := s.serve("C", "EVERCACHE_REVOCATIONS=required")
	if v := c.check(before[0], stranger); !v[0].is("unknown", false) || !v[1].is("unknown", false) {
		t.Errorf("a process that has started in the outage says %+v", v)
	}
	if status, _, err := c.send("GET", "/readyz", nil); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("and is ready: %d, %v", status, err)
	}

	for _, n := range s.set.Nodes() {
		n.Restart(redistest.Empty)
	}
	all := append(before, late)
	for _, p := range []*server{b, c} {
		s.eventually(patience, p.name+" refuses all", func() bool { return p.refuses(all...) })
	}
	t.Logf("asked %v times", []int{inA(), inB(), strangerA(), strangerB()})
}

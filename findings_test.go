package evercache

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/breaker"
	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/watch"
)

func TestSentinelFindings(t *testing.T) {
	well := func() *SentinelHealth {
		return &SentinelHealth{
			CurrentMaster: "n1:6379", Stage: sentinel.Clear.String(), Known: 3, Reachable: 3, Agreeing: 3, Needed: 2, Quorum: 2, CanFailOver: true,
			Sentinels: []SentinelNode{{Addr: "s1:1", Reachable: true}, {Addr: "s2:1", Reachable: true}, {Addr: "s3:1", Reachable: true}},
			Nodes:     []RedisNode{{Addr: "n1:6379", Role: "master"}, {Addr: "n2:6379", Role: "replica", Promotable: true}},
		}
	}
	tests := []struct {
		name  string
		spoil func(*SentinelHealth)
		want  []string
	}{
		{"all well", func(*SentinelHealth) {}, nil},
		{"one sentinel is gone", func(h *SentinelHealth) { h.Reachable, h.Sentinels[2].Reachable = 2, false }, []string{"sentinel-unreachable"}},
		{"too few sentinels", func(h *SentinelHealth) { h.Reachable, h.CanFailOver = 1, false }, []string{"sentinel-no-quorum"}},
		{"one in tilt", func(h *SentinelHealth) { h.Sentinels[0].Tilt = true }, []string{"sentinel-tilt"}},
		{"one names others", func(h *SentinelHealth) { h.Sentinels[2].Differs, h.Sentinels[2].Alone = true, []string{"n9:1"} }, []string{"sentinel-disagrees"}},
		{"one names another master", func(h *SentinelHealth) { h.Sentinels[2].Differs, h.Sentinels[2].Names = true, "n2:6379" }, []string{"sentinel-disagrees"}},
		{"a password without TLS", func(h *SentinelHealth) { h.Plaintext = []string{"n1:6379"} }, []string{"sentinel-plaintext"}},
		{"nonsense", func(h *SentinelHealth) { h.Rejected = 4 }, []string{"sentinel-nonsense"}},
		{"no replica", func(h *SentinelHealth) { h.Nodes = h.Nodes[:1] }, []string{"sentinel-no-replica"}},
		{"provisional", func(h *SentinelHealth) { h.Provisional, h.Stage = true, "suspect" }, []string{"sentinel-provisional"}},
		{"provisional while fenced", func(h *SentinelHealth) { h.Provisional, h.Stage = true, "fenced" }, nil},
		{"nothing known yet", func(h *SentinelHealth) { *h = SentinelHealth{} }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := well()
			tt.spoil(h)
			var got []string
			for _, f := range slices.Concat(sentinelFindings(h), setFindings(h)) {
				got = append(got, f.Code)
				wantWhole(t, f)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("findings %v, want %v", got, tt.want)
			}
		})
	}
}

// wantWhole fails the test unless an operator is told what it is, what was seen
// and what to do.
func wantWhole(t *testing.T, f Finding) {
	t.Helper()
	if f.Code == "" || f.Severity == "" || f.Title == "" || strings.TrimSpace(f.Detail) == "" || f.Fix == "" {
		t.Errorf("incomplete: %+v", f)
	}
	if strings.Contains(f.Detail, "%!") || strings.Contains(f.Detail, "\n") {
		t.Errorf("detail of %s: %q", f.Code, f.Detail)
	}
}

// troubled are sentinels with one trouble each.
func troubled() (all []SentinelNode) {
	for i, err := range []error{
		&remote.Error{Kind: remote.Auth, Op: "log in", Err: io.EOF}, &remote.Error{Kind: remote.NoPerm, Op: "ask", Err: io.EOF},
		&remote.Error{Kind: remote.TLS, Op: "TLS handshake", Err: remote.ErrPlain}, watch.ErrUnknownMaster, watch.ErrNotSentinel,
		&net.DNSError{Err: "no such host", Name: "s"}, io.EOF,
	} {
		all = append(all, SentinelNode{Addr: fmt.Sprintf("s%d:1", i), Err: err})
	}
	return all
}

// every is one finding of each code, or more.
func every() (fs []Finding) {
	c := &Client{opts: Options{Addr: "redis:6379"}.withDefaults()}
	causes := []error{nil, io.EOF, remote.ErrNotRedis, remote.ErrNoDatabase, remote.ErrTwoServers, remote.ErrSlow, watch.ErrFenced, watch.ErrSilent, watch.ErrDemoted, watch.ErrRival, watch.ErrLoading, watch.ErrReturning, watch.ErrNoMaster, watch.ErrGivenUp, remote.ErrPlain, remote.ErrWantsTLS, &net.DNSError{Err: "no such host", Name: "x"}, &remote.OpenError{Cause: breaker.Slow}}
	for k := range byKind {
		causes = append(causes, &remote.Error{Kind: k, Op: "set", Err: errors.New("it said so")})
	}
	for _, cause := range causes {
		fs = append(fs, c.awayFinding(cause))
	}
	fs = append(fs, (&Client{opts: Options{Addr: "localhost:6379", RedisOptional: true}.withDefaults()}).awayFinding(io.EOF))
	h := Health{
		Connected: true, OutboxEntries: 1, Feed: FeedHealth{Cause: io.EOF},
		Recovery: RecoveryHealth{DroppedKeys: 1, UnconfirmedOldest: time.Hour, DatasetResets: 1},
	}
	for k := range refusals {
		fs = append(fs, masterFindings(sayings{refused: k, forbidden: io.EOF, mute: "~b:*", scripts: true}, h)...)
		fs = append(fs, serverFindings(sayings{missing: []remote.Missing{{Command: "TIME"}, {Command: "HGETALL", Forbidden: true}}, puzzled: io.EOF, tooLong: io.EOF, apart: true, server: remote.Server{Version: "5.0.14"}})...)
	}
	bad := SentinelNode{Addr: "s1:1", Tilt: true, Differs: true, Names: "n2:1"}
	alone := SentinelNode{Addr: "s2:1", Differs: true, Alone: []string{"n9:1", "n8:1", "n7:1", "n6:1"}}
	for _, set := range []*SentinelHealth{
		{Sentinels: []SentinelNode{bad, alone}, Plaintext: []string{"n1:1"}, Rejected: 1, Forbidden: []string{"INFO"}, Provisional: true, Stage: "suspect", CurrentMaster: "n1:1"},
		{Sentinels: []SentinelNode{bad}, Rejected: 1, CanFailOver: true, Known: 2, Reachable: 1, Provisional: true, Stage: "clear", CurrentMaster: "n1:1", Nodes: []RedisNode{{Addr: "n1:1"}, {Addr: "n2:1"}, {Addr: "n3:1", Reachable: true, Link: "send_bulk"}, {Addr: "n4:1", Reachable: true, Link: "online"}}},
		{Sentinels: troubled(), MasterName: "shop", Known: 7, Reachable: 2, Needed: 4},
	} {
		fs = slices.Concat(fs, sentinelFindings(set), setFindings(set))
	}
	fs = slices.Concat(fs, outboxFindings(h, 1), recoveryFindings(h, time.Now()), rejectedFindings(1, time.Now()))
	some := occurrences{1, time.Now()}
	fs = slices.Concat(fs, valueFindings([]classValues{{"c", some, some, some}}, time.Now()))
	fs = slices.Concat(fs, journalFindings(io.EOF, journal.Report{Damage: io.EOF}, 0), journalFindings(nil, journal.Report{}, 1), journalRoom(JournalHealth{Unsaved: 1}, time.Now()))
	return fs
}

// TestNoFindingIsLeftWithoutADetailOrAFix goes over all codes of this package's
// source, so that none is added without being looked at here.
func TestNoFindingIsLeftWithoutADetailOrAFix(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range every() {
		wantWhole(t, f)
		seen[f.Code] = true
	}
	files, err := filepath.Glob("findings*.go")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`Code: +"([a-z-]+)"`).FindAllSubmatch(source, -1) {
			if code := string(m[1]); !seen[code] {
				t.Errorf("%s: nothing makes %s here", file, code)
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d codes: %v", len(seen), slices.Sorted(maps.Keys(seen)))
	}
}

// TestEveryFindingIsInTheRunbook: an operator looks the code up there.
func TestEveryFindingIsInTheRunbook(t *testing.T) {
	runbook, err := os.ReadFile(filepath.Join("docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range every() {
		if !strings.Contains(string(runbook), "`"+f.Code+"`") {
			t.Errorf("%s is not there", f.Code)
		}
	}
}

// TestARefusedWriteIsToldToBeWhereItIs: in memory, in the journal too, or in
// memory only because the journal cannot be written.
func TestARefusedWriteIsToldToBeWhereItIs(t *testing.T) {
	for _, tt := range []struct {
		journal                JournalHealth
		detail, pending, other string
	}{
		{JournalHealth{}, "kept in memory until", "in memory only", "journal"},
		{JournalHealth{Enabled: true}, "kept in memory and in the journal until", "they are in the journal", "only"},
		{JournalHealth{Enabled: true, Err: io.EOF}, "kept in memory only, and answered with an error", "in memory only", "and in the journal"},
	} {
		h := Health{OutboxEntries: 1, Journal: tt.journal}
		for k := range refusals {
			if f := masterFindings(sayings{refused: k}, h)[0]; !strings.Contains(f.Detail, tt.detail) || strings.Contains(f.Detail, tt.other) {
				t.Errorf("%s with %+v: %s", f.Code, tt.journal, f.Detail)
			}
		}
		f := outboxFindings(h, 0)[0]
		if !strings.Contains(f.Detail, tt.pending) || strings.Contains(f.Fix, "before this process ends") != (tt.pending == "in memory only") {
			t.Errorf("%s with %+v: %s; %s", f.Code, tt.journal, f.Detail, f.Fix)
		}
	}
}

// TestAWriteThatRedisRefusesIsJournaledAndSaidToBe runs it against a server that
// is out of memory.
func TestAWriteThatRedisRefusesIsJournaledAndSaidToBe(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	client := open(t, Options{Addr: p.Addr(), JournalDir: filepath.Join(t.TempDir(), "j")})
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	redisDo(t, p, "CONFIG", "SET", "maxmemory", "1")
	r, err := c.Set(t.Context(), "a", "v")
	if err != nil || r.Durability != Journaled {
		t.Fatalf("receipt = %+v, %v; want journaled", r, err)
	}
	waitFinding(t, client, "redis-oom")
	for _, f := range client.Health().Findings {
		wantWhole(t, f)
		if f.Code == "redis-oom" && !strings.Contains(f.Detail, "in memory and in the journal") {
			t.Errorf("it says: %s", f.Detail)
		}
	}
	redisDo(t, p, "CONFIG", "SET", "maxmemory", "0")
	waitInRedis(t, p, "c:a", "v")
}

// TestTheFindingOfAMissingFeedSaysWhatIsCoherent: nothing of what memory holds,
// but what Redis answers while it is known to be the only master.
func TestTheFindingOfAMissingFeedSaysWhatIsCoherent(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "ACL", "SETUSER", "app", "on", ">x", "~*", "&*", "+@all", "-client|tracking")
	client := open(t, Options{Addr: p.Addr(), Username: "app", Password: "x"})
	connect(t, client, 20*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	waitFinding(t, client, "redis-feed")
	redisDo(t, p, "SET", "c:a", "v")
	for source, want := range map[Source]bool{SourceRedis: true, SourceMemory: false} {
		waitUntil(t, 20*time.Second, func() bool {
			if source == SourceRedis && c.peek("a") != nil {
				c.elapse("a")
			}
			e, err := c.Lookup(t.Context(), "a")
			return err == nil && e.Source == source && e.Coherent == want
		}, func() string { return fmt.Sprintf("nothing from %v that is coherent: %v", source, want) })
	}
	for _, f := range client.Health().Findings {
		if f.Code == "redis-feed" && (!strings.Contains(f.Detail, "what memory holds") || !strings.Contains(f.Detail, "what Redis itself has just answered may be")) {
			t.Errorf("it says: %s", f.Detail)
		}
	}
}

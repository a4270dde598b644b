package evercache

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/breaker"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/internal/watch"
)

// wantWhole fails the test unless an operator is told what it is, what was seen
// and what to do.
func wantWhole(t *testing.T, f health.Finding) {
	t.Helper()
	if f.Code == "" || f.Severity == "" || f.Title == "" || strings.TrimSpace(f.Detail) == "" || f.Fix == "" {
		t.Errorf("incomplete: %+v", f)
	}
	if strings.Contains(f.Detail, "%!") || strings.Contains(f.Detail, "\n") {
		t.Errorf("detail of %s: %q", f.Code, f.Detail)
	}
}

func TestEveryErrorHasItsReason(t *testing.T) {
	at := func(k remote.Kind) error { return &remote.Error{Kind: k, Op: "set", Err: io.EOF} }
	for _, tt := range []struct {
		err  error
		want findings.Reason
	}{
		{io.EOF, findings.Unreachable},
		{shard.ErrNotYet, findings.Unreachable},
		{at(remote.Conn), findings.Unreachable},
		{at(remote.Auth), findings.Login},
		{remote.ErrNotRedis, findings.NotRedis},
		{remote.ErrNoDatabase, findings.NoDatabase},
		{remote.ErrTwoServers, findings.TwoServers},
		{remote.ErrSlow, findings.Slow},
		{&remote.OpenError{Cause: breaker.Slow}, findings.Slow},
		{remote.ErrPlain, findings.SpeaksPlain},
		{remote.ErrWantsTLS, findings.WantsTLS},
		{&net.DNSError{Err: "no such host", Name: "x"}, findings.Unresolved},
		{watch.ErrFenced, findings.FailingOver},
		{watch.ErrSilent, findings.Silent},
		{watch.ErrDemoted, findings.Demoted},
		{watch.ErrRival, findings.Rival},
		{watch.ErrLoading, findings.Restarted},
		{watch.ErrReturning, findings.Returning},
		{watch.ErrGivenUp, findings.NoFailover},
		{fmt.Errorf("%w: %w", watch.ErrNoMaster, at(remote.Conn)), findings.NoMaster},
		{fmt.Errorf("%w: %w", watch.ErrNoMaster, at(remote.Auth)), findings.Login}, // what an operator has to mend
		{fmt.Errorf("%w: %w", watch.ErrFenced, at(remote.Timeout)), findings.FailingOver},
		{&watch.SentinelError{Err: at(remote.Auth)}, findings.SentinelLogin},
		{&watch.SentinelError{Err: at(remote.NoPerm)}, findings.SentinelRights},
		{&watch.SentinelError{Err: at(remote.TLS)}, findings.SentinelTLS},
		{&watch.SentinelError{Err: watch.ErrUnknownMaster}, findings.SentinelMaster},
		{&watch.SentinelError{Err: watch.ErrNotSentinel}, findings.SentinelOther},
		{&watch.SentinelError{Err: &net.DNSError{Err: "no such host", Name: "s"}}, findings.SentinelName},
		{&watch.SentinelError{Err: io.EOF}, findings.SentinelAway},
	} {
		if got := shard.ReasonOf(tt.err); got != tt.want {
			t.Errorf("%v: reason %d, want %d", tt.err, got, tt.want)
		}
	}
}

// TestEveryKindOfReplyIsThoughtOf: a kind has a reason, or none on purpose.
func TestEveryKindOfReplyIsThoughtOf(t *testing.T) {
	none := map[remote.Kind]bool{remote.Conn: true, remote.Crowded: true, remote.Oversize: true, remote.Logical: true, remote.Canceled: true, remote.Other: true}
	for _, k := range remote.Kinds {
		if _, ok := shard.Reasons[k]; ok == none[k] {
			t.Errorf("%s: has a reason %v", k, ok)
		}
	}
}

// TestAWriteThatRedisRefusesIsJournaledAndSaidToBe runs it against a server that
// is out of memory.
func TestAWriteThatRedisRefusesIsJournaledAndSaidToBe(t *testing.T) {
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
		if f.Code == "redis-feed" && (!strings.Contains(f.Detail, "never coherent") || !strings.Contains(f.Detail, "Redis has just answered may be coherent")) {
			t.Errorf("it says: %s", f.Detail)
		}
	}
}

package revoke_test

import (
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// wantPrompt revokes through the one and waits until the other knows.
func wantPrompt(t *testing.T, by, other *process, id string) {
	t.Helper()
	by.revoke(id)
	eventually(t, 30*time.Second, id+" is known to another process", func() bool { return other.status(id) == revoke.Revoked })
}

// The stream and the numbers hold nothing that the set does not: what is no stream,
// or takes nothing more, begins again. An acknowledged revocation is in it always.
func TestAnOverwrittenStreamBeginsAgain(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*redistest.Server){
		"stream is a string":   func(s *redistest.Server) { s.Do("SET", streamKey, "x") },
		"stream is a list":     func(s *redistest.Server) { s.Do("DEL", streamKey); s.Do("RPUSH", streamKey, "x") },
		"numbers are a string": func(s *redistest.Server) { s.Do("SET", numberKey, "x") },
		"both are strings":     func(s *redistest.Server) { s.Do("MSET", numberKey, "x", streamKey, "x") },
		"seq is a word":        func(s *redistest.Server) { s.Do("HSET", numberKey, "seq", "x") },
		"seq is below zero":    func(s *redistest.Server) { s.Do("HSET", numberKey, "seq", "-7") },
		"seq is at the end":    func(s *redistest.Server) { s.Do("HSET", numberKey, "seq", "9223372036854775807") },
		"seq is near the end":  func(s *redistest.Server) { s.Do("HSET", numberKey, "seq", "9007199254740991") },
		"seq is taken out":     func(s *redistest.Server) { s.Do("HDEL", numberKey, "seq") },
		"count is a word":      func(s *redistest.Server) { s.Do("HSET", numberKey, "count", "x") },
		"count is at the end":  func(s *redistest.Server) { s.Do("HSET", numberKey, "count", "9223372036854775807") },
		"ids are almost used up": func(s *redistest.Server) {
			s.Do("XADD", streamKey, "18446744073709551615-18446744073709551614", "a", "b")
		},
		"ids are used up": func(s *redistest.Server) {
			s.Do("XADD", streamKey, "18446744073709551615-18446744073709551615", "a", "b")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			policy := revoke.Policy{MaxLag: 5 * time.Second}
			ps := startAll(t, 2, single(server), policy)
			wantPrompt(t, ps[0], ps[1], "before")
			spoil(server)
			all := ids("a", 12) // a reader that finds gap after gap takes its time
			for _, id := range all {
				wantPrompt(t, ps[0], ps[1], id)
			}
			wantPrompt(t, ps[1], ps[0], "the other way")
			time.Sleep(policy.MaxLag)
			wantPrompt(t, ps[0], ps[1], "later")
			all = append(all, "before", "the other way", "later")
			wantWhole(t, server, single(server), ps, all)
			if n := server.Do("XLEN", streamKey).(int64); n < 1 {
				t.Errorf("the stream has %d entries", n)
			}
		})
	}
}

// Nobody revokes anything: those who read put it right.
func TestReadersPutAnOverwrittenStreamRight(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	policy := revoke.Policy{MaxLag: 5 * time.Second}
	ps := startAll(t, 2, single(server), policy)
	ps[0].revoke("a")
	server.Do("MSET", numberKey, "x", streamKey, "x")
	time.Sleep(policy.MaxLag)
	wantWhole(t, server, single(server), ps, []string{"a"})
}

// A user who may not write the stream gets no revocation acknowledged, however
// often it is tried.
func TestARevocationThatCannotBeToldIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	policy := revoke.Policy{AckTimeout: time.Second}
	ps := startAll(t, 2, single(server), policy)
	wantPrompt(t, ps[0], ps[1], "before")
	server.Do("ACL", "SETUSER", "default", "-xadd")
	for range 2 {
		if r, err := ps[0].Revoke(t.Context(), "a", inAnHour()); err == nil {
			t.Errorf("acknowledged: %+v", r)
		}
	}
	server.Do("ACL", "SETUSER", "default", "+xadd")
	wantPrompt(t, ps[0], ps[1], "a")
	wantPrompt(t, ps[0], ps[1], "b")
	wantWhole(t, server, single(server), ps, []string{"before", "a", "b"})
}

func TestAFindingNamesTheKeyThatIsOverwritten(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startAll(t, 1, single(server), revoke.Policy{MaxLag: 2 * time.Second, AckTimeout: 200 * time.Millisecond})[0]
	p.revoke("a")
	server.Do("SET", setKey, "x")
	eventually(t, 30*time.Second, "a finding names the key", func() bool {
		for _, f := range p.client.Health().Findings {
			if f.Code == "revocations-lag" {
				return strings.Contains(f.Fix, setKey)
			}
		}
		return false
	})
}

package revoke

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/kit"
	"github.com/evercache/evercache/redistest"
)

// afterScan does something once the whole set has been read.
type afterScan struct {
	kit.Link
	do func()
}

func (l afterScan) Ask(ctx context.Context, limit time.Duration, commands ...[]string) ([]kit.Reply, error) {
	replies, err := l.Link.Ask(ctx, limit, commands...)
	if commands[0][0] == "ZSCAN" {
		if cursor, _, _, err := parseScan(replies[0].Value); err == nil && cursor == "0" {
			l.do()
		}
	}
	return replies, err
}

// reader is a session of a list that does nothing by itself.
func reader(t *testing.T, server *redistest.Server) *session {
	t.Helper()
	client, err := evercache.Open(t.Context(), evercache.Options{
		Addr: server.Addr(), Logger: slog.New(slog.DiscardHandler),
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, // a test machine is busy
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	l, err := newList(client, Policy{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := awaitMaster(t.Context(), l.kit)
	if err != nil {
		t.Fatal(err)
	}
	link, err := m.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	now := time.Now()
	return &session{List: l, m: m, link: link, print: l.hash.print(), began: now, since: now}
}

// Whoever says that a set is complete must have staked his claim before he read it,
// and it must still be there: else the set could have been emptied since, and would
// be believed. Numbers that run backwards show that too, but not between the last
// look at them and the mark, which sets them anew.
func TestASetThatIsEmptiedWhileItIsReadIsNotMarked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		empty bool
		marks int64
	}{"left alone": {false, 1}, "emptied": {true, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			s := reader(t, server)
			e := entry{key: key{1}, exp: uint32(time.Now().Add(time.Hour).Unix())}
			if err := s.add(t.Context(), s.m, []entry{e}, nil); err != nil {
				t.Fatal(err)
			}
			if tt.empty {
				s.link = afterScan{s.link, func() { server.Do("FLUSHALL") }}
			}
			if err := s.attach(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !s.set.hasID(e.key) || s.claim == "" {
				t.Fatalf("it has not read the set, or not claimed it: %q", s.claim)
			}
			if err := s.mark(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			if got := server.Do("ZCOUNT", s.keys.set, "+inf", "+inf"); got != tt.marks || s.complete != (tt.marks == 1) {
				t.Errorf("%v markers, taken for complete: %v", got, s.complete)
			}
		})
	}
}

// A cut-off that is missing may have given place to a later one of another process,
// of which the stream tells: only who has read so far can call it a loss.
func TestWhatTheStreamMayExplainIsNoLoss(t *testing.T) {
	t.Parallel()
	s := reader(t, redistest.Start(t))
	now := uint32(time.Now().Unix())
	earlier := entry{key: key{1}, subject: true, exp: now + 3600, cut: wholeSecond(now - 10)}
	later := entry{key: key{1}, subject: true, exp: now + 3600, cut: wholeSecond(now - 5)}
	if err := s.add(t.Context(), s.m, []entry{earlier}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.mark(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	compare := func(e entry, seq int64) int {
		missing, _, err := s.compareOnce(t.Context(), s.m, []entry{e}, seq)
		if err != nil {
			t.Fatal(err)
		}
		return missing
	}
	if n := compare(earlier, s.seq); n != 0 {
		t.Errorf("what is there counts as %d", n)
	}
	if err := s.add(t.Context(), s.m, []entry{later}, []string{earlier.member()}); err != nil {
		t.Fatal(err)
	}
	if n := compare(earlier, s.seq); n != isBehind {
		t.Errorf("before the news: %d", n)
	}
	if n := compare(later, s.seq+1); n != 0 {
		t.Errorf("the later one: %d", n)
	}
	if n := compare(earlier, s.seq+1); n != 1 {
		t.Errorf("nothing in the stream explains it: %d", n)
	}
}

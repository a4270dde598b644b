package revoke_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// startPaced starts a process that compares so often.
func startPaced(tb testing.TB, o evercache.Options, round time.Duration) *process {
	return startWith(tb, o, func(c *evercache.Client) (*revoke.List, error) {
		return revoke.NewPaced(c, revoke.Policy{}, round)
	})
}

// entriesOf are the members of the set that are entries.
func entriesOf(server *redistest.Server) []any {
	return server.Do("ZRANGEBYSCORE", setKey, "1", "8999999999999999").([]any)
}

// Whoever takes entries out and mends the count leaves a set that looks whole. A
// process that lives puts them back, says so, and one that starts then refuses them.
func TestWhatIsTakenOutUnseenIsPutBack(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*testing.T, *redistest.Server) int{
		"entries and the count": func(_ *testing.T, s *redistest.Server) int {
			for _, m := range entriesOf(s)[:7] {
				s.Do("EVAL", "redis.call('ZREM', KEYS[1], ARGV[1]) redis.call('HINCRBY', KEYS[2], 'count', -1)", "2", setKey, numberKey, m.(string))
			}
			return 7
		},
		"entries, for strangers": func(_ *testing.T, s *redistest.Server) int {
			for i, m := range entriesOf(s)[:7] {
				s.Do("EVAL", "redis.call('ZREM', KEYS[1], ARGV[1]) redis.call('ZADD', KEYS[1], '9000000000', ARGV[2])", "1",
					setKey, m.(string), fmt.Sprint("stranger", i))
			}
			return 7
		},
		"their life": func(_ *testing.T, s *redistest.Server) int {
			for _, m := range entriesOf(s)[:7] {
				s.Do("ZADD", setKey, "XX", fmt.Sprint(time.Now().Add(10*time.Minute).Unix()), m.(string))
			}
			return 7
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			log := &testbed.Buffer{}
			o := single(server)
			o.Logger = slog.New(slog.NewTextHandler(log, nil))
			ps := []*process{startPaced(t, o, 50*time.Millisecond), startPaced(t, single(server), time.Hour)}
			initAll(t, ps, revoke.Policy{})
			all := ids("a", 600) // more than a batch
			ps[1].revoke(all...)
			if _, err := ps[1].RevokeIssuedBefore(t.Context(), "anna", time.Now(), inAnHour()); err != nil {
				t.Fatal(err)
			}
			eventually(t, 30*time.Second, "both know", func() bool { return len(ps[0].missing(all)) == 0 })
			before := scoresOf(server)
			taken := take(t, server)
			eventually(t, 30*time.Second, "it is put back", func() bool { return contains(scoresOf(server), before) })
			eventually(t, 30*time.Second, "it is told", func() bool {
				s := ps[0].Stats()
				return s.Lost > 0 && s.PutBack == uint64(taken) && hasFinding(ps[0], "revocations-removed") && strings.Contains(log.String(), "revoke.removed")
			})
			fresh := start(t, single(server), revoke.Policy{})
			fresh.waitReady()
			if in := fresh.missing(all); len(in) > 0 {
				t.Errorf("a process that starts then does not know %d", len(in))
			}
		})
	}
}

// scoresOf are the entries with their scores.
func scoresOf(server *redistest.Server) map[string]float64 {
	flat := server.Do("ZRANGEBYSCORE", setKey, "1", "8999999999", "WITHSCORES").([]any)
	scores := make(map[string]float64, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		score, _ := strconv.ParseFloat(flat[i+1].(string), 64)
		scores[flat[i].(string)] = score
	}
	return scores
}

// contains reports whether every entry is there again. One that has a part of a second may
// have got the next whole one: who puts it back may not know of parts.
func contains(now, before map[string]float64) bool {
	for member, score := range before {
		if got, ok := now[member]; !ok || got < score || got >= score+1 {
			return false
		}
	}
	return len(now) == len(before)
}

// What is being revoked, and what expires, is no loss.
func TestAListThatNobodyTouchesIsFoundWhole(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ps := []*process{startPaced(t, single(server), 50*time.Millisecond), startPaced(t, single(server), 50*time.Millisecond)}
	initAll(t, ps, revoke.Policy{})
	var busy sync.WaitGroup
	for i, p := range ps {
		busy.Go(func() {
			for n := range 300 {
				_, one := p.Revoke(context.Background(), fmt.Sprint(n%200), inAnHour().Add(time.Duration(n*i)*time.Second))
				_, two := p.RevokeIssuedBefore(context.Background(), fmt.Sprint(n%10), time.Now(), inAnHour())
				_, three := p.Revoke(context.Background(), fmt.Sprint("short", n), time.Now().Add(time.Second))
				for _, err := range []error{one, two, three} { // a busy machine delays one write or another
					if err != nil && !evercache.IsRetryable(err) {
						t.Error(err)
					}
				}
			}
		})
	}
	busy.Wait()
	time.Sleep(500 * time.Millisecond) // some rounds more
	for i, p := range ps {
		if s := p.Stats(); s.Lost > 0 || s.PutBack > 0 || hasFinding(p, "revocations-removed") {
			t.Errorf("process %d has found a loss: %+v", i, s)
		}
	}
}

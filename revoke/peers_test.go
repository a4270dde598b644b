package revoke

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

func TestWhoMayKnowMoreThanASet(t *testing.T) {
	peers := map[string]string{
		"self": "", "back": "now", "reads": "-x", "writes": "-writes", "away": "-", "before": "then",
	}
	for name, tt := range map[string]struct {
		life  string
		sound bool
		want  []string
	}{
		"a set that is not marked for this life": {"now", false, []string{"away", "before", "reads", "writes"}},
		"one that is marked":                     {"now", true, []string{"away"}},
		"lives cannot be told":                   {"", false, []string{"away", "reads", "writes"}},
	} {
		if got := absent(peers, "self", tt.life, tt.sound); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestMembersOfPeersAreReadWhoeverWroteThem(t *testing.T) {
	got := parsePeers([]string{
		peerMember("a", "life"), peerMember("b", away), peerMember("c", ""), "p:w:", "p:w:d", "p:w::x", "p:k:e:x", "",
		peerMember(strings.Repeat("f", maxPeer), "x"),
	})
	if want := map[string]string{"a": "life", "b": away, "c": ""}; !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// peersNow is what a look tells a session of the peers.
func (s *session) peersNow(t *testing.T) map[string]string {
	t.Helper()
	v, err := s.keys.run(t.Context(), s.link.Ask, time.Second*10, lookScript, "", "")
	if err != nil {
		t.Fatal(err)
	}
	l, err := parseLook(v)
	if err != nil {
		t.Fatal(err)
	}
	if l.counted && l.count != l.card {
		t.Errorf("%d members, and the count says %d", l.card, l.count)
	}
	return l.peers
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What a process puts back is complete only if the set was not emptied since it began.
func TestAProcessHasArrivedOnlyInTheSetThatItJoined(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := reader(t, server)
	s.others.are("late")
	must(t, s.identify(t.Context()), s.join(t.Context()))
	if got := s.peersNow(t); got[s.name] == s.life || got["late"] != away || len(got) != 2 {
		t.Errorf("joined: %q", got)
	}
	server.Do("FLUSHALL")
	must(t, s.arrive(t.Context()))
	if got := s.peersNow(t); len(got) != 0 {
		t.Errorf("it has arrived in another set: %q", got)
	}
	must(t, s.join(t.Context()), s.arrive(t.Context()))
	if got := s.peersNow(t); got[s.name] != s.life || got["late"] != away {
		t.Errorf("arrived: %q", got)
	}
}

// Whoever finds itself in a set as it was has missed nothing: who is not there has left.
// After a change of life, or a loss, it enters those that it remembers.
func TestWhoHasLeftIsNotEnteredAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, gone := reader(t, server), reader(t, server)
	for _, x := range []*session{s, gone} {
		must(t, x.identify(t.Context()), x.join(t.Context()), x.arrive(t.Context()))
	}
	s.others.are(gone.name)
	gone.depart(t.Context())
	must(t, s.join(t.Context()), s.arrive(t.Context()))
	if got := s.peersNow(t); len(got) != 1 || got[s.name] != s.life {
		t.Errorf("one has left: %q", got)
	}
	s.life = "another"
	must(t, s.join(t.Context()))
	if got := s.peersNow(t); got[gone.name] != away {
		t.Errorf("the set may be an older one: %q", got)
	}
}

// A process that only writes is known before it acknowledges anything, and one that has
// put everything back does not lose that by it.
func TestAProcessIsKnownBeforeItAcknowledges(t *testing.T) {
	t.Parallel()
	s := reader(t, redistest.Start(t))
	must(t, s.identify(t.Context()), s.show(t.Context(), s.m, nil))
	if got := s.peersNow(t); !strings.HasPrefix(got[s.name], away) || got[s.name] == away {
		t.Errorf("writing: %q", got)
	}
	must(t, s.join(t.Context()), s.arrive(t.Context()), s.show(t.Context(), s.m, nil))
	if got := s.peersNow(t); got[s.name] != s.life {
		t.Errorf("writing, when it has arrived: %q", got)
	}
}

// Whoever writes into a set that was emptied first enters those that it remembers: a process
// that starts then, and finds the set marked, waits for them.
func TestWhoWritesFirstEntersThoseItRemembers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, fresh := reader(t, server), reader(t, server)
	must(t, s.identify(t.Context()))
	s.others.are("late")
	must(t, s.show(t.Context(), s.m, nil))
	must(t, fresh.identify(t.Context()))
	if got := absent(s.peersNow(t), fresh.name, fresh.life, true); !slices.Equal(got, []string{"late"}) {
		t.Errorf("a fresh process waits for %q", got)
	}
}

// Who is not heard of goes, by the clock of one server; another's says nothing.
func TestADeadProcessIsForgottenByOneClock(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, dead, ahead := reader(t, server), reader(t, server), reader(t, server)
	for _, x := range []*session{s, dead, ahead} {
		must(t, x.identify(t.Context()), x.join(t.Context()), x.arrive(t.Context()))
	}
	old := func() {
		server.Do("ZADD", s.keys.set, "XX", "9000000000000001", peerMember(dead.name, dead.life))
		server.Do("ZADD", s.keys.set, "XX", "9000004000000000", peerMember(ahead.name, ahead.life))
	}
	old()
	s.life = "another" // the set is not marked for it
	s.others.are(dead.name)
	must(t, s.join(t.Context()))
	s.renew(t.Context(), s.m)
	if got := s.peersNow(t); len(got) != 3 {
		t.Errorf("after a change of master: %q", got)
	}
	old()
	s.others.are()
	must(t, s.join(t.Context()))
	if got := s.peersNow(t); len(got) != 2 {
		t.Errorf("one that knows nobody has joined: %q", got)
	}
	must(t, dead.join(t.Context()))
	member := peerMember(dead.name, dead.peersNow(t)[dead.name])
	server.Do("ZADD", s.keys.set, "XX", "9000000000000001", member)
	s.renew(t.Context(), s.m)
	if got := s.peersNow(t); len(got) != 2 || got[dead.name] != "" {
		t.Errorf("not heard of for long: %q", got)
	}
	if last := server.Do("ZCOUNT", s.keys.set, "9000003000000000", peerLast); last != int64(0) {
		t.Error("whose clock was ahead stays for ever")
	}
}

// The stream may tell of a loss before the set does. The time that others are given
// begins then, and not with the session, which may be old.
func TestTheTimeToPutBackBeginsWithTheLoss(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := reader(t, server)
	e := entry{key: key{1}, exp: uint32(time.Now().Add(time.Hour).Unix())}
	must(t, s.add(t.Context(), s.m, []entry{e}, nil), s.attach(t.Context()), s.snapshot(t.Context()), s.mark(t.Context(), false))
	s.since = time.Now().Add(-time.Hour)
	server.Do("FLUSHALL")
	if err := s.tail(t.Context()); !errors.Is(err, errAgain) {
		t.Fatal(err)
	}
	must(t, s.attach(t.Context()), s.snapshot(t.Context()))
	if waited := time.Since(s.since); waited > time.Minute {
		t.Errorf("others are given %v less than they should be", waited)
	}
}

// Some process is waited for, but not for ever, and who starts then does not wait again.
func TestWhoDoesNotComeBackIsGivenUp(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := reader(t, server)
	s.others.are("late")
	s.known.Store(true)
	must(t, s.attach(t.Context()), s.snapshot(t.Context()))
	lookNow := func() outlook {
		t.Helper()
		l, err := s.look(t.Context())
		must(t, err)
		s.meet(look{peers: s.peersNow(t)})
		return weigh(l, s.print, s.life)
	}
	o := lookNow()
	s.since = time.Now().Add(-s.absence / 2)
	must(t, s.consider(t.Context(), o))
	if s.complete {
		t.Fatal("marked without the late one")
	}
	s.since = time.Now().Add(-s.absence)
	_ = s.consider(t.Context(), o) // it may want to read the set again
	if !s.complete {
		t.Fatal("not marked")
	}
	if got := s.peersNow(t); len(got) != 1 || got[s.name] != s.life {
		t.Errorf("after it was given up: %q", got)
	}
}

// An older release removes the processes when it marks a set. Who is not in it any more,
// or in another life of the dataset, reads it again.
func TestWhoIsNotAmongThePeersBeginsAgain(t *testing.T) {
	t.Parallel()
	s := reader(t, redistest.Start(t))
	s.known.Store(true)
	e := entry{key: key{1}, exp: uint32(time.Now().Add(time.Hour).Unix())}
	must(t, s.add(t.Context(), s.m, []entry{e}, nil), s.attach(t.Context()), s.snapshot(t.Context()), s.mark(t.Context(), false))
	l, err := s.look(t.Context())
	must(t, err)
	o := weigh(l, s.print, s.life)
	s.since = time.Now().Add(-time.Hour)
	s.meet(look{peers: s.peersNow(t)})
	must(t, s.consider(t.Context(), o))
	s.meet(look{peers: map[string]string{}})
	if err := s.consider(t.Context(), o); !errors.Is(err, errAgain) {
		t.Errorf("not among the peers: %v", err)
	}
	if waited := time.Since(s.since); waited > time.Minute {
		t.Errorf("the others are given %v less than they should be", waited)
	}
}

package revoke

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

// A set that looks complete says nothing about a process that lives and is late: it
// may hold a revocation that it has acknowledged and that Redis has lost since. So the
// processes of a list know each other. After a loss, or a change of master, nobody
// says that it knows all before each of them has put back what it has.

const (
	// graceAbsent is how long a process that is away is waited for, at least. One that
	// needs longer counts as dead, and what only it knew as lost, until it is back.
	graceAbsent = 30 * time.Second
	mostAbsent  = time.Minute
	// forgetAfter is how long after it was last heard of a process is not waited for any
	// more. What it had acknowledged before, the others have read long ago.
	forgetAfter = 2 * time.Minute
	// renewEach is how soon before an acknowledgement a process must have been heard of.
	renewEach = forgetAfter / 4
)

var forgetSeconds = strconv.Itoa(int(forgetAfter / time.Second))

// In Redis a process is a member of the set: it goes when the set is emptied. What
// follows its name says what it has done since.
const (
	peerHead = claimHead + "w:"
	peerBase = "9000000000000000" // below the scores of peers
	peerLast = "9000004294967296" // the last of them
	away     = "-"                // others know it; it has not been here since
	reading  = away               // and a word: it is here, and has not put back all that it has
	// else the life of the dataset in which it has put back all that it has
)

func peerMember(name, state string) string { return peerHead + name + ":" + state }

// parsePeers reads what the members say. Anybody can have written them.
func parsePeers(members []string) map[string]string {
	peers := make(map[string]string, len(members))
	for _, m := range members {
		rest, ok := strings.CutPrefix(m, peerHead)
		name, state, found := strings.Cut(rest, ":")
		if ok && found && name != "" && len(m) <= maxPeer {
			peers[name] = state
		}
	}
	return peers
}

// maxPeer bounds a member of a peer, mostPeers how many are looked at.
const (
	maxPeer   = 128
	mostPeers = 1000
)

// newPeer names this list among those of its kind.
func newPeer(process string) string {
	return strings.ReplaceAll(process, ":", "_") + "-" + rand.Text()[:6]
}

// absent are the processes that may know more than the set does. When it was marked
// for this life, those who were here then had put back what they had: only one that
// somebody else remembers counts.
func absent(peers map[string]string, self, life string, sound bool) (names []string) {
	for name, state := range peers {
		switch {
		case name == self || state == life:
		case sound && state != away:
		case life == "" && !strings.HasPrefix(state, away): // lives cannot be told
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// company are the names of other processes of the list.
type company struct{ p atomic.Pointer[[]string] }

func (c *company) are(names ...string) {
	slices.Sort(names)
	c.p.Store(&names)
}

func (c *company) names() []string {
	if p := c.p.Load(); p != nil {
		return *p
	}
	return nil
}

// join enters this process among the peers, with those that it knows of. What it puts
// back from here on is complete if the set is not emptied meanwhile.
func (s *session) join(ctx context.Context) error {
	s.peers, s.state, s.met, s.givenUp = nil, "", false, nil
	s.joined = peerMember(s.name, reading+rand.Text()[:8])
	return s.enter(ctx, s.m, s.joined, s.life)
}

// enter runs the script. It names the other processes each time: the set may have been
// emptied, and whoever writes into it or reads it first is the one who remembers them.
func (l *List) enter(ctx context.Context, m kit.Master, member, life string) error {
	began := l.now()
	args := append([]string{rand.Text()[:8], markerHead + l.hash.print() + ":", l.name, member, life, forgetSeconds}, l.others.names()...)
	if _, err := l.keys.run(ctx, m.Do, l.kit.WriteTimeout(), joinScript, args...); err != nil {
		return err
	}
	l.renewed.Store(began)
	return nil
}

// arrive says that this process has put back all that it has.
func (s *session) arrive(ctx context.Context) error {
	_, err := s.keys.run(ctx, s.m.Do, s.kit.WriteTimeout(), arriveScript, rand.Text()[:8], s.joined, peerMember(s.name, s.life))
	return err
}

// show makes sure that the others know of this process before it acknowledges
// something: another master, or it was not heard of for a while.
func (l *List) show(ctx context.Context, m, last kit.Master) error {
	if m == last && l.now()-l.renewed.Load() < int64(renewEach) {
		return nil
	}
	return l.enter(ctx, m, "", "")
}

// renew says that this process lives, and drops those that do not.
func (l *List) renew(ctx context.Context, m kit.Master) {
	began := l.now()
	_, err := l.keys.run(ctx, m.Do, l.kit.WriteTimeout(), renewScript, rand.Text()[:8], l.name, forgetSeconds)
	if err == nil {
		l.renewed.Store(began)
	}
}

// depart says that this process need not be waited for: it has ended.
func (l *List) depart(ctx context.Context) {
	m, _ := l.kit.Master()
	if m == nil || l.renewed.Load() == 0 {
		return
	}
	_, _ = l.keys.run(ctx, m.Do, l.kit.WriteTimeout(), departScript, rand.Text()[:8], l.name) // else the others wait for a while
}

// meet takes up what a look says of the peers. As long as this process is among them
// the set has not been emptied since it joined: who is gone has left.
func (s *session) meet(l look) {
	if l.peers == nil {
		return
	}
	s.peers, s.state = l.peers, l.state
	state, in := s.peers[s.name]
	if !in || state != s.life && peerMember(s.name, state) != s.joined {
		return
	}
	others := make([]string, 0, len(s.peers))
	for name := range s.peers {
		if name != s.name {
			others = append(others, name)
		}
	}
	s.others.are(others...)
}

// isIn reports whether this process is among the peers, with all that it has.
func (s *session) isIn() bool {
	state, in := s.peers[s.name]
	return in && state == s.life || len(s.peers) >= mostPeers // it may be one of the rest
}

// stranger reports whether a peer names a life of the dataset that this session has not
// heard of: it may be the present one. A master that gets its first replica has another.
func (s *session) stranger() (found bool) {
	for name, state := range s.peers {
		if name == s.name || state == s.life || strings.HasPrefix(state, away) || s.lives[state] {
			continue
		}
		if s.lives == nil || len(s.lives) >= mostPeers {
			s.lives = map[string]bool{}
		}
		s.lives[state], found = true, true
	}
	return found
}

// awaits reports whether there are processes to wait for, before this one says that it
// knows all.
func (s *session) awaits(ctx context.Context, o outlook) bool {
	if s.met {
		return false
	}
	names := absent(s.peers, s.name, s.life, o.sound())
	if len(names) > 0 && time.Since(s.since) < s.absence {
		s.tellAway(ctx, "some processes have not put back yet what they know of the denylist: they are waited for", "revoke.awaited", names)
		return true
	}
	if len(names) > 0 {
		s.tellAway(ctx, "some processes have not put back what they know of the denylist: they are not waited for any more", "revoke.given_up", names)
	}
	for _, name := range names {
		s.givenUp = append(s.givenUp, peerMember(name, s.peers[name]))
	}
	s.met = true
	return false
}

// absence is how long a process that is away is waited for. Until MaxLag is reached
// nobody is refused for it.
func (p *Policy) absence() time.Duration {
	return max(graceAbsent, min(p.MaxLag, mostAbsent))
}

// tellAway logs each event once for each session.
func (s *session) tellAway(ctx context.Context, message, event string, names []string) {
	if s.told == event {
		return
	}
	s.told = event
	s.kit.Log().LogAttrs(ctx, slog.LevelWarn, message, slog.String("event", event), slog.Int("processes", len(names)))
}

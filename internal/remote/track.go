package remote

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// Tracking makes the command connection of a Node also the feed of what others
// change (CLIENT TRACKING ON BCAST NOLOOP). What the server says, and in which
// order:
//
//   - Announced are writes, deletes, expiries and evictions, in whatever
//     database, of keys that were there; not a SWAPDB, not a delete of a key
//     that is not there.
//   - What changed in one turn of the server's event loop is announced at its
//     end, behind the replies of that turn. So the reply to a command that was
//     sent after an earlier one was answered comes behind every announcement of
//     what preceded the earlier one. Commands sent together promise nothing.
//   - Who writes a key last in a turn counts as its writer. Our own writes are
//     silent, and one of ours that leaves the value as it is, like a PEXPIRE,
//     hides a foreign one of the same turn. What our scripts write is announced,
//     behind their reply, and hides nothing.
//   - A connection that ends announces nothing: see Opened.
type Tracking struct {
	// Prefixes are of the keys to announce; Track adds more. They are read when
	// a Node is dialled. Without any nothing is announced until Track.
	Prefixes []string
	// More, where not nil, gives further prefixes when a Node is dialled.
	More func() []string
	// Invalidated is told of the keys that others have changed, or of all: what
	// a FLUSHALL or FLUSHDB does, or an announcement that cannot be read. It is
	// called from one goroutine for each connection, maybe before Dial returns
	// and after Abandon, and before the reply that came behind the announcement
	// is returned to whom it belongs. Nothing of the connection is read
	// meanwhile, and one that is not read for 2 s ends: it must be quick, and
	// neither wait for a command of the Node nor for who calls Abandon, which
	// may wait for it. The keys may be kept.
	Invalidated func(keys []string, all bool)
	// Ended, where not nil, is told that the connection has ended, by whomever, from the
	// same goroutine: it must be as quick.
	Ended func()
}

// listener is what rueidis calls, from the goroutine that reads.
func (t *Tracking) listener(conn *greeting) func([]rueidis.RedisMessage) {
	if t == nil {
		return nil
	}
	return func(list []rueidis.RedisMessage) {
		if conn.over.Load() { // rueidis tells of it in the words of a FLUSHALL
			if t.Ended != nil {
				t.Ended()
			}
			return
		}
		if keys, ok := announced(list); !ok {
			t.Invalidated(nil, true)
		} else if len(keys) > 0 {
			t.Invalidated(keys, false)
		}
	}
}

// announced is the keys of an announcement; not ok: all keys, or no telling.
func announced(list []rueidis.RedisMessage) (keys []string, ok bool) {
	if list == nil {
		return nil, false
	}
	keys = make([]string, len(list))
	for i := range list {
		if !list[i].IsString() {
			return nil, false
		}
		keys[i], _ = list[i].ToString()
	}
	return keys, true
}

// feed is what a Node has asked to be told of.
type feed struct {
	asking sync.Mutex // held during a CLIENT TRACKING
	state  atomic.Pointer[feedState]
}

// feedState is not changed, but replaced.
type feedState struct {
	prefixes []string
	why      error // there is no feed; nil: there is
}

var (
	errNotTracking = &Error{Kind: Other, Op: "track", Err: errors.New("not asked for")}
	errNoPush      = &Error{Kind: Other, Op: "track", Err: errors.New("the server does not speak RESP3")}
)

// Tracks reports whether the node announces what others change, and if not, why:
// NoPerm where the ACL forbids it, Other where the server cannot.
func (n *Node) Tracks() (ok bool, why error) {
	s := n.feed.state.Load()
	if s == nil {
		return false, errNotTracking
	}
	return s.why == nil, s.why
}

// Tracked is what Tracks speaks of: the prefixes of the keys that are announced.
func (n *Node) Tracked() []string {
	s := n.feed.state.Load()
	if s == nil {
		return nil
	}
	return s.prefixes
}

// track starts the feed. A server that cannot or may not is no error.
func (n *Node) track(ctx context.Context, t *Tracking) error {
	if t == nil {
		return nil
	}
	if !n.cmd.conn.resp3() {
		n.feed.state.Store(&feedState{why: errNoPush})
		return nil
	}
	n.feed.state.Store(new(feedState))
	prefixes := t.Prefixes
	if t.More != nil {
		prefixes = slices.Concat(prefixes, t.More())
	}
	prefixes = distinct(prefixes)
	if len(prefixes) == 0 {
		return nil
	}
	err := n.addPrefixes(ctx, n.heartbeat.Timeout, prefixes)
	if _, why := n.Tracks(); why != nil {
		return nil
	}
	return err
}

// maxTracked bounds the prefixes of one connection: Redis compares each key that
// anybody changes with all of them, and none can be taken back.
const maxTracked = 512

var errTracksMost = &Error{Kind: Other, Op: "track", Err: errors.New("the connection announces as many prefixes as it may")}

// Track announces the keys of another prefix too. Beyond maxTracked it is refused. One that is announced already
// is no error. One that an announced prefix begins with is: Redis allows no
// overlap. After an error of the connection it may be announced or not, and may
// be asked for again.
func (n *Node) Track(ctx context.Context, prefix string, limit time.Duration) error {
	n.feed.asking.Lock()
	defer n.feed.asking.Unlock()
	if _, why := n.Tracks(); why != nil {
		return why
	}
	has := n.feed.state.Load().prefixes
	if covered(prefix, has) {
		return nil
	}
	if len(has) >= maxTracked {
		return errTracksMost
	}
	return n.addPrefixes(ctx, limit, []string{prefix})
}

// addPrefixes is called by one at a time.
func (n *Node) addPrefixes(ctx context.Context, limit time.Duration, prefixes []string) error {
	words := []string{"CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP"}
	for _, p := range prefixes {
		words = append(words, "PREFIX", p)
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := n.cmd.Do(bounded, n.b().Arbitrary(words...).Build()).Error()
	old := n.feed.state.Load().prefixes
	switch k := KindOf(err); {
	case k == OK || len(prefixes) == 1 && isThere(err, prefixes[0]):
		n.feed.state.Store(&feedState{prefixes: slices.Concat(old, prefixes)})
		return nil
	case k == NoPerm:
		err = &Error{Kind: k, Op: "track", Err: err}
	case (k == Logical || k.Puzzling()) && !strings.Contains(err.Error(), "overlap"):
		text, _, _ := strings.Cut(err.Error(), ", with args")
		err = &Error{Kind: Other, Op: "track", Err: errors.New(text)} // it is not about what was asked
	default:
		return wrap("track", err)
	}
	if len(old) == 0 {
		n.feed.state.Store(&feedState{why: err})
	}
	return err
}

// isThere: an earlier attempt was carried out, but not answered in time.
func isThere(err error, prefix string) bool {
	return err != nil && strings.Contains(err.Error(), "existing prefix '"+prefix+"'.")
}

// distinct leaves out what another prefix covers.
func distinct(prefixes []string) []string {
	var kept []string
	for _, p := range slices.Sorted(slices.Values(prefixes)) { // what covers sorts before what it covers
		if !covered(p, kept) {
			kept = append(kept, p)
		}
	}
	return kept
}

func covered(prefix string, by []string) bool {
	return slices.ContainsFunc(by, func(p string) bool { return strings.HasPrefix(prefix, p) })
}

// PingFeed asks the command connection for an answer. An answer can overtake
// what happened shortly before it was asked for: of all that preceded a PingFeed
// the announcements have been handed on when the next one, begun after it
// returned, is answered. An error reply, as while a script blocks the server, is
// no answer.
func (n *Node) PingFeed(ctx context.Context, limit time.Duration) error {
	c, bounded, cancel := n.begin(ctx, "heartbeat", limit)
	defer cancel()
	return c.end(ctx, n.cmd.Do(bounded, n.b().Ping().Build()).Error())
}

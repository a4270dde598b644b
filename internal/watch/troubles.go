package watch

import (
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// troubles are the last errors of the sentinels, as their workers met them.
type troubles struct {
	mu sync.Mutex // guards by
	by map[sentinel.Addr]trouble
}

// trouble is what one sentinel fails at; nil: it does not.
type trouble struct{ asked, heard error }

// asked notes how the last question to a sentinel ended.
func (t *troubles) asked(a sentinel.Addr, err error) {
	t.note(a, func(one *trouble) { one.asked = err })
}

// heard notes why the subscription to a sentinel ended; nil: it stands.
func (t *troubles) heard(a sentinel.Addr, err error) {
	t.note(a, func(one *trouble) { one.heard = err })
}

func (t *troubles) note(a sentinel.Addr, change func(*trouble)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[sentinel.Addr]trouble{}
	}
	one := t.by[a]
	if change(&one); one.asked == nil && one.heard == nil {
		delete(t.by, a)
		return
	}
	t.by[a] = one
}

// of are the troubles of these sentinels; those of others are forgotten.
func (t *troubles) of(sentinels []sentinel.Addr) map[sentinel.Addr]error {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[sentinel.Addr]error{}
	for a, one := range t.by {
		switch {
		case !slices.Contains(sentinels, a):
			delete(t.by, a)
		case one.asked != nil:
			out[a] = one.asked
		default:
			out[a] = one.heard
		}
	}
	return out
}

// shared is the error of one of the sentinels where most have one, nil elsewhere: of
// those that are most often of one kind.
func shared(troubles map[sentinel.Addr]error, sentinels int) error {
	if 2*len(troubles) <= sentinels {
		return nil
	}
	count := map[Blame]int{}
	for _, err := range troubles {
		count[BlameFor(err)]++
	}
	var most *SentinelError
	for _, a := range slices.SortedFunc(maps.Keys(troubles), func(a, b sentinel.Addr) int { return strings.Compare(a.String(), b.String()) }) {
		if err := troubles[a]; most == nil || count[BlameFor(err)] > count[BlameFor(most.Err)] {
			most = &SentinelError{Sentinel: a, Err: err}
		}
	}
	return most
}

// SentinelError is what one sentinel fails at.
type SentinelError struct {
	Sentinel sentinel.Addr
	Err      error
}

func (e *SentinelError) Error() string {
	return "sentinel " + e.Sentinel.String() + ": " + e.Err.Error()
}
func (e *SentinelError) Unwrap() error { return e.Err }

// Blame sorts what a sentinel fails at by who has to repair it.
type Blame uint8

// What a sentinel can fail at.
const (
	BlameAway       Blame = iota // it does not answer
	BlameName                    // its name cannot be resolved
	BlameLogin                   // it refuses the login
	BlameRights                  // its ACL forbids a command
	BlameTLS                     // one of the two speaks TLS, or the certificate is no good
	BlameNoSentinel              // something else answers there
	BlameMaster                  // it knows no master of our name
)

// BlameFor sorts the error of a sentinel.
func BlameFor(err error) Blame {
	switch remote.KindOf(err) {
	case remote.Auth:
		return BlameLogin
	case remote.NoPerm:
		return BlameRights
	case remote.TLS:
		return BlameTLS
	}
	switch _, unresolved := errors.AsType[*net.DNSError](err); {
	case errors.Is(err, ErrUnknownMaster):
		return BlameMaster
	case errors.Is(err, ErrNotSentinel), errors.Is(err, remote.ErrNotRedis):
		return BlameNoSentinel
	case unresolved:
		return BlameName
	}
	return BlameAway
}

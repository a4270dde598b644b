package revoke

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/acl"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/stats"
)

// notes are what findings are made of.
type notes struct {
	reading  atomic.Pointer[error] // why the list cannot be read
	firstUse atomic.Bool           // a set was taken as it was
	foreign  atomic.Bool           // it is hashed with another secret
	full     atomic.Bool
	evicts   atomic.Pointer[string] // the eviction policy that could take it
	removed  atomic.Pointer[removal]
	denied   atomic.Pointer[[]findings.Denied] // what the ACL forbids
	cuts     acl.Cuts                          // connections that ended at a question about it
}

// memory reads INFO memory.
func (n *notes) memory(info string) {
	policy, most := infoField(info, "maxmemory_policy"), infoField(info, "maxmemory")
	if !strings.HasPrefix(policy, "allkeys-") || most == "0" {
		n.evicts.Store(nil)
		return
	}
	n.evicts.Store(&policy)
}

// findings are what an operator should know of the list.
func (l *List) findings() []health.Finding {
	s := l.Stats()
	in := findings.Denylist{
		Stats:      s,
		Set:        l.keys.set,
		Matters:    l.matters(s),
		Wanted:     !l.policy.OnDemand,
		Young:      time.Since(l.start) <= graceFresh,
		Allows:     l.policy.OnUnknown == Allow,
		Foreign:    l.notes.foreign.Load(),
		Full:       l.notes.full.Load(),
		MaxEntries: l.policy.MaxEntries,
		MaxLag:     l.policy.MaxLag,
		FirstUse:   l.notes.firstUse.Load(),
		Reading:    errorIn(&l.notes.reading),
		Writing:    errorIn(&l.fault),
	}
	if policy := l.notes.evicts.Load(); policy != nil {
		in.Evicts = *policy
	}
	if denied := l.notes.denied.Load(); denied != nil {
		in.Denied = *denied
	}
	if r := recently(&l.notes.removed); r != nil {
		in.Removed, in.RemovedAt = r.entries, r.at
	}
	return findings.OfDenylist(in)
}

func errorIn(p *atomic.Pointer[error]) error {
	if err := p.Load(); err != nil {
		return *err
	}
	return nil
}

// matters reports whether anybody would miss the list. A process has one unless it
// is told not to, and most of them never need it: nobody has asked it or revoked
// anything here, and nothing that was revoked elsewhere is in it.
func (l *List) matters(s stats.Denylist) bool {
	return l.policy.NoFirstUse || l.used.Load() || s.Entries > 0
}

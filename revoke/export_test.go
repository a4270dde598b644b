package revoke

import (
	"time"

	"github.com/evercache/evercache"
)

// NewAt is New with another wall clock.
func NewAt(client *evercache.Client, p Policy, wall func() time.Time) (*List, error) {
	l, err := newList(client, p)
	if err != nil {
		return nil, err
	}
	l.wall = wall
	return l.begin()
}

// SetClock replaces the wall clock of a list, before it is used.
func (l *List) SetClock(now func() time.Time) { l.wall = now }

// Sweep does what is done now and then.
func (l *List) Sweep() {
	l.sweep()
	l.prune(l.ctx)
}

// NewPaced is New with another pause between the rounds of comparing.
func NewPaced(client *evercache.Client, p Policy, round time.Duration) (*List, error) {
	l, err := newList(client, p)
	if err != nil {
		return nil, err
	}
	l.pace = pace{round: round, batch: time.Millisecond}
	return l.begin()
}

// Fill brings ids into force here only.
func (l *List) Fill(ids []string, expiresAt time.Time) {
	for _, id := range ids {
		l.set.add(entry{key: l.hash.key(kindID, id), exp: uint32(expiresAt.Unix())}, 0)
	}
}

// Commands are those that the ACL is asked for.
func Commands() (all []string) {
	for _, t := range trials {
		all = append(all, t.words[0])
	}
	return all
}

package revoke

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

// notes are what findings are made of.
type notes struct {
	reading  atomic.Pointer[error] // why the list cannot be read
	firstUse atomic.Bool           // a set was taken as it was
	foreign  atomic.Bool           // it is hashed with another secret
	full     atomic.Bool
	evicts   atomic.Pointer[string] // the eviction policy that could take it
	removed  atomic.Pointer[removal]
	denied   atomic.Pointer[[]trial] // what the ACL forbids
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

func (l *List) findings() (fs []kit.Finding) {
	add := func(code, severity, title, detail, fix string) {
		fs = append(fs, kit.Finding{Code: code, Severity: severity, Title: title, Detail: detail, Fix: fix})
	}
	s := l.Stats()
	matters := l.matters(s)
	switch {
	case l.notes.foreign.Load():
		add("revocations-key", "error", "The denylist in Redis is hashed with another key",
			"What this process does not hold itself is unknown.", "Give every process the same revocation key, or the list another namespace.")
	case l.notes.full.Load():
		add("revocations-full", "error", "The denylist does not fit", fmt.Sprintf("It has more than %d entries.", l.policy.MaxEntries),
			"Raise MaxEntries (EVERCACHE_REVOCATIONS_MAX_ENTRIES) in every process, or lower the life of tokens.")
	case !matters:
	case !s.Ready && time.Since(l.start) > graceFresh:
		add("revocations-not-ready", "warning", "The denylist is not loaded",
			"No complete denylist has been read from Redis since the start: tokens that this process has not revoked itself are "+l.decided()+".",
			l.obstacle()+" If no process was alive when Redis was emptied, run evercache revoke init.")
	case s.Ready && s.Lag > l.policy.MaxLag:
		add("revocations-lag", "error", "The denylist is out of date",
			fmt.Sprintf("It is as of %v ago; beyond %v tokens that are not in it are %s.", s.Lag.Round(time.Second), l.policy.MaxLag, l.decided()),
			l.obstacle())
	}
	if denied := l.notes.denied.Load(); denied != nil && len(*denied) > 0 && (matters || s.Untaken > 0) {
		title, detail, fix := deniedFinding(*denied)
		add("revocations-forbidden", "error", title, detail, fix)
	}
	if s.Untaken > 0 && time.Since(l.start) > graceFresh {
		add("revocations-pending", "warning", "Revocations wait for Redis",
			fmt.Sprintf("%d are in force in this process only.", s.Untaken), l.obstacle())
	}
	if policy := l.notes.evicts.Load(); policy != nil && matters {
		add("revocations-evictable", "warning", "Redis may evict the denylist",
			"Its maxmemory-policy is "+*policy+". What is evicted is put back, and unknown meanwhile.",
			"Set maxmemory-policy to a volatile one or noeviction, or give the denylist a Redis of its own.")
	}
	if r := recently(&l.notes.removed); r != nil {
		add("revocations-removed", "warning", "Revocations were taken out of Redis unseen",
			fmt.Sprintf("%d were missing at %s, though the set there said that it had all of them. They are put back; a process that started meanwhile could let their tokens in.", r.entries, r.at.UTC().Format(time.RFC3339)),
			"See who else writes "+l.keys.set+" in Redis, and let an ACL forbid it.")
	}
	if l.notes.firstUse.Load() && matters {
		add("revocations-first-use", "info", "The denylist was taken as it was",
			"No process vouched for it within 5 s of the start. That is right on first use; after a loss of all data while no process lived, revocations are missing.",
			"Where that must not happen, use EVERCACHE_REVOCATIONS=required and evercache revoke init.")
	}
	return fs
}

// obstacle says what to do about a list that cannot be read or written.
func (l *List) obstacle() string {
	for _, err := range []*error{l.notes.reading.Load(), l.fault.Load()} {
		if err != nil && strings.Contains((*err).Error(), "WRONGTYPE") {
			return "Another program has overwritten " + l.keys.set + " in Redis: delete that key, and what this process holds is put back."
		}
		if err != nil && strings.Contains((*err).Error(), "NOPERM") && !forbidsCommand((*err).Error()) {
			return "The Redis ACL forbids the keys of the denylist: allow the user the keys <prefix>~r:*."
		}
		if err != nil && strings.Contains(strings.ToLower((*err).Error()), "unknown command") {
			text, _, _ := strings.Cut((*err).Error(), ", with args")
			return "Redis lacks a command that the denylist needs (" + text + "): take it out of rename-command."
		}
	}
	if denied := l.notes.denied.Load(); denied != nil && len(*denied) > 0 {
		_, _, fix := deniedFinding(*denied)
		return fix
	}
	return "See why Redis cannot be used."
}

// matters reports whether anybody would miss the list. A process has one unless it
// is told not to, and most of them never need it: nobody has asked it or revoked
// anything here, and nothing that was revoked elsewhere is in it.
func (l *List) matters(s Stats) bool {
	return l.policy.NoFirstUse || l.used.Load() || s.Entries > 0
}

func (l *List) decided() string {
	if l.policy.OnUnknown == Allow {
		return "let in"
	}
	return "refused"
}

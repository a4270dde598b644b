package findings

import (
	"fmt"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/acl"
	"github.com/evercache/evercache/stats"
)

// Denylist is what the findings about a denylist are made of.
type Denylist struct {
	Stats stats.Denylist
	Set   string // its key in Redis

	Matters bool // somebody would miss it
	Wanted  bool // it is held from the start, not only once it is used
	Young   bool // it was opened a moment ago
	Allows  bool // a token that is not known to be revoked is let in

	Foreign    bool // it is hashed with another secret
	Full       bool
	MaxEntries int
	MaxLag     time.Duration
	Evicts     string // the eviction policy that could take it; "": none could
	Removed    int    // revocations that were taken out of Redis lately
	RemovedAt  time.Time
	FirstUse   bool // it was taken as it was

	Denied []Denied // commands that the ACL forbids

	Reading, Writing error // why it cannot be read or written; nil: it can
}

// Denied is a command that the ACL forbids, and what is lost by that.
type Denied struct{ Command, Loss string }

// OfDenylist lists what is wrong with a denylist.
func OfDenylist(in Denylist) (fs []health.Finding) {
	if f, ok := in.knowledge(); ok {
		fs = append(fs, f)
	}
	if len(in.Denied) > 0 && (in.Matters || in.Wanted || in.Stats.Untaken > 0) {
		names, lost, fix := denied(in.Denied)
		fs = append(fs, health.Finding{
			Code: health.CodeRevocationsForbidden, Severity: health.SeverityError,
			Title:  "The Redis ACL forbids commands that the denylist needs: " + names,
			Detail: lost, Fix: fix,
		})
	}
	if in.Stats.Untaken > 0 && !in.Young {
		fs = append(fs, health.Finding{
			Code: health.CodeRevocationsPending, Severity: health.SeverityWarning, Title: "Revocations wait for Redis",
			Detail: fmt.Sprintf("%d revocations are in force in this process only.", in.Stats.Untaken), Fix: in.obstacle(),
		})
	}
	if in.Evicts != "" && in.Matters {
		fs = append(fs, health.Finding{
			Code: health.CodeRevocationsEvictable, Severity: health.SeverityWarning, Title: "Redis may evict the denylist",
			Detail: "Its maxmemory-policy is " + in.Evicts + ". An evicted revocation is written again. Until then its status is unknown.",
			Fix:    "Set maxmemory-policy to a volatile one or noeviction, or give the denylist a Redis of its own.",
		})
	}
	if in.Removed > 0 {
		fs = append(fs, health.Finding{
			Code: health.CodeRevocationsRemoved, Severity: health.SeverityWarning, Title: "Revocations were removed from Redis",
			Detail: fmt.Sprintf("%d were missing at %s, although the list in Redis was marked as complete. This process writes them again. A process that started meanwhile may have accepted these tokens.", in.Removed, in.RemovedAt.UTC().Format(time.RFC3339)),
			Fix:    "Find out who else writes " + in.Set + " in Redis, and forbid it with an ACL.",
		})
	}
	if in.FirstUse && in.Matters {
		fs = append(fs, health.Finding{
			Code: health.CodeRevocationsFirstUse, Severity: health.SeverityInfo, Title: "The denylist in Redis was accepted without proof that it is complete",
			Detail: "No running process confirmed it within 5 s of the start. On first use that is normal. If Redis lost its data while no process ran, revocations are missing.",
			Fix:    "To rule that out, use EVERCACHE_REVOCATIONS=required and evercache revoke init.",
		})
	}
	return fs
}

// knowledge reports why what is known of the list is not enough.
func (in Denylist) knowledge() (f health.Finding, ok bool) {
	s := in.Stats
	switch {
	case in.Foreign:
		f = health.Finding{
			Code: health.CodeRevocationsKey, Severity: health.SeverityError, Title: "The denylist in Redis is hashed with another key",
			Detail: "This process knows only the revocations that it has received itself.",
			Fix:    "Give every process the same revocation key, or give this list another namespace.",
		}
	case in.Full:
		f = health.Finding{
			Code: health.CodeRevocationsFull, Severity: health.SeverityError, Title: "The denylist has too many entries",
			Detail: fmt.Sprintf("It has more than %d entries.", in.MaxEntries),
			Fix:    "Raise MaxEntries (EVERCACHE_REVOCATIONS_MAX_ENTRIES) in every process, or shorten the lifetime of tokens.",
		}
	case !in.Matters:
	case !s.Ready && !in.Young:
		f = health.Finding{
			Code: health.CodeRevocationsNotReady, Severity: health.SeverityWarning, Title: "The denylist is not loaded",
			Detail: "No complete denylist has been read from Redis since the start: tokens that this process has not revoked itself are " + in.decided() + ".",
			Fix:    in.obstacle() + " If no process was running when Redis was emptied, run evercache revoke init.",
		}
	case s.Ready && s.Lag > in.MaxLag:
		f = health.Finding{
			Code: health.CodeRevocationsLag, Severity: health.SeverityError, Title: "The denylist is out of date",
			Detail: fmt.Sprintf("It was last known to be complete %v ago. After %v, tokens that are not in it are %s.", s.Lag.Round(time.Second), in.MaxLag, in.decided()),
			Fix:    in.obstacle(),
		}
	}
	return f, f.Code != ""
}

// obstacle says what to do about a list that cannot be read or written.
func (in Denylist) obstacle() string {
	for _, err := range []error{in.Reading, in.Writing} {
		switch {
		case err == nil:
		case strings.Contains(err.Error(), "WRONGTYPE"):
			return "Another program has overwritten " + in.Set + " in Redis. Delete that key; this process then writes its revocations again."
		case strings.Contains(err.Error(), "NOPERM") && !acl.Forbids(err.Error()):
			return "The Redis ACL forbids the keys of the denylist: allow the user the keys <prefix>~r:*."
		case strings.Contains(strings.ToLower(err.Error()), "unknown command"):
			text, _, _ := strings.Cut(err.Error(), ", with args")
			return "Redis does not have a command that the denylist needs (" + text + "): remove its rename-command line from redis.conf."
		}
	}
	if len(in.Denied) > 0 {
		_, _, fix := denied(in.Denied)
		return fix
	}
	return "Find out why Redis cannot be used."
}

// denied names what the ACL forbids, what is lost, and what to do.
func denied(all []Denied) (names, lost, fix string) {
	var ns, ls, allow []string
	for _, d := range all {
		ns = append(ns, d.Command)
		ls = append(ls, d.Command+": "+d.Loss)
		allow = append(allow, "+"+strings.ToLower(d.Command))
	}
	return strings.Join(ns, ", "), strings.Join(ls, "; "), "Allow the user these commands (ACL SETUSER with " + strings.Join(allow, " ") + ")."
}

func (in Denylist) decided() string {
	if in.Allows {
		return "let in"
	}
	return "refused"
}

package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

var ghostChecks = []Check{
	{
		Code: "sentinel-ghost", Severity: health.SeverityWarning, Title: "The sentinels remember one that is gone",
		Why:  "It counts in the majority for ever: with two ghosts beside three sentinels all three have to agree.",
		Fix:  "If it is gone for good: redis-cli -p 26379 SENTINEL RESET NAME on each sentinel, one after the other, 30 s apart.",
		When: "a sentinel that is not in REDIS_SENTINELS is known, and does not answer",
		find: ghosts,
	},
	{
		Code: "sentinel-replica-down", Severity: health.SeverityWarning, Title: "A replica that the sentinels list does not answer",
		Why:  "It cannot be promoted, and does not count for min-replicas-to-write.",
		Fix:  "Start it again. If it is gone for good: redis-cli -p 26379 SENTINEL RESET NAME on each sentinel, one after the other, 30 s apart.",
		When: "the sentinels hold a replica down, and it does not answer here",
		find: func(v *view) (all []seen) {
			for _, n := range v.silentNodes() {
				if v.held(n) && !v.same(n.Addr, v.named) {
					all = append(all, seen{subject: n.Addr, detail: v.heldText(n)})
				}
			}
			return all
		},
	},
	{
		Code: "redis-announced-unreachable", Severity: health.SeverityError, Title: "The sentinels reach a server that cannot be reached from here",
		Why:  "If it is the master, or becomes it, only memory answers. This is how it looks where containers or NAT are between, and the announced address leads nowhere.",
		Fix:  "Let the server announce an address that can be reached from everywhere: replica-announce-ip and replica-announce-port. Or map it here: REDIS_ADDRESS_MAP=ANNOUNCED=DIALABLE.",
		When: "a server that the sentinels hold for alive cannot be connected to from here",
		find: func(v *view) (all []seen) {
			for _, n := range v.silentNodes() {
				if !v.held(n) {
					all = append(all, seen{subject: n.Addr, detail: fmt.Sprintf("%s; named by %s", n.Fault.Text, list(n.NamedBy))})
				}
			}
			return all
		},
	},
	{
		Code: "sentinel-loopback", Severity: health.SeverityError, Title: "A sentinel on another machine announces a loopback address",
		Why:  "On every other machine that address leads to another server, or to none.",
		Fix:  "Give the node its real address: sentinel monitor NAME ADDRESS …, replica-announce-ip ADDRESS. Then SENTINEL RESET NAME.",
		When: "a sentinel that is not on this machine names 127.0.0.1, ::1 or localhost",
		find: func(v *view) (all []seen) {
			for i := range v.Survey.Nodes {
				n := &v.Survey.Nodes[i]
				far := slices.ContainsFunc(v.sentinels, func(s *survey.Sentinel) bool {
					return slices.Contains(n.NamedBy, s.Addr) && !loopback(s.Addr) && s.Dialed == ""
				})
				if far && loopback(n.Addr) && n.Dialed == "" {
					all = append(all, seen{subject: n.Addr, detail: "named by " + list(n.NamedBy)})
				}
			}
			return all
		},
	},
}

// ghosts are the sentinels that the others know and that are not there.
func ghosts(v *view) (all []seen) {
	by := map[string][]string{}
	var order []string
	for _, s := range v.sentinels {
		for _, g := range v.ghostsOf(s) {
			if by[g] == nil {
				order = append(order, g)
			}
			by[g] = append(by[g], s.Addr)
		}
	}
	for _, g := range order {
		all = append(all, seen{subject: g, detail: "SENTINEL SENTINELS lists it at " + list(by[g]) + "; it does not answer"})
	}
	return all
}

// ghostsOf are the names of the ghosts that one sentinel knows.
func (v *view) ghostsOf(s *survey.Sentinel) (all []string) {
	for _, p := range s.Peers {
		if a := p.Addr(); a == "" {
			all = append(all, p["ip"]+":"+p["port"])
		} else if v.goneSentinel(a) {
			all = append(all, a)
		}
	}
	return all
}

// goneSentinel reports whether a sentinel that nobody has configured does not answer. It
// may be a configured one that is known by another address, and does not answer under
// that either: as many as there are of those are no ghosts.
func (v *view) goneSentinel(addr string) bool {
	gone, unknown := 0, 0
	is := false
	for i := range v.Survey.Sentinels {
		switch s := &v.Survey.Sentinels[i]; {
		case s.Fault == nil || !silent(awayAs(s.Fault)):
		case !s.Configured:
			gone++
			is = is || slices.Contains(s.Names(), addr)
		case len(s.NamedBy) == 0:
			unknown++
		}
	}
	return is && gone > unknown
}

// silentNodes are the servers of a Sentinel set that do not answer, and were asked with a
// login.
func (v *view) silentNodes() (all []*survey.Node) {
	if v.mode() != health.ModeSentinel {
		return nil
	}
	for i := range v.Survey.Nodes {
		if n := &v.Survey.Nodes[i]; n.Fault != nil && silent(n.Fault) && !n.Anonymous {
			all = append(all, n)
		}
	}
	return all
}

// lateOK is since when a server has not answered a sentinel, where that is more than
// three of its questions, in milliseconds.
const lateOK = 3000

// entries are what the sentinels say of a server.
func (v *view) entries(n *survey.Node) (all []survey.Fields) {
	for _, s := range v.sentinels {
		for _, f := range append([]survey.Fields{s.Master}, s.Replicas...) {
			if slices.Contains(n.Names(), f.Addr()) {
				all = append(all, f)
			}
		}
	}
	return all
}

// held reports whether a server is down for all: a sentinel says so, or has had no answer
// of it for long, or it takes our connection and does not answer.
func (v *view) held(n *survey.Node) bool {
	return n.Fault.Connected || slices.ContainsFunc(v.entries(n), func(f survey.Fields) bool {
		ok, _ := f.Int("last-ok-ping-reply")
		return f.Flag("s_down") || f.Flag("o_down") || f.Flag("disconnected") || ok > lateOK
	})
}

func (v *view) heldText(n *survey.Node) string {
	var flags []string
	for _, f := range v.entries(n) {
		if !slices.Contains(flags, f["flags"]) {
			flags = append(flags, f["flags"])
		}
	}
	slices.Sort(flags)
	return fmt.Sprintf("%s; flags of the sentinels: %s", n.Fault.Text, strings.Join(flags, "; "))
}

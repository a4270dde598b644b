package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

var placeChecks = []Check{
	{
		Code: "set-one-host", Severity: health.SeverityInfo, Title: "All servers are on this machine",
		Why:  "If it fails, all of them do. For development that is enough.",
		Fix:  "In production: three machines that do not fail together.",
		When: "every server of a Sentinel set or Cluster has a loopback address",
		find: func(v *view) []seen {
			if v.mode() == health.ModeStandalone || !v.allLoopback() {
				return nil
			}
			return []seen{{detail: fmt.Sprintf("%d servers, all on loopback addresses", len(v.sentinels)+len(v.nodes))}}
		},
	},
	{
		Code: "sentinel-one-host", Severity: health.SeverityWarning, Title: "Several sentinels are on one machine",
		Why:  "They fail together, and with them perhaps the majority.",
		Fix:  "Run each sentinel on a machine of its own.",
		When: "two sentinels have the same host",
		find: func(v *view) []seen { return shared(sentinelAddrs(v), "sentinels") },
	},
	{
		Code: "sentinel-names-mixed", Severity: health.SeverityWarning, Title: "Names and addresses are mixed",
		Why:  "Sentinel tells nodes apart by their text. A node that is known by name and by address counts twice, and a failover may not find it.",
		Fix:  "Use one of the two everywhere. For names: sentinel resolve-hostnames yes, sentinel announce-hostnames yes, and replica-announce-ip NAME on every node. Then SENTINEL RESET NAME on each sentinel.",
		When: "the sentinels, or the nodes, name some nodes by a name and some by an address",
		find: mixedNames,
	},
	{
		Code: "sentinel-dns-slow", Severity: health.SeverityWarning, Title: "The DNS takes long to say that a name does not exist",
		Why:  "The sentinels name nodes by names. When a node goes, its name may go with it. A sentinel that asks for it does nothing else meanwhile, enters TILT mode, and does not begin a failover.",
		Fix:  "Let the sentinels resolve names from a file (/etc/hosts, extra_hosts), use addresses, or mend the DNS: its answer that there is no such name must come within some milliseconds.",
		When: "the sentinels name a node by a name, and looking up a name beside it that does not exist takes more than a second from here",
		find: func(v *view) []seen {
			a := v.Survey.Absent
			if a == nil || a.Took <= dnsSlow {
				return nil
			}
			return []seen{{detail: fmt.Sprintf("looking up %s took %v%s", a.Name, a.Took.Round(time.Millisecond), unlessDone(a.Done))}}
		},
	},
}

// dnsSlow is the least time that a sentinel loses in a lookup before it must be expected to enter TILT mode,
// which it does at two seconds: it may ask for several nodes.
const dnsSlow = time.Second

func unlessDone(done bool) string {
	if done {
		return ""
	}
	return ", and there was no answer yet"
}

func (v *view) allLoopback() bool {
	var all []string
	for i := range v.Survey.Sentinels {
		all = append(all, v.Survey.Sentinels[i].Addr)
	}
	for i := range v.Survey.Nodes {
		all = append(all, v.Survey.Nodes[i].Addr)
	}
	return len(v.nodes) > 1 && !slices.ContainsFunc(all, func(a string) bool { return !loopback(a) })
}

func sentinelAddrs(v *view) (all []string) {
	for _, s := range v.sentinels {
		all = append(all, s.Addr)
	}
	return all
}

// shared are the hosts that several addresses have; those of this machine do not count.
func shared(addrs []string, what string) (all []seen) {
	by := map[string][]string{}
	var order []string
	for _, a := range addrs {
		h := host(a)
		if loopback(a) {
			continue
		}
		if by[h] == nil {
			order = append(order, h)
		}
		by[h] = append(by[h], a)
	}
	for _, h := range order {
		if len(by[h]) > 1 {
			all = append(all, seen{subject: h, detail: fmt.Sprintf("%d %s: %s", len(by[h]), what, list(by[h]))})
		}
	}
	return all
}

// mixedNames looks at how each sentinel, and each node, calls the nodes.
func mixedNames(v *view) (all []seen) {
	for _, s := range v.sentinels {
		if text := mixed(hostsOf(s)); text != "" {
			all = append(all, seen{subject: s.Addr, detail: fmt.Sprintf("SENTINEL MASTER and SENTINEL REPLICAS %s (resolve-hostnames %s, announce-hostnames %s)", text, s.Settings["resolve-hostnames"], s.Settings["announce-hostnames"])})
		}
	}
	if len(all) > 0 || v.mode() != health.ModeSentinel { // a node of a Cluster may have both
		return all
	}
	for _, n := range v.nodes {
		if len(n.Aliases) > 0 {
			if text := mixed(n.Names()); text != "" {
				all = append(all, seen{subject: n.Addr, detail: "the sentinels and the nodes " + text})
			}
		}
	}
	return all
}

// hostsOf are the addresses of the nodes as one sentinel writes them.
func hostsOf(s *survey.Sentinel) []string {
	all := []string{s.Master.Addr()}
	for _, r := range s.Replicas {
		all = append(all, r.Addr())
	}
	return all
}

// mixed says which are names and which are addresses; "": all are of one kind.
func mixed(addrs []string) string {
	var names, ips []string
	for _, a := range addrs {
		switch {
		case a == "":
		case isName(host(a)):
			names = append(names, a)
		default:
			ips = append(ips, a)
		}
	}
	if len(names) == 0 || len(ips) == 0 {
		return ""
	}
	return fmt.Sprintf("name %s, and %s", strings.Join(names, ", "), strings.Join(ips, ", "))
}

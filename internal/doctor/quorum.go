package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// known is how many sentinels a sentinel counts, itself too.
func known(s *survey.Sentinel) int64 {
	n, _ := s.Master.Int("num-other-sentinels")
	return n + 1
}

// alive is the same without those that are gone.
func (v *view) alive() int64 {
	most := int64(1) // whoever says so is one
	for _, s := range v.sentinels {
		most = max(most, known(s)-int64(len(v.ghostsOf(s))))
	}
	return most
}

var quorumChecks = []Check{
	{
		Code: "sentinel-few", Severity: health.SeverityError, Title: "Fewer than three sentinels",
		Why:  "A failover needs a majority of all sentinels. Of two none may fail.",
		Fix:  "Run at least three, on machines that do not fail together: docs/guide/migrate.md shows the configuration.",
		When: "the sentinels know fewer than three, those that are gone not counted",
		find: func(v *view) []seen {
			if len(v.sentinels) == 0 || v.alive() >= 3 {
				return nil
			}
			return []seen{{detail: fmt.Sprintf("SENTINEL MASTER %s: num-other-sentinels is %d", v.Survey.MasterName, v.alive()-1)}}
		},
	},
	{
		Code: "sentinel-even", Severity: health.SeverityWarning, Title: "An even number of sentinels",
		Why:  "No more of four may fail than of three, and votes can be split.",
		Fix:  "Run an odd number: 3, 5 or 7.",
		When: "the sentinels know 4, 6, … of them, those that are gone not counted",
		find: func(v *view) []seen {
			n := v.alive()
			if n < 4 || n%2 != 0 {
				return nil
			}
			return []seen{{detail: fmt.Sprintf("SENTINEL MASTER %s: num-other-sentinels is %d", v.Survey.MasterName, n-1)}}
		},
	},
	{
		Code: "sentinel-quorum-one", Severity: health.SeverityWarning, Title: "The quorum is 1",
		Why:  "One sentinel that cannot reach the master is enough to begin a failover.",
		Fix:  "On each sentinel: redis-cli -p 26379 SENTINEL SET NAME quorum N, where N is the majority (2 of 3).",
		When: "the quorum is 1 and there is more than one sentinel",
		find: func(v *view) []seen {
			return v.eachQuorum(func(q, n int64) bool { return q == 1 && n > 1 })
		},
	},
	{
		Code: "sentinel-quorum-high", Severity: health.SeverityError, Title: "The quorum is higher than the number of sentinels",
		Why:  "So many sentinels can never agree: no failover is possible.",
		Fix:  "On each sentinel: redis-cli -p 26379 SENTINEL SET NAME quorum N, where N is the majority (2 of 3).",
		When: "the quorum is higher than the number of sentinels that are known",
		find: func(v *view) []seen {
			return v.eachQuorum(func(q, n int64) bool { return q > n })
		},
	},
	{
		Code: "sentinel-quorum-not-majority", Severity: health.SeverityInfo, Title: "The quorum is not the majority of the sentinels",
		Why:  "A higher one lets fewer sentinels fail. A lower one lets a minority begin a failover that nobody elects.",
		Fix:  "Where it is not meant: redis-cli -p 26379 SENTINEL SET NAME quorum N on each sentinel.",
		When: "the quorum is neither 1 nor the majority",
		find: func(v *view) []seen {
			return v.eachQuorum(func(q, n int64) bool { return q > 1 && q <= n && n > 1 && q != v.alive()/2+1 && q != n/2+1 })
		},
	},
	{
		Code: health.CodeSentinelNoQuorum, Severity: health.SeverityError, Title: "Too few sentinels answer for a failover",
		Why:  "If the master fails now, no replica is promoted.",
		Fix:  "Start the sentinels that do not answer, and check that they reach each other. Right after a start it takes some seconds.",
		When: "SENTINEL CKQUORUM is not OK; a warning where it is on most sentinels",
		find: noQuorum,
	},
	{
		Code: "sentinel-quorum-hidden", Severity: health.SeverityInfo, Title: "A sentinel does not say whether a failover is possible",
		Why:  "SENTINEL CKQUORUM is the sentinel's own word on it. Only the other checks were made.",
		Fix:  "Allow the user of REDIS_SENTINEL_USERNAME +sentinel|ckquorum.",
		When: "SENTINEL CKQUORUM is forbidden",
		find: func(v *view) (all []seen) {
			for _, s := range v.sentinels {
				if strings.Contains(s.Quorum, "NOPERM") {
					all = append(all, seen{subject: s.Addr, detail: fmt.Sprintf("SENTINEL CKQUORUM %s: %s", v.Survey.MasterName, s.Quorum)})
				}
			}
			return all
		},
	},
}

// eachQuorum are the sentinels whose quorum and number of known sentinels are wrong.
func (v *view) eachQuorum(wrong func(quorum, known int64) bool) (all []seen) {
	for _, s := range v.sentinels {
		q, ok := s.Master.Int("quorum")
		if ok && wrong(q, known(s)) {
			all = append(all, seen{subject: s.Addr, detail: fmt.Sprintf("SENTINEL MASTER %s: quorum is %d, %d sentinels are known", v.Survey.MasterName, q, known(s))})
		}
	}
	return all
}

func noQuorum(v *view) (all []seen) {
	bad := 0
	for _, s := range v.sentinels {
		q, _ := s.Master.Int("quorum")
		if strings.HasPrefix(s.Quorum, "OK") || s.Quorum == "" || q > known(s) || strings.Contains(s.Quorum, "NOPERM") {
			continue
		}
		bad++
		all = append(all, seen{subject: s.Addr, detail: fmt.Sprintf("SENTINEL CKQUORUM %s: %s", v.Survey.MasterName, s.Quorum)})
	}
	if 2*bad < len(v.sentinels) {
		for i := range all {
			all[i].severity = health.SeverityWarning
		}
	}
	return all
}

// agreed are the settings that SENTINEL SET changes on one sentinel only.
var agreed = []string{"quorum", "down-after-milliseconds", "failover-timeout", "parallel-syncs"}

var agreementChecks = []Check{
	{
		Code: health.CodeSentinelDisagrees, Severity: health.SeverityError, Title: "The sentinels name different masters",
		Why:  "Clients that ask one of them write to a server that the others do not follow.",
		Fix:  "Look at SENTINEL MASTER on each. One that was away for long learns the truth within seconds when it reaches the others. If it does not: SENTINEL REMOVE and SENTINEL MONITOR there.",
		When: "a sentinel names another master than most; a warning where only its config epoch differs, or a node that most do not list",
		find: disagree,
	},
	{
		Code: "sentinel-settings-differ", Severity: health.SeverityWarning, Title: "The sentinels have different settings",
		Why:  "SENTINEL SET changes one sentinel only. Which one leads the next failover is not known, and so are its times.",
		Fix:  "Give every sentinel the same: redis-cli -p 26379 SENTINEL SET NAME OPTION VALUE.",
		When: "quorum, down-after-milliseconds, failover-timeout or parallel-syncs differ",
		find: func(v *view) (all []seen) {
			for _, name := range agreed {
				if values := v.valuesOf(name); len(values) > 1 {
					all = append(all, seen{detail: fmt.Sprintf("SENTINEL MASTER %s: %s is %s", v.Survey.MasterName, name, strings.Join(values, "; "))})
				}
			}
			return all
		},
	},
	{
		Code: "sentinel-same-id", Severity: health.SeverityError, Title: "Two sentinels have the same id",
		Why:  "The others count them as one, so a majority may not be one.",
		Fix:  "Each sentinel needs a configuration file of its own. Stop one of them, remove the line sentinel myid from its file, and start it again.",
		When: "SENTINEL MYID is the same at two sentinels",
		find: sameID,
	},
	{
		Code: "sentinel-not-listed", Severity: health.SeverityInfo, Title: "A sentinel is not in REDIS_SENTINELS",
		Why:  "It is found through the others. With all of those away, this process would not find it at its start.",
		Fix:  "Add it to REDIS_SENTINELS.",
		When: "the sentinels know another one, and it answers",
		find: func(v *view) (all []seen) {
			for _, s := range v.sentinels {
				if !s.Configured {
					all = append(all, seen{subject: s.Addr, detail: "SENTINEL SENTINELS of " + list(s.NamedBy) + " lists it"})
				}
			}
			return all
		},
	},
}

// disagree finds the sentinels that say another thing than most.
func disagree(v *view) (all []seen) {
	epochs := v.valuesOf("config-epoch")
	for _, s := range v.sentinels {
		if v.failingOver() {
			return nil
		}
		if s.Named != "" && !v.same(s.Named, v.named) {
			all = append(all, seen{subject: s.Addr, detail: fmt.Sprintf("SENTINEL GET-MASTER-ADDR-BY-NAME %s: %s. Most say %s", v.Survey.MasterName, s.Named, v.named)})
		}
	}
	if len(all) == 0 && len(epochs) > 1 {
		all = append(all, seen{
			severity: health.SeverityWarning, title: "The sentinels have different config epochs",
			detail: fmt.Sprintf("SENTINEL MASTER %s: config-epoch is %s", v.Survey.MasterName, strings.Join(epochs, "; ")),
		})
	}
	for i := range v.Survey.Nodes {
		if n := &v.Survey.Nodes[i]; n.Anonymous && v.mode() == health.ModeSentinel && v.namedBySentinel(n) {
			all = append(all, seen{
				subject: n.Addr, severity: health.SeverityWarning, title: "Only few sentinels name a node",
				detail: "it is named by " + list(n.NamedBy) + " only. No password was sent to it",
			})
		}
	}
	return all
}

// namedBySentinel reports whether a sentinel names a node, and not only another node.
func (v *view) namedBySentinel(n *survey.Node) bool {
	return slices.ContainsFunc(v.sentinels, func(s *survey.Sentinel) bool { return slices.Contains(n.NamedBy, s.Addr) })
}

// valuesOf are the values of a field of SENTINEL MASTER, each with the sentinels that
// have it; the first is the most common one.
func (v *view) valuesOf(name string) []string {
	by := map[string][]string{}
	for _, s := range v.sentinels {
		by[s.Master[name]] = append(by[s.Master[name]], s.Addr)
	}
	return valuesText(by)
}

// valuesText is each value with those that have it, the most common one first.
func valuesText(by map[string][]string) []string {
	values := keysByCount(by)
	for i, value := range values {
		values[i] = fmt.Sprintf("%q at %s", value, list(by[value]))
	}
	return values
}

// keysByCount are the keys, that of the longest list first.
func keysByCount(by map[string][]string) []string {
	return slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(len(by[b])-len(by[a]), strings.Compare(a, b))
	})
}

func sameID(v *view) (all []seen) {
	for i, a := range v.sentinels {
		for _, b := range v.sentinels[i+1:] {
			if a.ID != "" && a.ID == b.ID {
				all = append(all, seen{subject: b.Addr, detail: fmt.Sprintf("SENTINEL MYID is %s here and at %s", a.ID, a.Addr)})
			}
		}
	}
	return all
}

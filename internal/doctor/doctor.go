// Package doctor finds what is wrong, or may go wrong, with a Redis set: pure rules over
// what a survey (internal/survey) has seen. One file holds one family of checks. Every
// check is in the registry (registry.go), and each has a code of its own. Where the
// library has a finding for the same, the code is that of package health.
package doctor

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/survey"
)

// Finding is what a check has found. Title says what it is, Detail what was seen: the
// command and the value. It holds no secret.
type Finding struct {
	health.Finding
	// Subject is the server that it is about, or the variable; "" where it is about the
	// whole.
	Subject string `json:"subject,omitempty"`
	Why     string `json:"why,omitempty"` // why it matters
}

// Check is one rule.
type Check struct {
	Code     string
	Severity health.Severity // unless what was seen is better or worse
	Title    string
	Why      string
	Fix      string
	When     string // for the documentation: when it is reported
	find     func(*view) []seen
}

// seen is one thing that a check has found. What is empty is that of the check.
type seen struct {
	subject, detail string
	severity        health.Severity
	title, fix      string
}

// Input is what the rules look at.
type Input struct {
	Survey   *survey.Survey
	Settings Settings
}

// Settings are what the environment says, as far as rules look at it.
type Settings struct {
	Findings []health.Finding // those of the settings themselves
	// Optional: nobody has said where Redis is.
	Optional bool
	// DialTimeout and ReadTimeout are those of the client.
	DialTimeout, ReadTimeout time.Duration
	// Denylist: the token denylist is used.
	Denylist bool
	// Password: one is sent to the servers with data. TLS is spoken to them.
	Password, TLS bool
	ReplicaReads  bool
	AddressMap    map[string]string
	// CertificateEnds is when the client's own certificate ends; zero: there is none.
	CertificateEnds time.Time
}

// Examine applies every check. The worst findings come first, and then they are in the
// order of the registry.
func Examine(in Input) []Finding {
	out := settingsFindings(in.Settings.Findings)
	if in.Survey != nil {
		v := newView(in)
		for _, c := range Checks() {
			for _, s := range c.most(c.find(v)) {
				f := c.finding(s)
				f.Fix = named(f.Fix, in.Survey.MasterName)
				out = append(out, f)
			}
		}
	}
	return worstFirst(out)
}

// ofName are the commands in a fix that take the name of the master.
var ofName = regexp.MustCompile(`(SENTINEL (?:FAILOVER|MASTER|REMOVE|RESET|SET)) NAME\b`)

// named is a fix with the name of the master in its commands.
func named(fix, name string) string {
	if name == "" {
		return fix
	}
	return ofName.ReplaceAllString(fix, "${1} "+strings.ReplaceAll(name, "$", "$$"))
}

// maxText bounds each text of a finding, in bytes.
const maxText = 2 << 10

func (c Check) finding(s seen) Finding {
	text := func(t string) string { return censor.Text(t, maxText) }
	return Finding{
		Finding: health.Finding{
			Code: c.Code, Severity: cmp.Or(s.severity, c.Severity), Title: text(cmp.Or(s.title, c.Title)),
			Detail: text(s.detail), Fix: text(cmp.Or(s.fix, c.Fix)),
		},
		Subject: text(s.subject), Why: text(c.Why),
	}
}

// mostSeen is of how many servers one check tells. Servers that lie, or a large Cluster, would bury the rest.
const mostSeen = 16

// most are the worst of what a check has seen, and how many more there are.
func (c Check) most(all []seen) []seen {
	if len(all) <= mostSeen {
		return all
	}
	slices.SortStableFunc(all, func(a, b seen) int {
		return weights[cmp.Or(b.severity, c.Severity)] - weights[cmp.Or(a.severity, c.Severity)]
	})
	rest := all[mostSeen] // the worst of the rest
	rest.subject, rest.detail = "", fmt.Sprintf("the same at %d more", len(all)-mostSeen)
	return append(all[:mostSeen:mostSeen], rest)
}

var weights = map[health.Severity]int{health.SeverityError: 2, health.SeverityWarning: 1, health.SeverityInfo: 0}

func worstFirst(fs []Finding) []Finding {
	slices.SortStableFunc(fs, func(a, b Finding) int { return weights[b.Severity] - weights[a.Severity] })
	return fs
}

// Worst is the worst severity among findings; "": there are none.
func Worst(fs []Finding) health.Severity {
	worst := health.Severity("")
	for _, f := range fs {
		if worst == "" || weights[f.Severity] > weights[worst] {
			worst = f.Severity
		}
	}
	return worst
}

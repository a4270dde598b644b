package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// Report is what is shown of an examination, as text or as JSON. Fields may be added,
// none is renamed.
type Report struct {
	// Status is "ok" (nothing, or info only), "warnings" or "errors".
	Status     string `json:"status"`
	Mode       string `json:"mode,omitempty"` // "": the settings cannot be used
	MasterName string `json:"masterName,omitempty"`
	// Plan is the mode that a change was planned to; "" without --plan.
	Plan     string    `json:"plan,omitempty"`
	At       time.Time `json:"at,omitzero"`
	TookMS   int64     `json:"tookMs"`
	Servers  []Server  `json:"servers"`
	Findings []Finding `json:"findings"`

	groups []string // the lines about the servers
}

// Server is one server that was asked.
type Server struct {
	Kind       string  `json:"kind"`           // sentinel, node
	Side       string  `json:"side,omitempty"` // "then": of the mode that a change is planned to
	Addr       string  `json:"addr"`
	Configured bool    `json:"configured"` // the settings list it; else others name it
	OK         bool    `json:"ok"`         // it has answered as it should
	Role       string  `json:"role,omitempty"`
	Version    string  `json:"version,omitempty"`
	ConnectMS  float64 `json:"connectMs,omitempty"` // with TLS and login
	LatencyMS  float64 `json:"latencyMs,omitempty"` // of one question
	// P50MS and P99MS are how long half, and 99 of a hundred, of up to 100 questions took at most.
	P50MS float64 `json:"p50Ms,omitempty"`
	P99MS float64 `json:"p99Ms,omitempty"`
}

// What Status can be.
const (
	StatusOK       = "ok"
	StatusWarnings = "warnings"
	StatusErrors   = "errors"
)

// NewReport is the report of an examination. s is nil where nothing was asked.
func NewReport(s *survey.Survey, fs []Finding) Report {
	r := Report{Status: statusOf(fs), Servers: []Server{}, Findings: fs}
	if fs == nil {
		r.Findings = []Finding{}
	}
	if s == nil {
		return r
	}
	r.Mode, r.MasterName, r.At, r.TookMS = s.Mode.String(), s.MasterName, s.At.UTC().Truncate(time.Millisecond), s.Took.Milliseconds()
	r.add(s, "")
	return r
}

// Beside adds the other side of a plan; nil: it was not looked at.
func (r Report) Beside(plan string, then *survey.Survey) Report {
	r.Plan = plan
	if then != nil {
		r.groups = append(r.groups, "there:")
		r.add(then, "then")
	}
	return r
}

func (r *Report) add(s *survey.Survey, side string) {
	for _, x := range s.Sentinels {
		r.Servers = append(r.Servers, serverOf("sentinel", "", side, x.Server))
	}
	for _, x := range s.Nodes {
		r.Servers = append(r.Servers, serverOf("node", x.Role.Name, side, x.Server))
	}
	r.groups = append(r.groups, groupsOf(newView(Input{Survey: s}))...)
}

func statusOf(fs []Finding) string {
	switch Worst(fs) {
	case health.SeverityError:
		return StatusErrors
	case health.SeverityWarning:
		return StatusWarnings
	}
	return StatusOK
}

func serverOf(kind, role, side string, s survey.Server) Server {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return Server{
		Kind: kind, Side: side, Addr: s.Addr, Configured: s.Configured, OK: s.Fault == nil, Role: role,
		Version: s.Info["redis_version"], ConnectMS: ms(s.Connect), LatencyMS: ms(s.Latency),
		P50MS: ms(s.Pings.P50), P99MS: ms(s.Pings.P99),
	}
}

// groupsOf is a line for each kind of server.
func groupsOf(v *view) []string {
	var lines []string
	if v.mode() == health.ModeSentinel {
		line := fmt.Sprintf("sentinels  %d of %d answer", len(v.sentinels), len(v.Survey.Sentinels))
		if v.named != "" {
			line += "; master " + v.named + epochOf(v)
		}
		lines = append(lines, line)
	}
	if len(v.Survey.Nodes) == 0 {
		return lines
	}
	asked := 0
	for _, n := range v.Survey.Nodes {
		if !n.Anonymous {
			asked++
		}
	}
	lines = append(lines, fmt.Sprintf("redis      %d of %d answer%s%s", len(v.nodes), asked, rolesOf(v), versionsOf(v)))
	return append(lines, latencyOf(v)...)
}

// latencyOf is how quickly the slowest of the servers answers.
func latencyOf(v *view) []string {
	var worst survey.Server
	for _, n := range v.nodes {
		if n.Pings.P99 > worst.Pings.P99 {
			worst = n.Server
		}
	}
	if worst.Pings.Count == 0 {
		return nil
	}
	where := ""
	if len(v.nodes) > 1 {
		where = " at the slowest, " + worst.Addr
	}
	p := worst.Pings
	return []string{fmt.Sprintf("latency    from here: p50 %s, p99 %s of %d questions%s", shortTime(p.P50), shortTime(p.P99), p.Count, where)}
}

func epochOf(v *view) string {
	for _, s := range v.sentinels {
		if s.Named == v.named {
			return fmt.Sprintf(", config epoch %s, quorum %s", s.Master["config-epoch"], s.Master["quorum"])
		}
	}
	return ""
}

func rolesOf(v *view) string {
	count := map[string]int{}
	for _, n := range v.nodes {
		count[n.Role.Name]++
	}
	var parts []string
	for _, one := range []struct{ role, plural string }{{"master", "masters"}, {"replica", "replicas"}} {
		switch n := count[one.role]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+one.role)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, one.plural))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

func versionsOf(v *view) string {
	by := map[string][]string{}
	for _, n := range v.nodes {
		addVersion(by, n.Server)
	}
	var all []string
	for version := range by {
		all = append(all, version)
	}
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	return "; version " + strings.Join(all, ", ")
}

package doctor

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/survey"
)

func codesOf(fs []Finding) []string {
	var all []string
	for _, f := range fs {
		all = append(all, f.Code)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// without are the codes that are not among others.
func without(codes []string, others ...string) []string {
	return slices.DeleteFunc(slices.Clone(codes), func(c string) bool { return slices.Contains(others, c) })
}

func TestTheRegistryIsComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range Checks() {
		if seen[c.Code] {
			t.Errorf("%s is there twice", c.Code)
		}
		seen[c.Code] = true
		for name, text := range map[string]string{"title": c.Title, "why": c.Why, "fix": c.Fix, "when": c.When} {
			if text == "" {
				t.Errorf("%s has no %s", c.Code, name)
			}
		}
		if _, ok := weights[c.Severity]; !ok {
			t.Errorf("%s has the severity %q", c.Code, c.Severity)
		}
		if strings.Trim(c.Code, "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("%q is no code", c.Code)
		}
		if _, ok := fixtures[c.Code]; !ok {
			t.Errorf("%s has no fixture that fires it", c.Code)
		}
		if !strings.HasSuffix(c.Why, ".") || !strings.HasSuffix(c.Fix, ".") || strings.HasSuffix(c.Title, ".") || strings.HasSuffix(c.When, ".") {
			t.Errorf("%s: why and fix are sentences, title and when are not", c.Code)
		}
	}
	for code := range fixtures {
		if !seen[code] {
			t.Errorf("a fixture is for %s, which does not exist", code)
		}
	}
}

func TestAWellSetHasNoWarning(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*survey.Survey{"sentinel": wellSet(), "standalone": wellServer(), "cluster": wellCluster()} {
		fs := Examine(Input{Survey: s, Settings: wellSettings()})
		if Worst(fs) != health.SeverityInfo {
			t.Errorf("%s: the worst is %q: %+v", name, Worst(fs), fs)
		}
		if d := without(codesOf(fs), always...); len(d) > 0 {
			t.Errorf("%s: %v", name, d)
		}
	}
}

// Each fixture fires its check, and no other.
func TestEachFixtureFiresItsCheckOnly(t *testing.T) {
	t.Parallel()
	for code, input := range fixtures {
		fs := Examine(input)
		if !slices.Contains(codesOf(fs), code) {
			t.Errorf("%s is not found: %v", code, codesOf(fs))
			continue
		}
		if more := without(codesOf(fs), append(append(always, code), beside[code]...)...); len(more) > 0 {
			t.Errorf("%s: found too: %v", code, more)
		}
		for _, f := range fs {
			if f.Title == "" || f.Why == "" || f.Fix == "" || f.Subject == "" && f.Detail == "" {
				t.Errorf("%s: the finding %+v is not complete", code, f)
			}
		}
	}
}

// Whatever a server fails at is reported, in each mode.
func TestNoFaultIsSilent(t *testing.T) {
	t.Parallel()
	for reason := range findings.ClusterSeveral + 1 {
		if f := findings.Explain(reason); f.Code == "" {
			t.Fatalf("reason %d has no code", reason)
		}
		for name, s := range map[string]*survey.Survey{"standalone": wellServer(), "sentinel": wellSet(), "cluster": wellCluster()} {
			broken(&s.Nodes[0].Server, reason)
			if fs := Examine(Input{Survey: s, Settings: wellSettings()}); Worst(fs) == health.SeverityInfo || Worst(fs) == "" {
				t.Errorf("%s: a master with the fault %q is not reported: %v", name, findings.Explain(reason).Code, codesOf(fs))
			}
		}
		s := wellSet()
		broken(&s.Sentinels[0].Server, reason)
		if fs := Examine(Input{Survey: s, Settings: wellSettings()}); Worst(fs) == health.SeverityInfo || Worst(fs) == "" {
			t.Errorf("a sentinel with the fault %q is not reported: %v", findings.Explain(reason).Code, codesOf(fs))
		}
	}
}

func TestAnEmptySurveyIsExaminedToo(t *testing.T) {
	t.Parallel()
	for _, mode := range []health.Mode{health.ModeStandalone, health.ModeSentinel, health.ModeCluster, health.ModeMemoryOnly} {
		s := &survey.Survey{Mode: mode}
		Examine(Input{Survey: s})
		NewReport(s, nil).Text(false)
		for i := range 3 {
			s.Nodes, s.Sentinels = make([]survey.Node, i), make([]survey.Sentinel, i)
			Examine(Input{Survey: s})
			Plan(Move{Now: s, Then: s, To: health.ModeStandalone}, Settings{})
		}
	}
}

func TestTheWorstComeFirst(t *testing.T) {
	t.Parallel()
	f := func(code string, s health.Severity) Finding {
		return Finding{Finding: health.Finding{Code: code, Severity: s}}
	}
	got := worstFirst([]Finding{f("a", health.SeverityInfo), f("b", health.SeverityError), f("c", health.SeverityWarning), f("d", health.SeverityError)})
	var codes []string
	for _, one := range got {
		codes = append(codes, one.Code)
	}
	if d := cmp.Diff([]string{"b", "d", "c", "a"}, codes); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for worst, status := range map[health.Severity]string{"": StatusOK, health.SeverityInfo: StatusOK, health.SeverityWarning: StatusWarnings, health.SeverityError: StatusErrors} {
		var fs []Finding
		if worst != "" {
			fs = []Finding{f("a", health.SeverityInfo), f("b", worst)}
		}
		if got := statusOf(fs); got != status {
			t.Errorf("with %q the status is %s, want %s", worst, got, status)
		}
	}
}

func TestSeverityDependsOnWhatIsLeft(t *testing.T) {
	t.Parallel()
	find := func(in Input, code string) health.Severity {
		for _, f := range Examine(in) {
			if f.Code == code {
				return f.Severity
			}
		}
		return ""
	}
	one := in(wellSet(), func(s *survey.Survey) { broken(&s.Sentinels[2].Server, findings.SentinelAway) })
	if got := find(one, health.CodeSentinelUnreachable); got != health.SeverityWarning {
		t.Errorf("one of three sentinels away: %q", got)
	}
	if got := find(fixtures[health.CodeSentinelUnreachable], health.CodeSentinelUnreachable); got != health.SeverityError {
		t.Errorf("all sentinels away: %q", got)
	}
	if got := find(fixtures[health.CodeClusterUnreachable], health.CodeClusterUnreachable); got != health.SeverityWarning {
		t.Errorf("a replica of a Cluster away: %q", got)
	}
	master := in(wellCluster(), func(s *survey.Survey) { broken(&s.Nodes[0].Server, findings.ClusterAway); s.Nodes[0].Cluster = nil })
	if got := find(master, health.CodeClusterUnreachable); got != health.SeverityError {
		t.Errorf("a master of a Cluster away: %q", got)
	}
	rights := func(denied ...string) Input {
		return in(wellServer(), func(s *survey.Survey) { s.Nodes[0].Rights.Denied = denied })
	}
	if a, b := find(rights("EVALSHA"), health.CodeRedisNoPerm), find(rights("EVALSHA", "GET"), health.CodeRedisNoPerm); a != health.SeverityWarning || b != health.SeverityError {
		t.Errorf("without EVALSHA %q, without GET %q", a, b)
	}
}

// A configured sentinel that does not answer may be known to the others by another
// address. It is no ghost.
func TestASentinelWithTwoAddressesIsNoGhost(t *testing.T) {
	t.Parallel()
	s := fixtures["sentinel-ghost"].Survey
	copied := *s
	copied.Sentinels = append([]survey.Sentinel(nil), s.Sentinels...)
	broken(&copied.Sentinels[2].Server, findings.SentinelAway)
	copied.Sentinels[2].NamedBy = nil
	fs := Examine(Input{Survey: &copied, Settings: wellSettings()})
	if codes := codesOf(fs); slices.Contains(codes, "sentinel-ghost") || !slices.Contains(codes, health.CodeSentinelUnreachable) {
		t.Errorf("found %v", codes)
	}
}

// A server that takes the connection and does not answer hangs. Its address is not to blame,
// even before a sentinel holds it down.
func TestAHungServerIsNotUnreachable(t *testing.T) {
	t.Parallel()
	for i, want := range []string{health.CodeSentinelMasterSilent, "sentinel-replica-down"} {
		fs := Examine(in(wellSet(), func(s *survey.Survey) {
			broken(&s.Nodes[i].Server, findings.TimedOut)
			s.Nodes[i].Fault.Connected = true
		}))
		if codes := codesOf(fs); !slices.Contains(codes, want) || slices.Contains(codes, "redis-announced-unreachable") {
			t.Errorf("node %d: %v, want %s", i, codes, want)
		}
	}
}

func TestTheFixNamesTheMaster(t *testing.T) {
	t.Parallel()
	const fix = "redis-cli SENTINEL SET NAME quorum 2. For names: replica-announce-ip NAME, then SENTINEL RESET NAME."
	if got, want := named(fix, "shop$1"), "redis-cli SENTINEL SET shop$1 quorum 2. For names: replica-announce-ip NAME, then SENTINEL RESET shop$1."; got != want {
		t.Errorf("named = %s", got)
	}
	if named(fix, "") != fix {
		t.Error("without a name the text has changed")
	}
}

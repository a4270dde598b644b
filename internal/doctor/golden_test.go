package doctor

import (
	"cmp"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

func TestMain(m *testing.M) { testbed.Main(m, 4) }

// canary is in every password of these tests.
const canary = "canary-of-the-doctor"

// stage is a set of real servers, and what its addresses are called in golden files.
type stage struct {
	*testing.T
	names map[string]string // by address
}

func newStage(t *testing.T) *stage { return &stage{t, map[string]string{}} }

func (s *stage) name(addr, name string) { s.names[addr] = name }

func (s *stage) sentinel(set *redistest.Sentinel) {
	for i, n := range set.Nodes() {
		s.name(n.Addr(), "NODE-"+string(rune('1'+i)))
	}
	for i, n := range set.Sentinels() {
		s.name(n.Addr(), "SENTINEL-"+string(rune('1'+i)))
	}
}

func (s *stage) cluster(set *redistest.Cluster) {
	for i, n := range set.Nodes() {
		s.name(n.Addr(), "NODE-"+string(rune('1'+i)))
	}
}

// slack keeps a busy machine from being reported as a slow Redis.
var slack = []string{"EVERCACHE_READ_TIMEOUT=30s", "EVERCACHE_DIAL_TIMEOUT=30s"}

// patience is how long a survey may take, on a busy machine.
const patience = 60 * time.Second

// wants examines what the environment leads to: it must find exactly these codes, and
// say it as the golden files do.
func (s *stage) wants(golden string, environ []string, codes ...string) {
	s.Helper()
	s.wantsIn(golden, Request{Environ: environ, Timeout: patience}, codes...)
}

// ofTheMachine are findings about the machine of the test: what is installed, and how busy it is.
var ofTheMachine = []string{"redis-end-of-life", "redis-fork-slow"}

func (s *stage) wantsIn(golden string, r Request, codes ...string) {
	s.Helper()
	r.Environ = append(slices.Clone(slack), r.Environ...)
	report := Run(s.Context(), r)
	report.Findings = slices.DeleteFunc(report.Findings, func(f Finding) bool { return slices.Contains(ofTheMachine, f.Code) })
	slices.Sort(codes)
	if d := gocmp.Diff(codes, codesOf(report.Findings)); d != "" {
		s.Errorf("%s: codes (-want +got):\n%s\n%s", golden, d, report.Text(false))
		return
	}
	report = s.anonymous(report)
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		s.Fatal(err)
	}
	s.compare(golden+".txt", report.Text(false))
	s.compare(golden+".json", string(data)+"\n")
}

func (s *stage) compare(name, got string) {
	s.Helper()
	if strings.Contains(got, canary) {
		s.Errorf("%s: a password is shown:\n%s", name, got)
	}
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			s.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.Fatal(err)
	}
	if d := gocmp.Diff(string(want), got); d != "" {
		s.Errorf("%s (-want +got; go test ./internal/doctor -update writes it):\n%s", name, d)
	}
}

var (
	hexID    = regexp.MustCompile(`[0-9a-f]{40}`)
	numbers  = regexp.MustCompile(`REDIS_PORT=\d+|used_memory:\d+|\(± [^)]*\)|clock is [0-9.a-zµ]+|lag=\d+|offset \d+ of \d+|config epoch \d+|in \d+ days|ends at [0-9T:Z-]+|at least [0-9.a-zµ]+`)
	listed   = regexp.MustCompile(`(NODE|SENTINEL)-\d(, (NODE|SENTINEL)-\d)+`)
	local    = regexp.MustCompile(`(127\.0\.0\.1|\[::1\]):\d+(->127\.0\.0\.1:\d+)?`)
	version  = regexp.MustCompile(`\b[678]\.\d+\.\d+\b`)
	anyNode  = regexp.MustCompile(`(clock of )NODE-\d( is at least)|NODE-\d( has replica-priority)`)
	onSystem = regexp.MustCompile(`lookup ([^ ]+) on [^ ]+:`)
)

// anonymous is a report without what differs from run to run.
func (s *stage) anonymous(r Report) Report {
	hide := func(text string) string {
		for _, a := range slices.SortedFunc(maps.Keys(s.names), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
			text = strings.ReplaceAll(text, a, s.names[a])
		}
		text = hexID.ReplaceAllString(text, "ID")
		text = onSystem.ReplaceAllString(text, "lookup $1:")
		text = numbers.ReplaceAllStringFunc(text, func(m string) string {
			return regexp.MustCompile(`[0-9][0-9.a-zµTZ:-]*`).ReplaceAllString(m, "N")
		})
		text = local.ReplaceAllString(text, "ADDRESS")
		text = version.ReplaceAllString(text, "VERSION")
		text = anyNode.ReplaceAllString(text, "${1}NODE-N$2$3")
		return listed.ReplaceAllStringFunc(text, func(m string) string {
			names := strings.Split(m, ", ")
			slices.Sort(names)
			return strings.Join(names, ", ")
		})
	}
	if !r.At.IsZero() {
		r.At, r.TookMS = now, 0
	}
	r.groups = slices.DeleteFunc(slices.Clone(r.groups), func(line string) bool { return strings.HasPrefix(line, "latency ") })
	for i := range r.groups {
		r.groups[i] = hide(r.groups[i])
	}
	for i := range r.Servers {
		x := &r.Servers[i]
		x.Addr, x.Version, x.ConnectMS, x.LatencyMS, x.P50MS, x.P99MS = hide(x.Addr), hide(x.Version), 0, 0, 0, 0
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Subject, f.Title, f.Detail, f.Fix = hide(f.Subject), hide(f.Title), hide(f.Detail), hide(f.Fix)
	}
	slices.SortStableFunc(r.Servers, func(a, b Server) int {
		return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(b.Kind, a.Kind), cmp.Compare(a.Addr, b.Addr))
	})
	sortAlike(r.Findings)
	return r
}

// sortAlike sorts the findings of one check by their subjects.
func sortAlike(fs []Finding) {
	for i := 0; i < len(fs); {
		n := i
		for n < len(fs) && fs[n].Code == fs[i].Code && fs[n].Severity == fs[i].Severity {
			n++
		}
		slices.SortStableFunc(fs[i:n], func(a, b Finding) int {
			return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Detail, b.Detail))
		})
		i = n
	}
}

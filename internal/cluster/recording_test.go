package cluster

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/sentinel"
)

// recording is one file of testdata/episodes: what could be seen of a real Cluster
// around a fault, and the truth about it. Times are milliseconds after the fault.
type recording struct {
	head  header
	truth truth
	lines []line
	end   float64
	addr  map[string]Addr // by name: n0, o1
	name  map[Addr]string
}

type header struct {
	Scenario    string `json:"scenario"`
	NodeTimeout int    `json:"node_timeout_ms"`
	Nodes       map[string]struct {
		Addr  string   `json:"addr"`
		ID    string   `json:"id"`
		Slots []string `json:"slots"`
	} `json:"nodes"`
}

type truth struct {
	Owners    map[string][]string `json:"owners"`
	Strangers []string            `json:"strangers"`
	Writes    map[string]struct {
		Spans [][2]float64 `json:"spans"`
	} `json:"writes"`
	Promoted []struct {
		T    float64 `json:"t"`
		Node string  `json:"node"`
	} `json:"promoted"`
}

type line struct {
	T       float64           `json:"t"`
	Src     string            `json:"src"`
	Kind    string            `json:"kind"`
	Took    float64           `json:"took"`
	Error   string            `json:"error"`
	Role    []any             `json:"role"`
	Nodes   string            `json:"nodes"`
	Info    map[string]string `json:"info"`
	Cluster map[string]string `json:"cluster"`
	RunID   string            `json:"run_id"`
	Refused map[string]string `json:"refused"`
	Acked   int               `json:"acked"`
	What    string            `json:"what"`

	fault Fault
	says  Answer
}

func (l line) sent() float64 { return l.T - l.Took }

// Periods of asking, in milliseconds, by kind.
var periods = map[string]float64{"view": 20, "barrier": 100}

func recordings(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/episodes/*/*.jsonl*")
	if err != nil || len(all) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	return all
}

func loadRecording(t testing.TB, path string) *recording {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	var text io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		text, err = gzip.NewReader(f)
		must(t, err)
	}
	r := &recording{addr: map[string]Addr{}, name: map[Addr]string{}}
	last := map[string]line{}
	in := bufio.NewScanner(text)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		r.add(t, in.Bytes(), last)
	}
	must(t, in.Err())
	r.lines = withSilence(r.lines, r.end)
	return r
}

func (r *recording) add(t testing.TB, text []byte, last map[string]line) {
	t.Helper()
	var kind struct{ Kind string }
	must(t, json.Unmarshal(text, &kind))
	var l line
	if kind.Kind != "header" && kind.Kind != "truth" {
		must(t, json.Unmarshal(text, &l))
	}
	switch kind.Kind {
	case "header":
		must(t, json.Unmarshal(text, &r.head))
		for name, n := range r.head.Nodes {
			a, err := sentinel.SplitAddr(n.Addr)
			must(t, err)
			r.addr[name], r.name[a] = a, name
		}
	case "truth":
		must(t, json.Unmarshal(text, &r.truth))
	case "view":
		if l.Error == "" {
			l.carry(last[l.Src])
			last[l.Src] = l
		}
		r.read(t, &l)
		fallthrough
	case "barrier":
		l.fault = lineFault(l.Error)
		r.end = max(r.end, l.T)
		fallthrough
	case "action":
		r.lines = append(r.lines, l)
	}
}

// carry fills in what was left out because it had not changed.
func (l *line) carry(was line) {
	if l.Role == nil {
		l.Role = was.Role
	}
	if l.Nodes == "" {
		l.Nodes = was.Nodes
	}
	if l.Info == nil {
		l.Info = was.Info
	}
	if l.Cluster == nil {
		l.Cluster = was.Cluster
	}
	if l.RunID == "" {
		l.RunID = was.RunID
	}
}

func (r *recording) read(t testing.TB, l *line) {
	t.Helper()
	if l.Error != "" {
		return
	}
	nodes, err := ParseNodes(l.Nodes)
	must(t, err)
	info, err := ParseInfo(infoText(l.Cluster))
	must(t, err)
	role, err := sentinel.ParseRole(integers(l.Role))
	must(t, err)
	repl, err := sentinel.ParseReplication(infoText(l.Info))
	must(t, err)
	repl.RunID = l.RunID
	says, err := NewAnswer(role.Role, nodes, info, repl)
	if err != nil {
		l.Error = "error contradicts itself"
		return
	}
	says.NodeTimeout = time.Duration(r.head.NodeTimeout) * time.Millisecond
	l.says = says
}

func infoText(f map[string]string) string {
	var text strings.Builder
	for k, v := range f {
		text.WriteString(k + ":" + v + "\r\n")
	}
	return text.String()
}

// integers undoes what JSON does to the integers of a reply.
func integers(list []any) []any {
	out := make([]any, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case float64:
			out[i] = int64(v)
		case []any:
			out[i] = integers(v)
		default:
			out[i] = v
		}
	}
	return out
}

func lineFault(text string) Fault {
	switch text {
	case "":
		return FaultNone
	case "timeout", "unreachable", "closed":
		return FaultSilent
	case "error contradicts itself":
		return FaultMalformed
	}
	return ReplyFault(strings.TrimPrefix(text, "error "))
}

// withSilence puts back the lines that were left out because they said the same
// as the one before.
func withSilence(lines []line, end float64) []line {
	last := map[string]line{}
	var out []line
	fill := func(key string, until float64) {
		l, ok := last[key]
		if !ok || l.Error == "closed" {
			return
		}
		if l.Error == "" {
			l.Took = min(l.Took, 15) // that the first answer was slow does not make the others so
		}
		for step := max(periods[l.Kind], l.Took); l.T+step < until; {
			l.T += step
			out = append(out, l)
		}
	}
	for _, l := range lines {
		if _, steady := periods[l.Kind]; steady {
			key := l.Src + l.Kind
			fill(key, l.sent())
			last[key] = l
		}
		out = append(out, l)
	}
	for key := range last {
		fill(key, end)
	}
	return sorted(out)
}

// sorted puts lines in the order of their times. It moves places, for a line is large.
func sorted(lines []line) []line {
	places := make([]int, len(lines))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(i, j int) int {
		a, b := &lines[i], &lines[j]
		return cmp.Or(cmp.Compare(a.T, b.T), strings.Compare(a.Src, b.Src), strings.Compare(a.Kind, b.Kind), cmp.Compare(i, j))
	})
	out := make([]line, len(lines))
	for to, from := range places {
		out[to] = lines[from]
	}
	return out
}

var epoch0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms float64) time.Time { return epoch0.Add(time.Duration(ms * float64(time.Millisecond))) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package sentinel

import (
	"bufio"
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// recording is one file of testdata/episodes: what could be seen of a real set
// around a fault, and the truth about it. Times are milliseconds after the fault.
type recording struct {
	head    header
	truth   truth
	lines   []line
	end     float64
	addr    map[string]Addr // by name: n1, s1
	nameOf  map[Addr]string
	holding []string // the sentinels
}

type header struct {
	Scenario   string            `json:"scenario"`
	MasterName string            `json:"master_name"`
	Timeout    int               `json:"failover_timeout_ms"`
	Master     string            `json:"master"`
	Ports      map[string]string `json:"ports"`
}

type truth struct {
	Final    string `json:"final_master"`
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
	State   string            `json:"state"`
	Channel string            `json:"channel"`
	Message string            `json:"message"`
	Addr    string            `json:"addr"`
	Master  map[string]string `json:"master"`
	Lists   []replicaLine     `json:"replicas"`
	Role    []any             `json:"role"`
	RunID   string            `json:"run_id"`
	Info    map[string]string `json:"info"`
	Acked   int               `json:"acked"`

	parsed Observation // without times and source
}

type replicaLine struct {
	Addr     string `json:"addr"`
	Flags    string `json:"flags"`
	Priority int    `json:"priority"`
	Link     string `json:"link"`
	Master   string `json:"master"`
}

func (l *line) sent() float64 { return l.T - l.Took }

// Periods of asking, in milliseconds, by kind.
var periods = map[string]float64{"poll": 200, "probe": 50, "barrier": 100}

func loadRecording(t testing.TB, path string) *recording {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &recording{addr: map[string]Addr{}, nameOf: map[Addr]string{}}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		r.add(t, in.Bytes())
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	r.lines = withSilence(r.lines, r.end)
	return r
}

func (r *recording) add(t testing.TB, text []byte) {
	t.Helper()
	var kind struct{ Kind string }
	must(t, json.Unmarshal(text, &kind))
	switch kind.Kind {
	case "header":
		must(t, json.Unmarshal(text, &r.head))
		for port, name := range r.head.Ports {
			a, err := ParseAddr("127.0.0.1", port)
			must(t, err)
			r.addr[name], r.nameOf[a] = a, name
			if name[0] == 's' {
				r.holding = append(r.holding, name)
			}
		}
		slices.Sort(r.holding)
	case "truth":
		must(t, json.Unmarshal(text, &r.truth))
	case "action":
	default:
		var l line
		must(t, json.Unmarshal(text, &l))
		l.parsed = r.parse(l)
		r.end = max(r.end, l.T)
		r.lines = append(r.lines, l)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// withSilence puts back the lines that were left out because they said the same
// as the one before.
func withSilence(lines []line, end float64) []line {
	last := map[string]line{}
	var out []line
	fill := func(key string, until float64) {
		l, ok := last[key]
		if !ok || l.Error == "error connection closed" {
			return
		}
		if l.Error == "" {
			l.Took = min(l.Took, 100) // that the first answer was slow does not make the others so
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

// observation is what the shell would have made of a line, received late by lag
// milliseconds.
func (r *recording) observation(l *line, lag float64) Observation {
	src, seen, sent := r.addr[l.Src], at(l.T+lag), at(l.sent())
	switch o := l.parsed.(type) {
	case Event:
		o.Sentinel, o.At = src, seen
		return o
	case Link:
		o.Sentinel, o.At = src, seen
		return o
	case Poll:
		o.Sentinel, o.SentAt, o.At = src, sent, seen
		return o
	case Probe:
		o.Node, o.SentAt, o.At = src, sent, seen
		return o
	case Barrier:
		o.Node, o.SentAt, o.At = src, sent, seen
		return o
	}
	panic("unknown kind " + l.Kind)
}

// parse reads what the line says, once; lines that stand for silence say it again.
func (r *recording) parse(l line) Observation {
	switch l.Kind {
	case "event":
		return Event{Channel: l.Channel, Message: l.Message}
	case "link":
		return Link{Up: l.State != "lost"}
	case "poll":
		return r.poll(l)
	case "probe":
		return r.probe(l)
	}
	return Barrier{Fault: lineFault(l.Error), Acked: l.Acked}
}

func lineFault(text string) Fault {
	switch text {
	case "":
		return FaultNone
	case "timeout":
		return FaultTimeout
	case "unreachable":
		return FaultUnreachable
	case "error connection closed":
		return FaultClosed
	}
	return ReplyFault(strings.TrimPrefix(text, "error "))
}

func (r *recording) poll(l line) Observation {
	p := Poll{Fault: lineFault(l.Error)}
	if p.Fault != FaultNone {
		return p
	}
	named, err := SplitAddr(l.Addr)
	if err != nil {
		p.Fault = FaultMalformed
		return p
	}
	fields := splitIP(l.Master, "ip", "port", l.Master["addr"])
	fields["failover-timeout"] = itoa(r.head.Timeout)
	p.Named = named
	if p.Master, err = ParseMaster(fields); err != nil {
		p.Fault = FaultMalformed
		return p
	}
	var list []map[string]string
	for _, e := range l.Lists {
		f := splitIP(map[string]string{"flags": e.Flags, "slave-priority": itoa(e.Priority), "master-link-status": e.Link}, "ip", "port", e.Addr)
		list = append(list, splitIP(f, "master-host", "master-port", e.Master))
	}
	p.Replicas, _ = ParseReplicas(list)
	return p
}

func splitIP(f map[string]string, host, port, addr string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, f)
	i := strings.LastIndexByte(addr, ':')
	out[host], out[port] = addr[:i], addr[i+1:]
	return out
}

func itoa(n int) string { return word(n) }

func (r *recording) probe(l line) Observation {
	p := Probe{Fault: lineFault(l.Error)}
	if p.Fault != FaultNone {
		return p
	}
	role, err := ParseRole(integers(l.Role))
	if err != nil {
		p.Fault = FaultMalformed
		return p
	}
	var text strings.Builder
	for k, v := range l.Info {
		text.WriteString(k + ":" + v + "\r\n")
	}
	info, err := ParseReplication(text.String())
	if err != nil {
		p.Fault = FaultMalformed
		return p
	}
	if p.Says, err = NewAnswer(role, info, l.RunID); err != nil {
		p.Fault = FaultMalformed
	}
	return p
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

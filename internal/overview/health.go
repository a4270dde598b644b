package overview

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/censor"
)

// MaxHealth bounds an answer of /health, in bytes.
const MaxHealth = 4 << 20

// maxListed bounds the lists in it.
const maxListed = 256

// report is what is read of the JSON of /health: docs/health.md has all of it.
type report struct {
	Status string `json:"status"`
	Redis  struct {
		Mode    string `json:"mode"`
		Message string `json:"message"`
		State   string `json:"state"`
		Master  string `json:"master"`
		Outbox  struct {
			Entries int `json:"entries"`
		} `json:"outbox"`
		Sentinel *sentinelReport `json:"sentinel"`
		Cluster  *clusterReport  `json:"cluster"`
	} `json:"redis"`
	Findings []health.Finding `json:"findings"`
	Details  string           `json:"details"`
}

type sentinelReport struct {
	MasterName    string   `json:"masterName"`
	CurrentMaster *address `json:"currentMaster"`
	LastFailover  *time.Time
	Epoch         int64 `json:"epoch"`
	Quorum        struct {
		Known, Reachable, Agreeing, Needed, Monitoring int
		Configured                                     int64
	} `json:"quorum"`
	Nodes []struct {
		Address, Role, Follows, Link string
		Reachable                    bool
		LagBytes                     *int64
	} `json:"nodes"`
	SentinelNodes []struct {
		Address, Names, Error string
		Reachable, Monitoring bool
		Epoch                 int64
		Tilt                  bool
	} `json:"sentinelNodes"`
}

type clusterReport struct {
	Slots  Slots `json:"slots"`
	Shards []struct {
		State, Cause, Master, Ranges string
		Epoch                        int64
		Slots                        int
		Replicas                     []string
	} `json:"shards"`
	Unreachable []struct{ Address, Error string } `json:"unreachable"`
}

type address struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

func (a *address) String() string {
	if a == nil {
		return ""
	}
	return line(net.JoinHostPort(a.Host, strconv.Itoa(a.Port)))
}

// line makes a text of others fit to be shown.
func line(text string) string { return censor.Text(text, 300) }

// ErrNoHealth: the answer is none of /health.
var ErrNoHealth = errors.New("the answer is not that of /health of evercache")

// OfHealth is what a process that uses the set says of it in the body of its /health. source is its address.
func OfHealth(body []byte, source string, at time.Time) (View, error) {
	if len(body) > MaxHealth {
		return View{}, fmt.Errorf("%w: more than %d bytes", ErrNoHealth, MaxHealth)
	}
	var r report
	if err := json.Unmarshal(body, &r); err != nil || r.Status == "" || r.Redis.Mode == "" {
		return View{}, ErrNoHealth
	}
	v := View{Mode: line(r.Redis.Mode), Source: source, At: at.UTC(), Master: line(r.Redis.Master)}
	v.Evercache = &Evercache{
		Status: line(r.Status), State: line(r.Redis.State), Message: line(r.Redis.Message),
		Outbox: r.Redis.Outbox.Entries, Short: r.Details != "",
	}
	v.report(r)
	if r.Status != "up" {
		v.problem("evercache is %s: %s", v.Evercache.Status, v.Evercache.Message)
	}
	for _, f := range r.Findings[:min(len(r.Findings), maxListed)] {
		if f.Severity != health.SeverityInfo {
			v.problem("%s (%s): %s", line(f.Title), line(f.Code), line(cmp.Or(f.Detail, f.Fix)))
		}
	}
	v.judge(true)
	return v, nil
}

// report fills in the servers, as the process sees them.
func (v *View) report(r report) {
	switch {
	case r.Redis.Sentinel != nil:
		v.sentinelReport(*r.Redis.Sentinel)
	case r.Redis.Cluster != nil:
		v.clusterReport(*r.Redis.Cluster)
	case v.Master != "":
		state := stateWritable
		if r.Redis.State == "degraded" {
			state = stateUnreachable
		}
		v.Nodes = []Node{{Address: v.Master, Role: "master", State: state, Error: unless(state == stateWritable, "not in use: see below")}}
	}
}

func unless(not bool, text string) string {
	if not {
		return ""
	}
	return text
}

func (v *View) sentinelReport(s sentinelReport) {
	v.MasterName, v.Master, v.Epoch = line(s.MasterName), s.CurrentMaster.String(), s.Epoch
	v.MasterSince = s.LastFailover
	v.Quorum = &Quorum{Known: s.Quorum.Known, Answering: s.Quorum.Monitoring, Agreeing: s.Quorum.Agreeing, Needed: s.Quorum.Needed, Configured: s.Quorum.Configured}
	for _, n := range s.Nodes[:min(len(s.Nodes), maxListed)] {
		out := Node{Address: line(n.Address), Role: line(n.Role), Follows: line(n.Follows), State: stateKnown, LagBytes: n.LagBytes}
		switch {
		case !n.Reachable:
			out.State, out.Error = stateUnreachable, "no answer to the last question"
			v.problem("%s does not answer", out.Address)
		case n.Role == "master" && out.Address == v.Master:
			out.State = stateWritable
		case n.Role == "master":
			out.State = stateRival
		case n.Link == "online":
			out.State, out.Link = stateStreaming, "up"
		case n.Role == "replica":
			out.State, out.Link = line(n.Link), "down"
		}
		v.Nodes = append(v.Nodes, out)
	}
	for _, n := range s.SentinelNodes[:min(len(s.SentinelNodes), maxListed)] {
		out := Sentinel{Address: line(n.Address), Names: line(n.Names), Epoch: n.Epoch, State: watcherOK, Error: reason(line(n.Error))}
		switch {
		case !n.Reachable:
			out.State, out.Error = watcherAway, cmp.Or(out.Error, "no answer to the last question")
		case !n.Monitoring:
			out.State = watcherIdle
		case n.Tilt:
			out.State = watcherTilt
		}
		v.Sentinels = append(v.Sentinels, out)
	}
	v.masterFirst()
}

func (v *View) clusterReport(c clusterReport) {
	v.Slots, v.Master = &c.Slots, ""
	for _, sh := range c.Shards[:min(len(c.Shards), maxListed)] {
		v.Epoch = max(v.Epoch, sh.Epoch)
		m := Node{Address: line(sh.Master), Role: "master", State: stateWritable, SlotCount: sh.Slots, Ranges: line(sh.Ranges), Epoch: sh.Epoch}
		if sh.State != "connected" {
			m.State, m.Error = stateUnreachable, cmp.Or(line(sh.Cause), "not in use")
		}
		v.Nodes = append(v.Nodes, m)
		for _, r := range sh.Replicas[:min(len(sh.Replicas), maxListed)] {
			v.Nodes = append(v.Nodes, Node{Address: line(r), Role: "replica", Follows: m.Address, State: stateKnown, Epoch: sh.Epoch})
		}
	}
	for _, n := range c.Unreachable[:min(len(c.Unreachable), maxListed)] {
		if shown := v.node(line(n.Address)); shown != nil {
			shown.State, shown.Error = stateUnreachable, reason(line(n.Error))
			continue
		}
		v.Nodes = append(v.Nodes, Node{Address: line(n.Address), Role: "unknown", State: stateUnreachable, Error: reason(line(n.Error))})
	}
}

package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// describe says what the episode begins with.
func (e *episode) describe() (header, error) {
	h := header{
		Kind: "header", Scenario: e.name, About: e.about,
		NodeTimeout: nodeTimeout.Milliseconds(), Coverage: !e.partial, Nodes: map[string]headerNode{},
		View: [2]int64{viewPeriod.Milliseconds(), viewLimit.Milliseconds()}, Barrier: [2]int64{barrierPeriod.Milliseconds(), barrierLimit.Milliseconds()},
	}
	nameOf := map[string]string{}
	var replicas []string
	for _, n := range e.named() {
		info, err := n.Do(e.ctx, "INFO", "server")
		if err != nil {
			return h, err
		}
		f := fields(fmt.Sprint(info))
		h.Server, h.Version = "redis", f["redis_version"]
		if v := f["valkey_version"]; v != "" {
			h.Server, h.Version = "valkey", v
		}
		self, err := ownLine(e, n)
		if err != nil {
			return h, err
		}
		nameOf[self.id] = n.name
		hn := headerNode{Addr: n.Addr(), ID: self.id, RunID: f["run_id"], Role: "master", Slots: self.slots}
		if !self.master {
			hn.Role, hn.Of = "slave", self.of
			replicas = append(replicas, n.name)
		}
		h.Nodes[n.name] = hn
	}
	for _, name := range replicas {
		hn := h.Nodes[name]
		hn.Of = nameOf[hn.Of]
		h.Nodes[name] = hn
	}
	h.Barriers = h.findShards()
	return h, nil
}

// findShards: a barrier is in the last slot of its shard, which no scenario moves.
func (h header) findShards() []shard {
	var all []shard
	for name, n := range h.Nodes {
		if n.Role != "master" {
			continue
		}
		_, last, _ := strings.Cut(n.Slots[0], "-")
		slot, _ := strconv.Atoi(last) // ownLine has seen it
		s := shard{Name: name, Nodes: []string{name}, Slot: slot, Key: "{" + redisproc.Tag(slot) + "}b"}
		for other, o := range h.Nodes {
			if o.Of == name {
				s.Nodes = append(s.Nodes, other)
			}
		}
		slices.Sort(s.Nodes)
		s.Replicas = len(s.Nodes) - 1
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b shard) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (h header) shards() []shard { return h.Barriers }

// self is a node's own line of CLUSTER NODES.
type self struct {
	id     string
	master bool
	of     string
	epoch  uint64
	slots  []string
}

func ownLine(e *episode, n node) (self, error) {
	reply, err := n.Do(e.ctx, "CLUSTER", "NODES")
	if err != nil {
		return self{}, err
	}
	for l := range strings.Lines(fmt.Sprint(reply)) {
		f := strings.Fields(l)
		if len(f) < 8 || !strings.Contains(f[2], "myself") {
			continue
		}
		epoch, err := strconv.ParseUint(f[6], 10, 64)
		return self{f[0], strings.Contains(f[2], "master"), f[3], epoch, f[8:]}, err
	}
	return self{}, fmt.Errorf("%s has no line of its own in CLUSTER NODES", n.name)
}

func (e *episode) findTruth() (truth, error) {
	t := truth{
		Kind: "truth", Strangers: e.strangers, Owners: map[string][]string{}, Roles: map[string]string{}, Epochs: map[string]uint64{},
		Promoted: []change{}, Demoted: []change{}, Started: []change{}, Writes: map[string]writes{},
	}
	nameOf := map[string]string{}
	selves := map[string]self{}
	for _, n := range e.named() {
		s, err := ownLine(e, n)
		if err != nil {
			t.Roles[n.name] = "error " + describeError(err)
			continue
		}
		selves[n.name], nameOf[s.id] = s, n.name
		t.Epochs[n.name] = s.epoch
	}
	for name, s := range selves {
		t.Roles[name] = "master"
		if !s.master {
			t.Roles[name] = "slave of " + cmp.Or(nameOf[s.of], s.of)
		} else if len(s.slots) > 0 {
			t.Owners[name] = s.slots
		}
	}
	for _, n := range e.named() {
		e.readLog(&t, n)
	}
	for _, list := range []*[]change{&t.Promoted, &t.Demoted, &t.Started} {
		slices.SortFunc(*list, func(a, b change) int { return cmp.Compare(a.T, b.T) })
	}
	return t, e.countWrites(&t, selves)
}

var (
	logLine  = regexp.MustCompile(`^\d+:[A-Z] (\d+ \w+ \d+ [0-9:.]+) . (.*)$`)
	promoted = regexp.MustCompile(`^(Failover election won|Taking over the)`)
	demoted  = regexp.MustCompile(`Reconfiguring myself as a replica of`)
	started  = regexp.MustCompile(`Server initialized`)
)

// readLog finds in a node's log when it changed its role.
func (e *episode) readLog(t *truth, n node) {
	for l := range strings.Lines(n.Log()) {
		m := logLine.FindStringSubmatch(strings.TrimRight(l, "\r\n"))
		if m == nil {
			continue
		}
		at, err := time.ParseInLocation("02 Jan 2006 15:04:05.000", m[1], time.Local)
		if err != nil || at.Before(e.zero.Add(-before/2)) {
			continue
		}
		c := change{millis(at.Sub(e.zero)), n.name}
		switch {
		case promoted.MatchString(m[2]):
			t.Promoted = append(t.Promoted, c)
		case demoted.MatchString(m[2]):
			t.Demoted = append(t.Demoted, c)
		case started.MatchString(m[2]):
			t.Started = append(t.Started, c)
		}
	}
}

// countWrites compares what the nodes took with what is there at the end.
func (e *episode) countWrites(t *truth, selves map[string]self) error {
	there := map[string]map[string]bool{}
	for _, s := range e.head.shards() {
		list, err := e.numbersOf(s, selves)
		if err != nil {
			return err
		}
		there[s.Name] = list
	}
	for _, a := range e.rec.took {
		w, at := t.Writes[a.node], millis(a.at.Sub(e.zero))
		w.Accepted++
		if i := len(w.Spans) - 1; i >= 0 && at-w.Spans[i][1] < 500 {
			w.Spans[i][1] = at
		} else {
			w.Spans = append(w.Spans, [2]float64{at, at})
		}
		if !there[a.shard][strconv.FormatInt(a.n, 10)] {
			w.Lost++
		}
		t.Writes[a.node] = w
	}
	return nil
}

// numbersOf are the barriers of a shard that its slot's owner has.
func (e *episode) numbersOf(s shard, selves map[string]self) (map[string]bool, error) {
	all := map[string]bool{}
	owner, found := e.owner(s, selves)
	if !found {
		return all, nil
	}
	reply, err := owner.Do(e.ctx, "LRANGE", s.log(), "0", "-1")
	if err != nil {
		return nil, fmt.Errorf("the barriers of %s: %w", s.Name, err)
	}
	list, _ := reply.([]any)
	for _, v := range list {
		all[fmt.Sprint(v)] = true
	}
	return all, nil
}

// owner is the node of the shard's own cluster that has its slot, under the highest epoch.
func (e *episode) owner(s shard, selves map[string]self) (owner node, found bool) {
	var epoch uint64
	for _, n := range e.named() {
		own, said := selves[n.name]
		if !said || !own.owns(s.Slot) || n.name[0] != s.Name[0] || slices.Contains(e.strangers, n.name) {
			continue
		}
		if !found || own.epoch > epoch {
			owner, epoch, found = n, own.epoch, true
		}
	}
	return owner, found
}

func (s self) owns(slot int) bool {
	return s.master && slices.ContainsFunc(s.slots, func(word string) bool {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		return err1 == nil && err2 == nil && from <= slot && slot <= to
	})
}

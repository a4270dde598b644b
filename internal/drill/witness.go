package drill

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/history"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/survey"
)

// How often the servers are asked.
const (
	lookEvery   = 20 * time.Millisecond
	agreeEvery  = 200 * time.Millisecond
	lookLimit   = 300 * time.Millisecond
	surveyLimit = 1500 * time.Millisecond
)

// Event is what a server did, as it was seen from here.
type Event struct {
	AtMS float64 `json:"atMs"` // since the trigger
	Who  string  `json:"who"`
	Text string  `json:"text"`
}

// sight is what one server said of its replication.
type sight struct {
	at     time.Time
	master bool
	replID string
	offset int64
	// second is the offset up to which it has what its master had; it is known of one that was promoted.
	secondID string
	second   int64
}

// witness watches the servers while a drill goes on. It has a goroutine for each.
type witness struct {
	target survey.Target
	before *survey.Survey
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	pulled time.Time        // zero: not yet; guarded by mu, as all below
	last   map[string]sight // as a master, of each node
	roles  map[string]bool  // whether it is one
	events []Event
	marks  Marks
	next   sight // of the node that was promoted
	old    string
}

// Marks are moments after the trigger, in milliseconds; null: not seen.
type Marks struct {
	SuspectedMS *float64 `json:"suspectedMs"` // a first sentinel holds the master down
	AgreedMS    *float64 `json:"agreedMs"`    // enough of them do
	PromotedMS  *float64 `json:"promotedMs"`  // another server says that it is master
	SwitchedMS  *float64 `json:"switchedMs"`  // a first sentinel names the next master
	ConvergedMS *float64 `json:"convergedMs"` // all that answer agree, and follow
}

func newWitness(t survey.Target, before *survey.Survey) *witness {
	t.Timeout = surveyLimit
	return &witness{target: t, before: before, last: map[string]sight{}, roles: map[string]bool{}, cancel: func() {}}
}

// start watches until close.
func (w *witness) start(time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	for _, n := range w.before.Nodes {
		if n.Fault == nil {
			w.roles[n.Addr] = n.Role.Name == "master"
		}
	}
	for _, n := range w.before.Nodes {
		if n.Fault == nil {
			w.wg.Go(func() { w.watchNode(ctx, n) })
		}
	}
	for _, s := range w.before.Sentinels {
		if s.Monitors() {
			w.wg.Go(func() { w.listen(ctx, s) })
		}
	}
}

func (w *witness) close() {
	w.cancel()
	w.wg.Wait()
}

// watchFrom says when the set was broken: what is seen after that is told.
func (w *witness) watchFrom(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pulled = at
}

// watchNode asks a node about its replication, again and again.
func (w *witness) watchNode(ctx context.Context, n survey.Node) {
	var link *remote.Link
	defer func() {
		if link != nil {
			link.Close()
		}
	}()
	for pause(ctx, lookEvery) == nil {
		if link == nil {
			dialing, cancel := context.WithTimeout(ctx, lookLimit)
			l, err := w.target.ConnectNode(dialing, n)
			cancel()
			if err != nil {
				continue
			}
			link = l
		}
		r, err := link.Ask(ctx, lookLimit, []string{"INFO", "replication"})
		if err != nil {
			link.Close()
			link = nil
			continue
		}
		if s, ok := parseSight(strings.TrimPrefix(r[0].Text(), "txt:")); ok {
			s.at = time.Now()
			w.saw(n.Addr, s)
		}
	}
}

// parseSight reads the answer to INFO replication.
func parseSight(text string) (s sight, ok bool) {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, v, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); found {
			fields[name] = v
		}
	}
	role := fields["role"]
	var err error
	if s.offset, err = strconv.ParseInt(fields["master_repl_offset"], 10, 64); err != nil || s.offset < 0 || role != "master" && role != "slave" {
		return sight{}, false
	}
	s.master, s.replID, s.secondID = role == "master", fields["master_replid"], fields["master_replid2"]
	if s.second, err = strconv.ParseInt(fields["second_repl_offset"], 10, 64); err != nil {
		s.second = -1
	}
	return s, true
}

// saw notes what a node said.
func (w *witness) saw(addr string, s sight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.master && !(!w.pulled.IsZero() && !w.roles[addr]) {
		w.last[addr] = s
	}
	if s.master == w.roles[addr] {
		return
	}
	w.roles[addr] = s.master
	switch {
	case !s.master:
		w.tellLocked(s.at, addr, "says that it is a replica")
	case w.marks.PromotedMS == nil && !w.pulled.IsZero():
		w.marks.PromotedMS = new(millis(s.at.Sub(w.pulled)))
		w.next, w.old = s, w.formerLocked(addr)
		w.tellLocked(s.at, addr, "says that it is master")
	default:
		w.tellLocked(s.at, addr, "says that it is master")
	}
}

// formerLocked is the master that a node followed before the drill.
func (w *witness) formerLocked(addr string) string {
	n := w.before.Node(addr)
	if n == nil {
		return ""
	}
	if m := w.before.Node(n.Role.Master); m != nil {
		return m.Addr
	}
	return ""
}

func (w *witness) tellLocked(at time.Time, who, format string, a ...any) {
	if w.pulled.IsZero() || len(w.events) >= maxEvents {
		return
	}
	w.events = append(w.events, Event{millis(at.Sub(w.pulled)), who, fmt.Sprintf(format, a...)})
}

// listen hears what a sentinel publishes.
func (w *witness) listen(ctx context.Context, s survey.Sentinel) {
	for ctx.Err() == nil {
		_ = w.target.Listen(ctx, s, func() {}, func(channel, text string) { w.heard(s.Addr, channel, text, time.Now()) })
		_ = pause(ctx, agreeEvery)
	}
}

func (w *witness) heard(who, channel, text string, at time.Time) {
	words, ok := history.Words(w.before.MasterName, channel, text)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pulled.IsZero() {
		return
	}
	w.tellLocked(at, "sentinel "+who, "%s", words)
	after := millis(at.Sub(w.pulled))
	for _, m := range []struct {
		channel string
		mark    **float64
	}{{"+sdown", &w.marks.SuspectedMS}, {"+odown", &w.marks.AgreedMS}, {"+switch-master", &w.marks.SwitchedMS}} {
		aboutMaster := m.channel != "+sdown" || strings.HasPrefix(text, "master ")
		if channel == m.channel && aboutMaster && *m.mark == nil {
			*m.mark = new(after)
		}
	}
}

// waitAgreed waits until all servers that answer agree. It returns what lacks when ctx ends before.
func (w *witness) waitAgreed(ctx context.Context) (lacks []string) {
	for {
		if w.converged() {
			return nil
		}
		s := survey.Take(ctx, w.target)
		if ctx.Err() == nil || lacks == nil {
			lacks = w.judge(s)
		}
		if len(lacks) == 0 || pause(ctx, agreeEvery) != nil {
			return lacks
		}
	}
}

// waitWhole waits until every server is there and agrees, also one that was away.
func (w *witness) waitWhole(ctx context.Context) (lacks []string) {
	for {
		s := survey.Take(ctx, w.target)
		if ctx.Err() == nil || lacks == nil {
			lacks = disagreement(&survey.Survey{}, s)
		}
		if len(lacks) == 0 || pause(ctx, agreeEvery) != nil {
			return lacks
		}
	}
}

func (w *witness) converged() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.marks.ConvergedMS != nil
}

// judge is what lacks at this moment. It notes when nothing does.
func (w *witness) judge(s *survey.Survey) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lacks := disagreement(w.before, s)
	if len(lacks) == 0 && w.marks.ConvergedMS == nil {
		at := s.At.Add(s.Took)
		w.marks.ConvergedMS = new(millis(at.Sub(w.pulled)))
		w.tellLocked(at, "all servers", "agree")
	}
	return lacks
}

// watchAgreement looks while the traffic goes on. promoted: not before another server is master.
func (w *witness) watchAgreement(ctx context.Context, promoted bool) {
	w.wg.Go(func() {
		for pause(ctx, agreeEvery) == nil && !w.converged() {
			w.mu.Lock()
			seen := w.marks.PromotedMS != nil
			w.mu.Unlock()
			if promoted && !seen {
				continue
			}
			if s := survey.Take(ctx, w.target); ctx.Err() == nil {
				w.judge(s)
			}
		}
	})
}

// disagreement is what keeps the servers of a set from being one again. A former master may be away.
func disagreement(before, s *survey.Survey) (lacks []string) {
	add := func(format string, a ...any) { lacks = append(lacks, fmt.Sprintf(format, a...)) }
	var leader *survey.Node
	if s.Mode == health.ModeSentinel {
		ok := false
		if leader, ok = s.Leads(); !ok {
			return []string{"the sentinels name no master that answers"}
		}
		for _, x := range s.Sentinels {
			switch {
			case x.Monitors() && x.Master.Flag("failover_in_progress"):
				add("sentinel %s has not ended the failover", x.Addr)
			case x.Monitors() && s.Node(x.Named) != leader:
				add("sentinel %s names %s", x.Addr, x.Named)
			}
		}
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		was := before.Node(n.Addr)
		switch {
		case n.Fault != nil && was != nil && (was.Role.Name == "master" || was.Fault != nil):
		case n.Fault != nil:
			add("%s does not answer", n.Addr)
		case n.Role.Name == "replica" && n.Role.Link != "connected":
			add("%s is not in sync with its master", n.Addr)
		case leader != nil && n != leader && (n.Role.Name != "replica" || s.Node(n.Role.Master) != leader):
			add("%s does not follow %s", n.Addr, leader.Addr)
		case n.Cluster != nil && n.Cluster.Info["cluster_state"] != "ok":
			add("%s says that the Cluster is down", n.Addr)
		}
	}
	return lacks
}

// lostBytes is what the old master had sent to nobody who was promoted: its last offset that was seen, less the one up
// to which the new master has its data. Not ok: it cannot be told.
func (w *witness) lostBytes() (n int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, seen := w.last[w.old]
	if !seen || w.next.second < 0 || w.next.secondID == "" || w.next.secondID != old.replID {
		return 0, false
	}
	return max(0, old.offset-(w.next.second-1)), true
}

package watch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// syncAskers has every node asked that is to be, as often as is decided.
func (d *Cluster) syncAskers(was cluster.Decision, other bool) {
	if other || !slices.Equal(was.Asks, d.now.Asks) || len(d.askers) == 0 {
		stretch := d.cost.stretch(d.now.Asks)
		wanted := map[cluster.Addr]bool{}
		for _, ask := range d.now.Asks {
			wanted[ask.Addr] = true
			w := d.askers[ask.Addr]
			if w == nil {
				w = d.hire(ask.Addr)
			}
			w.interval.set(d.atRest(stretched(ask.Each, stretch)))
		}
		maps.DeleteFunc(d.askers, func(a cluster.Addr, w *worker) bool {
			if !wanted[a] {
				w.end()
			}
			return !wanted[a]
		})
	}
	for _, a := range d.now.AskNow {
		d.askNow(a)
	}
}

// atRest is an interval while nobody uses any master. Nodes are told of their peers'
// ends within the node timeout.
func (d *Cluster) atRest(each time.Duration) time.Duration {
	if !d.rests || each < idleAsk {
		return each
	}
	return max(each, min(askAtRest, d.now.NodeTimeout/3))
}

func (d *Cluster) askNow(a cluster.Addr) {
	if w := d.askers[a]; w != nil {
		w.interval.now()
	}
}

func (d *Cluster) hire(a cluster.Addr) *worker {
	ctx, cancel := context.WithCancel(d.ctx)
	w := &worker{interval: newInterval(0), end: cancel}
	d.askers[a] = w
	config := d.aim(d.c.Node, a)
	config.DialTimeout = min(config.DialTimeout, 2*probeLimit)
	d.wg.Go(func() {
		d.asks(ctx, &asker{config: config, addr: a, prefix: d.c.KeyPrefix, mapped: d.c.Map, missing: &d.missing}, w.interval)
	})
	return w
}

// aim has c lead to the node that is announced at a.
func (d *Cluster) aim(c remote.Config, a cluster.Addr) remote.Config {
	c.Addr = a.String()
	switch to, mapped := d.c.Map[c.Addr]; {
	case mapped:
		c.Addr = to
	case d.seeds[a] != "" && (c.TLS != nil || c.TLSNow != nil): // the name is what its certificate is for
		c.Addr, c.At = d.seeds[a], c.Addr
	}
	return c
}

// asks asks one node until ctx ends.
func (d *Cluster) asks(ctx context.Context, q *asker, p *interval) {
	defer q.close()
	for p.wait(ctx) == nil {
		had := q.conn.Received()
		v, err := q.view(ctx)
		if ctx.Err() != nil {
			return
		}
		d.troubles.asked(q.addr, err)
		d.complaints.note(q.addr, err)
		d.report(func() {
			if d.askers[q.addr] != nil { // else it is a last word
				d.viewed(v)
			}
		})
		q.last, q.met = err, q.met || err == nil
		_ = remote.Pause(ctx, time.Until(v.SentAt.Add(restAfter(q.conn.Received()-had))))
	}
}

// asker asks one node over a connection of its own.
type asker struct {
	config  remote.Config
	addr    cluster.Addr
	prefix  string            // of keys
	mapped  map[string]string // addresses that the user has mapped
	conn    *remote.Link
	missing *missing

	process   process // at the other end of conn
	timeout   time.Duration
	timeoutAt time.Time // when that was asked for
	endpoint  endpoint
	last      error // of the last question
	met       bool  // it has answered once: what its port speaks is known
}

// timeoutEach is how often a node is asked for its cluster-node-timeout.
const timeoutEach = time.Minute

func (q *asker) close() {
	if q.conn != nil {
		q.conn.Close()
		q.conn = nil
	}
}

// view asks once. A promotion can end an open connection: the answer is one dial away then.
func (q *asker) view(ctx context.Context) (cluster.View, error) {
	opened := q.conn != nil
	v, err := q.try(ctx)
	if opened && q.conn == nil && remote.KindOf(err) == remote.Conn && ctx.Err() == nil {
		v, err = q.try(ctx)
	}
	return v, err
}

func (q *asker) try(ctx context.Context) (cluster.View, error) {
	v := cluster.View{Node: q.addr, SentAt: time.Now()}
	says, err := q.ask(ctx)
	v.At, v.Says, v.Fault = time.Now(), says, clusterFault(err)
	if f, ok := errors.AsType[*nodeFault](err); ok {
		v.Fault = f.fault
	} else if err != nil {
		q.close()
	}
	return v, err
}

// nodeFault is an answer that is no good; the connection is well.
type nodeFault struct {
	fault cluster.Fault
	err   error
}

func (e *nodeFault) Error() string { return e.err.Error() }
func (e *nodeFault) Unwrap() error { return e.err }

func (q *asker) ask(ctx context.Context) (cluster.Answer, error) {
	if q.conn == nil {
		c := q.config
		if !q.met {
			c = c.After(q.last)
		}
		conn, err := remote.DialLink(ctx, c.Asked())
		if err != nil {
			return cluster.Answer{}, err
		}
		q.conn, q.process, q.timeoutAt, q.endpoint = conn, process{}, time.Time{}, endpoint{}
	}
	commands := [][]string{{"CLUSTER", "NODES"}, {"CLUSTER", "INFO"}, {"INFO", "replication"}, {"ROLE"}}
	askRun, askTimeout := q.process.run == "", time.Since(q.timeoutAt) > timeoutEach
	if askRun {
		commands = append(commands, []string{"INFO", "server"})
	}
	if askTimeout {
		commands = append(commands, []string{"CONFIG", "GET", "cluster-node-timeout"})
	}
	r, err := q.conn.Ask(ctx, probeLimit, commands...)
	if err != nil {
		return cluster.Answer{}, err
	}
	if askRun {
		q.process = processOf(r[4].Text())
	}
	if askTimeout {
		q.timeoutAt, q.timeout = time.Now(), nodeTimeout(r[len(r)-1])
	}
	a, err := says(r[0], r[1], r[2], r[3], q.process, q.timeout, q.missing)
	if err == nil {
		err = q.askEndpoint(ctx, &a)
	}
	return a, err
}

// says puts replies together: to CLUSTER NODES, CLUSTER INFO, INFO replication and ROLE.
// Without the first two nothing can be decided. Of the others none is needed: the
// node's own line says what it is.
func says(nodes, info, repl, role remote.Reply, p process, timeout time.Duration, l *missing) (a cluster.Answer, err error) {
	if words, ok := role.Value.([]any); ok && len(words) > 0 && words[0] == "sentinel" {
		return a, &nodeFault{cluster.FaultOther, remote.ErrSentinel}
	}
	for _, r := range []remote.Reply{nodes, info} {
		if r.Err != nil {
			l.note(r.Err)
			return a, replyFault(r.Err)
		}
	}
	for _, r := range []remote.Reply{repl, role} {
		if err := l.allowed(r); err != nil {
			return a, replyFault(err)
		}
	}
	malformed := func(err error) error { return &nodeFault{cluster.FaultMalformed, err} }
	n, err := cluster.ParseNodes(verbatim(nodes))
	if err != nil {
		return a, malformed(err)
	}
	i, err := cluster.ParseInfo(verbatim(info))
	if err != nil {
		return a, malformed(err)
	}
	var rep sentinel.Replication
	if repl.Err == nil {
		if rep, err = sentinel.ParseReplication(repl.Text()); err != nil {
			return a, malformed(err)
		}
	}
	var own sentinel.RoleReply
	if words, ok := role.Value.([]any); ok && role.Err == nil {
		if own, err = sentinel.ParseRole(words); err != nil {
			return a, malformed(err)
		}
	}
	rep.RunID = p.run
	if a, err = cluster.NewAnswer(own.Role, n, i, rep); err != nil {
		return a, malformed(err)
	}
	a.NodeTimeout, a.Port = timeout, p.port
	return a, nil
}

// process is what a node says of its process.
type process struct {
	run  string
	port uint16 // where it listens; a detour may lead there
}

// processOf reads INFO server; what is missing is zero.
func processOf(info string) (p process) {
	p.run = runID(info)
	for line := range strings.Lines(info) {
		if port, ok := strings.CutPrefix(line, "tcp_port:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(port), 10, 16)
			p.port = uint16(n)
		}
	}
	return p
}

// verbatim is a text without the format that RESP3 puts before it.
func verbatim(r remote.Reply) string { return strings.TrimPrefix(r.Text(), "txt:") }

// replyFault is what an error reply means.
func replyFault(err error) error {
	text := remote.ReplyIn(err)
	if strings.Contains(text, "cluster support disabled") {
		return &nodeFault{cluster.FaultOther, ErrNotCluster}
	}
	return &nodeFault{cluster.ReplyFault(text), err}
}

// nodeTimeout reads CONFIG GET cluster-node-timeout; 0: it is not told.
func nodeTimeout(r remote.Reply) time.Duration {
	ms, err := strconv.ParseInt(pairs(r.Value)["cluster-node-timeout"], 10, 32)
	if r.Err != nil || err != nil || ms < 0 {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// clusterFault says what an error proves about whom we asked.
func clusterFault(err error) cluster.Fault {
	if text := remote.ReplyIn(err); text != "" {
		if f := cluster.ReplyFault(text); f != cluster.FaultOther {
			return f
		}
	}
	switch k := remote.KindOf(err); k {
	case remote.OK, remote.Nil:
		return cluster.FaultNone
	case remote.Timeout, remote.Conn, remote.TLS, remote.MaxClients:
		return cluster.FaultSilent
	case remote.ReadOnly, remote.MasterDown:
		return cluster.FaultDemoted
	case remote.Loading:
		return cluster.FaultLoading
	}
	if errors.Is(err, remote.ErrNotRedis) {
		return cluster.FaultMalformed
	}
	return cluster.FaultOther
}

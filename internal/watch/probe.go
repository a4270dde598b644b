package watch

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// startProber starts the goroutine that asks one node what it is. It keeps its
// connection, so a node that is being promoted is one question away; the
// promotion ends the connection once.
func (d *supervisor) startProber(ctx context.Context, a sentinel.Addr, p *interval) {
	d.wg.Go(func() {
		q := &prober{config: d.c.Node, addr: a, missing: &d.missing}
		q.config.Addr = d.c.dialable(a)
		q.config.DialTimeout = min(q.config.DialTimeout, 2*probeLimit)
		defer q.close()
		for p.wait(ctx) == nil {
			o, err := q.probe(ctx)
			if ctx.Err() != nil {
				return
			}
			d.complaints.note(a, err)
			d.report(o)
			q.last, q.met = err, q.met || err == nil
		}
	})
}

type prober struct {
	config  remote.Config
	addr    sentinel.Addr
	conn    *remote.Link
	runID   string // of the process at the other end of conn
	missing *missing

	last error // of the last probe
	met  bool  // it has answered once: what its port speaks is known
}

func (q *prober) close() {
	if q.conn != nil {
		q.conn.Close()
		q.conn = nil
	}
}

// probe asks once. A promotion ends every connection to the node, so at an open
// connection's end the answer is one dial away.
func (q *prober) probe(ctx context.Context) (sentinel.Probe, error) {
	o := sentinel.Probe{Node: q.addr}
	opened := q.conn != nil
	err := q.try(ctx, &o)
	if opened && o.Fault == sentinel.FaultClosed {
		opened = false
		err = q.try(ctx, &o)
	}
	if o.Fault == sentinel.FaultClosed && !opened {
		o.Fault = sentinel.FaultUnreachable
	}
	return o, err
}

// try fills the probe in.
func (q *prober) try(ctx context.Context, o *sentinel.Probe) error {
	o.SentAt = time.Now()
	says, err := q.ask(ctx)
	o.At, o.Says, o.Fault = time.Now(), says, sentinel.FaultNone
	if f, ok := errors.AsType[*answerFault](err); ok {
		o.Fault = f.fault
	} else if err != nil {
		o.Fault = fault(err)
		q.close()
	}
	return err
}

func (q *prober) ask(ctx context.Context) (sentinel.Answer, error) {
	if q.conn == nil {
		c := q.config
		if !q.met {
			c = c.After(q.last)
		}
		conn, err := remote.DialLink(ctx, c.Asked())
		if err != nil {
			return sentinel.Answer{}, err
		}
		q.conn, q.runID = conn, ""
	}
	commands := [][]string{{"ROLE"}, {"INFO", "replication"}}
	if q.runID == "" {
		commands = append(commands, []string{"INFO", "server"})
	}
	r, err := q.conn.Ask(ctx, probeLimit, commands...)
	if err != nil {
		return sentinel.Answer{}, err
	}
	for _, reply := range r {
		if err := q.missing.allowed(reply); err != nil {
			return sentinel.Answer{}, &answerFault{sentinel.ReplyFault(err.Error()), err}
		}
	}
	a, err := q.answer(r)
	if err != nil {
		return a, &answerFault{sentinel.FaultMalformed, err}
	}
	return a, nil
}

// answer puts the replies together. Of ROLE and INFO one does where the ACL
// forbids the other: without INFO a promotion is not recognized before the
// majority names it, and a restart not at all.
func (q *prober) answer(r []remote.Reply) (a sentinel.Answer, err error) {
	var role sentinel.RoleReply
	var info sentinel.Replication
	if r[0].Err == nil {
		words, _ := r[0].Value.([]any)
		if role, err = sentinel.ParseRole(words); err != nil {
			return a, err
		}
	}
	if r[1].Err == nil {
		if info, err = sentinel.ParseReplication(r[1].Text()); err != nil {
			return a, err
		}
	}
	switch {
	case r[0].Err != nil && r[1].Err != nil:
		return a, errNothingAllowed
	case r[0].Err != nil:
		role = sentinel.RoleReply{Role: info.Role, Master: info.Master}
	case r[1].Err != nil:
		info = sentinel.RoleOnly(role)
	}
	if len(r) > 2 {
		q.runID = runID(r[2].Text())
	}
	return sentinel.NewAnswer(role, info, q.runID)
}

// runID finds the run id in INFO server; the machine checks its form.
func runID(info string) string {
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(line, "run_id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}

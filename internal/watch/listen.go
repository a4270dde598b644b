package watch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// startListener starts the two goroutines of one sentinel: one listens, one asks. Each
// has a connection of its own, so that a silent subscription is not mistaken
// for a quiet one.
func (d *supervisor) startListener(ctx context.Context, a sentinel.Addr, p *interval) {
	d.wg.Go(func() { d.listen(ctx, a) })
	d.wg.Go(func() { d.poll(ctx, a, p) })
}

func (d *supervisor) sentinelConfig(a sentinel.Addr) remote.Config {
	c := d.c.Login
	c.Addr = d.c.dialable(a)
	return c
}

// listen hands on what the sentinel publishes; after each subscription the supervisor
// asks again, since what was published meanwhile is never repeated.
func (d *supervisor) listen(ctx context.Context, a sentinel.Addr) {
	for delay := retryFirst; ctx.Err() == nil; delay = min(2*delay, time.Second) {
		begun := time.Now()
		conn, err := remote.DialLink(ctx, d.sentinelConfig(a))
		if err == nil {
			stop := context.AfterFunc(ctx, conn.Close)
			up := false
			err = conn.Listen(ctx,
				func() {
					up = true
					d.troubles.heard(a, nil)
					d.report(sentinel.Link{Sentinel: a, At: time.Now(), Up: true})
				},
				func(channel, text string) {
					d.report(sentinel.Event{Sentinel: a, At: time.Now(), Channel: channel, Message: text})
				})
			if stop() {
				conn.Close()
			}
			if time.Since(begun) > time.Second { // not one that ends each at once
				delay = retryFirst
			}
			if up && ctx.Err() == nil {
				d.report(sentinel.Link{Sentinel: a, At: time.Now(), Up: false})
			}
		}
		if ctx.Err() == nil {
			d.troubles.heard(a, err)
		}
		_ = remote.Pause(ctx, delay/2+rand.N(delay/2))
	}
}

// poll asks the sentinel about the master, its replicas and its peers.
func (d *supervisor) poll(ctx context.Context, a sentinel.Addr, p *interval) {
	var conn *remote.Link
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	var last error
	for p.wait(ctx) == nil {
		sent, err, had := time.Now(), error(nil), conn.Received()
		if conn == nil {
			conn, err = remote.DialLink(ctx, d.sentinelConfig(a).After(last).Asked())
		}
		o := sentinel.Poll{Sentinel: a, SentAt: sent}
		if err == nil {
			err = d.ask(ctx, conn, &o)
		}
		if ctx.Err() != nil {
			return
		}
		long := conn.Received()-had > longAnswer
		last = err
		d.troubles.asked(a, err)
		if err != nil {
			o.Fault = fault(err)
			if f, ok := errors.AsType[*answerFault](err); ok {
				o.Fault = f.fault
			} else if conn != nil {
				conn.Close()
				conn = nil
			}
			if errors.Is(err, remote.ErrNotRedis) {
				o.Fault = sentinel.FaultMalformed
			}
		}
		o.At = time.Now()
		d.report(o)
		if long {
			_ = remote.Pause(ctx, longPause)
		}
	}
}

// maxShown bounds what is shown of an answer that is no good.
const maxShown = 400

// A sentinel that answers more than any set needs is asked less often: reading it
// takes the time of everybody else here.
const (
	longAnswer = 256 << 10 // bytes; 64 replicas and 64 sentinels take half of it
	longPause  = 2 * time.Second
)

// answerFault is an answer that is no good; the connection is well.
type answerFault struct {
	fault sentinel.Fault
	err   error
}

func (e *answerFault) Error() string { return censor.Text(e.err.Error(), maxShown) }
func (e *answerFault) Unwrap() error { return e.err }

// ask fills the poll in.
func (d *supervisor) ask(ctx context.Context, conn *remote.Link, o *sentinel.Poll) error {
	name := d.c.Master
	r, err := conn.Ask(ctx, pollLimit,
		[]string{"SENTINEL", "MYID"},
		[]string{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name},
		[]string{"SENTINEL", "MASTER", name},
		[]string{"SENTINEL", "REPLICAS", name},
		[]string{"SENTINEL", "SENTINELS", name},
		[]string{"INFO", "sentinel"})
	if err != nil {
		return err
	}
	for _, reply := range r[1:4] {
		switch k := remote.KindOf(reply.Err); {
		case k == remote.OK, k == remote.Nil:
		case k == remote.Lacks:
			return &answerFault{sentinel.FaultOther, fmt.Errorf("%w: %w", ErrNotSentinel, reply.Err)}
		case sentinel.ReplyFault(reply.Err.Error()) == sentinel.FaultNoMaster:
			return &answerFault{sentinel.FaultNoMaster, ErrUnknownMaster}
		default:
			return &answerFault{sentinel.ReplyFault(reply.Err.Error()), reply.Err}
		}
	}
	o.ID = r[0].Text()
	if r[1].Err != nil {
		return &answerFault{sentinel.FaultNoMaster, ErrUnknownMaster}
	}
	if o.Named, err = namedMaster(r[1].Value); err != nil {
		return &answerFault{sentinel.FaultMalformed, err}
	}
	if o.Master, err = sentinel.ParseMaster(pairs(r[2].Value)); err != nil {
		return &answerFault{sentinel.FaultMalformed, err}
	}
	// Entries that make no sense are left out; the others are good.
	o.Replicas, _ = sentinel.ParseReplicas(listOfPairs(r[3].Value))
	o.Peers, _ = sentinel.ParseSentinels(listOfPairs(r[4].Value))
	o.Tilt = sentinel.ParseTilt(r[5].Text())
	return nil
}

func namedMaster(v any) (sentinel.Addr, error) {
	words, ok := v.([]any)
	if !ok || len(words) != 2 {
		return sentinel.Addr{}, errors.New("the sentinel names no master")
	}
	host, _ := words[0].(string)
	port, _ := words[1].(string)
	return sentinel.ParseAddr(host, port)
}

// pairs reads a flat list or a map of fields.
func pairs(v any) map[string]string {
	f := map[string]string{}
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			f[k], _ = x.(string)
		}
	case []any:
		for i := 0; i+1 < len(v); i += 2 {
			k, _ := v[i].(string)
			f[k], _ = v[i+1].(string)
		}
	}
	return f
}

// listOfPairs reads a list of them, and no more than are taken.
func listOfPairs(v any) []map[string]string {
	list, _ := v.([]any)
	out := make([]map[string]string, min(len(list), sentinel.MaxListed))
	for i := range out {
		out[i] = pairs(list[i])
	}
	return out
}

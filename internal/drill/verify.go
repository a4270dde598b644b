package drill

import (
	"context"
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/survey"
)

// atOnce is how many keys are asked for in one pipeline.
const atOnce = 500

// verify compares what was acknowledged with what the masters hold.
func (r *run) verify(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	for _, e := range r.entries {
		m := r.masters()
		kept, err := m.holds(ctx, e, e.load.keys.all(written))
		if err == nil {
			e.load.keys.lost = kept.absent
			var gone holding
			gone, err = m.holds(ctx, e, e.load.keys.all(deleted))
			e.load.keys.undone = gone.present
		}
		m.close()
		if err != nil {
			r.fault("%s: what the masters hold could not be compared: %v", e.name, err)
			continue
		}
		e.load.keys.compared = true
	}
}

// cleanUp removes all keys. Those that it cannot remove end by themselves.
func (r *run) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cleanUpMost)
	defer cancel()
	removed := 0
	for _, e := range r.entries {
		var all []string
		for _, s := range []keyState{unknown, written, deleting, deleted} {
			all = append(all, e.load.keys.all(s)...)
		}
		m := r.masters()
		n, err := m.remove(ctx, e, all)
		m.close()
		if removed += n; err != nil {
			r.tell("some keys could not be removed, and end by themselves within %v: %v", WarmUp+r.For+keysLive, err)
		}
	}
	r.report.KeysRemoved = removed
	r.tell("%d keys removed", removed)
}

// masters are connections to those who hold the keys.
type masters struct {
	*plain
}

func (r *run) masters() masters {
	return masters{newPlain(survey.TargetOf(r.Redis), r.Survey, r.id, time.Minute)}
}

type holding struct{ present, absent int }

// holds counts the keys that are there.
func (m masters) holds(ctx context.Context, e *entrant, names []string) (h holding, err error) {
	err = m.each(ctx, e, names, "EXISTS", func(there int64) {
		if there == 1 {
			h.present++
		} else {
			h.absent++
		}
	})
	return h, err
}

func (m masters) remove(ctx context.Context, e *entrant, names []string) (n int, err error) {
	err = m.each(ctx, e, names, "UNLINK", func(removed int64) { n += int(removed) })
	return n, err
}

// each sends a command for every key to its master, in pipelines.
func (m masters) each(ctx context.Context, e *entrant, names []string, command string, reply func(int64)) error {
	byMaster := map[uint16][]string{} // by slot in a Cluster
	for _, k := range names {
		full, s := e.full(k), uint16(0)
		if m.target.Mode == health.ModeCluster {
			s = slot.Of(full)
		}
		byMaster[s] = append(byMaster[s], full)
	}
	if m.target.Mode != health.ModeCluster {
		return m.pipelines(ctx, byMaster[0], command, reply)
	}
	if err := m.connect(ctx); err != nil && len(names) > 0 {
		return err
	}
	byAddr := map[string][]string{}
	for _, keys := range byMaster {
		addr, _ := m.known(keys[0])
		byAddr[addr] = append(byAddr[addr], keys...)
	}
	for _, keys := range byAddr {
		if err := m.pipelines(ctx, keys, command, reply); err != nil {
			return err
		}
	}
	return nil
}

// pipelines are for keys of one master.
func (m masters) pipelines(ctx context.Context, keys []string, command string, reply func(int64)) error {
	for len(keys) > 0 {
		part := keys[:min(atOnce, len(keys))]
		keys = keys[len(part):]
		addr, link, err := m.linkOf(ctx, part[0])
		if err != nil {
			return err
		}
		commands := make([][]string, len(part))
		for i, k := range part {
			commands[i] = []string{command, k}
		}
		var replies []remote.Reply
		if replies, err = link.Ask(ctx, 5*time.Second, commands...); err != nil {
			m.drop(addr, link)
			return err
		}
		for _, one := range replies {
			n, ok := one.Value.(int64)
			if one.Err != nil || !ok {
				return fmt.Errorf("%s: %s: %v", addr, command, one.Err)
			}
			reply(n)
		}
	}
	return nil
}

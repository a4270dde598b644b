package remote

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/acl"
)

// rights are the commands that the ACL forbids, as far as they were asked for. What a
// script runs is among them: a script that is not let run GET takes what it cannot read
// for garbage, and nobody hears of the ACL. They only inform: they are asked for behind
// heartbeats, a few at a time, and no node is judged by them.
type rights struct {
	mu     sync.Mutex // guards what follows
	denied map[string]bool
	asked  time.Time // when the last round over all of them was begun
	again  time.Time // when those that are denied were asked for last
	round  []int     // what is still to be asked for in this round: indexes of trials
}

// trials are commands of a cache, each in a form that the server looks at the ACL for
// and that changes nothing. K is our heartbeat's key, N one that nobody makes.
var trials = [][]string{
	{"GET", "N"}, // not our key: somebody may have made it a long one
	{"GETRANGE", "K", "0", "0"},
	{"GETBIT", "K", "0"},
	{"STRLEN", "K"},
	{"PTTL", "K"},
	{"TYPE", "K"},
	{"SET", "K", "", "PX", "0"}, // refused for its end
	{"DEL", "N"},
	{"UNLINK", "N"},
	{"PEXPIRE", "N", "1"},
	{"PEXPIREAT", "N", "1"},
	{"HGET", "N", "f"},
	{"HMGET", "N", "f"},
	{"HGETALL", "N"},
	{"HEXISTS", "N", "f"},
	{"HLEN", "N"},
	{"HRANDFIELD", "N"},
	{"HDEL", "N", "f"},
	{"HSET", "N", "f", "v", "g"}, // a value is missing
	{"SCAN", "0", "MATCH", "N", "COUNT", "1"},
	{"EVAL", "return 1", "0"},
	{"EVALSHA", strings.Repeat("0", 40), "0"}, // nobody has it
	{"INFO", "server"},
	{"ROLE"},
	{"TIME"},
	{"WAIT", "0", "1"},
}

// Trials are the commands of a cache, each in a form that the server looks at the ACL for
// and that changes nothing: see acl.Words.
func Trials() [][]string {
	all := make([][]string, len(trials))
	for i, words := range trials {
		all[i] = slices.Clone(words)
	}
	return all
}

// Tried are the commands that a node is asked for.
func Tried() (all []string) {
	for _, words := range trials {
		all = append(all, words[0])
	}
	return all
}

const (
	// rightsEach is how often they are asked for, rightsAgain those that are missing, and
	// rightsFirst how long after the dial.
	rightsEach  = time.Minute
	rightsAgain = 5 * time.Second
	rightsFirst = time.Second
	// rightsAtOnce is how many are asked for behind one heartbeat.
	rightsAtOnce = 5
)

// dialed lets the first round begin a moment later: whoever waits for the master comes
// first.
func (r *rights) dialed(now time.Time) { r.asked = now.Add(rightsFirst - rightsEach) }

// next are the trials to ask for now.
func (r *rights) next(now time.Time) (few []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(r.round) > 0:
	case now.Sub(r.asked) >= rightsEach:
		r.asked, r.again = now, now
		for i := range trials {
			r.round = append(r.round, i)
		}
	case len(r.denied) > 0 && now.Sub(r.again) >= rightsAgain:
		r.again = now
		for i, words := range trials {
			if r.denied[words[0]] {
				r.round = append(r.round, i)
			}
		}
	}
	n := min(rightsAtOnce, len(r.round))
	few, r.round = r.round[:n], r.round[n:]
	return few
}

// heard notes an answer to a trial.
func (r *rights) heard(i int, forbidden bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.denied == nil {
		r.denied = map[string]bool{}
	}
	if forbidden {
		r.denied[trials[i][0]] = true
	} else {
		delete(r.denied, trials[i][0])
	}
}

// askRights asks for some where it is time for that. An ACL can be changed without a new
// connection.
func (n *Node) askRights(ctx context.Context) {
	if n.heartbeat.Key == "" {
		return
	}
	few := n.rights.next(time.Now())
	names := make([]string, len(few))
	for i, t := range few {
		names[i] = trials[t][0]
	}
	if len(few) == 0 || !n.heartbeat.Cuts.Begin(time.Now(), names...) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, n.heartbeat.Timeout)
	defer cancel()
	cmds := make([]rueidis.Completed, len(few))
	for i, t := range few {
		cmds[i] = n.beat.B().Arbitrary(acl.Words(trials[t], n.beatsUnder())...).Build()
	}
	for i, r := range n.beat.DoMulti(ctx, cmds...) {
		err := r.Error()
		if _, said := errors.AsType[*rueidis.RedisError](err); err != nil && !said {
			if KindOf(err) != Conn {
				n.heartbeat.Cuts.End(names...)
			}
			return // the heartbeat meets it, too
		}
		n.rights.heard(few[i], err != nil && acl.Forbids(err.Error()))
	}
	n.heartbeat.Cuts.End(names...)
}

// missingWith are the commands that the node does not run for us, and those that the
// ACL forbids.
func (n *Node) missingWith(missing map[string]bool) (all []Missing) {
	n.rights.mu.Lock()
	defer n.rights.mu.Unlock()
	missing = maps.Clone(missing)
	if missing == nil {
		missing = map[string]bool{}
	}
	for command := range n.rights.denied {
		missing[command] = true
	}
	for _, c := range slices.Sorted(maps.Keys(missing)) {
		all = append(all, Missing{c, missing[c]})
	}
	return all
}

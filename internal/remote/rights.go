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
)

// rights are the commands that the ACL forbids, as far as they were asked for. What a
// script runs is among them: a script that is not let run GET takes what it cannot read
// for garbage, and nobody hears of the ACL.
type rights struct {
	mu     sync.Mutex // guards what follows
	denied []string
	asked  time.Time
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

// Tried are the commands that a node is asked for.
func Tried() (all []string) {
	for _, words := range trials {
		all = append(all, words[0])
	}
	return all
}

// rightsEach is how often they are asked for, and rightsAgain while some are missing.
const (
	rightsEach  = time.Minute
	rightsAgain = 5 * time.Second
)

// tryCommands are the trials for a node.
func (n *Node) tryCommands() (cmds rueidis.Commands) {
	k, none := n.heartbeat.Key, n.heartbeat.Key+":none"
	for _, words := range trials {
		words = slices.Clone(words)
		for i := range words[1:] {
			switch words[1+i] {
			case "K":
				words[1+i] = k
			case "N":
				words[1+i] = none
			}
		}
		cmds = append(cmds, n.beat.B().Arbitrary(words...).Build())
	}
	return cmds
}

// tried notes what the node said to tryCommands.
func (n *Node) tried(replies []rueidis.RedisResult) {
	var denied []string
	for i, r := range replies {
		if forbidsCommand(r.Error()) {
			denied = append(denied, trials[i][0])
		}
	}
	n.rights.mu.Lock()
	defer n.rights.mu.Unlock()
	n.rights.denied, n.rights.asked = denied, time.Now()
}

// forbidsCommand reports whether the ACL forbids a command, and not its key.
func forbidsCommand(err error) bool {
	return KindOf(err) == NoPerm && strings.Contains(err.Error(), "to run the")
}

// askRights asks again where it is time for that. An ACL can be changed without a new
// connection.
func (n *Node) askRights(ctx context.Context) {
	if n.heartbeat.Key == "" || !n.rights.due(time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, n.heartbeat.Timeout)
	defer cancel()
	replies := n.beat.DoMulti(ctx, n.tryCommands()...)
	for _, r := range replies {
		if _, said := errors.AsType[*rueidis.RedisError](r.Error()); r.Error() != nil && !said {
			return // the heartbeat meets it, too
		}
	}
	n.tried(replies)
}

func (r *rights) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	each := rightsEach
	if len(r.denied) > 0 {
		each = rightsAgain
	}
	return now.Sub(r.asked) >= each
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
	for _, command := range n.rights.denied {
		missing[command] = true
	}
	for _, c := range slices.Sorted(maps.Keys(missing)) {
		all = append(all, Missing{c, missing[c]})
	}
	return all
}

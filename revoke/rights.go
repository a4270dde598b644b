package revoke

import (
	"context"
	"errors"
	"time"

	"github.com/evercache/evercache/internal/findings"
)

// trial is a command of the denylist, in a form that Redis looks at the ACL for and
// that changes nothing, and what is lost without it. N is a key that nobody makes.
type trial struct {
	words []string
	loss  string
}

const (
	unreadable = "the denylist cannot be read: nothing that other processes revoke is known here"
	unwritable = "nothing can be revoked for other processes: it is in force in this one only"
)

var trials = []trial{
	{[]string{"ZADD", "N", "GT", "NX", "0", "m"}, unwritable}, // refused: one of the two
	{[]string{"ZSCORE", "N", "m"}, unwritable},
	{[]string{"ZCARD", "N"}, unreadable},
	{[]string{"ZRANGEBYSCORE", "N", "0", "0"}, unreadable},
	{[]string{"ZSCAN", "N", "0"}, unreadable},
	{[]string{"ZREM", "N", "m"}, "what is over is not taken out of Redis, and what Redis has lost is not put back"},
	{[]string{"ZREMRANGEBYSCORE", "N", "0", "0"}, "the list cannot be marked as complete: what is not in it stays unknown"},
	{[]string{"XADD", "N", "MAXLEN", "-1", "*", "f", "v"}, "others hear of a revocation only when they read the whole list again"}, // refused for its length
	{[]string{"XREAD", "COUNT", "1", "STREAMS", "N", "0"}, unreadable},
	{[]string{"XREVRANGE", "N", "+", "-", "COUNT", "1"}, unreadable},
	{[]string{"HMGET", "N", "f"}, unreadable},
	{[]string{"HSET", "N", "f", "v", "g"}, unwritable}, // refused: a value is missing
	{[]string{"HINCRBY", "N", "f", "x"}, unwritable},   // refused: no number
	{[]string{"DEL", "N"}, "a stream that somebody has overwritten is not mended"},
	{[]string{"EVAL", "return 1", "0"}, "nothing can be read or revoked"},
}

// trialsCutLife is how long nothing is asked after a connection has ended at such a
// question: a proxy may do that at a command that it does not know.
const trialsCutLife = 10 * time.Minute

// askRights finds out which commands the ACL forbids. Scripts do not always tell: one
// that may not run XADD goes on without the stream. It only informs: the list is read
// whatever comes of it.
func (s *session) askRights(ctx context.Context) {
	if at := s.notes.tried.Load(); at != 0 && time.Since(time.Unix(0, at)) < trialsCutLife {
		return
	}
	s.notes.tried.Store(time.Now().UnixNano())
	commands := make([][]string, len(trials))
	for i, t := range trials {
		words := append([]string(nil), t.words...)
		if words[1] == "N" {
			words[1] = s.keys.set + ":none"
		}
		if words[0] == "XREAD" {
			words[4] = s.keys.set + ":none"
		}
		commands[i] = words
	}
	replies, err := s.link.Ask(ctx, s.patience(), commands...)
	if errors.Is(err, context.DeadlineExceeded) {
		s.notes.tried.Store(0)
	}
	if err != nil {
		return
	}
	s.notes.tried.Store(0)
	var denied []findings.Denied
	for i, r := range replies[:min(len(replies), len(trials))] {
		if r.Err != nil && findings.ForbidsCommand(r.Err.Error()) {
			denied = append(denied, findings.Denied{Command: trials[i].words[0], Loss: trials[i].loss})
		}
	}
	s.notes.denied.Store(&denied)
}

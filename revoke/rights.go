package revoke

import (
	"context"
	"errors"
	"time"

	"github.com/evercache/evercache/internal/acl"
	"github.com/evercache/evercache/internal/findings"
)

// trial is a command of the denylist, in a form that Redis looks at the ACL for and
// that changes nothing, and what is lost without it. N is a key that nobody makes.
type trial struct {
	words []string
	loss  string
}

const (
	unreadable = "the denylist cannot be read: revocations of other processes are not known in this process"
	unwritable = "a revocation is in force in this process only"
)

var trials = []trial{
	{[]string{"ZADD", "N", "GT", "NX", "0", "m"}, unwritable}, // refused: one of the two
	{[]string{"ZSCORE", "N", "m"}, unwritable},
	{[]string{"ZCARD", "N"}, unreadable},
	{[]string{"ZRANGEBYSCORE", "N", "0", "0"}, unreadable},
	{[]string{"ZSCAN", "N", "0"}, unreadable},
	{[]string{"ZREM", "N", "m"}, "expired entries stay in Redis, and entries that Redis has lost are not restored"},
	{[]string{"ZREMRANGEBYSCORE", "N", "0", "0"}, "the list cannot be marked as complete: the status of tokens that are not in it stays unknown"},
	{[]string{"XADD", "N", "MAXLEN", "-1", "*", "f", "v"}, "other processes learn of a revocation only when they read the whole list again"}, // refused for its length
	{[]string{"XREAD", "COUNT", "1", "STREAMS", "N", "0"}, unreadable},
	{[]string{"XREVRANGE", "N", "+", "-", "COUNT", "1"}, unreadable},
	{[]string{"HMGET", "N", "f"}, unreadable},
	{[]string{"HSET", "N", "f", "v", "g"}, unwritable}, // refused: a value is missing
	{[]string{"HINCRBY", "N", "f", "x"}, unwritable},   // refused: no number
	{[]string{"DEL", "N"}, "a stream that another program has overwritten is not repaired"},
	{[]string{"EVAL", "return 1", "0"}, "nothing can be read or revoked"},
}

// askRights finds out which commands the ACL forbids. Scripts do not always tell: one
// that may not run XADD goes on without the stream. It only informs: the list is read
// whatever comes of it.
func (s *session) askRights(ctx context.Context) {
	names, commands := make([]string, len(trials)), make([][]string, len(trials))
	for i, t := range trials {
		names[i], commands[i] = t.words[0], acl.Words(t.words, s.keys.set)
	}
	if !s.notes.cuts.Begin(time.Now(), names...) {
		return
	}
	replies, err := s.link.Ask(ctx, s.patience(), commands...)
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		s.notes.cuts.End(names...)
	}
	if err != nil {
		return
	}
	var denied []findings.Denied
	for i, r := range replies[:min(len(replies), len(trials))] {
		if r.Err != nil && acl.Forbids(r.Err.Error()) {
			denied = append(denied, findings.Denied{Command: trials[i].words[0], Loss: trials[i].loss})
		}
	}
	s.notes.denied.Store(&denied)
}

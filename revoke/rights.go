package revoke

import (
	"context"
	"strings"
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

// askRights finds out which commands the ACL forbids. Scripts do not always tell: one
// that may not run XADD goes on without the stream.
func (s *session) askRights(ctx context.Context) error {
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
	if err != nil {
		return err
	}
	var denied []trial
	for i, r := range replies[:min(len(replies), len(trials))] {
		if r.Err != nil && forbidsCommand(r.Err.Error()) {
			denied = append(denied, trials[i])
		}
	}
	s.notes.denied.Store(&denied)
	return nil
}

// forbidsCommand reports whether it is the ACL that has said this, of a command and
// not of its key.
func forbidsCommand(said string) bool {
	return strings.Contains(said, "NOPERM") && strings.Contains(said, "to run the")
}

// deniedFinding names what the ACL forbids.
func deniedFinding(denied []trial) (title, detail, fix string) {
	var names, lost, allow []string
	for _, t := range denied {
		names = append(names, t.words[0])
		lost = append(lost, t.words[0]+": "+t.loss)
		allow = append(allow, "+"+strings.ToLower(t.words[0]))
	}
	return "The Redis ACL forbids commands that the denylist needs: " + strings.Join(names, ", "),
		strings.Join(lost, "; "), "Allow the user these commands (ACL SETUSER with " + strings.Join(allow, " ") + ")."
}

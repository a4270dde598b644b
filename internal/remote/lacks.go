package remote

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// scriptCommands are what our scripts cannot do without. Where one of them is
// missing plain commands are sent instead: a script that asks for the marks of a
// prefix and is not answered would take every key for a deleted one.
var scriptCommands = []string{"EVAL", "TIME", "TYPE", "GET", "SET", "DEL", "PTTL", "PEXPIRE", "PEXPIREAT", "HGETALL", "HGET", "HSET", "HLEN", "HEXISTS"}

// otherCommands are sent as they are.
var otherCommands = []string{"EVALSHA", "SCAN", "UNLINK", "CLIENT"}

// Missing is a command that a node does not run for us.
type Missing struct {
	Command   string
	Forbidden bool // by the ACL; else the node does not have it
}

// lacks are the commands that are missing, and replies that nobody knows.
type lacks struct {
	mu      sync.Mutex // guards missing
	missing map[string]bool

	unfit   atomic.Bool // scripts cannot be run
	noHash  atomic.Bool // EVALSHA is missing, EVAL is there
	noTime  atomic.Bool // INFO tells the time
	noPxat  atomic.Bool // SET knows no PXAT
	puzzled atomic.Pointer[forbidden]
}

// heard notes whether a command was run: err is what came of it.
func (l *lacks) heard(command string, err error) {
	k := KindOf(err)
	gone := k == NoPerm || k.Puzzling()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch _, was := l.missing[command]; {
	case gone:
		if l.missing == nil {
			l.missing = map[string]bool{}
		}
		l.missing[command] = k == NoPerm
	case was && (k == OK || k == Nil):
		delete(l.missing, command)
	}
}

// Lacks reports whether the node does not run a command for us.
func (n *Node) Lacks(command string) bool {
	n.lacks.mu.Lock()
	defer n.lacks.mu.Unlock()
	_, gone := n.lacks.missing[command]
	return gone
}

// Missing are the commands that the node does not run for us, as far as is known.
func (n *Node) Missing() []Missing {
	n.lacks.mu.Lock()
	defer n.lacks.mu.Unlock()
	return n.missingWith(n.lacks.missing)
}

// Puzzled is the last error reply of the last minute that we do not know, or nil.
func (n *Node) Puzzled() error {
	if f := n.lacks.puzzled.Load(); f != nil && time.Since(f.at) < time.Minute {
		return f.err
	}
	return nil
}

// puzzles keeps what an error says that is about the command alone.
func (n *Node) puzzles(k Kind, err error) {
	if command := commandIn(err.Error()); k == Lacks && command != "" {
		n.lacks.heard(command, err)
		return
	}
	n.lacks.puzzled.Store(&forbidden{err, time.Now()})
}

// commandIn reads the name of the command that a node says it does not have, or
// "". The text is the server's, so only a plain word of it is taken.
func commandIn(text string) string {
	for _, before := range []string{"unknown command ", "unsupported command ", "not available: "} {
		_, rest, ok := strings.Cut(text, before)
		if !ok {
			continue
		}
		word := strings.TrimLeft(rest, "'`")
		word = word[:len(word)-len(strings.TrimLeft(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))]
		if word != "" && len(word) <= 20 {
			return strings.ToUpper(word)
		}
	}
	return ""
}

// CommandIn is the name of the command that err says is missing, or "".
func CommandIn(err error) string {
	if KindOf(err) != Lacks {
		return ""
	}
	return commandIn(err.Error())
}

// takeStock finds out what the node has. Each command is sent without its arguments:
// a node that has it says that they are missing, before it looks at the ACL, and
// nothing is done. The last one tells whether SET knows PXAT: an end at 0 is
// refused where it does.
func (n *Node) takeStock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.heartbeat.Timeout)
	defer cancel()
	names := slices.Concat(scriptCommands, otherCommands)
	cmds := make([]rueidis.Completed, 0, len(names)+1)
	for _, name := range names {
		cmds = append(cmds, n.beat.B().Arbitrary(name).Build())
	}
	cmds = append(cmds, n.beat.B().Arbitrary("SET", n.heartbeat.Key, "", "PXAT", "0").Build())
	replies := n.beat.DoMulti(ctx, cmds...)
	for i, r := range replies[:len(names)] {
		err := r.Error()
		if _, ok := errors.AsType[*rueidis.RedisError](err); err != nil && !ok {
			return wrap("ask what it has", err)
		}
		if KindOf(err) != Lacks {
			continue
		}
		n.lacks.heard(names[i], err)
		n.lacks.noHash.Store(n.lacks.noHash.Load() || names[i] == "EVALSHA")
		if i < len(scriptCommands) {
			n.lacks.unfit.Store(true)
		}
	}
	if err := replies[len(names)].Error(); err != nil {
		n.lacks.noPxat.Store(strings.HasPrefix(strings.TrimPrefix(err.Error(), "ERR "), "syntax error"))
	}
	return nil
}

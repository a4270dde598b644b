package remote

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// lua is a script that the server knows by its hash once it has run it.
type lua struct{ text, sha string }

func newScript(text string) *lua {
	sum := sha1.Sum([]byte(text))
	return &lua{text: text, sha: hex.EncodeToString(sum[:])}
}

// ScriptsForbidden reports whether the node does not let us run our scripts: by
// its ACL, or because the commands are disabled. Then plain commands are sent
// in their place: deletes leave no tombstones, and writes are put back without
// a condition.
func (n *Node) ScriptsForbidden() bool { return n.noScripts.known() || n.lacks.unfit.Load() }

// step is one script to run.
type step struct {
	script *lua
	keys   []string
	args   []string
	plain  func(*Node) rueidis.Completed // what is sent where the script is forbidden

	asking bool // behind an ASKING

	how   manner
	tries int
}

// manner is how a step is sent.
type manner uint8

const (
	byHash manner = iota
	byText
	byPlainCommand
)

// answer is what came of a step.
type answer struct {
	rueidis.RedisResult
	plain bool  // of the command that was sent in place of the script
	err   error // of RedisResult, sorted
}

// run sends a step.
func (n *Node) run(ctx context.Context, s step) answer {
	n.choose(&s)
	for {
		cmd := n.command(&s)
		if s.large() {
			cmd = cmd.Pin()
		}
		r := n.cmd.one(ctx, s.asking, cmd)
		err := r.Error()
		if !n.again(&s, err, nil) {
			return answer{RedisResult: r, plain: s.how == byPlainCommand, err: scriptError(err)}
		}
	}
}

// runMany sends steps in one pipeline, in order, each with a key of its own:
// what the server does not know is sent again with its text, what it forbids as
// a plain command, and others may pass it meanwhile.
func (n *Node) runMany(ctx context.Context, steps []step) []answer {
	return n.runOver(ctx, n.cmd, steps)
}

// runOver is runMany over a certain connection.
func (n *Node) runOver(ctx context.Context, w *wire, steps []step) []answer {
	answers := make([]answer, len(steps))
	todo := make([]int, len(steps))
	for i := range steps {
		todo[i] = i
		n.choose(&steps[i])
	}
	for len(todo) > 0 {
		todo = n.round(ctx, w, steps, todo, answers)
	}
	return answers
}

// round sends those of the steps that are to do and returns those to do again.
// There are four at most: each step is sent by hash twice, then with its text,
// then plain. Commands are pinned, as write's are.
func (n *Node) round(ctx context.Context, w *wire, steps []step, todo []int, answers []answer) (again []int) {
	cmds := make([]rueidis.Completed, len(todo))
	for i, at := range todo {
		cmds[i] = n.command(&steps[at]).Pin()
	}
	var sent []*lua // with their text, in the next round
	for i, r := range w.steps(ctx, steps, todo, cmds) {
		s := &steps[todo[i]]
		err := r.Error()
		if n.again(s, err, &sent) {
			again = append(again, todo[i])
			continue
		}
		answers[todo[i]] = answer{RedisResult: r, plain: s.how == byPlainCommand, err: scriptError(err)}
	}
	return again
}

func (n *Node) choose(s *step) {
	switch {
	case n.lacks.unfit.Load() || n.noScripts.holds():
		s.how = byPlainCommand
	case n.lacks.noHash.Load():
		s.how = byText
	}
}

func (s *step) large() bool {
	return slices.ContainsFunc(s.args, func(arg string) bool { return len(arg) >= large })
}

func (n *Node) command(s *step) rueidis.Completed {
	switch s.how {
	case byPlainCommand:
		return s.plain(n)
	case byText:
		return n.b().Eval().Script(s.script.text).Numkeys(int64(len(s.keys))).Key(s.keys...).Arg(s.args...).Build()
	}
	return n.b().Evalsha().Sha1(s.script.sha).Numkeys(int64(len(s.keys))).Key(s.keys...).Arg(s.args...).Build()
}

// again decides whether a step is to be sent again after err, and how. Of those
// in a pipeline (sent is not nil) with the same script one brings the text, and
// the others find it known.
func (n *Node) again(s *step, err error, sent *[]*lua) bool {
	if err == nil {
		if s.how != byPlainCommand {
			n.noScripts.lift()
		}
		return false
	}
	refusal := refusalOf(err)
	if s.how == byPlainCommand || refusal == notRefused {
		return false
	}
	s.tries++
	switch refusal {
	case unknownScript:
		switch {
		case sent == nil || s.tries > 1:
			s.how = byText
		case !slices.Contains(*sent, s.script):
			s.how, *sent = byText, append(*sent, s.script)
		}
		return s.tries <= 2
	case forbiddenScript:
		n.noScripts.set()
	case forbiddenKey:
		n.forbids(wrap("script", err))
	}
	s.how = byPlainCommand
	return true
}

// refusal is why a server did not run a script.
type refusal uint8

const (
	notRefused      refusal = iota
	unknownScript           // it wants its text
	forbiddenScript         // it allows no scripts, or not a command in it
	forbiddenKey            // it does not allow one of the keys: the tombstone, or all
	strangeScript           // it is too old for a command in it
)

func refusalOf(err error) refusal {
	re, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok {
		return notRefused
	}
	text := strings.TrimPrefix(re.Error(), "ERR ")
	switch {
	case re.IsNoScript():
		return unknownScript
	case kindOfText(text) == Lacks:
		return forbiddenScript
	case strings.Contains(text, "syntax error") && strings.Contains(text, "user_script"):
		return strangeScript
	case kindOfText(text) != NoPerm:
		return notRefused
	case strings.Contains(text, " run "): // this command; else "access" this key
		return forbiddenScript
	}
	return forbiddenKey
}

// scriptError sorts the error of a command in a script, which Redis 6.2 reports
// as one of the script.
func scriptError(err error) error {
	re, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok || re.IsNil() {
		return err
	}
	if text := re.Error(); kindOfText(text) != kindOfReply(text) {
		return &Error{Kind: kindOfText(text), Op: "script", Err: errors.New(text)}
	}
	return err
}

// kindOfText sorts an error reply to a script. Redis 7.0 leaves out the NOPERM
// of a command in it.
func kindOfText(text string) Kind {
	if strings.HasPrefix(strings.TrimPrefix(text, "ERR "), "The user executing the script can't ") {
		return NoPerm
	}
	if _, inner, ok := strings.Cut(text, ": -"); ok && strings.Contains(text, "@user_script:") {
		text = inner
	}
	return kindOfReply(text)
}

// decimal writes what scripts count with.
func decimal(n int64) string { return strconv.FormatInt(n, 10) }

package survey

import (
	"context"
	"slices"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/acl"
	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/remote"
)

// How rights were found out.
const (
	RightsDryRun = "dryrun" // ACL DRYRUN
	RightsTried  = "tried"  // each command was sent in a form that changes nothing
)

// ownKey stands for our keys, below the prefix: such as the heartbeat's.
const ownKey = "~b:doctor"

// sentinelTrials are what is asked of a sentinel beside the questions of the survey.
var sentinelTrials = [][]string{{"PSUBSCRIBE", "*"}}

// connectionTrials are what a connection is set up with.
var connectionTrials = [][]string{{"PING"}, {"CLIENT", "SETNAME", "evercache"}, {"CLIENT", "TRACKING", "off"}}

// nodeTrials are what is asked of a server with data.
func (t Target) nodeTrials() [][]string {
	var all [][]string
	first := connectionTrials
	if t.ReplicaReads && t.Mode == health.ModeCluster {
		first = append(first[:len(first):len(first)], []string{"READONLY"})
	}
	for _, words := range slices.Concat(first, remote.Trials()) {
		all = append(all, acl.Words(words, t.KeyPrefix+ownKey))
	}
	return all
}

// askRights finds out what the ACL forbids: by ACL DRYRUN (Redis 7), else, where try is
// set, by sending each command in a form that changes nothing.
func (i *interview) askRights(ctx context.Context, trials [][]string, try bool) error {
	r, err := i.ask(ctx, []string{"ACL", "WHOAMI"})
	if err != nil {
		return err
	}
	if r[0].Err == nil {
		i.s.User = censor.Text(text(r[0]), maxValue)
	}
	how, questions := RightsDryRun, make([][]string, len(trials))
	for n, words := range trials {
		questions[n] = append([]string{"ACL", "DRYRUN", i.s.User}, words...)
	}
	if i.s.User == "" || !i.dryRuns(ctx, questions[0]) {
		if !try {
			return nil
		}
		how, questions = RightsTried, trials
	}
	r, err = i.Ask(ctx, i.limit, questions...)
	if err != nil {
		return err
	}
	i.s.Rights = rightsOf(trials, r, how)
	return nil
}

// dryRuns reports whether ACL DRYRUN is answered.
func (i *interview) dryRuns(ctx context.Context, question []string) bool {
	r, err := i.ask(ctx, question)
	return err == nil && r[0].Err == nil
}

// rightsOf reads the answers to trials.
func rightsOf(trials [][]string, r []remote.Reply, how string) Rights {
	out := Rights{How: how}
	for n, words := range trials {
		reply, failed := text(r[n]), r[n].Err != nil
		if failed {
			reply = r[n].Err.Error()
		}
		switch {
		case lacks(reply, failed, how):
			out.Missing = append(out.Missing, commandName(words))
		case forbids(reply, how):
			out.Denied = append(out.Denied, commandName(words))
		}
	}
	out.Denied, out.Missing = sorted(out.Denied), sorted(out.Missing)
	return out
}

// lacks reports whether a reply says that the server does not have the command.
func lacks(reply string, failed bool, how string) bool {
	if how == RightsTried {
		return failed && strings.HasPrefix(strings.TrimPrefix(reply, "ERR "), "unknown command")
	}
	return failed && strings.Contains(reply, "Command '") && strings.HasSuffix(reply, "not found")
}

// forbids reports whether a reply says that the user may not run the command, or not
// with this key or channel.
func forbids(reply, how string) bool {
	if how == RightsTried {
		return strings.Contains(reply, "NOPERM")
	}
	return strings.Contains(reply, "has no permissions to")
}

// commandName is a command as an ACL names it.
func commandName(words []string) string {
	if slices.Contains([]string{"CLIENT", "CONFIG", "SCRIPT"}, words[0]) {
		return words[0] + " " + words[1]
	}
	return words[0]
}

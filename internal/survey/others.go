package survey

import (
	"context"
	"slices"
	"strings"

	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/remote"
)

// Whose rights are looked at beside our own.
const (
	ForSentinel = "sentinel"
	ForReplica  = "replica"
)

// What a sentinel does on a node, in a failover too, and a replica on its master.
var (
	asSentinel = [][]string{
		{"PING"},
		{"INFO"},
		{"ROLE"},
		{"SUBSCRIBE", hello},
		{"PUBLISH", hello, "x"},
		{"MULTI"},
		{"EXEC"},
		{"SLAVEOF", "NO", "ONE"},
		{"CONFIG", "REWRITE"},
		{"CLIENT", "SETNAME", "x"},
		{"CLIENT", "KILL", "TYPE", "normal"},
		{"SCRIPT", "KILL"},
	}
	asReplica = [][]string{{"PING"}, {"REPLCONF", "capa", "eof"}, {"PSYNC", "?", "-1"}}
)

// hello is the channel by which sentinels find each other.
const hello = "__sentinel__:hello"

// mostClients bounds the clients of a server whose list is read: it has a line for each.
const mostClients = 500

// askOthers finds out what the ACL keeps from sentinels and replicas. It needs ACL
// DRYRUN, and CLIENT LIST for the user of the sentinels.
func (i *interview) askOthers(ctx context.Context, n *Node) error {
	if n.Rights.How != RightsDryRun {
		return nil
	}
	users, err := i.sentinelUsers(ctx, n.Info)
	if err != nil {
		return err
	}
	var all []OtherUser
	for _, name := range users {
		all = append(all, OtherUser{Name: name, For: ForSentinel})
	}
	if name := n.Config["masteruser"]; name != "" {
		all = append(all, OtherUser{Name: name, For: ForReplica})
	}
	for _, u := range all {
		if err := i.askOther(ctx, &u); err != nil {
			return err
		}
		n.Others = append(n.Others, u)
	}
	return nil
}

func (i *interview) askOther(ctx context.Context, u *OtherUser) error {
	trials := asSentinel
	if u.For == ForReplica {
		trials = asReplica
	}
	questions := make([][]string, len(trials))
	for k, words := range trials {
		questions[k] = append([]string{"ACL", "DRYRUN", u.Name}, words...)
	}
	r, err := i.Ask(ctx, i.limit, questions...)
	if err != nil {
		return err
	}
	u.Denied = rightsOf(trials, r, RightsDryRun).Denied
	u.Absent = slices.ContainsFunc(r, func(one remote.Reply) bool {
		return one.Err != nil && strings.Contains(one.Err.Error(), "User '") && strings.HasSuffix(one.Err.Error(), "not found")
	})
	return nil
}

// sentinelUsers are the users of the sentinels that are connected.
func (i *interview) sentinelUsers(ctx context.Context, info Fields) ([]string, error) {
	if clients, ok := info.Int("connected_clients"); !ok || clients > mostClients {
		return nil, nil
	}
	r, err := i.ask(ctx, []string{"CLIENT", "LIST", "TYPE", "normal"})
	if err != nil || r[0].Err != nil {
		return nil, err
	}
	return usersNamed(text(r[0]), "sentinel-"), nil
}

// usersNamed reads CLIENT LIST: the users of connections whose names begin so.
func usersNamed(clients, prefix string) []string {
	var users []string
	for line := range strings.Lines(clients) {
		name, user := "", ""
		for word := range strings.FieldsSeq(line) {
			if v, ok := strings.CutPrefix(word, "name="); ok {
				name = v
			}
			if v, ok := strings.CutPrefix(word, "user="); ok {
				user = censor.Text(v, maxValue)
			}
		}
		if user != "" && strings.HasPrefix(name, prefix) && len(users) < maxList {
			users = append(users, user)
		}
	}
	return sorted(users)
}

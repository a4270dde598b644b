package backup

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"

	"github.com/evercache/evercache/internal/remote"
)

// The set of a denylist has members that say: this set is complete, in this life of the
// dataset (package revoke). That of a backup is complete up to the backup and not up to the
// restore: a token that was revoked in between is not in it. In another life of the dataset
// nobody believes the mark; but a server that was emptied and not restarted has the same life.
// So the mark is brought back with a life that no dataset has. Whoever reads the set then does
// what it does after any loss: it asks the processes that live, and else its policy decides.
const (
	markHead     = "m:"
	restoredLife = "restored"
)

// unmark is a mark with a life that no dataset has.
func unmark(member string) string {
	rest, ok := strings.CutPrefix(member, markHead)
	print, _, two := strings.Cut(rest, ":")
	if !ok || !two {
		return member
	}
	return markHead + print + ":" + restoredLife
}

// unmarked brings the set of a denylist back under another name, takes the mark away, and
// gives it its own name where that is free: nobody ever sees it with the mark. The reply is
// as of RESTORE.
func (m *master) unmarked(ctx context.Context, i *item) (remote.Reply, error) {
	scratch := scratchOf(denylist(i.Key), rand.Text()[:10])
	trial := item{Record: Record{Key: scratch, ExpireAt: i.ExpireAt, Payload: i.Payload}}
	limit := timeFor(i.size())
	replies, err := m.link.Once(ctx, limit, []string{"EXISTS", i.Key}, trial.command(true),
		[]string{"PEXPIRE", scratch, strconv.Itoa(int(limit.Milliseconds()))}, []string{"ZRANGEBYSCORE", scratch, "+inf", "+inf"})
	if err != nil {
		return remote.Reply{}, err
	}
	defer func() { _, _ = m.link.Once(context.WithoutCancel(ctx), answerLimit, []string{"UNLINK", scratch}) }() // else it ends by itself
	if n, _ := replies[0].Value.(int64); n > 0 {
		return remote.Reply{Err: errBusy}, nil
	}
	for n, r := range replies {
		if r.Err != nil && (n < len(replies)-1 || !strings.HasPrefix(r.Err.Error(), "WRONGTYPE")) { // what is no set has no mark
			return r, nil
		}
	}
	end := []string{"PERSIST", scratch}
	if i.ExpireAt > 0 {
		end = []string{"PEXPIREAT", scratch, strconv.FormatInt(i.ExpireAt, 10)}
	}
	commands := [][]string{}
	marks, _ := replies[3].Value.([]any)
	for _, x := range marks {
		member, _ := x.(string)
		if other := unmark(member); other != member {
			commands = append(commands, []string{"ZREM", scratch, member}, []string{"ZADD", scratch, "+inf", other})
		}
	}
	if replies, err = m.link.Once(ctx, limit, append(commands, end, []string{"RENAMENX", scratch, i.Key})...); err != nil {
		return remote.Reply{}, err
	}
	for _, r := range replies {
		if r.Err != nil {
			return r, nil
		}
	}
	if n, _ := replies[len(replies)-1].Value.(int64); n == 0 {
		return remote.Reply{Err: errBusy}, nil
	}
	return remote.Reply{}, nil
}

// errBusy is what RESTORE answers where there is such a key.
var errBusy = busyKey{}

type busyKey struct{}

func (busyKey) Error() string { return "BUSYKEY Target key name already exists." }

package remote

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// ErrTooLarge means that a value is longer than the server takes.
var ErrTooLarge = errors.New("longer than the server accepts (proto-max-bulk-len)")

// leastLimit is the lowest proto-max-bulk-len that a server can have: what is not
// longer need not be asked for.
const leastLimit = 1 << 20

func errTooLarge(size int) error {
	return &Error{Kind: Logical, Op: "size", Err: fmt.Errorf("%d bytes: %w", size, ErrTooLarge)}
}

// tooLarge asks, before they are sent, which of the commands have a word that the
// server does not take: it would end the connection of all callers. GETBIT reads
// within the same limit, needs no memory, and answers for a key of any type and for
// none. Nil: it takes all, or does not tell.
func (w *wire) tooLarge(ctx context.Context, cmds []rueidis.Completed, largest []int) (refused map[int]error) {
	var asked []int
	var ask []rueidis.Completed
	for i, size := range largest {
		if key, ok := keyOf(cmds[i].Commands()); ok && size > leastLimit && !w.takes(size) {
			asked = append(asked, i)
			ask = append(ask, w.B().Arbitrary("GETBIT", key, strconv.Itoa((size-1)*8)).Build())
		}
	}
	if len(ask) == 0 {
		return nil
	}
	for i, r := range w.Client.DoMulti(ctx, ask...) {
		re, ok := errors.AsType[*rueidis.RedisError](r.Error())
		if r.Error() == nil {
			w.taken.Store(&sizeAt{size: largest[asked[i]], at: time.Now()})
		}
		if !ok || !strings.Contains(re.Error(), "bit offset is not") {
			continue
		}
		if refused == nil {
			refused = map[int]error{}
		}
		refused[asked[i]] = errTooLarge(largest[asked[i]])
	}
	return refused
}

// takenLife is how long a size that the server takes need not be asked for again. An
// operator who lowers the limit in that time ends the connection once.
const takenLife = time.Second

// takes reports whether the server has just said that it takes such a size.
func (w *wire) takes(size int) bool {
	t := w.taken.Load()
	return t != nil && size <= t.size && time.Since(t.at) < takenLife
}

// keyOf is the key of a command that carries a value: of a script its first one.
func keyOf(words []string) (key string, ok bool) {
	switch {
	case len(words) > 3 && (words[0] == "EVAL" || words[0] == "EVALSHA"):
		return words[3], words[2] != "0"
	case len(words) > 1:
		return words[1], true
	}
	return "", false
}

// without leaves the commands out that are refused, and puts the answers to the
// others in their places.
func (w *wire) without(ctx context.Context, cmds []rueidis.Completed, refused map[int]error) []rueidis.RedisResult {
	rs := make([]rueidis.RedisResult, len(cmds))
	var rest []rueidis.Completed
	var places []int
	for i := range cmds {
		if err := refused[i]; err != nil {
			rs[i] = rueidis.NewErrorResult(err)
			continue
		}
		rest, places = append(rest, cmds[i]), append(places, i)
	}
	if len(rest) == 0 {
		return rs
	}
	for i, r := range w.DoMulti(ctx, rest...) {
		rs[places[i]] = r
	}
	return rs
}

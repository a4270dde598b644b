package remote

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/breaker"
	"github.com/evercache/evercache/internal/redisproc"
)

func TestAServerWithoutItsLoginCommandsDoesNotMakeUsTellThePassword(t *testing.T) {
	const password = "hunter2secret"
	for _, renamed := range [][]string{
		{`rename-command HELLO ""`},
		{`rename-command AUTH ""`, `rename-command HELLO ""`},
	} {
		for _, user := range []string{"", "alice"} {
			c := config(startRedis(t, redisproc.Options{Config: renamed}).Addr())
			c.Username, c.Password = user, password
			n, err := Dial(t.Context(), c, heartbeat, &seen{})
			if err == nil {
				n.Abandon()
				continue
			}
			t.Log(err)
			if strings.Contains(err.Error(), password) || len(err.Error()) > maxSaid+20 {
				t.Errorf("%v: %v", renamed, err)
			}
			if _, ok := errors.AsType[*rueidis.RedisError](err); !ok {
				t.Errorf("%v: no longer the server's error: %v", renamed, err)
			}
		}
	}
}

func TestAShortPasswordIsHiddenWhereItIsRepeated(t *testing.T) {
	cause := errors.New("ERR 'ab' is wrong")
	got := redact(cause, "ab")
	if got.Error() != "ERR '***' is wrong" || !errors.Is(got, cause) {
		t.Errorf("%q", got)
	}
	if got := redact(cause, ""); got != cause {
		t.Errorf("without a password: %v", got)
	}
}

// Whatever way a server's words take out of this package, they can be shown.
func TestWhatAServerSaysAfterTheLoginCanBeShown(t *testing.T) {
	const password = "hunter2secret"
	words := "\x1b[31m\x1b]0;x\x07 pass=" + password + " \u202e" + strings.Repeat("Z", 5000)
	for name, reply := range map[string]string{
		"an unknown error": "-ERR " + words, "a known one": "-NOPERM " + words, "of a mistake": "-WRONGTYPE " + words,
		"not a number": "+" + words, "a blob": "!" + strconv.Itoa(len(words)) + "\r\n" + words,
	} {
		c := config(says(t, func(string) string { return reply + "\r\n" }))
		c.Password = password
		link, err := DialLink(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer link.Close()
		n := &Node{cmd: link.wire, beat: link.wire, obs: &seen{}, heartbeat: heartbeat, breaker: breaker.New(breaker.Default)}
		n.bulk, n.out = newBulk(n, c), newBulk(n, c)
		n.heartbeat.Book = new(lone)
		errs := map[string]error{}
		replies, err := link.Ask(t.Context(), long, []string{"PING"})
		errs["ask"] = err
		if err == nil {
			errs["reply"] = replies[0].Err
		}
		_, errs["get"] = n.Get(t.Context(), "k", long)
		found, err := n.GetMany(t.Context(), []string{"k"}, long)
		errs["get many"], errs["found"] = err, found[0].Err
		many, err := n.WriteMany(t.Context(), []Write{{Pair: Pair{Key: "k", TTL: time.Minute}}}, long)
		errs["write many"], errs["write"] = err, many[0]
		outcomes, err := n.Replay(t.Context(), []Replay{{Kind: Restore, Key: "k"}}, long)
		errs["replay"], errs["outcome"] = err, outcomes[0].Err
		_, errs["barrier"] = n.Barrier(t.Context(), 0)
		_, errs["dial"] = Dial(t.Context(), c, heartbeat, &seen{})
		errs["puzzle"], errs["forbidden"] = n.Puzzled(), n.Forbidden()
		for way, err := range errs {
			if err == nil {
				continue
			}
			text := err.Error()
			if len(text) > maxShown || strings.Contains(text, password) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s, %s: %d bytes: %.300q", name, way, len(text), text)
			}
		}
	}
}

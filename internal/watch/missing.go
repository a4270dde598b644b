package watch

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// missing are the commands and keys that the nodes do not have or keep from us and
// that something is missing without: what a node is, or what a barrier proves.
type missing struct {
	mu   sync.Mutex // guards seen
	seen map[string]time.Time
}

// heartbeatKey stands for the barrier's key where the ACL forbids it.
const heartbeatKey = "heartbeat key"

// missingFor is how long a refusal is remembered: nodes are asked once a second.
const missingFor = 10 * time.Second

// note keeps what err says is forbidden, if it says so.
func (l *missing) note(err error) {
	if command := remote.CommandIn(err); command != "" {
		l.add(command)
	}
	if remote.KindOf(err) == remote.NoPerm {
		l.add(forbiddenBy(err.Error()))
	}
}

func (l *missing) add(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]time.Time{}
	}
	l.seen[what] = time.Now()
}

// list is what was refused lately.
func (l *missing) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.seen, func(_ string, at time.Time) bool { return time.Since(at) > missingFor })
	return slices.Sorted(maps.Keys(l.seen))
}

// forbiddenBy reads a NOPERM reply: it names the command, or speaks of keys. Its
// text is the server's, so only a word of it is kept.
func forbiddenBy(reply string) string {
	if _, rest, ok := strings.Cut(reply, "run the '"); ok {
		command, _, _ := strings.Cut(rest, "'")
		command, _, _ = strings.Cut(command, "|")
		if command != "" && len(command) <= 20 && strings.Trim(command, "abcdefghijklmnopqrstuvwxyz-") == "" {
			return strings.ToUpper(command)
		}
	}
	if strings.Contains(reply, "key") {
		return heartbeatKey
	}
	return "some command"
}

// allowed is reply's error, unless it is only that the ACL forbids the question
// or the node does not have the command.
func (l *missing) allowed(reply remote.Reply) error {
	if k := remote.KindOf(reply.Err); k == remote.NoPerm || k == remote.Lacks {
		l.note(reply.Err)
		return nil
	}
	return reply.Err
}

var errNothingAllowed = &remote.Error{Kind: remote.NoPerm, Op: "ask what it is", Err: errors.New("neither ROLE nor INFO can be asked")}

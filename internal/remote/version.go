package remote

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/censor"
)

// Server is what a node says of itself.
type Server struct {
	Name    string // "redis", "valkey", …
	Version string // of the Redis that it is compatible to; "": it does not tell
	Mode    string // "standalone", "sentinel", "cluster"
	run     string // names the process
}

// Server is what the node said of itself when it was dialled.
func (n *Node) Server() Server { return n.server }

// Before reports whether the server is known to be older than a version of Redis.
func (s Server) Before(major, minor int) bool {
	first, rest, _ := strings.Cut(s.Version, ".")
	second, _, _ := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(first)
	b, err2 := strconv.Atoi(second)
	return err1 == nil && err2 == nil && a > 0 && (a < major || a == major && b < minor)
}

// MovesByKey reports whether the slots of a Cluster leave the server by MIGRATE only, which
// gives each key the rest of its life. Redis 8.4 and Valkey 9 can move slots as a whole.
func (s Server) MovesByKey() bool { return s.Name != "valkey" && s.Before(8, 4) }

// Run names the process at the other end; "": it does not tell.
func (n *Node) Run() string { return n.server.run }

// ErrCluster means that the server belongs to a Redis Cluster.
var ErrCluster = errors.New("the server runs in cluster mode")

// usable is nil unless the server is of a kind that we cannot work with.
func (s Server) usable(cluster bool) error {
	if s.Mode != "cluster" || cluster {
		return nil
	}
	return &Error{Kind: Moved, Op: "ask mode", Err: ErrCluster}
}

// serverOf puts the answers to HELLO and INFO server together; either may be
// missing. Valkey names in both the Redis that it is compatible to.
func serverOf(hello, info rueidis.RedisResult) Server {
	var s Server
	if text, err := info.ToString(); err == nil {
		s.Version, s.Mode = infoField(text, "redis_version"), infoField(text, "redis_mode")
		s.Name, s.run = infoField(text, "server_name"), infoField(text, "run_id")
	}
	if v, err := hello.ToAny(); err == nil {
		said := wordsOf(v)
		s.Name = first(said["server"], s.Name)
		s.Version = first(s.Version, said["version"])
		s.Mode = first(said["mode"], s.Mode)
	}
	return s
}

// wordsOf reads a map of HELLO, which is a list in RESP2.
func wordsOf(v any) map[string]string {
	words := map[string]string{}
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			words[k] = censor.Text(fmt.Sprint(x), maxSaid)
		}
	case []any:
		for i := 0; i+1 < len(v); i += 2 {
			words[fmt.Sprint(v[i])] = censor.Text(fmt.Sprint(v[i+1]), maxSaid)
		}
	}
	return words
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// infoField finds a field of INFO, as it can be shown.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return censor.Text(strings.TrimSpace(v), maxSaid)
		}
	}
	return ""
}

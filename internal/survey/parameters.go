package survey

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"

	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/remote"
)

// parameters are asked for with CONFIG GET, one by one: before Redis 7 it takes only one,
// and a pattern would bring what nobody needs.
var parameters = []string{
	"save", "appendonly", "maxmemory", "maxmemory-policy",
	"min-replicas-to-write", "min-replicas-max-lag", "replica-priority",
	"masteruser", "repl-backlog-size", "replica-serve-stale-data", "replica-read-only",
	"port", "tls-port", "tls-replication", "maxclients", "tcp-keepalive", "timeout",
}

// clusterParameters are asked for too in Cluster mode.
var clusterParameters = []string{
	"cluster-require-full-coverage", "cluster-node-timeout",
}

// secretParameters are passwords: what is kept says whether they are set.
var secretParameters = []string{"requirepass", "masterauth"}

// IsSet is the value of a secret parameter that is set.
const IsSet = "(set)"

// parameter notes the answer to one CONFIG GET. A secret is only hashed, with a key that
// nobody keeps.
func (n *Node) parameter(name string, secret bool, r remote.Reply, key []byte) {
	value, ok := parseFields(r.Value)[name]
	if r.Err != nil || !ok {
		return
	}
	if secret {
		full := secretOf(r.Value)
		censor.Hide(full)
		if value = ""; full != "" {
			value, n.secrets[name] = IsSet, fingerprint(full, key)
		}
	}
	n.Config.set(name, value)
}

// secretOf is the value of the one parameter in an answer, whatever its length.
func secretOf(v any) string {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			return word(x)
		}
	case []any:
		if len(v) == 2 {
			return word(v[1])
		}
	}
	return ""
}

func fingerprint(secret string, key []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(secret))
	return hex.EncodeToString(h.Sum(nil))
}

func newKey() []byte { return []byte(rand.Text()) }

// Fits reports whether the masterauth of n is the requirepass of master. Not known: one
// of the two is not.
func (n Node) Fits(master Node) (fits, known bool) {
	if n.Config["masterauth"] == "" || master.Config["requirepass"] == "" {
		return false, false
	}
	return n.secrets["masterauth"] == master.secrets["requirepass"], true
}

package backup

import (
	"strings"

	"github.com/evercache/evercache/internal/slot"
)

// bookkeeping are the keys that evercache itself keeps beside the data, as they begin
// behind its prefix. They are about processes and a dataset of that moment: barriers,
// tombstones, traces of brief lives, marks of deletes of prefixes, lives of classes, and
// the key that a restore tries a payload with. Brought back later they would say what is
// not true any more.
var bookkeeping = []string{"~b:", "~d:", "~s:", "~p:", "~t:", "~restore:"}

// dataset is the mark of the dataset.
const dataset = "~dataset"

// ours reports whether a key is such bookkeeping. No class begins with "~".
func ours(keyPrefix, key string) bool {
	rest, ok := strings.CutPrefix(key, keyPrefix)
	if !ok || !strings.HasPrefix(rest, "~") {
		return false
	}
	for _, b := range bookkeeping {
		if strings.HasPrefix(rest, b) {
			return true
		}
	}
	return rest == dataset
}

// denylist is the list of revoked tokens that a key belongs to, as its keys begin; "":
// none. A list is in three keys, which have to be of one moment.
func denylist(keyPrefix, key string) string {
	rest, ok := strings.CutPrefix(key, keyPrefix+"~r:{")
	if !ok {
		return ""
	}
	name, part, ok := strings.Cut(rest, "}:")
	if !ok || part != "set" && part != "stream" && part != "n" {
		return ""
	}
	return keyPrefix + "~r:{" + name + "}:"
}

func denylistKeys(list string) []string { return []string{list + "set", list + "stream", list + "n"} }

// filter says which keys of a server are copied.
type filter struct {
	keyPrefix, prefix string
	slots             *slot.Set // in a Cluster; nil: elsewhere
}

func (f filter) takes(key string) bool {
	return strings.HasPrefix(key, f.prefix) && !ours(f.keyPrefix, key) && (f.slots == nil || f.slots.Has(slot.Of(key)))
}

// pattern is the MATCH of SCAN; "": all keys.
func pattern(o Options) string {
	if o.Match != "" || o.Prefix == "" {
		return o.Match
	}
	return literal.Replace(o.Prefix) + "*"
}

var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

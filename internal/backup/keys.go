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

// switchover is the note of what a switchover has changed for a while.
const switchover = "~switchover"

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
	return rest == dataset || rest == switchover
}

// denylist is the list of revoked tokens that a key belongs to, as its keys begin; "": none. A
// list is in three keys, which have to be of one moment. It is known under any prefix: a backup
// or a restore with another REDIS_KEY_PREFIX than the application's must not let revoked
// tokens in.
func denylist(key string) string {
	before, after, ok := strings.Cut(key, denylistHead)
	if !ok {
		return ""
	}
	name, part, ok := strings.Cut(after, "}:")
	if !ok || part != "set" && part != "stream" && part != "n" {
		return ""
	}
	return before + denylistHead + name + "}:"
}

const denylistHead = "~r:{"

// scratchOf is a key for a trial beside a list, in its slot.
func scratchOf(list, suffix string) string {
	at := strings.Index(list, denylistHead)
	return list[:at] + "~restore:" + list[at:] + suffix
}

// isDenylistSet reports whether a key is the set of a denylist, which has the mark of a
// complete one.
func isDenylistSet(key string) bool {
	list := denylist(key)
	return list != "" && key == list+"set"
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

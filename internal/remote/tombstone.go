package remote

import (
	"strings"

	"github.com/evercache/evercache/internal/slot"
)

// TombstonePrefix is what the tombstones of all keys with a prefix begin with.
func TombstonePrefix(prefix string) string { return prefix + "~d:" }

// TombstoneKey is where the trace of key's delete is kept: in the same Cluster
// slot as key, whatever braces that has, and no other key has the same. key
// begins with prefix, which has no braces.
//
//	P~d:R        where R, the key without its prefix, has a hash tag
//	P~d:{key}    where the key has none, and no brace that would end this one
//	P~d:!{42}R   otherwise: 42 is hashed into the key's slot
func TombstoneKey(prefix, key string) string { return TombstonePrefix(prefix) + beside(prefix, key) }

// beside is what follows the beginning of a key of ours that goes with key.
func beside(prefix, key string) string {
	rest := strings.TrimPrefix(key, prefix)
	_, tagged := slot.Tag(rest)
	switch {
	case tagged && rest[0] != '{' && rest[0] != '!': // nor does it look like one of the others
		return rest
	case !tagged && key != "" && !strings.Contains(rest, "}"):
		return "{" + key + "}"
	}
	return "!{" + slot.TagFor(slot.Of(key)) + "}" + rest
}

// KeyOfTombstone is the key that tomb is the tombstone of; ok is false when it
// is none.
func KeyOfTombstone(prefix, tomb string) (key string, ok bool) {
	return goesWith(prefix, TombstonePrefix(prefix), tomb)
}

// TraceKey is where it is kept when key was last written to live briefly: shorter
// than other keys of its class. What is written so is gone when another process
// comes to put back an older value that lives longer. It is in the slot of key.
func TraceKey(prefix, key string) string { return prefix + "~s:" + beside(prefix, key) }

// Beside is TombstoneKey and TraceKey in one string: a load needs both.
func Beside(prefix, key string) (tomb, trace string) {
	rest := beside(prefix, key)
	all := prefix + "~d:" + rest + prefix + "~s:" + rest
	return all[:len(all)/2], all[len(all)/2:]
}

func goesWith(prefix, begins, ours string) (key string, ok bool) {
	rest, ok := strings.CutPrefix(ours, begins)
	if !ok || rest == "" {
		return "", false
	}
	switch rest[0] {
	case '{':
		key = strings.TrimSuffix(rest[1:], "}")
	case '!':
		_, after, _ := strings.Cut(rest, "}")
		key = prefix + after
	default:
		key = prefix + rest
	}
	return key, strings.HasPrefix(key, prefix) && begins+beside(prefix, key) == ours
}

// MarksKey is where the traces of deletes of prefixes of a key's class are kept:
// a hash for each class. It is in a Cluster slot of its own.
func MarksKey(prefix, key string) string { return prefix + "~p:" + classOf(prefix, key) }

func classOf(prefix, key string) string {
	class, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), ":")
	return class
}

// RestOf is a key without its prefix and class.
func RestOf(prefix, key string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(key, prefix), ":")
	return rest
}

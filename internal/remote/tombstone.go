package remote

import (
	"strconv"
	"strings"
	"sync"
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
	switch tagged := hasTag(rest); {
	case tagged && rest[0] != '{' && rest[0] != '!': // nor does it look like one of the others
		return rest
	case !tagged && key != "" && !strings.Contains(rest, "}"):
		return "{" + key + "}"
	}
	return "!{" + tags()[slot(key)] + "}" + rest
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

// slots is how many a Redis Cluster has.
const slots = 1 << 14

// slot is the Cluster slot of a key: of its hash tag, where it has one.
func slot(key string) uint16 {
	if tag, ok := tag(key); ok {
		key = tag
	}
	return crc16(key) % slots
}

// tag is what stands between the first { and the first } after it, if that is
// anything.
func tag(key string) (string, bool) {
	_, after, _ := strings.Cut(key, "{")
	tag, _, ok := strings.Cut(after, "}")
	return tag, ok && tag != ""
}

func hasTag(key string) bool {
	_, ok := tag(key)
	return ok
}

// crc16 is the one of Redis Cluster: XMODEM, polynomial 0x1021.
func crc16(s string) uint16 {
	var crc uint16
	for i := range len(s) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^s[i]]
	}
	return crc
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc >> 15
			crc = crc<<1 ^ carry*0x1021
		}
		table[i] = crc
	}
	return table
}()

// tags has a short decimal number for each slot. It is made when a key first
// needs one: few have a brace that closes nothing.
var tags = sync.OnceValue(func() *[slots]string {
	var found [slots]string
	for n, left := 0, slots; left > 0; n++ {
		text := strconv.Itoa(n)
		if s := slot(text); found[s] == "" {
			found[s] = text
			left--
		}
	}
	return &found
})

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

// Package slot tells in which of the 16384 slots of a Redis Cluster a key is, makes
// hash tags that lead to a given slot, and has sets of slots as values.
package slot

import (
	"strconv"
	"strings"
	"sync"
)

// Count is how many slots a Redis Cluster has: they are 0 to Count-1.
const Count = 1 << 14

// Of is the slot of a key: that of its hash tag, where it has one.
func Of(key string) uint16 {
	if tag, ok := Tag(key); ok {
		key = tag
	}
	return crc16(key) % Count
}

// Tag is the hash tag of a key: what stands between the first { and the first }
// after it. A key without these, or with nothing between them, has none.
func Tag(key string) (tag string, ok bool) {
	_, after, _ := strings.Cut(key, "{")
	tag, _, ok = strings.Cut(after, "}")
	return tag, ok && tag != ""
}

// TagFor is a text that leads to slot s where it is the hash tag of a key: a decimal
// number of at most six digits, always the same for the same slot. It panics for a
// slot that does not exist.
func TagFor(s uint16) string { return tags()[s] }

// tags is made when it is first needed, in some 10 ms.
var tags = sync.OnceValue(func() *[Count]string {
	var found [Count]string
	for n, left := 0, Count; left > 0; n++ {
		text := strconv.Itoa(n)
		if s := Of(text); found[s] == "" {
			found[s] = text
			left--
		}
	}
	return &found
})

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

package redisproc

import (
	"fmt"
	"strings"
	"sync"
)

// Slots is how many hash slots a Redis Cluster has.
const Slots = 16384

// Slot is the hash slot of a key: CRC16 (XMODEM) of the key, or of what is between its first brace and the
// next closing one, if that is anything. It is written anew here, by the specification: the test bed must
// not share the library's mistakes.
func Slot(key string) int {
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if tag, _, closed := strings.Cut(key[open+1:], "}"); closed && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % Slots)
}

// SlotRange is the slots from First to Last, both included.
type SlotRange struct{ First, Last int }

func (r SlotRange) has(slot int) bool { return r.First <= slot && slot <= r.Last }

// share is the slots of the i-th of n masters.
func share(i, n int) SlotRange { return SlotRange{Slots * i / n, Slots*(i+1)/n - 1} }

// Tag is a short text whose slot is slot: a key of that slot begins with "{" + tag + "}".
func Tag(slot int) string { return tags()[slot] }

var tags = sync.OnceValue(func() []string {
	all := make([]string, Slots)
	for n, left := 0, Slots; left > 0; n++ {
		tag := fmt.Sprint(n)
		if s := Slot(tag); all[s] == "" {
			all[s], left = tag, left-1
		}
	}
	return all
})

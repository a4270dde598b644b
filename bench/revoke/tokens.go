package main

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
)

// idBytes is the length of an id: that of a UUID.
const idBytes = 36

// appendID appends the n-th id. Ids of different n differ.
func appendID(b []byte, n int) []byte {
	mixed := uint32(n) * 2654435761 // odd: no two are alike
	b = hex.AppendEncode(b, []byte{byte(mixed >> 24), byte(mixed >> 16), byte(mixed >> 8), byte(mixed)})
	return append(b, "-d9cb-469f-a165-70867728950e"...)
}

func id(n int) string { return string(appendID(make([]byte, 0, idBytes), n)) }

// asked are ids in the order in which they are asked for, next to each other in
// memory: an id comes with its request and is at hand, its entry is not.
type asked []string

// newAsked draws count times from the ids from first on, n of them.
func newAsked(first, n, count int) asked {
	r := rand.New(rand.NewPCG(1, 2)) // every run has the same order
	var b strings.Builder
	b.Grow(count * idBytes)
	for range count {
		b.Write(appendID(nil, first+r.IntN(n)))
	}
	all := make(asked, count)
	for i := range all {
		all[i] = b.String()[i*idBytes : (i+1)*idBytes]
	}
	return all
}

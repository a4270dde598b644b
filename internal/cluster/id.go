package cluster

import (
	"encoding/hex"
	"fmt"
	"strconv"
)

// ID is the id of a node: 40 hexadecimal digits in text. The zero value means
// "none". A node keeps its id when it gets another address, and another node at
// its address has another id.
type ID [20]byte

// IsZero reports whether id names nobody.
func (id ID) IsZero() bool { return id == ID{} }

func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// MarshalText lets an id be a JSON string and a log attribute.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// ParseID reads the id of a node.
func ParseID(text string) (ID, error) {
	var id ID
	if len(text) != 2*len(id) {
		return ID{}, fmt.Errorf("node id %s has not 40 hexadecimal digits", quote(text))
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil || id.IsZero() {
		return ID{}, fmt.Errorf("node id %s is not 40 hexadecimal digits", quote(text))
	}
	return id, nil
}

// quote shows input in an error. Of a long one it tells the length only: in a piece of it
// nobody would find the secret that the piece may hold a part of.
func quote(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("(%d bytes)", len(s))
	}
	return strconv.Quote(s)
}

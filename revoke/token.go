package revoke

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
	"unicode/utf8"

	"github.com/evercache/evercache"
)

// Token is what a check is about.
type Token struct {
	// ID is the token's own id (jti), or RawID of the token.
	ID string
	// Subject and IssuedAt (sub, iat) are for RevokeIssuedBefore. Without
	// IssuedAt, or with one that is further ahead than Policy.ClockSkew, any cut-off
	// of the subject revokes the token. They may be empty where that is not used.
	Subject  string
	IssuedAt time.Time
}

// usable reports whether there is something to look up, and nothing that could
// never have been revoked.
func (t Token) usable() bool {
	return (t.ID != "" || t.Subject != "") && isName(t.ID) && isName(t.Subject)
}

// isName reports whether an id or a subject is one, or is empty. What is not UTF-8
// cannot be sent as JSON: two of them would be the same id there.
func isName(s string) bool { return len(s) <= MaxIDBytes && utf8.ValidString(s) }

// RawID is an id for a token that has none: a hash of the whole token. A token
// that can be written in several ways (the padding of base64, a signature that
// can be altered) has several.
func RawID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "raw:" + hex.EncodeToString(sum[:])
}

// key is the hash under which an id or a subject is held.
type key [16]byte

// hasher makes keys, the same ones in every process. SHA-256, and not something
// quicker: with the default secret, which is no secret, it must still not be
// possible to get from the key to the id.
type hasher struct{ secret [16]byte }

func newHasher(namespace string, secret evercache.Secret) hasher {
	sum := sha256.Sum256([]byte("evercache/revoke\x00" + namespace + "\x00" + secret.Reveal()))
	return hasher{[16]byte(sum[:16])}
}

// print tells two hashers apart.
func (h hasher) print() string {
	k := h.key(kindPrint, "")
	return hex.EncodeToString(k[:6])
}

// What is hashed begins with one of these.
const (
	kindID      byte = 'i'
	kindSubject byte = 's'
	kindPrint   byte = 'p'
	kindLong    byte = 'l' // a piece of something long

	kindWasLong byte = 0x80 // joined to the kind of what had pieces
)

const headBytes = 17 // the secret and the kind

// key allocates nothing. A UUID takes one block of SHA-256.
func (h hasher) key(kind byte, id string) key {
	var b [128]byte
	copy(b[:], h.secret[:])
	n := headBytes
	for len(id) > len(b)-n { // a piece at a time, with the sum of those before
		b[16] = kindLong
		id = id[copy(b[n:], id):]
		sum := sha256.Sum256(b[:])
		n = headBytes + copy(b[headBytes:], sum[:])
		kind |= kindWasLong
	}
	b[16] = kind
	n += copy(b[n:], id)
	sum := sha256.Sum256(b[:n])
	return key(sum[:16])
}

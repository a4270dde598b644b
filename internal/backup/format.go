package backup

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"time"
)

// A file begins with the magic and goes on with frames:
//
//	checksum of the next 12 bytes 4 | checksum of the body 4 | length of the body 4 | type 1 | 0 3 | body
//
// All numbers are little endian, the checksums CRC-32C. Those of all frames but the first
// begin with that of the file's id, so that a frame of another file is not one of this.
// The head has a checksum of its own: a damaged length is not taken for a file that was
// cut off.
//
// The frames are a header, then for each shard a section, its records and its end, then
// the footer, which has the SHA-256 of all bytes before it. Nothing follows.
const (
	magic   = "evcbkup\n"
	version = 1
	headLen = 16

	frameHeader     = 1
	frameSection    = 2
	frameRecord     = 3
	frameSectionEnd = 4
	frameFooter     = 5

	// A record's body is: when it expires, Unix milliseconds, 0: never 8 |
	// length of the key 4 | key | payload of DUMP
	recordHead = 12
	// A payload ends with its RDB version 2 | its own checksum 8.
	payloadTail = 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ID tells files apart.
type ID [16]byte

func newID() (i ID) {
	_, _ = rand.Read(i[:]) // never fails
	return i
}

func (i ID) seed() uint32 { return crc32.Checksum(i[:], castagnoli) }

// Header is the first frame.
type Header struct {
	Format    int       `json:"format"`
	ID        []byte    `json:"id"`
	Evercache string    `json:"evercache"`
	Began     time.Time `json:"began"`
	Mode      string    `json:"mode"`
	DB        int       `json:"db"`
	KeyPrefix string    `json:"key_prefix,omitempty"` // of evercache: which keys were its own bookkeeping
	Match     string    `json:"match,omitempty"`
	Prefix    string    `json:"prefix,omitempty"`
}

// alike reports whether two files are of the same: as far as they say.
func (h Header) alike(o Header) bool {
	return h.Mode == o.Mode && h.DB == o.DB && h.KeyPrefix == o.KeyPrefix && h.Match == o.Match && h.Prefix == o.Prefix
}

// Section begins what one shard has.
type Section struct {
	Slots         string    `json:"slots,omitempty"` // in a Cluster
	RedisVersion  string    `json:"redis_version"`
	RDBVersion    int       `json:"rdb_version"` // of the payloads; 0: there are none
	RunID         string    `json:"run_id"`
	ReplicationID string    `json:"replication_id"`
	Offset        int64     `json:"offset"` // of the replication stream at the beginning
	Replica       bool      `json:"replica"`
	Began         time.Time `json:"began"`
}

// SectionEnd ends it.
type SectionEnd struct {
	Records int64     `json:"records"`
	Offset  int64     `json:"offset"`
	Ended   time.Time `json:"ended"`
}

// Footer is the last frame.
type Footer struct {
	Sections int   `json:"sections"`
	Records  int64 `json:"records"`
	Bytes    int64 `json:"bytes"` // of keys and payloads
	// TooLarge counts keys that were left out for their size.
	TooLarge int64 `json:"too_large,omitempty"`
	// Moving counts slots of a Cluster that moved all the while: keys may be missing.
	Moving int       `json:"moving_slots,omitempty"`
	Ended  time.Time `json:"ended"`
	SHA256 []byte    `json:"sha256"`
}

// Record is one key.
type Record struct {
	Key      string
	ExpireAt int64 // Unix milliseconds; 0: never
	Payload  []byte
}

func (r Record) size() int64 { return int64(len(r.Key) + len(r.Payload)) }

// RDBVersion is that of the payload.
func (r Record) RDBVersion() int {
	return int(binary.LittleEndian.Uint16(r.Payload[len(r.Payload)-payloadTail:]))
}

// head is what stands before a body.
type head struct {
	body   uint32
	length uint32
	typ    byte
}

func appendHead(b []byte, seed uint32, h head) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, h.body)
	b = binary.LittleEndian.AppendUint32(b, h.length)
	b = append(b, h.typ, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[at:], crc32.Update(seed, castagnoli, b[at+4:]))
	return b
}

func parseHead(b []byte, seed uint32) (h head, why string) {
	if binary.LittleEndian.Uint32(b) != crc32.Update(seed, castagnoli, b[4:headLen]) {
		return head{}, "the checksum of its head is wrong"
	}
	h = head{body: binary.LittleEndian.Uint32(b[4:]), length: binary.LittleEndian.Uint32(b[8:]), typ: b[12]}
	most := uint32(maxMeta)
	if h.typ == frameRecord {
		most = recordHead + MaxKey + MaxPayload
	}
	switch {
	case h.typ < frameHeader || h.typ > frameFooter || b[13]|b[14]|b[15] != 0:
		return head{}, "its type is unknown"
	case h.length > most:
		return head{}, "it is longer than any can be"
	}
	return h, ""
}

// parseRecord reads a body; ok is false where it is none. The payload is a part of it.
func parseRecord(b []byte) (r Record, ok bool) {
	if len(b) < recordHead+payloadTail {
		return Record{}, false
	}
	n := binary.LittleEndian.Uint32(b[8:])
	if n > MaxKey || int(n) > len(b)-recordHead-payloadTail {
		return Record{}, false
	}
	expire := binary.LittleEndian.Uint64(b)
	if expire > maxExpire {
		return Record{}, false
	}
	return Record{Key: string(b[recordHead : recordHead+n]), ExpireAt: int64(expire), Payload: b[recordHead+n:]}, true
}

// maxExpire is far in the future, and fits what Redis takes.
const maxExpire = 1 << 62

func recordStart(r Record) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, recordHead+len(r.Key)), uint64(r.ExpireAt))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Key)))
	return append(b, r.Key...)
}

func encodeMeta(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // these are plain structs
	}
	return b
}

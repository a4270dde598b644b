package journal

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// The file begins with
//
//	magic 8 | version 4 | id 16 | checksum of these 4
//
// and goes on with records, the numbers of which rise:
//
//	checksum of the next 24 bytes 4 | checksum of key and payload 4 | seq 8 |
//	length of the payload 4 | length of the key 4 | type 1 | kind 1 | 0 2 | key | payload
//
// All numbers are little endian. The checksums of records are CRC32C and begin
// with that of the id: a record of another file is not one of this. Those of the
// head and of the body are two so that a damaged length is not taken for a torn
// end. Rising numbers keep out records that an older state of the file left on
// the disk.
const (
	magic     = "evcjrnl\n"
	version   = 1
	headerLen = 32
	recordLen = 28

	// MaxKey and MaxPayload bound one record.
	MaxKey     = 64 << 10
	MaxPayload = 64 << 20
)

// Types of records. A done has the number it is about as its payload: it ends
// the entry of its key unless that is newer.
const (
	typeEntry = 1
	typeDone  = 2
	doneLen   = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errShort   = errors.New("it is shorter than its header")
	errForeign = errors.New("it is not a journal")
	errVersion = errors.New("it was written by another version")
	errHead    = errors.New("the head of a record is damaged")
	errBody    = errors.New("a record is damaged")
	errOrder   = errors.New("a record is older than the one before it")
)

// id tells files apart.
type id [16]byte

func newID() (i id) {
	_, _ = rand.Read(i[:]) // never fails
	return i
}

// seed is where the checksums of the records begin.
func (i id) seed() uint32 { return crc32.Checksum(i[:], castagnoli) }

func fileHeader(i id) []byte {
	b := append(make([]byte, 0, headerLen), magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = append(b, i[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func parseFileHeader(b []byte) (i id, err error) {
	switch {
	case string(b[:8]) != magic:
		return id{}, errForeign
	case binary.LittleEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli):
		return id{}, errHead
	case binary.LittleEndian.Uint32(b[8:]) != version:
		return id{}, errVersion
	}
	copy(i[:], b[12:28])
	return i, nil
}

// head is what stands before key and payload.
type head struct {
	body         uint32 // the checksum of both
	seq          uint64
	payload, key uint32 // lengths
	typ, kind    byte
}

func (h head) size() int64 { return recordLen + int64(h.key) + int64(h.payload) }

func bodySum(seed uint32, e Entry) uint32 {
	var short [128]byte // a key that fits costs no allocation
	sum := crc32.Update(seed, castagnoli, append(short[:0], e.Key...))
	return crc32.Update(crc32.Update(sum, castagnoli, e.Payload), castagnoli, e.Rest)
}

func appendHead(b []byte, seed uint32, h head) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, h.body)
	b = binary.LittleEndian.AppendUint64(b, h.seq)
	b = binary.LittleEndian.AppendUint32(b, h.payload)
	b = binary.LittleEndian.AppendUint32(b, h.key)
	b = append(b, h.typ, h.kind, 0, 0)
	binary.LittleEndian.PutUint32(b[at:], crc32.Update(seed, castagnoli, b[at+4:]))
	return b
}

func parseHead(b []byte, seed uint32) (h head, ok bool) {
	if binary.LittleEndian.Uint32(b) != crc32.Update(seed, castagnoli, b[4:recordLen]) {
		return head{}, false
	}
	h = head{
		body:    binary.LittleEndian.Uint32(b[4:]),
		seq:     binary.LittleEndian.Uint64(b[8:]),
		payload: binary.LittleEndian.Uint32(b[16:]),
		key:     binary.LittleEndian.Uint32(b[20:]),
		typ:     b[24],
		kind:    b[25],
	}
	ok = h.key <= MaxKey && h.payload <= MaxPayload && b[26] == 0 && b[27] == 0 &&
		(h.typ == typeEntry || h.typ == typeDone && h.payload == doneLen)
	return h, ok
}

// appendRecord appends one record; body is the bodySum of key and payload.
func appendRecord(b []byte, seed, body uint32, typ byte, e Entry) []byte {
	b = appendHead(b, seed, head{
		body: body, seq: e.Seq, payload: uint32(e.length()), key: uint32(len(e.Key)), typ: typ, kind: e.Kind,
	})
	b = append(b, e.Key...)
	b = append(b, e.Payload...)
	return append(b, e.Rest...)
}

// placed is a live entry and where it is.
type placed struct {
	Entry
	item
}

// found is what scan understood of a file.
type found struct {
	id     id
	live   []placed // oldest first
	last   uint64   // the highest number
	torn   int64    // bytes at the end that a write under way left
	damage error    // why there is more that could not be understood
}

// scan reads a file of this size to its end, or to what it cannot understand.
func scan(r io.Reader, size int64) found { return scanner{}.scan(r, size) }

// scanPlaces is scan without the payloads of what is live: its memory is that of
// the keys and of one record.
func scanPlaces(r io.Reader, size int64) found { return scanner{places: true}.scan(r, size) }

func (s scanner) scan(r io.Reader, size int64) found {
	s.r, s.size, s.at = bufio.NewReaderSize(r, 64<<10), size, map[string]int{}
	s.id = newID()
	if s.damage = s.header(); s.damage == nil {
		for s.pos < s.size && s.next() {
		}
	}
	live := s.live[:0]
	for _, p := range s.live {
		if p.size > 0 {
			live = append(live, p)
		}
	}
	s.live = live
	return s.found
}

type scanner struct {
	found
	places bool // payloads are not kept
	body   []byte

	r    *bufio.Reader
	size int64
	pos  int64
	seed uint32
	at   map[string]int // key to its place in live
}

func (s *scanner) header() error {
	var b [headerLen]byte
	if s.size < headerLen {
		return errShort
	}
	if _, err := io.ReadFull(s.r, b[:]); err != nil {
		return err
	}
	i, err := parseFileHeader(b[:])
	if err != nil {
		return err
	}
	s.id, s.seed, s.pos = i, i.seed(), headerLen
	return nil
}

// next reads one record and reports whether there may be another.
func (s *scanner) next() bool {
	rest := s.size - s.pos
	if rest < recordLen {
		s.torn = rest
		return false
	}
	var b [recordLen]byte
	if _, err := io.ReadFull(s.r, b[:]); err != nil {
		s.damage = err
		return false
	}
	h, ok := parseHead(b[:], s.seed)
	if !ok {
		return s.tail(b[:], errHead)
	}
	if h.size() > rest {
		s.torn = rest
		return false
	}
	body := s.room(int(h.size() - recordLen))
	if _, err := io.ReadFull(s.r, body); err != nil {
		s.damage = err
		return false
	}
	e := Entry{Kind: h.kind, Key: string(body[:h.key]), Payload: body[h.key:], Seq: h.seq}
	if bodySum(s.seed, e) != h.body {
		return s.tail(append(b[:], body...), errBody)
	}
	if h.seq <= s.last {
		s.damage = errOrder
		return false
	}
	s.take(h, e)
	return true
}

// maxReused bounds what a scan keeps for the next body.
const maxReused = 1 << 20

// room is a slice for one body. Where payloads are not kept it is used again.
func (s *scanner) room(n int) []byte {
	if !s.places || n > maxReused {
		return make([]byte, n)
	}
	if cap(s.body) < n {
		s.body = make([]byte, n, min(2*n, maxReused))
	}
	return s.body[:n]
}

// tail ends the scan at bytes that are long enough and yet no record. They were
// never finished, and so never acknowledged, when a part of them is unwritten and
// nothing but zeros comes after them: the machine stopped when the file had its
// length and not all of its pages. Everything else is damage.
func (s *scanner) tail(record []byte, why error) bool {
	for torn := unwritten(record, s.pos); torn; {
		c, err := s.r.ReadByte()
		if err == io.EOF {
			s.torn = s.size - s.pos
			return false
		}
		torn = err == nil && c == 0
	}
	s.damage = why
	return false
}

// page is the least that file systems leave unwritten. Larger ones begin where
// one of these does.
const page = 4 << 10

// unwritten reports whether what a page holds of a record at an offset is all
// zeros. The first page may have begun with other records: it is written up to
// where the file ended once, and that is where a record begins.
func unwritten(record []byte, off int64) bool {
	for len(record) > 0 {
		n := min(int64(len(record)), page-off%page)
		if len(bytes.TrimLeft(record[:n], "\x00")) == 0 {
			return true
		}
		record, off = record[n:], off+n
	}
	return false
}

func (s *scanner) take(h head, e Entry) {
	i, had := s.at[e.Key]
	if h.typ == typeDone {
		if had && s.live[i].Entry.Seq <= binary.LittleEndian.Uint64(e.Payload) {
			s.live[i] = placed{}
			delete(s.at, e.Key)
		}
	} else {
		if had {
			s.live[i] = placed{}
		}
		if s.places {
			e.Payload = nil
		}
		s.at[e.Key] = len(s.live)
		s.live = append(s.live, placed{e, item{seq: h.seq, off: s.pos, size: h.size()}})
	}
	s.last, s.pos = h.seq, s.pos+h.size()
}

package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"
	"strings"
)

// BrokenError says where a file is not as it was written.
type BrokenError struct {
	Offset int64 // of the frame, in the content: of a compressed file after unpacking
	Record int64 // from 1; 0: it is no record
	What   string
	Why    string
	Key    string // of the record, where it could be read; "": it could not
}

func (e *BrokenError) Error() string {
	what := e.What
	if e.Record > 0 {
		what = fmt.Sprintf("record %d", e.Record)
	}
	return fmt.Sprintf("broken at byte %d (%s): %s", e.Offset, what, e.Why)
}

// Item is one frame: exactly one of the pointers is set.
type Item struct {
	Header     *Header
	Section    *Section
	Record     *Record // valid until the next call
	SectionEnd *SectionEnd
	Footer     *Footer
}

// Reader reads one file as a stream, and believes nothing.
type Reader struct {
	in     *bufio.Reader
	digest hash.Hash
	sum    []byte // before the footer
	off    int64
	seed   uint32
	body   []byte

	began, inside, over bool
	foot                Footer
	section             int64 // records of it
}

// NewReader begins to read. A compressed file is unpacked.
func NewReader(r io.Reader) (*Reader, error) {
	in := bufio.NewReaderSize(r, 256<<10)
	if start, _ := in.Peek(2); bytes.Equal(start, []byte{0x1f, 0x8b}) {
		zip, err := gzip.NewReader(in)
		if err != nil {
			return nil, &BrokenError{What: "gzip header", Why: plain(err)}
		}
		in = bufio.NewReaderSize(zip, 256<<10)
	}
	return &Reader{in: in, digest: sha256.New()}, nil
}

// Records is how many were read.
func (r *Reader) Records() int64 { return r.foot.Records }

// Offset is how much of the content was read.
func (r *Reader) Offset() int64 { return r.off }

// Next reads one frame. io.EOF: the file was whole, and has ended.
func (r *Reader) Next() (Item, error) {
	if r.over {
		return Item{}, r.nothingFollows()
	}
	if !r.began && r.off == 0 {
		if err := r.magic(); err != nil {
			return Item{}, err
		}
	}
	at := r.off
	h, err := r.head(at)
	if err != nil {
		return Item{}, err
	}
	if err := r.read(h, at); err != nil {
		return Item{}, err
	}
	it, why := r.parse(h.typ)
	if why != "" {
		return Item{}, r.broken(h.typ, at, why)
	}
	return it, nil
}

func (r *Reader) magic() error {
	var b [len(magic)]byte
	if _, err := io.ReadFull(r.in, b[:]); err != nil || string(b[:]) != magic {
		return &BrokenError{What: "beginning", Why: "it is not a backup of evercache"}
	}
	r.took(b[:])
	return nil
}

func (r *Reader) took(b []byte) {
	r.off += int64(len(b))
	r.digest.Write(b)
}

func (r *Reader) head(at int64) (head, error) {
	var b [headLen]byte
	if n, err := io.ReadFull(r.in, b[:]); err != nil {
		return head{}, r.cut(at, n, err)
	}
	h, why := parseHead(b[:], r.seed)
	if why != "" {
		return head{}, r.broken(0, at, why)
	}
	if h.typ == frameFooter {
		r.sum = r.digest.Sum(nil)
	}
	r.took(b[:])
	return h, nil
}

// read reads a body. What a length claims is taken as it comes, so that a false one costs
// no memory.
func (r *Reader) read(h head, at int64) error {
	r.body = r.body[:0]
	for left := int(h.length); left > 0; {
		n := min(left, 1<<20)
		old := len(r.body)
		r.body = slices.Grow(r.body, n)[:old+n]
		if m, err := io.ReadFull(r.in, r.body[old:]); err != nil {
			return r.cut(at, headLen+old+m, err)
		}
		left -= n
	}
	r.took(r.body)
	if crc32.Update(r.seed, castagnoli, r.body) != h.body {
		return r.broken(h.typ, at, "its checksum is wrong")
	}
	return nil
}

// cut is why no more can be read.
func (r *Reader) cut(at int64, n int, err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &BrokenError{Offset: at + int64(n), What: "end", Why: "the file ends here without its footer: it was cut off"}
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), strings.HasPrefix(err.Error(), "flate: corrupt"):
		return &BrokenError{Offset: at, What: "compressed data", Why: plain(err)}
	}
	return fmt.Errorf("read at byte %d: %w", at, err)
}

func plain(err error) string { return "it cannot be unpacked: " + err.Error() }

var frameNames = map[byte]string{0: "frame", frameHeader: "header", frameSection: "section", frameSectionEnd: "end of a section", frameFooter: "footer"}

func (r *Reader) broken(typ byte, at int64, why string) error {
	e := &BrokenError{Offset: at, What: frameNames[typ], Why: why}
	if typ == frameRecord || typ == 0 && r.inside {
		e.Record = r.foot.Records + 1
	}
	if typ == frameRecord {
		if rec, ok := parseRecord(r.body); ok {
			e.Key = rec.Key
		}
	}
	return e
}

// parse reads a body whose checksum is right.
func (r *Reader) parse(typ byte) (it Item, why string) {
	if r.began == (typ == frameHeader) {
		return Item{}, "it is not where it should be"
	}
	inside := typ == frameRecord || typ == frameSectionEnd
	if inside != r.inside && typ != frameHeader {
		return Item{}, "it is not where it should be"
	}
	switch typ {
	case frameHeader:
		return r.header()
	case frameSection:
		it.Section = new(Section)
		why = decode(r.body, it.Section)
		r.foot.Sections++
		r.inside, r.section = true, 0
	case frameRecord:
		rec, ok := parseRecord(r.body)
		if !ok {
			return Item{}, "it makes no sense"
		}
		it.Record = &rec
		r.foot.Records++
		r.section++
		r.foot.Bytes += rec.size()
	case frameSectionEnd:
		it.SectionEnd = new(SectionEnd)
		if why = decode(r.body, it.SectionEnd); why == "" && it.SectionEnd.Records != r.section {
			why = fmt.Sprintf("it counts %d records, and there are %d", it.SectionEnd.Records, r.section)
		}
		r.inside = false
	case frameFooter:
		it.Footer = new(Footer)
		if why = decode(r.body, it.Footer); why == "" {
			why = r.compare(*it.Footer)
		}
		r.over = true
	}
	return it, why
}

func (r *Reader) header() (Item, string) {
	h := new(Header)
	if why := decode(r.body, h); why != "" {
		return Item{}, why
	}
	switch {
	case h.Format != version:
		return Item{}, fmt.Sprintf("it has format %d, and this evercache reads format %d: use the version that wrote it, or a later one", h.Format, version)
	case len(h.ID) != len(ID{}):
		return Item{}, "it has no id"
	}
	r.began, r.seed = true, ID(h.ID).seed()
	return Item{Header: h}, ""
}

func (r *Reader) compare(f Footer) string {
	switch {
	case f.Records != r.foot.Records || f.Sections != r.foot.Sections || f.Bytes != r.foot.Bytes:
		return fmt.Sprintf("it counts %d records of %d sections with %d bytes, and there are %d of %d with %d",
			f.Records, f.Sections, f.Bytes, r.foot.Records, r.foot.Sections, r.foot.Bytes)
	case !bytes.Equal(f.SHA256, r.sum):
		return "its SHA-256 is not that of the file: records were changed, taken out or put in"
	}
	return ""
}

func decode(b []byte, v any) string {
	if err := json.Unmarshal(b, v); err != nil {
		return "it makes no sense"
	}
	return ""
}

func (r *Reader) nothingFollows() error {
	switch _, err := r.in.ReadByte(); {
	case err == nil:
		return &BrokenError{Offset: r.off, What: "end", Why: "something follows the footer"}
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &BrokenError{Offset: r.off, What: "compressed data", Why: plain(err)}
	default:
		return r.cut(r.off, 0, err)
	}
}

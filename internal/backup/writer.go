package backup

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"time"
)

// Writer writes one file as a stream.
type Writer struct {
	out    io.Writer
	buf    *bufio.Writer
	zip    *gzip.Writer // nil: none
	digest hash.Hash
	seed   uint32
	foot   Footer
	end    SectionEnd
	inside bool // a section
}

// NewWriter begins a file with its header. The id is chosen here.
func NewWriter(w io.Writer, h Header, zip bool) (*Writer, error) {
	x := &Writer{buf: bufio.NewWriterSize(w, 256<<10), digest: sha256.New()}
	below := io.Writer(x.buf)
	if zip {
		x.zip = gzip.NewWriter(x.buf)
		below = x.zip
	}
	x.out = io.MultiWriter(below, x.digest)
	if _, err := io.WriteString(x.out, magic); err != nil {
		return nil, err
	}
	i := newID()
	h.Format, h.ID = version, i[:]
	if err := x.frame(frameHeader, encodeMeta(h)); err != nil {
		return nil, err
	}
	x.seed = i.seed()
	return x, nil
}

// frame writes a frame whose body is in parts.
func (x *Writer) frame(typ byte, parts ...[]byte) error {
	h := head{typ: typ, body: x.seed}
	for _, p := range parts {
		h.body = crc32.Update(h.body, castagnoli, p)
		h.length += uint32(len(p))
	}
	if typ != frameRecord && h.length > maxMeta {
		return errors.New("the description of the backup is too long: a shorter --match or --prefix")
	}
	if _, err := x.out.Write(appendHead(nil, x.seed, h)); err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := x.out.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// Section begins one.
func (x *Writer) Section(s Section) error {
	x.foot.Sections++
	x.end, x.inside = SectionEnd{}, true
	return x.frame(frameSection, encodeMeta(s))
}

// Record adds one to the section.
func (x *Writer) Record(r Record) error {
	if !x.inside || len(r.Key) > MaxKey || len(r.Payload) > MaxPayload || len(r.Payload) < payloadTail || r.ExpireAt < 0 || r.ExpireAt > maxExpire {
		return errors.New("a record that no file may hold")
	}
	x.end.Records++
	x.foot.Records++
	x.foot.Bytes += r.size()
	return x.frame(frameRecord, recordStart(r), r.Payload)
}

// EndSection ends it. offset is that of the replication stream.
func (x *Writer) EndSection(offset int64, at time.Time) error {
	x.inside, x.end.Offset, x.end.Ended = false, offset, at
	return x.frame(frameSectionEnd, encodeMeta(x.end))
}

// Close ends the file with its footer. It does not close what is below.
func (x *Writer) Close(tooLarge int64, moving int, at time.Time) (Footer, error) {
	x.foot.TooLarge, x.foot.Moving, x.foot.Ended = tooLarge, moving, at
	x.foot.SHA256 = x.digest.Sum(nil)
	if err := x.frame(frameFooter, encodeMeta(x.foot)); err != nil {
		return Footer{}, err
	}
	if x.zip != nil {
		if err := x.zip.Close(); err != nil {
			return Footer{}, err
		}
	}
	return x.foot, x.buf.Flush()
}

package daemon

import (
	"errors"
	"io"
	"net"
	"net/http"
)

// readBody reads the whole body, or says why it is not whole: nothing of a body
// that is too large, late or cut off is ever stored. What it holds is given back
// when the request ends.
func (a *api) readBody(q *request) ([]byte, *apiError) {
	limit := a.limits.bodyBytes
	if q.ContentLength > limit {
		return nil, errBodyTooLarge(limit)
	}
	b := body{q: q, rooms: a.rooms, total: limit + 1}
	if q.ContentLength >= 0 {
		b.total = q.ContentLength + 1 // the end shows in the byte that does not come
	}
	if fault := b.read(); fault != nil {
		return nil, fault
	}
	if int64(len(b.bytes)) > limit {
		return nil, errBodyTooLarge(limit)
	}
	return trim(b.bytes), nil
}

// body is read in steps: a few bytes are free, then it has to have room among small
// bodies, then for all of it. So one that does not arrive holds little.
type body struct {
	q     *request
	rooms *rooms
	total int64 // that there may be
	bytes []byte
}

func (b *body) read() *apiError {
	c := b.q.slot()
	c.awaits()
	defer c.hasCome()
	mark := 0
	for {
		if len(b.bytes) == cap(b.bytes) {
			if int64(len(b.bytes)) == b.total {
				return nil // too much of it
			}
			c.hasCome() // it waits for us
			if fault := b.grow(); fault != nil {
				return fault
			}
			c.awaits()
		}
		n, err := b.q.Body.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return bodyFault(err)
		}
		if len(b.bytes)-mark >= quickBytes {
			mark = len(b.bytes)
			c.awaits()
		}
	}
}

// grow makes room for more. Beyond the first steps all that the body may have is
// taken at once: bodies that each hold a part would wait for each other.
func (b *body) grow() *apiError {
	want := int64(max(2*cap(b.bytes), freeBytes))
	switch {
	case cap(b.bytes) == 0:
		want = freeBytes
	case cap(b.bytes) < smallBytes:
		want = smallBytes
	}
	want = min(want, b.total)
	if fault := b.take(want); fault != nil {
		return fault
	}
	if b.q.ContentLength >= 0 && want > smallBytes {
		want = b.total
	}
	b.bytes = append(make([]byte, 0, want), b.bytes...)
	return nil
}

func (b *body) take(want int64) *apiError {
	if want > smallBytes {
		if b.q.held != nil && b.q.held.of == b.rooms.large {
			return nil // it holds room for all
		}
		want = b.total
	}
	h, ok := b.rooms.take(b.q.Context(), want, b.q.slot())
	if !ok {
		return errTooManyBodies()
	}
	b.q.held.giveBack()
	b.q.held = h
	return nil
}

func bodyFault(err error) *apiError {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errBodyTimeout(err)
	}
	return errBodyCutOff(err)
}

// trim copies a body out of a buffer that is much too large for it, since the
// cache keeps whatever it is given.
func trim(b []byte) []byte {
	if cap(b)-len(b) > len(b)/4 {
		return append(make([]byte, 0, len(b)), b...)
	}
	return b
}

// writeBody sends an answer in pieces: whoever does not read them is seen.
func writeBody(w http.ResponseWriter, b []byte) {
	for len(b) > 0 {
		n := min(len(b), smallBytes)
		if _, err := w.Write(b[:n]); err != nil {
			return // the caller is gone; nothing to do about it
		}
		b = b[n:]
	}
}

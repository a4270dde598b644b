package daemon

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
)

// prealloc is how much room a body gets on the word of its Content-Length alone;
// the rest it has to earn by arriving.
const prealloc = 64 << 10

// readBody reads the whole body, or says why it is not whole: nothing of a body
// that is too large, late or cut off is ever stored.
func readBody(r *http.Request, limit int64) ([]byte, *apiError) {
	if r.ContentLength > limit {
		return nil, errBodyTooLarge(limit)
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, prealloc)) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		return nil, bodyFault(err)
	case n > limit:
		return nil, errBodyTooLarge(limit)
	}
	return trim(b.Bytes()), nil
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

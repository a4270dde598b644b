package journal

import "io"

// ahead reads a file that is read from its beginning to its end, with holes, in
// few large pieces.
type ahead struct {
	from io.ReaderAt
	off  int64 // of piece
	buf  []byte
	n    int // of buf that is read
}

const aheadBytes = 256 << 10

func (a *ahead) ReadAt(p []byte, off int64) (int, error) {
	if len(p) > aheadBytes {
		return a.from.ReadAt(p, off)
	}
	if off < a.off || off+int64(len(p)) > a.off+int64(a.n) {
		if a.buf == nil {
			a.buf = make([]byte, aheadBytes)
		}
		a.off = off
		var err error
		if a.n, err = a.from.ReadAt(a.buf, off); a.n < len(p) {
			return 0, err
		}
	}
	return copy(p, a.buf[off-a.off:a.n]), nil
}

package redisproc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Bounds on a reply. Memory grows with the bytes that arrive, never with the length they announce.
const (
	maxLineBytes = 64 << 10
	maxBulkBytes = 64 << 20
	maxElements  = 1 << 20 // of one reply, all levels together
	maxDepth     = 16
)

// ReplyError is an error that redis answered, such as "WRONGPASS invalid username-password pair".
type ReplyError string

func (e ReplyError) Error() string { return string(e) }

// Code is the error's first word, such as "WRONGPASS".
func (e ReplyError) Code() string {
	code, _, _ := strings.Cut(string(e), " ")
	return code
}

var errProtocol = errors.New("not a RESP reply")

// replyReader reads RESP2 and RESP3. Simple, bulk and verbatim strings and big numbers become
// string; integers int64; doubles float64; booleans bool; null nil; arrays, sets and pushes []any;
// maps []any of keys and values in turn, which is how RESP2 sends them; errors a ReplyError, as a
// value. Attributes are skipped.
type replyReader struct {
	in       *bufio.Reader
	elements int // still allowed in this reply
}

func newReplyReader(r io.Reader) *replyReader {
	return &replyReader{in: bufio.NewReaderSize(r, maxLineBytes)}
}

// read reads one reply. An error means that the connection is of no more use.
func (r *replyReader) read() (any, error) {
	r.elements = maxElements
	return r.value(maxDepth)
}

func (r *replyReader) value(depth int) (any, error) {
	if depth == 0 {
		return nil, fmt.Errorf("%w: nested deeper than %d", errProtocol, maxDepth)
	}
	if r.elements--; r.elements < 0 {
		return nil, fmt.Errorf("%w: more than %d elements", errProtocol, maxElements)
	}
	line, err := r.line()
	if err != nil {
		return nil, err
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '$', '=', '!', '*', '~', '>', '%', '|':
		return r.sized(kind, rest, depth)
	default:
		return scalar(kind, rest)
	}
}

// line reads up to CRLF, which it cuts off; there is at least the type byte.
func (r *replyReader) line() (string, error) {
	raw, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("%w: a line of more than %d bytes", errProtocol, maxLineBytes)
	}
	if err != nil {
		return "", unexpectedEOF(err)
	}
	line, ok := strings.CutSuffix(string(raw), "\r\n")
	if !ok || line == "" {
		return "", fmt.Errorf("%w: bad line end", errProtocol)
	}
	return line, nil
}

// scalar reads the types that are a line.
func scalar(kind byte, text string) (any, error) {
	switch kind {
	case '+', '(':
		return text, nil
	case '-':
		return ReplyError(text), nil
	case ':':
		n, err := strconv.ParseInt(text, 10, 64)
		return orProtocol(n, err)
	case ',':
		f, err := strconv.ParseFloat(text, 64)
		return orProtocol(f, err)
	case '#':
		if text == "t" || text == "f" {
			return text == "t", nil
		}
	case '_':
		if text == "" {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("%w: type %q", errProtocol, kind)
}

func orProtocol[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProtocol, err)
	}
	return v, nil
}

// sized reads the types that begin with a length.
func (r *replyReader) sized(kind byte, text string, depth int) (any, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < -1 || n > math.MaxInt32 {
		return nil, fmt.Errorf("%w: a length that is not one", errProtocol)
	}
	if n == -1 { // RESP2 has no other null
		if kind == '$' || kind == '*' {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: a length that is not one", errProtocol)
	}
	switch kind {
	case '$', '=', '!':
		return r.bulk(kind, n)
	case '%':
		return r.array(2*n, depth)
	case '|':
		if _, err := r.array(2*n, depth); err != nil {
			return nil, err
		}
		return r.value(depth - 1) // an attribute stands before the reply it belongs to
	default:
		return r.array(n, depth)
	}
}

func (r *replyReader) bulk(kind byte, n int64) (any, error) {
	if n > maxBulkBytes {
		return nil, fmt.Errorf("%w: a string of more than %d bytes", errProtocol, maxBulkBytes)
	}
	var b strings.Builder
	if _, err := io.CopyN(&b, r.in, n+2); err != nil {
		return nil, unexpectedEOF(err)
	}
	s, ok := strings.CutSuffix(b.String(), "\r\n")
	if !ok {
		return nil, fmt.Errorf("%w: bad string end", errProtocol)
	}
	switch kind {
	case '!':
		return ReplyError(s), nil
	case '=': // "txt:" and the text
		if len(s) < 4 || s[3] != ':' {
			return nil, fmt.Errorf("%w: bad verbatim string", errProtocol)
		}
		return s[4:], nil
	}
	return s, nil
}

func (r *replyReader) array(n int64, depth int) (any, error) {
	list := []any{}
	for range n {
		v, err := r.value(depth - 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// unexpectedEOF is what an end of input is: a reply was due.
func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendCommand writes a command as an array of bulk strings.
func appendCommand(b []byte, args []string) []byte {
	b = fmt.Appendf(b, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}

package remote

import (
	"bytes"
	"errors"
	"fmt"
	"math"
)

// ErrNotRedis means that what answers does not speak Redis's protocol, or
// announces more than a Redis would send.
var ErrNotRedis = errors.New("the server there does not speak the Redis protocol")

const (
	maxBulk    = 512 << 20 // Redis's own default, proto-max-bulk-len
	maxNesting = 16
	maxLine    = 64 << 10
	maxLogin   = 1 << 20  // one reply before the login has succeeded
	maxPush    = 32 << 20 // one push: nobody asked for it
	maxPushed  = 1 << 20  // its elements: as many keys may change in one turn of the server
	bigReply   = 4 << 10  // what holds up other replies where there are many of it

	maxWord   = 1 << 20  // one string where no values are read
	maxAnswer = 16 << 20 // one reply, of many strings
)

// bounds are what one reply may announce: bytes, bytes of one string, and elements
// that are still to come, over all its levels.
type bounds struct{ reply, bulk, elements int64 }

var (
	stranger  = bounds{reply: maxLogin, bulk: maxLogin, elements: maxLogin / 64} // 64: about what rueidis keeps for one
	sentinel  = bounds{reply: 4 << 20, bulk: maxWord, elements: 1 << 16}
	ourselves = bounds{reply: math.MaxInt64, bulk: math.MaxInt64, elements: math.MaxInt64}
)

// server is a server whose values have at most so many bytes. rueidis takes 64 for
// each element.
func server(value int64) bounds {
	bulk := max(value+1, maxWord)
	return bounds{reply: maxAnswer + bulk, bulk: bulk, elements: 1 << 17}
}

// guard reads along a stream of RESP2 or RESP3, whatever pieces it comes in.
// rueidis allocates whatever length a header announces, and recurses as deep as
// replies nest, and it panics at an answer to nothing; what passes here is safe to
// give to it. Both must agree where a value ends: a byte passes only where rueidis
// takes it for the same. Only headers are looked at, payloads are skipped by their
// length.
type guard struct {
	at     place
	skip   int64 // bytes of payload still to come
	typ    byte
	line   int   // bytes of the line so far, without its type and LF
	number int64 // a length so far
	minus  bool
	cr     bool // the last byte of the line so far was a CR

	depth   int
	left    [maxNesting]int64 // elements still to come, by level
	attr    [maxNesting]bool  // the level is an attribute: what it belongs to follows
	pending int64             // the sum of left
	size    int64             // bytes of this reply, announced ones included
	tagged  bool              // an attribute of the next reply has passed

	// ours: what is read are commands. Then joins is which of them, from 1, was
	// the last that subscribes; else which answer has to be about that.
	ours  bool
	joins uint64

	big     int64  // bytes of large replies, announced
	answers uint64 // replies begun, without attributes and unasked pushes
	top     byte   // the type of the value at level 0
	first   bool   // the first element of a list at level 0 is to come
	noting  bool   // the value that is passing is to be looked at
	word    [12]byte
	noted   int // bytes of word
}

type place uint8

const (
	atType place = iota
	atLength
	atText
	atTruth // the one letter of a boolean
	atCR
	atLF
)

// What follows a type byte. Streamed values, which Redis does not use, are not
// among them.
const (
	asLine  byte = 1 + iota // a line
	asBulk                  // a length and so many bytes
	asNull                  // nothing
	asTruth                 // t or f
	asList                  // a length and so many values
	asPairs                 // a length and twice as many
)

var typed = [256]byte{
	'+': asLine, '-': asLine, ':': asLine, ',': asLine, '(': asLine,
	'_': asNull, '#': asTruth,
	'$': asBulk, '!': asBulk, '=': asBulk,
	'*': asList, '~': asList, '>': asList,
	'%': asPairs, '|': asPairs,
}

// pass looks at the next piece of the stream. It returns how much of it may be
// handed on, and an error when that is not all.
func (g *guard) pass(p []byte, b bounds) (int, error) {
	for i := 0; i < len(p); {
		if g.skip > 0 {
			n := min(g.skip, int64(len(p)-i))
			if g.noting {
				g.note(p[i : i+int(n)])
			}
			g.skip -= n
			i += int(n)
			continue
		}
		n, err := 1, error(nil)
		switch c := p[i]; g.at {
		case atType:
			err = g.begin(c, b)
		case atLength:
			err = g.length(c, b)
		case atText:
			n, err = g.text(p[i:], b)
		case atTruth:
			err = g.truth(c, b)
		case atCR:
			err = want(c, '\r')
			g.at = atLF
		case atLF:
			if err = want(c, '\n'); err == nil {
				err = g.end()
			}
		}
		if err != nil {
			return i, err
		}
		i += n
	}
	return len(p), nil
}

func want(c, w byte) error {
	if c != w {
		return fmt.Errorf("%w: %q where a line should end", ErrNotRedis, c)
	}
	return nil
}

func (g *guard) begin(c byte, b bounds) error {
	if g.depth == 0 {
		if !g.tagged {
			g.size = 0
		}
		g.tagged = c == '|'
		if c != '|' {
			g.top = c
		}
		if c != '|' && c != '>' {
			g.answers++
		}
	}
	if err := g.look(c); err != nil {
		return err
	}
	g.typ, g.line, g.number, g.minus, g.cr = c, 0, 0, false, false
	switch {
	case typed[c] == asLine:
		g.at = atText
	case typed[c] == asNull:
		g.at = atCR
		return g.grow(2, b)
	case typed[c] == asTruth:
		g.at = atTruth
	case typed[c] != 0:
		g.at = atLength
	case c == 0x15 || c == 0x16: // an alert, a handshake
		return fmt.Errorf("%w: %w", ErrNotRedis, ErrWantsTLS)
	default:
		return fmt.Errorf("%w: a reply begins with %q", ErrNotRedis, c)
	}
	return nil
}

// text takes what is there of a line.
func (g *guard) text(p []byte, b bounds) (int, error) {
	n := bytes.IndexByte(p, '\n')
	whole := n >= 0
	if !whole {
		n = len(p)
	}
	if n > 0 {
		g.cr = p[n-1] == '\r'
	}
	if g.noting {
		g.note(p[:n])
	}
	g.line += n
	if g.line > maxLine {
		return 0, fmt.Errorf("%w: a line is longer than 64 KiB", ErrNotRedis)
	}
	if err := g.grow(int64(n), b); err != nil || !whole {
		return n, err
	}
	if !g.cr {
		return 0, fmt.Errorf("%w: a line of %q ends in the wrong place", ErrNotRedis, g.typ)
	}
	return n + 1, g.end()
}

// truth takes the letter of a boolean. rueidis skips the two bytes after it, and
// those after a null, without a look: they must be the end of the line.
func (g *guard) truth(c byte, b bounds) error {
	if c != 't' && c != 'f' {
		return fmt.Errorf("%w: a boolean is %q", ErrNotRedis, c)
	}
	g.at = atCR
	return g.grow(3, b)
}

// length takes the next byte of a length.
func (g *guard) length(c byte, b bounds) error {
	g.line++
	switch {
	case g.cr && c == '\n':
		return g.announced(b)
	case c >= '0' && c <= '9' && !g.cr && g.line <= 20:
		g.number = min(10*g.number+int64(c-'0'), math.MaxInt64/32)
		return nil
	case c == '-' && g.line == 1:
		g.minus = true
		return nil
	case c == '\r' && !g.cr && g.line > 1 && (!g.minus || g.line > 2):
		g.cr = true
		return nil
	}
	return fmt.Errorf("%w: the length of %q is no number", ErrNotRedis, g.typ)
}

// announced judges a whole length.
func (g *guard) announced(b bounds) error {
	if g.minus {
		if g.number != 1 || g.typ != '$' && g.typ != '*' {
			return fmt.Errorf("%w: the length of %q is -%d", ErrNotRedis, g.typ, g.number)
		}
		if err := g.end(); err != nil {
			return err
		}
		return g.grow(int64(g.line), b)
	}
	if typed[g.typ] == asBulk {
		limit := b.bulk
		if g.typ == '!' {
			limit = min(limit, maxLine)
		}
		if g.number > limit {
			return tooLarge(g.number, limit)
		}
		g.skip, g.at = g.number, atCR
		if g.number >= bigReply {
			g.big += g.number
		}
		return g.grow(int64(g.line)+g.number+2, b)
	}
	n, most := g.number, b.elements
	if typed[g.typ] == asPairs {
		n *= 2
	}
	if g.top == '>' {
		most = max(most, maxPushed)
	}
	switch {
	case n > most-g.pending:
		return fmt.Errorf("%w: a reply announces %d elements, more than %d", ErrNotRedis, n+g.pending, most)
	case n == 0 && g.typ == '|':
		g.at = atType
	case n == 0:
		if err := g.end(); err != nil {
			return err
		}
	case g.depth == maxNesting:
		return fmt.Errorf("%w: a reply is nested deeper than %d", ErrNotRedis, maxNesting)
	default:
		g.left[g.depth], g.attr[g.depth] = n, g.typ == '|'
		if g.depth == 0 {
			g.first = g.typ == '>' || g.typ == '*' && g.ours
		}
		g.depth++
		g.pending += n
		g.at = atType
	}
	return g.grow(int64(g.line), b)
}

func (g *guard) grow(n int64, b bounds) error {
	limit := b.reply
	if g.top == '>' {
		limit = min(limit, maxPush)
	}
	if g.size += min(n, math.MaxInt64-g.size); g.size > limit {
		return tooLarge(g.size, limit)
	}
	return nil
}

func tooLarge(n, limit int64) error {
	return fmt.Errorf("%w: a reply announces %d bytes, more than %d", ErrNotRedis, n, limit)
}

// end is the end of a value, and of all that end with it.
func (g *guard) end() error {
	g.at = atType
	if g.noting {
		g.noting = false
		if err := g.judge(); err != nil {
			return err
		}
	}
	for g.depth > 0 {
		g.left[g.depth-1]--
		g.pending--
		if g.left[g.depth-1] > 0 {
			return nil
		}
		g.depth--
		if g.attr[g.depth] { // not an element of what it stands in
			return nil
		}
	}
	return nil
}

package origin

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

const (
	// longestText is how much of an error's text is remembered.
	longestText = 16 << 10
	// mostWhole is of how many errors all is remembered: an error may refer to much
	// that its text does not show.
	mostWhole = 64
)

// noted is an error as it is remembered, for one key or for several.
type noted struct {
	whole error // nil: the text is left
	text  textError
	keys  int // that have it
}

// err is what callers get.
func (n *noted) err() error {
	if n.whole != nil {
		return n.whole
	}
	return &n.text
}

// textError is what is left of an error.
type textError struct {
	text string
	is   []error // what it wraps of some well-known ones
}

func (e *textError) Error() string { return e.text }

func (e *textError) Unwrap() []error { return e.is }

// notes remember errors: the last ones as they are, of the others the text.
type notes struct {
	known []error // what errors.Is finds in a text too
	whole []*noted
	next  int // the place that the next one takes when there are mostWhole
}

func newNotes(known []error) notes {
	return notes{known: append([]error{context.DeadlineExceeded, context.Canceled}, known...)}
}

// note remembers an error for a key. It returns about how many bytes its text takes. The
// text of one that is long, such as an answer of the origin, is cut.
func (n *notes) note(err error) (_ *noted, bytes int) {
	for _, w := range n.whole {
		if w.whole != nil && same(w.whole, err) {
			w.keys++
			return w, len(w.text.text)
		}
	}
	text := fmt.Sprint(err) // where Error panics that is the text
	t := &noted{text: textError{text, n.wrapped(err)}, keys: 1}
	if len(text) > longestText {
		cut := strings.ToValidUTF8(text[:longestText], "")
		t.text.text = fmt.Sprintf("%s… (%d bytes)", cut, len(text))
		return t, longestText
	}
	t.whole = err
	n.place(t)
	return t, len(text)
}

// place finds a place for an error: a free one, else that of the oldest.
func (n *notes) place(t *noted) {
	free := slices.IndexFunc(n.whole, func(w *noted) bool { return w.whole == nil })
	switch {
	case free >= 0:
		n.whole[free] = t
	case len(n.whole) < mostWhole:
		n.whole = append(n.whole, t)
	default:
		n.whole[n.next].whole = nil
		n.whole[n.next] = t
		n.next = (n.next + 1) % mostWhole
	}
}

func (n *notes) wrapped(err error) (is []error) {
	for _, k := range n.known {
		if errors.Is(err, k) {
			is = append(is, k)
		}
	}
	return is
}

// drop is for a key that has an error no more: what no key has need not be kept.
func (n *notes) drop(t *noted) {
	if t == nil {
		return
	}
	if t.keys--; t.keys == 0 {
		t.whole = nil
	}
}

// same reports whether two errors are one value. Some values cannot be compared.
func same(a, b error) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

package origin

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

type panics struct{}

func (panics) Error() string { panic("no text") }

func TestWhatIsRememberedOfAnError(t *testing.T) {
	wrapped := fmt.Errorf("row 7: %w", errDown)
	long := fmt.Errorf("%w: %s", errDown, strings.Repeat("é", longestText))
	for name, tt := range map[string]struct {
		err  error
		same bool
	}{
		"short":         {wrapped, true},
		"panics":        {panics{}, true},
		"long":          {long, false},
		"just not long": {errors.New(strings.Repeat("x", longestText)), true},
		"just long":     {errors.New(strings.Repeat("x", longestText+1)), false},
	} {
		notes := newNotes(nil)
		n, bytes := notes.note(tt.err)
		err := n.err()
		if (err == tt.err) != tt.same || bytes > longestText {
			t.Errorf("%s: the same error: %v, want %v; %d bytes", name, err == tt.err, tt.same, bytes)
		}
		if tt.same {
			continue
		}
		text := err.Error()
		if len(text) > longestText+50 || !utf8.ValidString(text) || !strings.HasPrefix(tt.err.Error(), text[:longestText-1]) || !strings.HasSuffix(text, "bytes)") {
			t.Errorf("%s: %d bytes: %q … %q", name, len(text), text[:20], text[len(text)-30:])
		}
	}
}

// A thousand keys fail with an answer of a megabyte each, and ten thousand with a short one.
func TestWhatIsRememberedHasABoundInBytes(t *testing.T) {
	p := NewPauses(first)
	check := func(when string) {
		t.Helper()
		sum := 0
		for key, f := range p.keys {
			sum += len(key) + len(f.err.err().Error())
		}
		if p.bytes > maxBytes || sum > maxBytes+100*len(p.keys) || p.Len() == 0 {
			t.Fatalf("%s: %d keys, %d bytes (counted: %d), want no more than %d", when, p.Len(), sum, p.bytes, maxBytes)
		}
	}
	long := errors.New(strings.Repeat("x", 1<<20))
	for i := range 1000 {
		p.Failed(fmt.Sprint("long", i), long, 0, int64(i))
		check("long texts")
	}
	for i := range 10_000 {
		p.Failed(fmt.Sprint("short", i), errDown, 0, int64(i))
	}
	check("short texts")
	for i := range 300 {
		p.Failed(strings.Repeat("k", 1<<16)+fmt.Sprint(i), errDown, 0, int64(i))
	}
	check("long keys")
	p.ForgetAll(func(key string) bool { return strings.HasPrefix(key, "k") })
	p.ForgetAll(func(string) bool { return true })
	if p.bytes != 0 || p.Len() != 0 {
		t.Errorf("%d keys, %d bytes after all were forgotten", p.Len(), p.bytes)
	}
}

func TestTheSameKeyIsCountedOnce(t *testing.T) {
	p := NewPauses(first)
	for range 100 {
		p.Failed("a", errDown, 0, 0)
	}
	if want := len("a") + len(errDown.Error()); p.bytes != want {
		t.Errorf("%d bytes, want %d", p.bytes, want)
	}
	p.Forget("a")
	p.Forget("a")
	if p.bytes != 0 {
		t.Errorf("%d bytes after it was forgotten", p.bytes)
	}
}

// body is an error that refers to more than its text shows.
type body struct{ b []byte }

func (b *body) Error() string { return fmt.Sprint(len(b.b), " bytes") }

func (p *Pauses) wholeErrors() (n int) {
	for _, w := range p.notes.whole {
		if w.whole != nil {
			n++
		}
	}
	return n
}

func TestOfFewErrorsAllIsRemembered(t *testing.T) {
	p := NewPauses(time.Minute, errDown)
	const keys = 1000
	for i := range keys {
		p.Failed(fmt.Sprint(i), fmt.Errorf("%w: %w", errDown, &body{make([]byte, 100)}), 0, 0)
		p.Failed("same", errDown, 0, 0) // takes no place of others
	}
	if n := p.wholeErrors(); n != mostWhole {
		t.Errorf("%d errors are whole, want %d", n, mostWhole)
	}
	for _, tt := range []struct {
		key   string
		whole bool
	}{{"0", false}, {"500", false}, {fmt.Sprint(keys - 1), true}, {"same", true}} {
		r, refused := p.Refuse(tt.key, 1)
		if !refused || !errors.Is(r.Err, errDown) {
			t.Errorf("key %s: %v", tt.key, r.Err)
		}
		if _, whole := errors.AsType[*body](r.Err); whole != (tt.whole && tt.key != "same") {
			t.Errorf("key %s: its error is whole: %v", tt.key, whole)
		}
		if tt.key != "same" && !strings.Contains(r.Err.Error(), "100 bytes") {
			t.Errorf("key %s: %q", tt.key, r.Err)
		}
	}
	p.ForgetAll(func(string) bool { return true })
	if n := p.wholeErrors(); n != 0 {
		t.Errorf("%d errors are kept for nobody", n)
	}
}

// uncomparable cannot be compared with ==.
type uncomparable struct{ parts []string }

func (uncomparable) Error() string { return "parts" }

func TestErrorsThatCannotBeComparedAreRemembered(t *testing.T) {
	p := NewPauses(time.Minute)
	for i := range 100 {
		p.Failed(fmt.Sprint(i), uncomparable{[]string{"a"}}, 0, 0)
	}
	if n := p.wholeErrors(); n != mostWhole {
		t.Errorf("%d errors are whole, want %d", n, mostWhole)
	}
}

func TestWhatIsPastItsPauseIsForgottenWithoutFurtherFailures(t *testing.T) {
	p := NewPauses(first)
	for i := range 200 {
		p.Failed(fmt.Sprint(i), errDown, 0, 0)
	}
	for range 2000 {
		p.Refuse("other", int64(kept)+200*ms)
	}
	if p.Len() != 0 || p.bytes != 0 {
		t.Errorf("%d keys, %d bytes are left", p.Len(), p.bytes)
	}
}

func TestALookForgetsNothingThatRests(t *testing.T) {
	p := NewPauses(time.Minute)
	for i := range maxFailed {
		p.Failed(fmt.Sprint(i), errDown, 0, 0)
	}
	for range 100 {
		p.Refuse("other", 1)
	}
	if p.Len() != maxFailed {
		t.Errorf("%d keys are left of %d", p.Len(), maxFailed)
	}
}

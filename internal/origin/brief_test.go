package origin

import (
	"errors"
	"fmt"
	"strings"
	"testing"
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
		err, bytes := brief(tt.err)
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
			sum += len(key) + len(f.err.Error())
		}
		if p.bytes > maxBytes || sum > maxBytes+100*len(p.keys) || p.Len() == 0 {
			t.Fatalf("%s: %d keys, %d bytes (counted: %d), want no more than %d", when, p.Len(), sum, p.bytes, maxBytes)
		}
	}
	long := errors.New(strings.Repeat("x", 1<<20))
	for i := range 1000 {
		p.Failed(fmt.Sprint("long", i), long, int64(i))
		check("long texts")
	}
	for i := range 10_000 {
		p.Failed(fmt.Sprint("short", i), errDown, int64(i))
	}
	check("short texts")
	for i := range 300 {
		p.Failed(strings.Repeat("k", 1<<16)+fmt.Sprint(i), errDown, int64(i))
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
		p.Failed("a", errDown, 0)
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

package slot

import (
	"strconv"
	"strings"
	"testing"
)

// The values are those of CLUSTER KEYSLOT; internal/remote compares with a server.
func TestSlotsAreThoseOfRedis(t *testing.T) {
	if got := crc16("123456789"); got != 0x31c3 { // the check value of the polynomial
		t.Errorf("crc16 = %#x", got)
	}
	for key, want := range map[string]uint16{
		"": 0, "foo": 12182, "somekey": 11058, "foo{hash_tag}": 2515, "bar{hash_tag}": 2515,
		"foo{}{bar}": 8363, "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061, "{user1000}.following": 3443, "bar": 5061,
	} {
		if got := Of(key); got != want {
			t.Errorf("Of(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestTagsAreThoseOfRedis(t *testing.T) {
	for key, want := range map[string]string{
		"": "", "a": "", "{}": "", "{}{a}": "", "{a": "", "a}": "", "}{": "", "}{a}": "a", "{a}": "a", "x{a}{b}": "a", "{{a}}": "{a", "{a}b}": "a",
	} {
		tag, ok := Tag(key)
		if ok && tag != want || ok != (want != "") {
			t.Errorf("Tag(%q) = %q, %v; want %q", key, tag, ok, want)
		}
	}
}

func TestEverySlotHasAShortTag(t *testing.T) {
	for s := range Count {
		tag := TagFor(uint16(s))
		if n, err := strconv.Atoi(tag); err != nil || n < 0 || n > 999_999 || Of("!{"+tag+"}") != uint16(s) {
			t.Errorf("slot %d has the tag %q", s, tag)
		}
	}
}

// FuzzTagFor: a key with the tag of another key's slot is in the slot of that key,
// whatever stands around the tag.
func FuzzTagFor(f *testing.F) {
	f.Add("foo", "app:~p:", "product")
	f.Add("{a}b", "", "{b}")
	f.Fuzz(func(t *testing.T, key, before, after string) {
		before = strings.ReplaceAll(before, "{", "")
		s := Of(key)
		if got := Of(before + "{" + TagFor(s) + "}" + after); s >= Count || got != s {
			t.Errorf("%q is in slot %d, its companion in %d", key, s, got)
		}
	})
}

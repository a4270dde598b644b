package remote

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/slot"
)

func TestTheTombstoneOfAKeyIsInItsSlot(t *testing.T) {
	p := startRedis(t, redisproc.Options{Config: []string{"cluster-enabled yes"}})
	slotOf := func(key string) int64 { return ask(t, p, "CLUSTER", "KEYSLOT", key).(int64) }
	for _, tt := range []struct{ prefix, key, want string }{
		{"", "42", "~d:{42}"},
		{"app:", "app:product:42", "app:~d:{app:product:42}"},
		{"app:", "app:", "app:~d:{app:}"},
		{"app:", "app:product:{7}:a", "app:~d:product:{7}:a"},
		{"app:", "app:{7}:a", "app:~d:!{" + slot.TagFor(slot.Of("7")) + "}{7}:a"},
		{"app:", "app:!{7}", "app:~d:!{" + slot.TagFor(slot.Of("7")) + "}!{7}"},
		{"app:", "app:a{b", "app:~d:{app:a{b}"},
		{"app:", "app:a}b", "app:~d:!{" + slot.TagFor(slot.Of("app:a}b")) + "}a}b"},
		{"app:", "app:a{}{b}", "app:~d:!{" + slot.TagFor(slot.Of("app:a{}{b}")) + "}a{}{b}"},
		{"", "", "~d:!{" + slot.TagFor(0) + "}"},
		{"", "{}", "~d:!{" + slot.TagFor(slot.Of("{}")) + "}{}"},
		{"app:", "app:\x00\xff\r\n", "app:~d:{app:\x00\xff\r\n}"},
		{"app:", "app:{a}{b}", "app:~d:!{" + slot.TagFor(slot.Of("a")) + "}{a}{b}"},
		{"app:", "app:x{a}{b}}", "app:~d:x{a}{b}}"},
	} {
		tomb := TombstoneKey(tt.prefix, tt.key)
		if tomb != tt.want {
			t.Errorf("TombstoneKey(%q, %q) = %q, want %q", tt.prefix, tt.key, tomb, tt.want)
		}
		if a, b := slotOf(tt.key), slotOf(tomb); a != b || a != int64(slot.Of(tt.key)) {
			t.Errorf("%q is in slot %d, we say %d; %q in %d", tt.key, a, slot.Of(tt.key), tomb, b)
		}
		if key, ok := KeyOfTombstone(tt.prefix, tomb); !ok || key != tt.key {
			t.Errorf("KeyOfTombstone(%q, %q) = %q, %v", tt.prefix, tomb, key, ok)
		}
	}
}

// Whatever is in a key, all that goes with it is in its slot, by a count of slots that
// is not ours, and no two keys share it.
func TestWhatGoesWithAnOddKeyIsInItsSlot(t *testing.T) {
	pieces := []string{"{", "}", "{}", "}{", "{{", "}}", "!", "!{", "~", ":", "a", "7", "\x00", "\xff", "{a}", "é", " ", "p:"}
	random := rand.New(rand.NewPCG(1, 2))
	of := map[string]string{}
	for range 10_000 {
		var key strings.Builder
		key.WriteString("p:")
		for range random.IntN(9) {
			key.WriteString(pieces[random.IntN(len(pieces))])
		}
		for _, ours := range []string{TombstoneKey("p:", key.String()), TraceKey("p:", key.String())} {
			if a, b := redisproc.Slot(key.String()), redisproc.Slot(ours); a != b || a != int(slot.Of(key.String())) {
				t.Errorf("%q is in slot %d, we say %d; %q in %d", key.String(), a, slot.Of(key.String()), ours, b)
			}
			if other, taken := of[ours]; taken && other != key.String() {
				t.Errorf("%q goes with %q and %q", ours, other, key.String())
			}
			of[ours] = key.String()
		}
	}
	if len(of) < 10_000 {
		t.Errorf("only %d different ones", len(of))
	}
}

func TestWhatIsNoTombstoneIsNotTakenForOne(t *testing.T) {
	for _, tomb := range []string{
		"", "app:~d:", "app:42", "~d:{app:42}", "app:~d:42", "app:~d:{42}", "app:~d:{app:42", "app:~d:{app:4}2}",
		"app:~d:{app:{7}}", "app:~d:!{1}42", "app:~d:!{1}a}b", "app:~d:!a}b", "app:~d:{}", "app:~b:{app:42}",
	} {
		if key, ok := KeyOfTombstone("app:", tomb); ok {
			t.Errorf("%q is taken for the tombstone of %q", tomb, key)
		}
	}
}

func FuzzTombstoneKey(f *testing.F) {
	for _, key := range []string{"", "42", "{", "}", "{}", "}{", "{a}", "!{1}", "a{b}c", "{}{a}", "!{a", "p:{p:a}", "~d:{x}"} {
		f.Add("p:", key)
		f.Add("", key)
	}
	f.Fuzz(func(t *testing.T, prefix, rest string) {
		prefix = strings.NewReplacer("{", "", "}", "").Replace(prefix)
		key := prefix + rest
		tomb := TombstoneKey(prefix, key)
		if !strings.HasPrefix(tomb, TombstonePrefix(prefix)) || slot.Of(tomb) != slot.Of(key) {
			t.Errorf("the tombstone of %q is %q, in slot %d instead of %d", key, tomb, slot.Of(tomb), slot.Of(key))
		}
		if back, ok := KeyOfTombstone(prefix, tomb); !ok || back != key {
			t.Errorf("%q, the tombstone of %q, is taken for that of %q, %v", tomb, key, back, ok)
		}
		if of, ok := KeyOfTombstone(prefix, TombstonePrefix(prefix)+rest); ok && TombstoneKey(prefix, of) != TombstonePrefix(prefix)+rest {
			t.Errorf("%q is taken for the tombstone of %q", rest, of)
		}
	})
}

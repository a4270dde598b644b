package censor

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestASecretIsHiddenWhereverItStands(t *testing.T) {
	const secret = "se\"cret\nword"
	Hide(secret)
	tests := []struct{ name, in, want string }{
		{"nothing to hide", "i/o timeout", "i/o timeout"},
		{"alone", secret, "***"},
		{"within", "x" + secret + "y", "x***y"},
		{"quoted", `args "se\"cret\nword"`, `args "***"`},
		{"on one line, as Redis repeats it", `'se"cret word' `, "'***' "},
		{"its beginning, where a text was cut", `ERR 'se"cre`, "ERR '***"},
		{"arguments", `unknown command 'AUTH', with args beginning with: 'se"c' 'x'`, "unknown command 'AUTH', with args beginning with: ***"},
		{"a long text", strings.Repeat("é", 200), strings.Repeat("é", 98) + "…"},
		{"lines", "a\nb", "a b"},
		{"a terminal's commands", "\x1b[31m\x1b]0;title\x07\x9b", " [31m ]0;title �"},
		{"another direction", "a\u202eb\u200bc\u2028d", "a b c d"},
		{"beyond what is searched", strings.Repeat("x", 6<<10) + secret, strings.Repeat("x", 197) + "…"},
	}
	for _, tt := range tests {
		if got := Text(tt.in, 200); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAWordInASentenceHoldsNoPartOfASecret(t *testing.T) {
	const secret = "a rather long secret"
	Hide(secret)
	for in, want := range map[string]string{
		"x": `"x"`, "x\n": `"x\n"`, "1234567890": `"1234567890"`, "12345678901": `"1234567890…"`,
		"12345" + secret: `"12345***"`, "12345" + secret + "678": `"12345***67…"`, "é23456789é": `"é23456789…"`,
	} {
		if got := Quote(in, 10); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestASecretThatWasReplacedIsStillOne(t *testing.T) {
	Hide("the one before")
	for i := range mostSecrets - 1 {
		Hide(fmt.Sprintf("secret number %d", i))
		Hide("") // none
		Hide("abc")
	}
	if got := Text("it was the one before, not abc", 100); got != "it was ***, not abc" {
		t.Errorf("%q", got)
	}
	Hide("another")
	if n := len(known()); n != mostSecrets {
		t.Errorf("%d secrets are remembered, want %d", n, mostSecrets)
	}
}

func FuzzWhatIsShownIsShortPlainAndHoldsNoSecret(f *testing.F) {
	f.Add("ERR \x1b[31m pass=hunter2secret "+strings.Repeat("Z", 5000), "hunter2secret")
	f.Add("\xff\u202ehunter2", "hunter2")
	f.Add(strings.Repeat("hun", 3000), "hunhun")
	f.Fuzz(func(t *testing.T, text, secret string) {
		const most = 200
		Hide(secret)
		got := Text(text, most)
		if len(got) > most || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", got)
		}
		if len(secret) >= shortest && !strings.ContainsAny(secret, hidden+" …�") && strings.Contains(got, secret) && strings.Contains(text, secret) {
			t.Errorf("%q holds %q", got, secret)
		}
	})
}

package remote

import (
	"strings"
	"testing"
)

// globMatch is Redis' stringmatchlen, case-sensitive, as util.c has it.
func globMatch(pattern, s string) bool {
	for len(pattern) > 0 {
		switch pattern[0] {
		case '*':
			for len(pattern) > 1 && pattern[1] == '*' {
				pattern = pattern[1:]
			}
			if len(pattern) == 1 {
				return true
			}
			for i := 0; i <= len(s); i++ {
				if globMatch(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
			s, pattern = s[1:], pattern[1:]
		case '[':
			if s == "" {
				return false
			}
			var in bool
			if in, pattern = globClass(pattern[1:], s[0]); !in {
				return false
			}
			s = s[1:]
		default:
			if pattern[0] == '\\' && len(pattern) >= 2 {
				pattern = pattern[1:]
			}
			if s == "" || s[0] != pattern[0] {
				return false
			}
			s, pattern = s[1:], pattern[1:]
		}
	}
	return s == ""
}

// globClass matches one byte with what stands behind a bracket, and returns
// what stands behind its end.
func globClass(p string, c byte) (in bool, rest string) {
	not := strings.HasPrefix(p, "^")
	if not {
		p = p[1:]
	}
	for {
		switch {
		case p == "":
			return in != not, ""
		case p[0] == '\\' && len(p) >= 2:
			in = in || p[1] == c
			p = p[2:]
		case p[0] == ']':
			return in != not, p[1:]
		case len(p) >= 3 && p[1] == '-':
			in = in || min(p[0], p[2]) <= c && c <= max(p[0], p[2])
			p = p[3:]
		default:
			in = in || p[0] == c
			p = p[1:]
		}
	}
}

func TestTheReferenceMatcherMatchesAsRedisDoes(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"a*", "abc", true},
		{"a*c", "abbc", true},
		{"a*c", "abbd", false},
		{"**", "", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"[ab]", "b", true},
		{"[^ab]", "b", false},
		{"[a-c]x", "bx", true},
		{"[c-a]x", "bx", true},
		{`[\]]`, "]", true},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{`\`, `\`, true},
	}
	for _, tt := range tests {
		if got := globMatch(tt.pattern, tt.s); got != tt.want {
			t.Errorf("%q matches %q: %v", tt.pattern, tt.s, got)
		}
	}
}

var globs = []struct{ prefix, other string }{
	{"user:", "user"},
	{"*", "anything"},
	{"a*b", "axxb"},
	{"a?b", "axb"},
	{"[ab]", "a"},
	{"[^a]", "b"},
	{"[a-c]", "b"},
	{`a\`, "a"},
	{`a\*`, "a*"},
	{`\\`, `\`},
	{"]", "]]"},
	{"", "a"},
	{"\xff*\x00", "\xffa\x00"},
}

func FuzzGlobEscape(f *testing.F) {
	for _, g := range globs {
		f.Add(g.prefix, g.other)
	}
	f.Fuzz(func(t *testing.T, prefix, other string) {
		if len(prefix) > 1000 || len(other) > 1000 {
			return
		}
		escaped := GlobEscape(prefix)
		if !globMatch(escaped, prefix) {
			t.Errorf("%q does not match itself: %q", prefix, escaped)
		}
		if other != prefix && globMatch(escaped, other) {
			t.Errorf("%q, escaped %q, matches %q", prefix, escaped, other)
		}
		for _, s := range []string{other, prefix + other, other + prefix} {
			if got := globMatch(escaped+"*", s); got != strings.HasPrefix(s, prefix) {
				t.Errorf("%q* matches %q: %v", escaped, s, got)
			}
		}
	})
}

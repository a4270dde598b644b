package daemon

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// isText reports whether JSON says the same to every reader: it is UTF-8, and no
// \u escape is half of a surrogate pair. A decoder makes U+FFFD of either, so that
// different ids become one.
func isText(body []byte) bool {
	if !utf8.Valid(body) {
		return false
	}
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		unit, ok := escaped(body[i:])
		switch {
		case !ok:
			i++ // another escape, of one byte
		case !utf16.IsSurrogate(unit):
			i += escapeBytes - 1
		default:
			low, ok := escaped(body[i+escapeBytes:])
			if !ok || utf16.DecodeRune(unit, low) == utf8.RuneError {
				return false
			}
			i += 2*escapeBytes - 1
		}
	}
	return true
}

const escapeBytes = len(`\u0000`)

// escaped is what a \u escape at the beginning stands for.
func escaped(b []byte) (unit rune, ok bool) {
	if len(b) < escapeBytes || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:escapeBytes]), 16, 16)
	return rune(n), err == nil
}

package remote

import (
	"strconv"
	"strings"
	"unicode"
)

// maxSaid bounds what we show of a text that a server sent.
const maxSaid = 200

const hidden = "***"

// said is an error with another text.
type said struct {
	text string
	err  error
}

func (s *said) Error() string { return s.text }
func (s *said) Unwrap() error { return s.err }

// redact is err with a text that holds no password and is not long, for a
// server may have said it. A server without AUTH or HELLO repeats their arguments.
func redact(err error, password string) error {
	before := err.Error()
	after := cut(withoutArguments(withoutPassword(before, password)))
	if after == before {
		return err
	}
	return &said{text: after, err: err}
}

// withoutPassword also knows it quoted, as Redis writes it into an error, and
// with its beginning only, where a text ends or Redis has cut an argument.
func withoutPassword(text, password string) string {
	if password == "" {
		return text
	}
	quoted := strconv.Quote(password)
	flat := strings.NewReplacer("\r", " ", "\n", " ").Replace(password)
	for _, form := range []string{password, quoted[1 : len(quoted)-1], flat} {
		text = strings.ReplaceAll(text, form, hidden)
		for n := len(form) - 1; n >= 3; n-- {
			if rest, ok := strings.CutSuffix(text, form[:n]); ok {
				text = rest + hidden
				break
			}
		}
	}
	return text
}

// withoutArguments leaves out what a server repeats of a command it does not
// know: of a long argument it repeats a part.
func withoutArguments(text string) string {
	const args = "with args beginning with:"
	if i := strings.Index(text, args); i >= 0 {
		return text[:i+len(args)] + " " + hidden
	}
	return text
}

// cut is text on one line, with at most maxSaid bytes.
func cut(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxSaid {
		text = text[:maxSaid-len("…")] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

package remote

import (
	"fmt"
	"strings"
)

// rueidis panics at the confirmation of a subscription that is not in its turn,
// and where a subscription is answered with QUEUED. The two guards of a
// connection know when its turn is.

// look decides whether the value that begins is to be noted.
func (g *guard) look(c byte) error {
	answer := g.depth == 0 && c != '|' && c != '>' && !g.ours && g.joins != 0 && g.answers == g.joins
	if answer && c != '-' {
		return fmt.Errorf("%w: it answers a subscription with %q", ErrNotRedis, c)
	}
	if c == '>' && g.depth > 0 && g.top != '>' { // rueidis takes it out, and the next reply in its place
		return fmt.Errorf("%w: an announcement stands in a reply", ErrNotRedis)
	}
	if g.noting = answer || g.depth == 1 && g.first && c != '|'; g.noting {
		g.first, g.noted = false, 0
	}
	return nil
}

// note keeps the beginning of the value that is passing.
func (g *guard) note(p []byte) { g.noted += copy(g.word[g.noted:], p) }

// judge looks at a noted value: the first word of a push or of a command of
// ours, or what a subscription of ours is answered with.
func (g *guard) judge() error {
	word := string(g.word[:g.noted])
	if typed[g.typ] == asLine {
		word = strings.TrimSuffix(word, "\r")
	}
	switch {
	case g.ours:
		if word == "SUBSCRIBE" || word == "PSUBSCRIBE" || word == "SSUBSCRIBE" {
			g.joins = g.answers
		}
	case g.top == '>':
		if word != "subscribe" && word != "psubscribe" && word != "ssubscribe" {
			return nil
		}
		if g.left[0] < 2 { // rueidis looks over it
			return fmt.Errorf("%w: it confirms a subscription to nothing", ErrNotRedis)
		}
		if g.answers++; g.answers != g.joins {
			return fmt.Errorf("%w: it confirms a subscription that was not asked for", ErrNotRedis)
		}
	case word == "QUEUED":
		return fmt.Errorf("%w: it answers a subscription with QUEUED", ErrNotRedis)
	}
	return nil
}

// Package censor makes texts that others sent fit to be shown: what a server, a
// sentinel or a proxy says of itself goes into errors, logs and findings only
// through it.
package censor

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

const hidden = "***"

const (
	// shortest is the length of the shortest secret that is looked for: a shorter
	// one would be found within ordinary words, and show there.
	shortest = 4
	// mostSecrets are remembered: the last ones.
	mostSecrets = 32
	// mostSearched bounds what is searched of a text, beyond what is shown of it.
	mostSearched = 4 << 10
)

var secrets struct {
	mu    sync.Mutex // guards known
	known []string   // the last one first
}

// Hide lets no text of others be shown with a secret of this process in it. A
// secret that has changed is remembered too, as one of the last 32.
func Hide(secret string) {
	if len(secret) < shortest {
		return
	}
	secrets.mu.Lock()
	defer secrets.mu.Unlock()
	if i := slices.Index(secrets.known, secret); i >= 0 {
		if i == 0 {
			return
		}
		secrets.known = slices.Delete(slices.Clone(secrets.known), i, i+1)
	}
	kept := secrets.known[:min(len(secrets.known), mostSecrets-1)]
	secrets.known = append([]string{secret}, kept...) // others read the one before
}

func known() []string {
	secrets.mu.Lock()
	defer secrets.mu.Unlock()
	return secrets.known
}

// Text is text on one line, with at most so many bytes, without control or
// invisible characters and without the secrets of this process.
func Text(text string, most int) string {
	return line(withoutArguments(withoutSecrets(text, most)), most)
}

// Quote is text in quotes, with at most so many bytes of it and without the secrets of
// this process: for a word of others within a sentence of ours.
func Quote(text string, most int) string {
	text = withoutSecrets(text, most) // first: a beginning of one would be left in the sentence
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}

func withoutSecrets(text string, most int) string {
	if len(text) > most+mostSearched {
		text = text[:most+mostSearched]
	}
	for _, s := range known() {
		text = Without(text, s)
	}
	return text
}

// Without is text without a secret, however short. It also knows it quoted, as
// Redis writes it into an error, and with its beginning only, where a text ends or
// Redis has cut an argument.
func Without(text, secret string) string {
	if secret == "" {
		return text
	}
	quoted := strconv.Quote(secret)
	flat := strings.NewReplacer("\r", " ", "\n", " ").Replace(secret)
	for _, form := range []string{secret, quoted[1 : len(quoted)-1], flat} {
		text = strings.ReplaceAll(text, form, hidden)
		for n := min(len(form)-1, len(text)); n >= 3; n-- {
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

// line is text on one line, with at most so many bytes.
func line(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // those that turn the direction of writing are among them
			return ' '
		}
		return r
	}, text)
	if len(text) > most {
		text = text[:most-len("…")] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

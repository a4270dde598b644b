package evercache

import (
	"fmt"
	"log/slog"
)

// Secret is a password or token. It prints as *** wherever it could leak:
// fmt verbs, JSON, text encodings and slog. Reveal is the one way to its text.
// Keep it in exported fields only: fmt cannot call the methods of others.
type Secret string

const redacted = "***"

// Reveal returns the secret itself. Hand it to the wire, never to a log.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret; an empty one stays empty, so that "not set" shows.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format hides the secret from every verb: fmt prints what a wrong one, such as
// %d, was given.
func (s Secret) Format(f fmt.State, verb rune) {
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), s.String())
}

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON and other text encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

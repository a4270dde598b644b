package evercache

import "log/slog"

// Secret is a password or token. It prints as *** wherever it could leak:
// fmt verbs, JSON, text encodings and slog. Reveal is the one way to its text.
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

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON and other text encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

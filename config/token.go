package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/evercache/evercache"
)

// Token is a bearer token, or two of them while one takes the place of the other.
type Token struct {
	Values []evercache.Secret
	// File is where they came from, if they came from a file: read it again with
	// ReadTokens to follow a rotation.
	File string
}

// Tokens say who may do what. Where none is given everybody may do everything;
// else what has no token of its own wants that of All.
type Tokens struct {
	All     Token // for everything
	Read    Token // for reading values and checking the denylist
	Write   Token // for writing and deleting, and for reading
	Revoke  Token // for revoking, and checking the denylist
	Metrics Token // for /metrics and /
}

// Any reports whether there is a token.
func (t Tokens) Any() bool {
	for _, one := range []Token{t.All, t.Read, t.Write, t.Revoke, t.Metrics} {
		if len(one.Values) > 0 {
			return true
		}
	}
	return false
}

const (
	// leastSecret is what cannot be found out by trying.
	leastSecret = 16
	// mostTokens are valid at the same time.
	mostTokens = 2
	mostToken  = 4096
)

// ReadTokens reads a file of one token, or of two, as FromEnv does. The path is not
// in the error.
func ReadTokens(path string) ([]evercache.Secret, error) {
	s, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	values, bad := bearer(s.Reveal())
	if bad != nil {
		return nil, errors.New("holds a token that " + bad[0].what)
	}
	return values, nil
}

// bearer reads one or two tokens, separated by white space: what an Authorization
// header can carry.
func bearer(v string) (values []evercache.Secret, bad []problem) {
	const fix = "use 16 or more letters, digits and punctuation; while one token takes the place of another, write both with white space between"
	fields := strings.FieldsFunc(v, func(c rune) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' })
	for _, f := range fields {
		switch {
		case strings.ContainsFunc(f, func(c rune) bool { return c <= ' ' || c > '~' }):
			return nil, wrong("", "holds a sign that no Authorization header can carry", fix)
		case len(f) < leastSecret:
			return nil, wrong("", fmt.Sprintf("is shorter than %d bytes", leastSecret), fix)
		case len(f) > mostToken:
			return nil, wrong("", fmt.Sprintf("is longer than %d bytes", mostToken), fix)
		}
		values = append(values, evercache.Secret(f))
	}
	switch {
	case len(fields) == 0:
		return nil, wrong("", "is empty", fix)
	case len(fields) > mostTokens:
		return nil, wrong("", fmt.Sprintf("has more than %d parts", mostTokens), fix)
	}
	return values, nil
}

// tokenNames are the settings that hold tokens, with where they go.
var tokenNames = []struct {
	name string
	of   func(*Tokens) *Token
}{
	{"EVERCACHE_TOKEN", func(t *Tokens) *Token { return &t.All }},
	{"EVERCACHE_READ_TOKEN", func(t *Tokens) *Token { return &t.Read }},
	{"EVERCACHE_WRITE_TOKEN", func(t *Tokens) *Token { return &t.Write }},
	{"EVERCACHE_REVOKE_TOKEN", func(t *Tokens) *Token { return &t.Revoke }},
	{"EVERCACHE_METRICS_TOKEN", func(t *Tokens) *Token { return &t.Metrics }},
}

// tokenSettings are the rows of a token and of its file.
func tokenSettings(name, example, meaning string, of func(*draft) *Token) []setting {
	return []setting{
		{
			name: name, group: "Access", unset: "none", example: example, secret: true, meaning: meaning + " " + tokenForm,
			parse: to(func(d *draft) *[]evercache.Secret { return &of(d).Values }, bearer),
		},
		{
			name: name + "_FILE", group: "Access", unset: "none", example: "/run/secrets/" + strings.ReplaceAll(strings.ToLower(name), "_", "-"),
			meaning: "A file that holds it instead, two of them on a line each. It is read again while the binary runs, so a replaced token needs no restart.",
			parse:   to(func(d *draft) *string { return &of(d).File }, text),
		},
	}
}

const tokenForm = "Visible ASCII, 16 bytes or more. Two tokens, separated by a space, are both valid."

// tokens gives those of the variables and of their files.
func (r *reader) tokens() Tokens {
	t := r.draft.server.Tokens
	for _, n := range tokenNames {
		one := n.of(&t)
		if !r.set(n.name + "_FILE") {
			continue
		}
		s := r.secretFrom(n.name, "", one.File)
		if r.bad[n.name+"_FILE"] {
			continue
		}
		values, bad := bearer(s.Reveal())
		if bad != nil {
			r.unusable(n.name+"_FILE", "the token in the file "+bad[0].what, bad[0].fix)
		}
		one.Values = values
	}
	return t
}

// badToken reports whether a token is set that cannot be used.
func (r *reader) badToken() bool {
	for _, n := range tokenNames {
		if r.bad[n.name] || r.bad[n.name+"_FILE"] {
			return true
		}
	}
	return false
}

// revocationsKey wants what cannot be found out by trying.
func revocationsKey(v string) (evercache.Secret, []problem) {
	if len(v) < leastSecret {
		return "", wrong("", fmt.Sprintf("is shorter than %d bytes", leastSecret), "use 16 or more random bytes, such as the output of: openssl rand -hex 32")
	}
	return evercache.Secret(v), nil
}

func (r *reader) revocationsKey() evercache.Secret {
	const name = "EVERCACHE_REVOCATIONS_KEY"
	s := r.secretFrom(name, r.draft.server.RevocationsKey, r.draft.revocationsKeyFile)
	if r.draft.revocationsKeyFile == "" || r.bad[name+"_FILE"] {
		return s
	}
	if _, bad := revocationsKey(s.Reveal()); bad != nil {
		r.unusable(name+"_FILE", "the key in the file "+bad[0].what, bad[0].fix)
	}
	return s
}

package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/revoke"
)

type revocationBody struct {
	ID           string `json:"id"`
	Subject      string `json:"subject"`
	IssuedBefore moment `json:"issuedBefore"`
	ExpiresAt    moment `json:"expiresAt"`
}

type tokenBody struct {
	ID       string `json:"id"`
	Subject  string `json:"subject"`
	IssuedAt moment `json:"issuedAt"`
}

func (b tokenBody) token() revoke.Token {
	return revoke.Token{ID: b.ID, Subject: b.Subject, IssuedAt: b.IssuedAt.Time}
}

type checkBody struct {
	tokenBody
	Strict bool        `json:"strict"`
	Tokens []tokenBody `json:"tokens"`
}

// fault refuses what nothing could be looked up for: an answer to that would look
// like one about a token.
func (b checkBody) fault() *apiError {
	switch {
	case b.Tokens == nil && b.nobody():
		return errBadBody(`a check is {"id","subject","issuedAt"} with an id, a subject or both, or {"tokens":[…]}`)
	case b.Tokens != nil && (b.tokenBody != tokenBody{} || len(b.Tokens) > mostChecks):
		return errBadBody("a batch is {\"tokens\":[…]} with at most 1000 tokens, and strict beside it")
	}
	if i := slices.IndexFunc(b.Tokens, tokenBody.nobody); i >= 0 {
		return errBadBody(fmt.Sprintf("tokens[%d] has neither an id nor a subject", i))
	}
	return nil
}

// nobody reports whether it names no token.
func (b tokenBody) nobody() bool { return b.ID == "" && b.Subject == "" }

type verdictBody struct {
	Status  revoke.Status `json:"status"`
	Allowed bool          `json:"allowed"`
	AsOf    *time.Time    `json:"asOf"` // null: nothing was ever known
	LagMS   *int64        `json:"lagMs"`
}

func verdictOf(v revoke.Verdict) verdictBody {
	b := verdictBody{Status: v.Status, Allowed: v.Allowed()}
	if !v.AsOf.IsZero() {
		b.AsOf, b.LagMS = new(v.AsOf.UTC()), new(v.Lag.Milliseconds())
	}
	return b
}

// readJSON reads the body into v. What is misspelt or said twice is refused: a
// revocation that was not understood must not be acknowledged.
func (a *api) readJSON(q *request, v any) *apiError {
	if _, _, fault := query(q.URL.RawQuery, ""); fault != nil {
		return fault
	}
	if q.Header.Get("Content-Encoding") != "" {
		return errUnsupportedHeader("Content-Encoding")
	}
	body, fault := a.readBody(q)
	if fault != nil {
		return fault
	}
	if !isText(body) {
		return errBadBody("the body is not UTF-8, or has half of a surrogate pair (\\ud800): an id would be another one")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return errBadBody(misread(err, body))
	}
	if _, err := d.Token(); err != io.EOF {
		return errBadBody("the body has data after its JSON value")
	}
	if key, is := repeated(json.NewDecoder(bytes.NewReader(body))); is {
		return errBadBody(fmt.Sprintf("%q is there twice", key))
	}
	return nil
}

// misread says what is wrong with a body that cannot be read, and names the field where
// there is one. It shows no value: that may be a token's id.
func misread(err error, body []byte) string {
	const meant = "the body is not the JSON of this call"
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return fmt.Sprintf("%s: %.60q must not be a %.20s", meant, strings.TrimPrefix(e.Field, "tokenBody."), e.Value)
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("the body is not JSON: see byte %d", e.Offset)
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Sprintf("%s: it has no field %.60s", meant, field)
	}
	if field := badMoment("", body); field != "" {
		return fmt.Sprintf("%s: %.60q is no time; times are RFC 3339, or Unix seconds in digits", meant, field)
	}
	return meant + "; times are RFC 3339, or Unix seconds in digits"
}

// badMoment is the first field of a time that cannot be read as one. The body is of few
// levels: a batch has its tokens one below.
func badMoment(within string, body []byte) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return ""
	}
	for _, name := range []string{"expiresAt", "issuedBefore", "issuedAt"} {
		for key, raw := range fields {
			if strings.EqualFold(key, name) && new(moment).UnmarshalJSON(raw) != nil {
				return within + name
			}
		}
	}
	var tokens []json.RawMessage
	if within != "" || json.Unmarshal(fields["tokens"], &tokens) != nil {
		return ""
	}
	for i, token := range tokens {
		if field := badMoment(fmt.Sprintf("tokens[%d].", i), token); field != "" {
			return field
		}
	}
	return ""
}

// repeated is a key that an object of the next value of d has twice, in whatever
// case: a decoder takes the last of them. The value is known to be JSON, and of
// few levels.
func repeated(d *json.Decoder) (key string, is bool) {
	begin, _ := d.Token()
	if begin != json.Delim('{') && begin != json.Delim('[') {
		return "", false
	}
	var keys []string
	for d.More() {
		if begin == json.Delim('{') {
			t, _ := d.Token()
			key, _ := t.(string)
			if slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, key) }) {
				return key, true
			}
			keys = append(keys, key)
		}
		if key, is := repeated(d); is {
			return key, true
		}
	}
	_, _ = d.Token() // its end
	return "", false
}

func errBadBody(message string) *apiError { return badRequest("bad_body", message) }

package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/evercache/evercache/revoke"
)

// moment is a time in a body: RFC 3339, or Unix seconds.
type moment struct{ time.Time }

var errMoment = errors.New("a time is RFC 3339 or Unix seconds")

func (m *moment) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	text := string(b)
	if text[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return errMoment
		}
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			m.Time = t
			return nil
		}
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > 1<<50 {
		return errMoment
	}
	whole, part := math.Modf(seconds)
	m.Time = time.Unix(int64(whole), int64(part*1e9))
	return nil
}

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

// readJSON reads the body into v. What is misspelt is refused: a revocation that
// was not understood must not be acknowledged.
func (a *api) readJSON(q *request, v any) *apiError {
	if _, _, fault := query(q.URL.RawQuery, ""); fault != nil {
		return fault
	}
	if q.Header.Get("Content-Encoding") != "" {
		return errUnsupportedHeader("Content-Encoding")
	}
	body, fault := readBody(q.Request, a.limits.bodyBytes)
	if fault != nil {
		return fault
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil {
		return errBadBody("the body is not the JSON of this call; times are RFC 3339 or Unix seconds")
	}
	if _, err := d.Token(); err != io.EOF {
		return errBadBody("something follows the JSON of the body")
	}
	return nil
}

func errBadBody(message string) *apiError { return badRequest("bad_body", message) }

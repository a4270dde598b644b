package daemon

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// moment is a time in a body: RFC 3339, or Unix seconds, both with a fraction of
// up to nine digits that count.
type moment struct{ time.Time }

var errMoment = errors.New("a time is RFC 3339 or Unix seconds")

// lastMoment is the end of the year 9999. Milliseconds for seconds are beyond it.
const lastMoment = 253402300799

func (m *moment) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	text := string(b)
	if strings.HasPrefix(text, `"`) {
		if json.Unmarshal(b, &text) != nil {
			return errMoment
		}
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return m.take(t)
		}
	}
	t, ok := unixSeconds(text)
	if !ok {
		return errMoment
	}
	return m.take(t)
}

func (m *moment) take(t time.Time) error {
	if t.Unix() < 0 || t.Unix() > lastMoment {
		return errMoment
	}
	m.Time = t
	return nil
}

// unixSeconds reads digits with a fraction. A float would be a little off, and what
// is written with an exponent has lost digits.
func unixSeconds(text string) (t time.Time, ok bool) {
	whole, fraction, dot := strings.Cut(text, ".")
	if !digits(whole) || len(whole) > 12 || dot && !digits(fraction) {
		return t, false
	}
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return t, false
	}
	ns, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	return time.Unix(sec, ns), err == nil
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

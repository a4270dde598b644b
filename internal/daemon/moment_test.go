package daemon

import (
	"encoding/json"
	"testing"
	"time"
)

func TestATimeIsReadToTheNanosecond(t *testing.T) {
	at := func(ns int64) time.Time { return time.Unix(1764455824, ns) }
	for body, want := range map[string]time.Time{
		`1764455824`:                            at(0),
		`1764455824.3`:                          at(300_000_000),
		`1764455824.300000`:                     at(300_000_000),
		`1764455824.1234567899`:                 at(123_456_789),
		`"1764455824.3"`:                        at(300_000_000),
		`"2025-11-29T22:37:04.3Z"`:              at(300_000_000),
		`"2025-11-29T23:37:04.000000001+01:00"`: at(1),
		`0`:                                     time.Unix(0, 0),
		`null`:                                  {},
		`1764455824.99999999999999999999999999`: at(999_999_999),
		`"\u0031764455824"`:                     at(0),
		`253402300799.5`:                        time.Unix(lastMoment, 500_000_000),
	} {
		var m moment
		if err := json.Unmarshal([]byte(body), &m); err != nil || !m.Equal(want) {
			t.Errorf("%s is read as %v, %v", body, m.Time, err)
		}
	}
}

func TestATimeThatIsNoneIsRefused(t *testing.T) {
	for _, body := range []string{
		`1764455824000`, `1764455824000000000`, `-1`, `-0.5`, `-0`, `1e9`, `1.764455824e9`, `1e300`, `1E-5`, `"NaN"`, `"Inf"`, `"-1"`,
		`"0x10"`, `"1_000"`, `" 1764455824"`, `"1764455824."`, `".5"`, `""`, `"soon"`, `true`, `[]`, `{}`, `253402300800`,
		`"1969-12-31T23:59:59Z"`, `"-1.7E10"`, `"١٧٦٤٤٥٥٨٢٤"`,
	} {
		var m moment
		if err := json.Unmarshal([]byte(body), &m); err == nil {
			t.Errorf("%s is read as %v", body, m.Time)
		}
	}
}

func FuzzMoment(f *testing.F) {
	for _, s := range []string{`1764455824.3`, `"2025-11-29T22:37:04Z"`, `1e300`, `null`, ``, `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m moment
		if m.UnmarshalJSON(b) == nil && !m.IsZero() && (m.Unix() < 0 || m.Unix() > lastMoment) {
			t.Errorf("%q is read as %v", b, m.Time)
		}
	})
}

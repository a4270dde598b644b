package daemon

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// An error of a body names its field, and shows nothing of a value.
func TestABodyThatCannotBeReadIsToldByItsField(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":5}`:                                   `"id" must not be a number`,
		`{"id":"secret","expires":1}`:                `no field "expires"`,
		`{"id":"secret","issuedAt":"soon"}`:          `"issuedAt" is no time`,
		`{"tokens":[{"id":"a"},{"issuedAt":"x"}]}`:   `"tokens[1].issuedAt" is no time`,
		`{"tokens":[{"id":"secret","issuedAt":{}}]}`: `"tokens[0].issuedAt" is no time`,
		`{"id":"secret"`:                             "not the JSON of this call",
		`{"id":"secret",}`:                           "not JSON: see byte 16",
		`[]`:                                         "not the JSON of this call",
	} {
		d := json.NewDecoder(bytes.NewReader([]byte(body)))
		d.DisallowUnknownFields()
		err := d.Decode(new(checkBody))
		if err == nil {
			t.Errorf("%s is read", body)
			continue
		}
		if got := misread(err, []byte(body)); !strings.Contains(got, want) || strings.Contains(got, "secret") {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

func FuzzMisread(f *testing.F) {
	f.Add([]byte(`{"tokens":[{"issuedAt":"x"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := json.Unmarshal(body, new(checkBody)); err != nil {
			misread(err, body)
		}
	})
}

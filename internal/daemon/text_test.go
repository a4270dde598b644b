package daemon

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAnIDThatIsNotTextIsRefused(t *testing.T) {
	s := serveAPI(t, redisAway(t)...)
	soon := time.Now().Add(time.Hour).Unix()
	for _, id := range []string{"\xff", "a\xc3", `\ud800`, `\udc00`, `\ud800x`, `\ud800\u0041`, `\ud800\ud800`, `\\\ud800`, "\xed\xa0\x80"} {
		for path, body := range map[string]string{
			"/v1/revocations":       `{"id":"` + id + `","expiresAt":` + fmt.Sprint(soon) + `}`,
			"/v1/revocations/check": `{"tokens":[{"id":"a"},{"subject":"` + id + `"}]}`,
		} {
			s.post(path, body).wants(t, 400, "bad_body")
		}
	}
	for _, id := range []string{"\uFFFD", `\ufffd`, `\ud83d\ude00`, "😀", `\\ud800`, `\u0000`, `\"\\\/\b`} {
		s.post("/v1/revocations/check", `{"id":"`+id+`"}`).wantsStatus(t, 200)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{`"a"`, `"\ud800"`, `"\ud83d\ude00"`, "\"\xff\"", `"\\ud800"`, `"\u"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v string
		if json.Unmarshal(b, &v) != nil {
			isText(b)
			return
		}
		made := strings.Contains(v, string(utf8.RuneError)) &&
			!strings.Contains(string(b), "\uFFFD") && !strings.Contains(strings.ToLower(string(b)), `\ufffd`)
		if isText(b) && made || !isText(b) && !strings.Contains(v, string(utf8.RuneError)) {
			t.Errorf("%q is read as %q, text: %v", b, v, isText(b))
		}
	})
}

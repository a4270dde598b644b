package daemon

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
)

const typeJSON = "application/json"

func TestInspectAnswersWithWhatWasFound(t *testing.T) {
	s := serveAPI(t).with(&fakeCache{inspection: evercache.Inspection{
		Checked: 7, Wrong: 1, Worst: []evercache.WrongEntry{{Key: "abcd", Age: 90 * time.Second, Missing: true}},
	}})
	s.do("GET", "/v1/cache/demo/k", "") // makes the class
	a := s.do("POST", "/v1/inspect", `{"class":"demo"}`, "Content-Type", typeJSON)
	var got inspectAnswer
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if !got.Used || got.Checked != 7 || got.Wrong != 1 || len(got.Worst) != 1 || got.Worst[0] != (wrongEntry{"abcd", 90, true}) {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(s.logs.String(), `"event":"memory.wrong"`) {
		t.Error("the log does not tell")
	}
	if a := s.do("POST", "/v1/inspect", `{"class":"unknown","most":5}`, "Content-Type", typeJSON); !strings.Contains(a.body, `"used":false,"checked":0`) || !strings.Contains(a.body, `"worst":[]`) {
		t.Errorf("of a class that is not in memory: %s", a.body)
	}
}

func TestInspectRefusesWhatMakesNoSense(t *testing.T) {
	s := serveAPI(t)
	for body, code := range map[string]string{
		`{}`:                          "bad_class",
		`{"class":"Not A Class"}`:     "bad_class",
		`{"class":"demo","most":0}`:   "bad_body",
		`{"class":"demo","most":-1}`:  "bad_body",
		`{"class":"demo","most":1e9}`: "bad_body",
		`{"class":"demo","key":"k"}`:  "bad_body",
		`nonsense`:                    "bad_body",
	} {
		if a := s.do("POST", "/v1/inspect", body, "Content-Type", typeJSON); a.StatusCode != http.StatusBadRequest || a.code() != code {
			t.Errorf("%s: %d %s, want %s", body, a.StatusCode, a.body, code)
		}
	}
	s.do("GET", "/v1/inspect", "").wants(t, http.StatusMethodNotAllowed, "method_not_allowed")
	s.api.inspecting <- struct{}{}
	s.do("POST", "/v1/inspect", `{"class":"demo"}`, "Content-Type", typeJSON).wants(t, http.StatusServiceUnavailable, "inspecting")
}

func TestTheServiceInspectsByItself(t *testing.T) {
	s := serveAPI(t).with(&fakeCache{inspection: evercache.Inspection{Checked: 1, Wrong: 1, Worst: []evercache.WrongEntry{{Key: "abcd"}}}})
	s.do("GET", "/v1/cache/demo/k", "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.api.keepInspecting(ctx, time.Millisecond)
	}()
	until(t, func() bool { return strings.Contains(s.logs.String(), `"key_sha256":"abcd"`) })
	stop()
	<-ended
	s.api.keepInspecting(t.Context(), 0) // never: it returns at once
}

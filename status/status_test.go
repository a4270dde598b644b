package status_test

import (
	"net/http"
	"testing"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/status"
)

func TestReadyzFollowsTheLifeOfTheProcessOnly(t *testing.T) {
	s := status.New(inOutage())
	ready := func(want int) {
		t.Helper()
		if c := get(t, s.Readyz(), "GET", "/readyz").Code; c != want {
			t.Errorf("readyz = %d, want %d", c, want)
		}
		if c := get(t, s.Livez(), "GET", "/livez").Code; c != 200 {
			t.Errorf("livez = %d, want 200", c)
		}
	}
	ready(200) // in an outage memory answers
	s.SetStarting()
	ready(503)
	s.SetServing()
	ready(200)
	s.SetDraining()
	ready(503)
	s.SetServing()
	ready(503) // draining is final
}

func TestLivezOfAClosedClient(t *testing.T) {
	f := healthy()
	f.health.State = health.Closed
	if c := get(t, status.New(f).Livez(), "GET", "/livez").Code; c != 200 {
		t.Errorf("livez = %d, want 200: a restart is for the supervisor to decide", c)
	}
}

func TestOnlyReadingMethods(t *testing.T) {
	s := status.New(healthy())
	for name, h := range map[string]http.Handler{"health": s.Health(), "livez": s.Livez(), "readyz": s.Readyz()} {
		if c := get(t, h, "HEAD", "/").Code; c != 200 {
			t.Errorf("HEAD %s = %d, want 200", name, c)
		}
		w := get(t, h, "POST", "/")
		if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s = %d, Allow %q; want 405, GET, HEAD", name, w.Code, w.Header().Get("Allow"))
		}
	}
}

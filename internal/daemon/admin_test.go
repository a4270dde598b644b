package daemon

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/evercache/evercache/health"
)

func (r *running) admin(method, path, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.cfg.Server.AdminListen+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestTheAdminListenerIsThereWhereItIsAskedFor(t *testing.T) {
	r := runDaemon(t, "EVERCACHE_ADMIN_LISTEN=127.0.0.1:"+freePort(t))
	if code, body := r.admin("PUT", "/log/level", "warn"); code != 200 || body != "warn\n" || r.Level.Level().String() != "WARN" {
		t.Errorf("%d %q, %v", code, body, r.Level)
	}
	if code, _ := r.admin("GET", "/debug/flight/last", ""); code != 404 {
		t.Errorf("before a failover: %d", code)
	}
	r.cfg.Redis.Events.Failover(health.Failover{}) // as the client does when one has ended
	if code, body := r.admin("GET", "/debug/flight/last", ""); code != 200 || body == "" {
		t.Errorf("after a failover: %d, %d bytes", code, len(body))
	}
	// Nothing of it is on the other listener.
	for _, path := range []string{"/debug/pprof/", "/log/level", "/debug/flight"} {
		r.raw().asks(path).wants(t, http.StatusNotFound, "no_such_path")
	}
	r.stop()
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + r.cfg.Server.AdminListen + "/"); err == nil {
		t.Error("it answers after the end")
	}
}

func TestAnAdminListenerThatCannotBeOpenedIsAFault(t *testing.T) {
	r := runDaemon(t)
	d, _ := newDaemon(t, "EVERCACHE_LISTEN=127.0.0.1:0", "EVERCACHE_ADMIN_LISTEN="+r.Addr().String())
	if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "EVERCACHE_ADMIN_LISTEN") {
		t.Errorf("%v", err)
	}
}

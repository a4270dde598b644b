package daemon

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/audit"
)

// audited are the events of a log, which must be as it was written.
func audited(t *testing.T, path string) (events []audit.Event) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(bytes.NewReader(b)); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	for line := range bytes.Lines(b) {
		var e audit.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		events = append(events, e)
	}
	return events
}

const canary = "canary-secret-token-0123456789"

func TestTheAuditLogTellsWhoHasDoneWhat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	r := runDaemon(t, "EVERCACHE_AUDIT_LOG="+path, "EVERCACHE_TOKEN="+canary, "EVERCACHE_READ_TOKEN="+canary+"-read",
		"EVERCACHE_REVOCATIONS=on", "EVERCACHE_REVOCATIONS_KEY="+canary+"-key")
	call := func(method, path, body, token string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.Addr().String()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	call("PUT", "/v1/cache/demo/user:alice", "value", canary)
	deleted := call("DELETE", "/v1/cache/demo?prefix=user:alice", "", canary)
	call("DELETE", "/v1/cache/demo?prefix=", "", canary)
	call("DELETE", "/v1/cache/demo?prefix=x", "", canary+"-read")
	call("POST", "/v1/revocations", `{"id":"jti-of-alice","expiresAt":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"}`, canary)
	call("POST", "/v1/revocations", `{"subject":"alice","issuedBefore":"`+time.Now().Format(time.RFC3339)+`","expiresAt":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"}`, canary)
	r.stop()
	_ = r.wait() // what waits for a Redis that never came is nobody's loss
	events := audited(t, path)
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Event)
	}
	want := []string{audit.Started, audit.PrefixDeleted, audit.PrefixDeleted, audit.Refused, audit.Revoked, audit.RevokedAll, audit.Stopped}
	if strings.Join(kinds, " ") != strings.Join(want, " ") {
		t.Fatalf("events %v, want %v", kinds, want)
	}
	one, all, refused, revoked := events[1], events[2], events[3], events[4]
	if one.Actor != "EVERCACHE_TOKEN" || one.Class != "demo" || one.Target != audit.Digest(canary+"-key", "user:alice") || one.Remote == "" ||
		one.RequestID != deleted.Header.Get(requestIDHeader) {
		t.Errorf("a delete of a prefix: %+v", one)
	}
	if all.Target != "*" {
		t.Errorf("a delete of a class: %+v", all)
	}
	if refused.Actor != "EVERCACHE_READ_TOKEN" || refused.Outcome != errForbiddenToken().code || *refused.Count != 1 {
		t.Errorf("a caller without the right: %+v", refused)
	}
	if revoked.Target != audit.Digest(canary+"-key", "jti-of-alice") {
		t.Errorf("a revocation: %+v", revoked)
	}
	text, _ := os.ReadFile(path)
	for _, secret := range []string{canary, "alice"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// Who asked for an audit log does not get a service without one.
func TestAnAuditLogThatCannotBeOpenedIsAFault(t *testing.T) {
	d, _ := newDaemon(t, "EVERCACHE_AUDIT_LOG="+filepath.Join(t.TempDir(), "no", "such", "folder"), "EVERCACHE_LISTEN=127.0.0.1:0")
	err := d.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "EVERCACHE_AUDIT_LOG") {
		t.Errorf("%v", err)
	}
}

// A log that cannot be written any more holds up nobody, and is told.
func TestAnAuditLogThatFailsIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := runDaemon(t, "EVERCACHE_AUDIT_LOG="+filepath.Join(dir, "audit.log"))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool {
		a := r.raw()
		a.send("DELETE /v1/cache/demo?prefix=x HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if got := a.read("DELETE"); got.StatusCode >= 300 {
			t.Fatalf("%d %s", got.StatusCode, got.body)
		}
		return strings.Contains(r.raw().asks("/health").body, "audit-failed")
	})
	if m := r.raw().asks("/metrics").body; !strings.Contains(m, `evercache_audit_events_total{event="prefix.deleted"}`) || strings.Contains(m, "evercache_audit_events_lost_total 0") {
		t.Error("the metrics do not tell")
	}
}

//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/switchover"
	"github.com/evercache/evercache/redistest"
)

// switchoverHere runs the command with an answer to its question, and returns both outputs.
func switchoverHere(environ []string, typed string, args ...string) (stdout, stderr string, status int) {
	var out, told bytes.Buffer
	status = run(append([]string{"switchover"}, args...), invocation{environ: environ, stdin: strings.NewReader(typed), stdout: &out, stderr: &told})
	return out.String(), told.String(), status
}

func TestSwitchoverAsksAndKeepsSecrets(t *testing.T) {
	t.Parallel()
	const canary = "canary-of-the-switchover"
	set := redistest.StartSentinel(t, redistest.WithPassword(canary+"-1"), redistest.WithSentinelPassword(canary+"-2"), redistest.WithTLS(), redistest.WithDownAfter(2*time.Second))
	log := filepath.Join(t.TempDir(), "commands.log")
	environ := []string{
		"EVERCACHE_AUDIT_LOG=" + log,
		"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=" + set.MasterName(), "REDIS_SENTINELS=" + strings.Join(set.Addrs(), ","),
		"REDIS_PASSWORD=" + canary + "-1", "REDIS_SENTINEL_PASSWORD=" + canary + "-2",
		"REDIS_TLS=true", "REDIS_TLS_CA_FILE=" + set.TLSFiles().CA,
	}
	old := set.Master().Addr()
	var printed []string
	for _, c := range []struct {
		typed  string
		args   []string
		status int
		want   string
	}{
		{"", []string{"--dry-run"}, exitOK, "planned: nothing was changed"},
		{"no\n", nil, exitUsage, "not confirmed"},
		{"", nil, exitUsage, "not confirmed"},
		{"yes\n", nil, exitOK, "done: "},
	} {
		out, told, status := switchoverHere(environ, c.typed, c.args...)
		printed = append(printed, out, told)
		if status != c.status || !strings.Contains(out+told, c.want) {
			t.Fatalf("%q %v: status %d, %s%s; want %d, %s", c.typed, c.args, status, out, told, c.status, c.want)
		}
	}
	now := set.Master().Addr()
	if now == old {
		t.Errorf("%s is the master still", old)
	}
	out, told, status := switchoverHere(environ, "", "--to", old, "--yes", "-o", "json")
	printed = append(printed, out, told)
	var r switchover.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != exitOK || r.Outcome != switchover.Done || r.Promoted != old || r.From != now || len(r.Steps) == 0 {
		t.Errorf("status %d, %v: %s%s", status, err, out, told)
	}
	if got := noted(t, log); got != "switchover.begun=ok switchover.ended=done switchover.begun=ok switchover.ended=done" {
		t.Errorf("the audit log has %s", got)
	}
	text, _ := os.ReadFile(log)
	if strings.Contains(strings.Join(printed, "")+string(text), canary) {
		t.Error("a password was printed")
	}
}
